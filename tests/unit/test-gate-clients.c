/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may come to the gate's socket: the hook's own client for whole rounds, and others who go
 * away, send garbage, too much, or nothing.
 */
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/gate-protocol.h"
#include "daemon/gate/gate-socket.h"
#include "hooks/gate-client.h"
#include "made-tree.h"
#include "support.h"

#define UUID "6b3d6b0e-1d33-4c77-8dc9-0d4d5d7c4a01"
#define NOBODY_UID 65534
#define CLIENTS 80 /* more than the gate has threads */
#define NO_DESCRIPTOR "gate: cannot take a connection, hooks wait: "
#define NOT_A_HOOK "gate: a request was not answered: the request is not one of this version's hook"

typedef struct {
  MadeTree *tree;
  char *path;
  VpLedger *ledger;
  VpAdmission *admission;
  VpGateContext context;
  VpGate *gate;
} Fixture;

static void
ignore_request (const char *domain, VpAfter after, gpointer data)
{
  (void) domain, (void) after, (void) data;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  test_log_clear ();
  fixture->tree = made_tree_new ();
  fixture->path = g_build_filename (fixture->tree->folder, "gate.sock", NULL);
  made_file (fixture->tree, "proc/meminfo", "Hugepagesize: 2048 kB\n");
  fixture->ledger = vp_ledger_new ();
  vp_ledger_set (fixture->ledger, test_host (NULL, TEST_I7_3770K), test_profiles ());
  fixture->admission = vp_admission_new (fixture->tree->root, "/", NULL, TRUE, &error);
  g_assert_no_error (error);
  fixture->context =
    (VpGateContext){ fixture->ledger, fixture->admission, { ignore_request, NULL }, fixture->tree->folder };
  fixture->gate = vp_gate_new (&fixture->context, fixture->path, -1, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  vp_gate_free (fixture->gate);
  vp_admission_free (fixture->admission);
  vp_ledger_free (fixture->ledger);
  made_tree_free (fixture->tree);
  g_free (fixture->path);
}

static char *
dup_guest (const char *page_size)
{
  return g_strdup_printf ("<domain type='kvm'><name>win10</name><uuid>" UUID "</uuid><metadata><vfio:profile "
                          "xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:memory page-size='%s'/></vfio:profile>"
                          "</metadata><memory>1048576</memory><vcpu>2</vcpu></domain>",
                          page_size);
}

/* As the hook asks; the answer as text. */
static char *
ask (const Fixture *fixture, const char *operation, const char *xml, VpGateVerdict expected)
{
  const VpGateRequest request = { operation, "begin", "-", "win10", xml, strlen (xml) };
  VpDeadline deadline = vp_deadline_new (VP_HOOK_DEADLINE_SECONDS);
  VpGateReply reply = { 0 };

  vp_gate_ask (fixture->path, &request, &deadline, &reply);
  if (reply.verdict != expected)
    g_error ("verdict %d, reason '%s', answer '%.*s'", reply.verdict, reply.reason, (int) reply.payload_size,
             reply.payload != NULL ? reply.payload : "");
  char *text = g_strndup (reply.payload != NULL ? reply.payload : "", reply.payload_size);
  vp_gate_reply_clear (&reply);
  return text;
}

static gboolean
is_held (const Fixture *fixture)
{
  g_autoptr (VpNeighbours) neighbours = vp_book_new_neighbours (vp_admission_get_book (fixture->admission), NULL);

  return neighbours->others->len > 0;
}

/* From a saved guest to its end. */
static void
test_round (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest ("off");

  (void) data;
  g_autofree char *restored = ask (fixture, "restore", xml, VP_GATE_OK);
  g_assert_nonnull (strstr (restored, "<vcpupin"));
  g_autofree char *prepared = ask (fixture, "prepare", restored, VP_GATE_OK);
  g_assert_cmpstr (prepared, ==, "");
  g_assert_true (is_held (fixture));
  g_autofree char *started = ask (fixture, "started", restored, VP_GATE_OK);
  g_autofree char *released = ask (fixture, "release", restored, VP_GATE_OK);
  g_assert_cmpstr (started, ==, "");
  g_assert_cmpstr (released, ==, "");
  g_assert_false (is_held (fixture));
}

static void
test_refused (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest ("off");

  (void) data;
  g_autofree char *line = ask (fixture, "prepare", xml, VP_GATE_REFUSED);
  g_assert_true (g_str_has_prefix (line, "vfio-profile: domain 'win10': it is transient"));
  g_assert_null (strchr (line, '\n'));
}

static int
connect_to (const Fixture *fixture)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (fd, >=, 0);
  g_strlcpy (address.sun_path, fixture->path, sizeof address.sun_path);
  g_assert_cmpint (connect (fd, (const struct sockaddr *) &address, sizeof address), ==, 0);
  return fd;
}

