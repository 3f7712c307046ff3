/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * poll() before every read and write, with the time that is left. Nothing here changes
 * the mode of a descriptor: stdin and stdout are shared with libvirtd.
 */
#include "hooks/deadline-io.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE ((size_t) 64 * 1024)

static int64_t
get_now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
is_again (int error)
{
  return error == EINTR || error == EAGAIN || error == EWOULDBLOCK;
}

static bool
reserve (VpBytes *bytes, size_t room)
{
  size_t allocated = bytes->allocated > 0 ? bytes->allocated : READ_SIZE;

  while (allocated - bytes->size < room) {
    if (allocated > SIZE_MAX / 2) {
      errno = ENOMEM;
      return false;
    }
    allocated *= 2;
  }
  if (allocated == bytes->allocated)
    return true;

  char *data = realloc (bytes->data, allocated);
  if (data == NULL)
    return false;

  bytes->data = data;
  bytes->allocated = allocated;
  return true;
}

VpDeadline
vp_deadline_new (unsigned int seconds)
{
  return (VpDeadline){ .end_ms = get_now_ms () + (int64_t) seconds * 1000 };
}

int
vp_deadline_get_left (const VpDeadline *deadline)
{
  const int64_t left = deadline->end_ms - get_now_ms ();

  if (left <= 0)
    return 0;
  return left > INT_MAX ? INT_MAX : (int) left;
}

/* Until `fd` is ready for `events`, or has an error for the next call to find. */
static bool
wait_for (const VpDeadline *deadline, int fd, short events)
{
  struct pollfd pollfd = { .fd = fd, .events = events };

  for (;;) {
    /* Asked before the poll: a peer that sends a byte now and then must not keep us for ever. */
    const int left = vp_deadline_get_left (deadline);
    if (left == 0) {
      errno = ETIMEDOUT;
      return false;
    }

    const int n_ready = poll (&pollfd, 1, left);
    if (n_ready > 0)
      return true;
    if (n_ready < 0 && !is_again (errno))
      return false;
  }
}

bool
vp_bytes_append (VpBytes *bytes, const void *data, size_t size)
{
  if (!reserve (bytes, size))
    return false;

  memcpy (bytes->data + bytes->size, data, size);
  bytes->size += size;
  return true;
}

ssize_t
vp_bytes_read_some (VpBytes *bytes, int fd, size_t limit, const VpDeadline *deadline)
{
  for (;;) {
    if (!reserve (bytes, READ_SIZE) || !wait_for (deadline, fd, POLLIN))
      return -1;

    const ssize_t n_read = read (fd, bytes->data + bytes->size, READ_SIZE);
    if (n_read < 0 && is_again (errno))
      continue;
    if (n_read > 0)
      bytes->size += (size_t) n_read;
    if (bytes->size > limit) {
      errno = EFBIG;
      return -1;
    }
    return n_read;
  }
}

bool
vp_bytes_read_all (VpBytes *bytes, int fd, size_t limit, const VpDeadline *deadline)
{
  ssize_t n_read = 0;

  while ((n_read = vp_bytes_read_some (bytes, fd, limit, deadline)) > 0)
    ;
  return n_read == 0;
}

void
vp_bytes_clear (VpBytes *bytes)
{
  free (bytes->data);
  *bytes = (VpBytes){ 0 };
}

bool
vp_write_all (int fd, const void *data, size_t size, const VpDeadline *deadline)
{
  const char *next = data;

  while (size > 0) {
    if (!wait_for (deadline, fd, POLLOUT))
      return false;

    /* stdout is a blocking pipe: a writable one has room for PIPE_BUF bytes, more would block. */
    const ssize_t n_written = write (fd, next, size < PIPE_BUF ? size : PIPE_BUF);
    if (n_written < 0) {
      if (!is_again (errno))
        return false;
      continue;
    }

    next += n_written;
    size -= (size_t) n_written;
  }
  return true;
}
