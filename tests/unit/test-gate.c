/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The gate's socket, spoken to as the hook does; linked with the gate alone, so without libvirt. */
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <link.h>
#include <string.h>

#include "base/gate-protocol.h"
#include "daemon/gate/gate-socket.h"
#include "support.h"

#define UUID "6b3d6b0e-1d33-4c77-8dc9-0d4d5d7c4a01"
#define UNTAGGED_XML "<domain type='kvm'><name>win10</name><uuid>" UUID "</uuid></domain>"
#define DOMAIN_XML                                                                                                     \
  "<domain type='kvm'><name>win10</name><uuid>" UUID "</uuid><memory>1048576</memory><vcpu>2</vcpu>"                   \
  "<metadata><vfio:profile xmlns:vfio='urn:vfio-profile:1' name='gaming'/></metadata></domain>"

typedef struct {
  char *folder;
  char *path;
  VpRoot *root;
  VpLedger *ledger;
  VpAdmission *admission;
  VpGate *gate;
} Fixture;

/* What the keeper was asked; an answer that asks while `held` stays there until it is not. */
static struct {
  GMutex mutex;
  GCond changed;
  guint n;
  gboolean held;
} requests;

static void
take_request (const char *domain, VpAfter after, gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&requests.mutex);

  (void) data;
  g_assert_cmpstr (domain, ==, "win10");
  g_assert_cmpint (after, ==, VP_AFTER_PREPARE);
  requests.n++;
  g_cond_broadcast (&requests.changed);
  while (requests.held)
    g_cond_wait (&requests.changed, &requests.mutex);
}

static void
hold_requests (gboolean held)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&requests.mutex);

  requests.held = held;
  g_cond_broadcast (&requests.changed);
}

static void
wait_for_request (void)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&requests.mutex);

  while (requests.n == 0)
    g_cond_wait (&requests.changed, &requests.mutex);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  test_log_clear ();
  requests.n = 0;
  fixture->folder = g_dir_make_tmp ("vp-gate-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->path = g_build_filename (fixture->folder, "gate.sock", NULL);
  fixture->ledger = vp_ledger_new ();
  fixture->root = vp_root_open (fixture->folder, &error);
  g_assert_no_error (error);
  fixture->admission = vp_admission_new (fixture->root, "/", NULL, TRUE, &error);
  g_assert_no_error (error);
  const VpGateContext context = { fixture->ledger, fixture->admission, { take_request, NULL }, fixture->folder };
  fixture->gate = vp_gate_new (&context, fixture->path, -1, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autofree char *holds = g_build_filename (fixture->folder, "holds", NULL);

  (void) data;
  hold_requests (FALSE);
  vp_gate_free (fixture->gate);
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS));
  vp_admission_free (fixture->admission);
  vp_root_free (fixture->root);
  vp_ledger_free (fixture->ledger);
  (void) g_rmdir (holds);
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0);
  g_free (fixture->path);
  g_free (fixture->folder);
}

static GSocketConnection *
connect_to (const Fixture *fixture)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (fixture->path);
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection = g_socket_client_connect (client, G_SOCKET_CONNECTABLE (address), NULL, &error);

  g_assert_no_error (error);
  return connection;
}

/* All that the gate says to these bytes. */
static char *
dup_answer (const Fixture *fixture, const char *bytes, gsize length)
{
  g_autoptr (GSocketConnection) connection = connect_to (fixture);
  g_autoptr (GError) error = NULL;
  char answer[4096] = "";
  gsize got = 0;

  g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM (connection)), bytes, length, NULL, NULL,
                             &error);
  g_assert_no_error (error);
  g_socket_shutdown (g_socket_connection_get_socket (connection), FALSE, TRUE, &error);
  g_assert_no_error (error);
  g_input_stream_read_all (g_io_stream_get_input_stream (G_IO_STREAM (connection)), answer, sizeof answer - 1, &got,
                           NULL, &error);
  g_assert_no_error (error);
  return g_strndup (answer, got);
}

static char *
dup_call (const Fixture *fixture, const char *operation, const char *xml)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree char *length = g_strdup_printf ("%zu", strlen (xml));
  const char *strings[] = { VP_GATE_GREETING, operation, "begin", "-", "win10", length };

  for (guint i = 0; i < G_N_ELEMENTS (strings); i++)
    g_byte_array_append (bytes, (const guint8 *) strings[i], (guint) strlen (strings[i]) + 1);
  g_byte_array_append (bytes, (const guint8 *) xml, (guint) strlen (xml));
  return dup_answer (fixture, (const char *) bytes->data, bytes->len);
}

static int
note_libvirt (struct dl_phdr_info *object, size_t size, void *data)
{
  (void) size;
  if (strstr (object->dlpi_name, "libvirt") != NULL)
    *(gboolean *) data = TRUE;
  return 0;
}