/* FALSE: the gate has heard enough. */
static gboolean
send_bytes (int fd, const char *bytes, gsize length)
{
  for (gsize sent = 0; sent < length;) {
    gssize n = send (fd, bytes + sent, length - sent, MSG_NOSIGNAL);
    if (n < 0)
      return FALSE;
    sent += (gsize) n;
  }
  return TRUE;
}

static char *
dup_answer (int fd)
{
  g_autoptr (GString) answer = g_string_new (NULL);
  char chunk[4096];
  gssize got = 0;

  while ((got = recv (fd, chunk, sizeof chunk, 0)) > 0)
    g_string_append_len (answer, chunk, got);
  return g_strdup (answer->str);
}

static GByteArray *
new_call (const char *operation, const char *length, const char *xml)
{
  const char *const strings[] = { VP_GATE_GREETING, operation, "begin", "-", "win10", length };
  GByteArray *bytes = g_byte_array_new ();

  for (guint i = 0; i < G_N_ELEMENTS (strings); i++)
    g_byte_array_append (bytes, (const guint8 *) strings[i], (guint) strlen (strings[i]) + 1);
  g_byte_array_append (bytes, (const guint8 *) xml, (guint) strlen (xml));
  return bytes;
}

/* It is told that it takes long before it does. */
static void
test_wait (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest ("auto");
  g_autofree char *restored = NULL;
  int fd = connect_to (fixture);

  (void) data;
  made_file (fixture->tree, "proc/self/mountinfo",
             "31 20 0:27 / /dev/hugepages rw,relatime - hugetlbfs hugetlbfs rw,pagesize=2M\n");
  restored = ask (fixture, "restore", xml, VP_GATE_OK);
  g_autofree char *length = g_strdup_printf ("%zu", strlen (restored));
  g_autoptr (GByteArray) bytes = new_call ("prepare", length, restored);
  g_assert_true (send_bytes (fd, (const char *) bytes->data, bytes->len));
  g_assert_cmpint (shutdown (fd, SHUT_WR), ==, 0);
  g_autofree char *answer = dup_answer (fd);
  g_auto (GStrv) lines = g_strsplit (answer, "\n", 3);
  g_assert_cmpuint (g_strv_length (lines), ==, 3);
  g_assert_true (g_str_has_prefix (lines[0], "WAIT "));
  g_assert_true (g_str_has_prefix (lines[1], "REFUSE "));
  g_assert_cmpuint (g_ascii_strtoull (lines[1] + strlen ("REFUSE "), NULL, 10), ==, strlen (lines[2]));
  g_assert_cmpint (close (fd), ==, 0);
  /* The hook understands it. */
  g_autofree char *again = ask (fixture, "restore", xml, VP_GATE_OK);
  g_autofree char *line = ask (fixture, "prepare", again, VP_GATE_REFUSED);
  g_assert_cmpstr (line, ==, lines[2]);
}

/* libvirt has given the start up then: nothing is held for it. */
static void
test_gone (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest ("off");
  g_autofree char *restored = ask (fixture, "restore", xml, VP_GATE_OK);
  g_autofree char *length = g_strdup_printf ("%zu", strlen (restored));
  g_autoptr (GByteArray) bytes = new_call ("prepare", length, restored);
  int fd = connect_to (fixture);

  (void) data;
  g_assert_true (send_bytes (fd, (const char *) bytes->data, bytes->len));
  g_assert_cmpint (close (fd), ==, 0);
  test_log_wait ("gate: a request was not answered: ");
  g_assert_true (test_log_has ("domain 'win10': the hook went away before it was answered: nothing is held for it"));
  g_assert_false (is_held (fixture));
}

