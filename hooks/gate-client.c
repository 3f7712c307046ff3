/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hook's side of gate-protocol.h: the socket. */
#include "hooks/gate-client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/gate-protocol.h"

/* How long to wait before another try while the gate's queue is full. */
#define QUEUE_FULL_WAIT_MS 20

static void
fail_errno (VpGateReply *reply, VpGateVerdict verdict)
{
  vp_gate_reply_fail (reply, verdict, errno == ETIMEDOUT ? "no answer in time" : strerror (errno));
}

/* A Unix socket whose queue is full says EAGAIN at once and cannot be polled for. */
static bool
connect_by (int fd, const struct sockaddr_un *address, const VpDeadline *deadline)
{
  while (connect (fd, (const struct sockaddr *) address, sizeof *address) < 0) {
    if (errno != EAGAIN && errno != EINTR)
      return false;

    const int left = vp_deadline_get_left (deadline);
    if (left == 0) {
      errno = ETIMEDOUT;
      return false;
    }
    poll (NULL, 0, left < QUEUE_FULL_WAIT_MS ? left : QUEUE_FULL_WAIT_MS);
  }
  return true;
}

/* The kernel's word on who called listen(): under socket activation that is systemd,
 * which runs as root or as the session's user as well. */
static bool
check_peer (int fd, VpGateReply *reply)
{
  struct ucred peer;
  socklen_t size = sizeof peer;

  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    fail_errno (reply, VP_GATE_BROKEN);
    return false;
  }
  if (peer.uid != 0 && peer.uid != geteuid ()) {
    reply->verdict = VP_GATE_BROKEN;
    snprintf (reply->reason, sizeof reply->reason, "its owner is user %u, needed is root or user %u",
              (unsigned int) peer.uid, (unsigned int) geteuid ());
    return false;
  }
  return true;
}

static bool
append_header (VpBytes *header, const VpGateRequest *request)
{
  char length[24];
  const char *const strings[] = {
    VP_GATE_GREETING, request->operation, request->suboperation, request->extra, request->domain, length,
  };

  snprintf (length, sizeof length, "%zu", request->xml_size);
  for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
    if (!vp_bytes_append (header, strings[i], strlen (strings[i]) + 1))
      return false;
  }
  if (header->size > VP_GATE_HEADER_MAX) {
    errno = E2BIG;
    return false;
  }
  return true;
}

static bool
send_request (int fd, const VpGateRequest *request, const VpDeadline *deadline)
{
  VpBytes header = { 0 };
  const bool sent = append_header (&header, request) && vp_write_all (fd, header.data, header.size, deadline) &&
                    vp_write_all (fd, request->xml, request->xml_size, deadline) && shutdown (fd, SHUT_WR) == 0;
  const int error = errno;

  vp_bytes_clear (&header);
  errno = error;
  /* A gate may answer and close before it has read everything: then its answer waits for us. */
  return sent || error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

/* To the end of file; a gate that is at work may ask for more time. */
static bool
read_answer (int fd, VpDeadline *deadline, VpGateReply *reply)
{
  ssize_t n_read = 0;

  while ((n_read = vp_bytes_read_some (&reply->answer, fd, VP_GATE_ANSWER_MAX + VP_GATE_FIRST_LINE_MAX, deadline)) > 0)
    vp_gate_reply_take_waits (reply, deadline);
  /* A gate that left part of the request unread ends its answer with ECONNRESET, not with end of file. */
  return n_read == 0 || errno == ECONNRESET;
}

static void
talk (int fd, const VpGateRequest *request, VpDeadline *deadline, VpGateReply *reply)
{
  if (!check_peer (fd, reply))
    return;
  if (!send_request (fd, request, deadline)) {
    fail_errno (reply, VP_GATE_BROKEN);
    return;
  }
  if (read_answer (fd, deadline, reply))
    vp_gate_reply_parse (reply);
  else
    fail_errno (reply, VP_GATE_BROKEN);
}

void
vp_gate_ask (const char *path, const VpGateRequest *request, VpDeadline *deadline, VpGateReply *reply)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  *reply = (VpGateReply){ .verdict = VP_GATE_BROKEN };
  if (strlen (path) >= sizeof address.sun_path) {
    vp_gate_reply_fail (reply, VP_GATE_ABSENT, "the path is too long for a socket");
    return;
  }
  strcpy (address.sun_path, path);

  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    fail_errno (reply, VP_GATE_BROKEN);
    return;
  }
  if (connect_by (fd, &address, deadline))
    talk (fd, request, deadline, reply);
  else
    fail_errno (reply, errno == ETIMEDOUT ? VP_GATE_BROKEN : VP_GATE_ABSENT);
  close (fd);
}