static void
test_no_libvirt (void)
{
  gboolean found = FALSE;

  dl_iterate_phdr (note_libvirt, &found);
  g_assert_false (found);
}

static void
test_no_host (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_autofree char *prepare = dup_call (fixture, "prepare", DOMAIN_XML);
  g_autofree char *restore = dup_call (fixture, "restore", DOMAIN_XML);
  g_autofree char *started = dup_call (fixture, "started", DOMAIN_XML);
  g_autofree char *release = dup_call (fixture, "release", DOMAIN_XML);

  g_assert_true (g_str_has_prefix (prepare, "REFUSE "));
  g_assert_nonnull (strstr (prepare, "domain 'win10': vfio-profiled knows no host to prepare it for"));
  g_assert_cmpstr (restore, ==, "OK 0\n");
  g_assert_cmpstr (started, ==, "OK 0\n");
  g_assert_cmpstr (release, ==, "OK 0\n");
  g_assert_cmpuint (requests.n, ==, 0);
}

/* Somebody looks whether the gate is there; he gets no answer, and it is no error. */
static void
test_look (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_autofree char *answer = dup_answer (fixture, "", 0);

  g_assert_cmpstr (answer, ==, "");
}

static void
test_not_a_hook (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_autofree char *answer = dup_answer (fixture, "GET / HTTP/1.0", 14);

  g_assert_cmpstr (answer, ==, "");
  g_assert_true (test_log_has ("the request is not one of this version's hook"));
}

/* A start of a domain whose tag went: the gate knows host and profiles, and tells the keeper. */
static gpointer
ask_untagged (gpointer fixture)
{
  return dup_call (fixture, "prepare", UNTAGGED_XML);
}

static GThread *
begin_held_answer (Fixture *fixture)
{
  vp_ledger_set (fixture->ledger, test_host (NULL, TEST_I7_3770K), test_profiles ());
  hold_requests (TRUE);
  GThread *hook = g_thread_new ("hook", ask_untagged, fixture);
  wait_for_request ();
  return hook;
}

static gint64
soon (guint ms)
{
  return g_get_monotonic_time () + ms * G_TIME_SPAN_MILLISECOND;
}

static void
test_stop_waits (Fixture *fixture, gconstpointer data)
{
  GThread *hook = begin_held_answer (fixture);

  (void) data;
  g_assert_false (vp_gate_stop (fixture->gate, soon (20)));
  g_assert_false (g_file_test (fixture->path, G_FILE_TEST_EXISTS)); /* nobody else comes */
  hold_requests (FALSE);
  g_assert_true (vp_gate_stop (fixture->gate, soon (20000)));
  g_autofree char *answer = g_thread_join (hook);
  g_assert_cmpstr (answer, ==, "OK 0\n");
}

static gpointer
release_when_closed (gpointer data)
{
  const Fixture *fixture = data;

  while (g_file_test (fixture->path, G_FILE_TEST_EXISTS))
    g_usleep (1000);
  hold_requests (FALSE);
  return NULL;
}

/* Freed while an answer reads all of its context: what follows in tear_down would be pulled from under it. */
static void
test_free_waits (Fixture *fixture, gconstpointer data)
{
  GThread *hook = begin_held_answer (fixture);
  GThread *release = g_thread_new ("release", release_when_closed, fixture);

  (void) data;
  vp_gate_free (g_steal_pointer (&fixture->gate));
  g_thread_join (release);
  g_autofree char *answer = g_thread_join (hook);
  g_assert_cmpstr (answer, ==, "OK 0\n");
}

/* Somebody who has connected and says nothing is not waited for. */
static void
test_stop_silent (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GSocketConnection) silent = connect_to (fixture);
  g_autofree char *answer = dup_call (fixture, "started", DOMAIN_XML); /* later than it, so that it was taken */
  gint64 begin = g_get_monotonic_time ();

  (void) data, (void) silent;
  g_assert_true (vp_gate_stop (fixture->gate, soon (20000)));
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 3 * G_TIME_SPAN_SECOND);
  g_assert_cmpstr (answer, ==, "OK 0\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_log_keep (); /* warnings are what is tested */
  g_test_add_func ("/gate/no-libvirt", test_no_libvirt);
  g_test_add ("/gate/no-host", Fixture, NULL, set_up, test_no_host, tear_down);
  g_test_add ("/gate/look", Fixture, NULL, set_up, test_look, tear_down);
  g_test_add ("/gate/not-a-hook", Fixture, NULL, set_up, test_not_a_hook, tear_down);
  g_test_add ("/gate/stop-waits", Fixture, NULL, set_up, test_stop_waits, tear_down);
  g_test_add ("/gate/free-waits", Fixture, NULL, set_up, test_free_waits, tear_down);
  g_test_add ("/gate/stop-silent", Fixture, NULL, set_up, test_stop_silent, tear_down);
  return g_test_run ();
}