static void
assert_not_answered (const Fixture *fixture, const void *bytes, gsize length, const char *said)
{
  int fd = connect_to (fixture);

  test_log_clear ();
  (void) send_bytes (fd, bytes, length);
  (void) shutdown (fd, SHUT_WR);
  g_autofree char *answer = dup_answer (fd);
  g_assert_cmpstr (answer, ==, "");
  g_assert_cmpint (close (fd), ==, 0);
  test_log_wait (said);
}

static void
test_garbage (Fixture *fixture, gconstpointer data)
{
  static const char *const texts[] = { "x", "GET / HTTP/1.1\r\n\r\n", VP_GATE_GREETING, "vfio-profile-gate 2" };
  static const char *const lengths[] = { "", "-1", "+1", "1x", "0x1", "2", "16777217", "99999999999999999999" };

  (void) data;
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    assert_not_answered (fixture, texts[i], strlen (texts[i]), NOT_A_HOOK);
    assert_not_answered (fixture, texts[i], strlen (texts[i]) + 1, NOT_A_HOOK); /* a whole string */
  }
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
    g_autoptr (GByteArray) bytes = new_call ("release", lengths[i], "x");
    assert_not_answered (fixture, bytes->data, bytes->len, NOT_A_HOOK);
  }
  g_autoptr (GByteArray) more = new_call ("release", "1", "xy");
  assert_not_answered (fixture, more->data, more->len, NOT_A_HOOK);
}

static void
test_too_much (Fixture *fixture, gconstpointer data)
{
  gsize most = VP_GATE_HEADER_MAX + VP_GATE_XML_MAX;
  g_autofree char *bytes = g_malloc0 (most + 1);

  (void) data;
  assert_not_answered (fixture, bytes, most, NOT_A_HOOK);
  assert_not_answered (fixture, bytes, most + 1, "gate: a request was not answered: the request is larger than 1684");
}

/* One who says nothing, or only half, is not waited for long, and keeps nobody else waiting. */
static void
test_slow (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest ("off");
  int fd = connect_to (fixture);
  gint64 begin = g_get_monotonic_time ();

  (void) data;
  g_assert_true (send_bytes (fd, VP_GATE_GREETING, sizeof VP_GATE_GREETING));
  g_autofree char *released = ask (fixture, "release", xml, VP_GATE_OK);
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 4 * G_TIME_SPAN_SECOND);
  g_autofree char *answer = dup_answer (fd);
  g_assert_cmpstr (answer, ==, "");
  test_log_wait ("gate: a request was not answered: ");
  g_assert_cmpint (close (fd), ==, 0);
}

typedef struct {
  const Fixture *fixture;
  const char *xml;
} Client;

static gpointer
ask_for_release (gpointer data)
{
  const Client *client = data;

  return ask (client->fixture, "release", client->xml, VP_GATE_OK);
}

static void
test_many (Fixture *fixture, gconstpointer data)
{
  g_autofree char *xml = dup_guest ("off");
  Client client = { fixture, xml };
  GThread *threads[CLIENTS];

  (void) data;
  for (guint i = 0; i < CLIENTS; i++)
    threads[i] = g_thread_new ("hook", ask_for_release, &client);
  for (guint i = 0; i < CLIENTS; i++) {
    g_autofree char *answer = g_thread_join (threads[i]);
    g_assert_cmpstr (answer, ==, "");
  }
}

