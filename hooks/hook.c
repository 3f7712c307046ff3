/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each of libvirt's operations means for a domain of ours: who is asked, and what
 * happens when nobody answers. It must never fail an operation that would kill a guest
 * or that libvirt ignores, never start a child, never print more than one line on stderr,
 * and print on stdout only at restore and migrate, and only XML that differs.
 */
#include "hooks/hook.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/gate-protocol.h"
#include "hooks/deadline-io.h"
#include "hooks/gate-client.h"

/* A name for a message, made harmless; names that libvirt accepts are at most this long. */
#define SHOWN_NAME_MAX 256

/* Where the answer changes nothing nobody shall wait long for it: libvirt holds the domain meanwhile. */
#define SHORT_DEADLINE_SECONDS 2u

/* One line of the gate's for stderr: more than a screen helps nobody. */
#define SHOWN_LINE_MAX 2048

typedef struct {
  const char *name;
  bool may_refuse; /* the gate's no counts: exit 1 */
  bool needs_gate; /* no answer is a no, for a domain that carries the tag */
  bool prints;     /* libvirt reads stdout here, and nowhere else */
} Operation;

/*
 * Those that go to the gate. `started` could fail too, but libvirt would kill a guest that
 * has just booted; at `reconnect` it kills one that has been running all along. At `stopped`
 * and `release` the status is ignored. `start` and `attach` have nothing for the gate.
 */
static const Operation operations[] = {
  { .name = "prepare", .may_refuse = true, .needs_gate = true },
  { .name = "restore", .may_refuse = true, .prints = true },
  { .name = "migrate", .may_refuse = true, .prints = true },
  { .name = "started" },
  { .name = "stopped" },
  { .name = "release" },
  { .name = "reconnect" },
};

static const char help_text[] =
  "Usage: 50-vfio-profile DOMAIN OPERATION SUBOPERATION EXTRA < DOMAIN-XML\n"
  "\n"
  "The libvirt hook of vfio-profile. libvirt runs it from its folder hooks/qemu.d; it asks\n"
  "vfio-profiled whether a domain with a profile may start. See vfio-profiled(8).\n"
  "\n"
  "  --help     show this text\n"
  "  --version  show the version\n"
  "\n"
  "Exit status: 0 go on, 1 refused, 2 wrong usage.\n";

static const Operation *
find_operation (const char *name)
{
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    if (strcmp (operations[i].name, name) == 0)
      return &operations[i];
  }
  return NULL;
}

/*
 * One line that a terminal can be shown: control characters become '?', those that UTF-8
 * writes as C2 80 … C2 9F too, and what does not fit is cut between characters.
 */
static void
make_printable (const char *text, size_t size, char *line, size_t line_size)
{
  size_t shown = size < line_size - 1 ? size : line_size - 1;

  while (shown > 0 && shown < size && ((unsigned char) text[shown] & 0xc0) == 0x80)
    shown--;
  for (size_t i = 0; i < shown; i++) {
    const unsigned char byte = (unsigned char) text[i];
    const bool is_c1 = i > 0 && (unsigned char) text[i - 1] == 0xc2 && byte >= 0x80 && byte <= 0x9f;

    line[i] = byte < 0x20 || byte == 0x7f || is_c1 ? '?' : (char) byte;
    /* '?' alone, not behind a lone first half of a character. */
    if (is_c1)
      line[i - 1] = '?';
  }
  line[shown] = '\0';
}

/* The gate's line, without the line end that it may carry. */
static void
print_refusal (const VpGateReply *reply)
{
  char line[SHOWN_LINE_MAX];
  size_t size = reply->payload_size;

  while (size > 0 && (reply->payload[size - 1] == '\n' || reply->payload[size - 1] == '\r'))
    size--;
  make_printable (reply->payload, size, line, sizeof line);
  fprintf (stderr, "%s\n", size > 0 ? line : "vfio-profile: vfio-profiled refuses, without a reason");
}

static bool
is_root (void)
{
  return geteuid () == 0;
}

static const char *
get_advice (VpGateVerdict verdict)
{
  if (verdict == VP_GATE_ABSENT)
    return is_root () ? "start it with 'systemctl start vfio-profiled'" : "start it with 'vfio-profiled --session &'";
  return is_root () ? "see 'systemctl status vfio-profiled' and restart it" : "restart 'vfio-profiled --session'";
}

/* The line for an absent or broken gate; `refused`: the domain does not start for it. */
static void
print_no_gate (const Operation *operation, const char *domain, const char *path, const VpGateReply *reply, bool refused)
{
  char name[SHOWN_NAME_MAX];

  make_printable (domain, strlen (domain), name, sizeof name);
  if (refused)
    fprintf (stderr,
             "vfio-profile: domain '%s' has a profile, but vfio-profiled does not answer at %s (%s): %s, "
             "then start "
             "the domain again\n",
             name, path, reply->reason, get_advice (reply->verdict));
  else
    fprintf (stderr,
             "vfio-profile: nothing done at '%s' of domain '%s': vfio-profiled does not answer at %s (%s): %s\n",
             operation->name, name, path, reply->reason, get_advice (reply->verdict));
}