/* Said once, and no busy loop; the hook waits, and is answered when there are descriptors again. */
static void
test_short_of_descriptors (Fixture *fixture, gconstpointer data)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct rlimit limit;
  int late = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int lowest = dup (late); /* that is free: all below are taken */

  (void) data;
  g_assert_cmpint (lowest, >, late);
  g_assert_cmpint (close (lowest), ==, 0);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  const struct rlimit low = { (rlim_t) lowest, limit.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
  g_strlcpy (address.sun_path, fixture->path, sizeof address.sun_path);
  g_assert_cmpint (connect (late, (const struct sockaddr *) &address, sizeof address), ==, 0);
  test_log_wait (NO_DESCRIPTOR);
  g_usleep (G_USEC_PER_SEC); /* five tries */
  g_assert_true (test_log_take (NO_DESCRIPTOR));
  g_assert_false (test_log_has (NO_DESCRIPTOR));
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_true (send_bytes (late, "x", 1));
  g_assert_cmpint (shutdown (late, SHUT_WR), ==, 0);
  g_autofree char *answer = dup_answer (late);
  g_assert_cmpstr (answer, ==, "");
  test_log_wait (NOT_A_HOOK);
  g_assert_cmpint (close (late), ==, 0);
}

/* As nobody, from a process of its own: only calls that are safe in one. */
static void
run_nobody (const struct sockaddr_un *address)
{
  int fd = socket (AF_UNIX, SOCK_STREAM, 0);
  char byte = 0;

  if (setgid (NOBODY_UID) != 0 || setuid (NOBODY_UID) != 0 ||
      connect (fd, (const struct sockaddr *) address, sizeof *address) != 0)
    _exit (2);
  _exit (recv (fd, &byte, 1, 0) <= 0 ? 0 : 1); /* no answer */
}

/* systemd's socket, which is not closed to others here. */
static void
test_other_user (Fixture *fixture, gconstpointer data)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autofree char *path = g_build_filename (fixture->tree->folder, "open.sock", NULL);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_autoptr (GError) error = NULL;
  int status = 0;

  (void) data;
  if (geteuid () != 0) {
    g_test_skip ("only root can be somebody else");
    (void) close (fd);
    return;
  }
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (bind (fd, (const struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_cmpint (listen (fd, 8), ==, 0);
  g_assert_cmpint (g_chmod (path, 0666), ==, 0);
  g_assert_cmpint (g_chmod (fixture->tree->folder, 0755), ==, 0);
  g_autoptr (VpGate) gate = vp_gate_new (&fixture->context, NULL, fd, &error);
  g_assert_no_error (error);
  pid_t pid = fork ();
  if (pid == 0)
    run_nobody (&address);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  test_log_wait ("user 65534 may not ask the gate");
  g_clear_pointer (&gate, vp_gate_free);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS)); /* it is systemd's */
}

/* The next daemon begins where a dead one left its socket; one that cannot listen says why. */
static void
test_listen (Fixture *fixture, gconstpointer data)
{
  g_autofree char *missing = g_build_filename (fixture->tree->folder, "missing", "gate.sock", NULL);
  g_autofree char *xml = dup_guest ("off");
  g_autoptr (GError) error = NULL;

  (void) data;
  g_clear_pointer (&fixture->gate, vp_gate_free);
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
  g_autofree char *absent = ask (fixture, "release", xml, VP_GATE_ABSENT);
  made_file (fixture->tree, "gate.sock", "");
  fixture->gate = vp_gate_new (&fixture->context, fixture->path, -1, &error);
  g_assert_no_error (error);
  g_autofree char *released = ask (fixture, "release", xml, VP_GATE_OK);
  g_assert_null (vp_gate_new (&fixture->context, missing, -1, &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, missing));
}

static const struct {
  const char *name;
  void (*func) (Fixture *fixture, gconstpointer data);
} tests[] = {
  { "round", test_round },
  { "refused", test_refused },
  { "wait", test_wait },
  { "gone", test_gone },
  { "garbage", test_garbage },
  { "too-much", test_too_much },
  { "slow", test_slow },
  { "many", test_many },
  { "other-user", test_other_user },
  { "listen", test_listen },
  { "short-of-descriptors", test_short_of_descriptors },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_log_keep (); /* warnings are what is tested */
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strconcat ("/gate-clients/", tests[i].name, NULL);
    g_test_add (path, Fixture, NULL, set_up, tests[i].func, tear_down);
  }
  return g_test_run ();
}