/* The domain's XML could not be read: refused where that is safe, since it may carry the tag. */
static int
fail_stdin (const Operation *operation, const char *domain, int error)
{
  char name[SHOWN_NAME_MAX];

  make_printable (domain, strlen (domain), name, sizeof name);
  if (error == EFBIG)
    fprintf (stderr, "vfio-profile: the XML of domain '%s' is larger than %u MiB, the most that is read: %s\n", name,
             VP_GATE_XML_MAX / 1024 / 1024, operation->needs_gate ? "the domain is not started" : "nothing done");
  else
    fprintf (stderr, "vfio-profile: cannot read the XML of domain '%s' from stdin at '%s': %s\n", name, operation->name,
             error == ETIMEDOUT ? "it did not end in time" : strerror (error));
  return operation->needs_gate ? 1 : 0;
}

/* A document that breaks off would be worse than none: then libvirt must not use it. */
static int
print_xml (const VpGateReply *reply, const char *domain, const VpDeadline *deadline)
{
  char name[SHOWN_NAME_MAX];

  if (vp_write_all (STDOUT_FILENO, reply->payload, reply->payload_size, deadline))
    return 0;

  const int error = errno;
  make_printable (domain, strlen (domain), name, sizeof name);
  fprintf (stderr, "vfio-profile: cannot hand libvirt the new XML of domain '%s': %s\n", name,
           error == ETIMEDOUT ? "it was not read in time" : strerror (error));
  return 1;
}

/* A namespace stands in quotes where it is declared; in a title or description libvirt escapes them. */
static bool
declares (const VpBytes *xml, const char *namespace)
{
  static const char quotes[] = { '"', '\'' };
  char needle[64];

  for (size_t i = 0; i < sizeof quotes; i++) {
    const int size = snprintf (needle, sizeof needle, "%c%s%c", quotes[i], namespace, quotes[i]);

    if (xml->size > 0 && memmem (xml->data, xml->size, needle, (size_t) size) != NULL)
      return true;
  }
  return false;
}

static void
write_socket_path (const VpHookSettings *settings, char *path, size_t size)
{
  if (is_root ())
    snprintf (path, size, "%s", settings->system_socket);
  else
    snprintf (path, size, "%s/%u/%s", settings->runtime_dir, (unsigned int) geteuid (), settings->session_socket);
}

static int
ask_gate (const VpHookSettings *settings, const Operation *operation, char *const *argv, const VpBytes *xml,
          VpDeadline *deadline)
{
  const VpGateRequest request = {
    .operation = argv[2],
    .suboperation = argv[3],
    .extra = argv[4],
    .domain = argv[1],
    .xml = xml->data,
    .xml_size = xml->size,
  };
  char path[512];
  VpGateReply reply;
  int status = 0;

  write_socket_path (settings, path, sizeof path);
  vp_gate_ask (path, &request, deadline, &reply);
  if (reply.verdict == VP_GATE_REFUSED) {
    print_refusal (&reply);
    status = operation->may_refuse ? 1 : 0;
  } else if (reply.verdict == VP_GATE_OK) {
    if (operation->prints)
      status = print_xml (&reply, argv[1], deadline);
  } else {
    /* Without the tag there is only what an undo has yet to take away: such a domain may start. */
    status = operation->needs_gate && declares (xml, VP_GATE_TAG_NAMESPACE) ? 1 : 0;
    print_no_gate (operation, argv[1], path, &reply, status != 0);
  }
  vp_gate_reply_clear (&reply);
  return status;
}

static int
run_operation (const VpHookSettings *settings, const Operation *operation, char *const *argv)
{
  VpDeadline deadline = vp_deadline_new (operation->may_refuse || settings->deadline_seconds < SHORT_DEADLINE_SECONDS
                                           ? settings->deadline_seconds
                                           : SHORT_DEADLINE_SECONDS);
  VpBytes xml = { 0 };
  int status = 0;

  if (!vp_bytes_read_all (&xml, STDIN_FILENO, VP_GATE_XML_MAX, &deadline))
    status = fail_stdin (operation, argv[1], errno);
  else if (declares (&xml, VP_GATE_TAG_NAMESPACE) || declares (&xml, VP_GATE_STATE_NAMESPACE))
    status = ask_gate (settings, operation, argv, &xml, &deadline);
  vp_bytes_clear (&xml);
  return status;
}

/* Wrong usage by a libvirt that calls its hooks otherwise must not kill a guest. */
static int
fail_usage (const Operation *operation, int argc)
{
  if (operation != NULL && !operation->may_refuse) {
    fprintf (stderr, "vfio-profile: nothing done at '%s': the hook needs 4 arguments and got %d\n", operation->name,
             argc - 1);
    return 0;
  }
  fprintf (stderr,
           "vfio-profile: the hook needs 4 arguments, DOMAIN OPERATION SUBOPERATION EXTRA, and got %d: see "
           "--help\n",
           argc > 0 ? argc - 1 : 0);
  return 2;
}

int
vp_hook_run (const VpHookSettings *settings, int argc, char *const *argv)
{
  const Operation *operation = argc > 2 ? find_operation (argv[2]) : NULL;

  /* A reader of ours that goes away is an error to handle, not a death. */
  signal (SIGPIPE, SIG_IGN);
  if (argc == 2 && strcmp (argv[1], "--help") == 0)
    return fputs (help_text, stdout) == EOF || fflush (stdout) == EOF ? 1 : 0;
  if (argc == 2 && strcmp (argv[1], "--version") == 0)
    return printf ("vfio-profile-hook %s\n", settings->version) < 0 || fflush (stdout) == EOF ? 1 : 0;
  if (argc != 5)
    return fail_usage (operation, argc);
  /* Others have nothing for us. libvirt does not mind a stdin that is left unread. */
  if (operation == NULL)
    return 0;
  return run_operation (settings, operation, argv);
}
