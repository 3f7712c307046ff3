/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definitions kept prepared, with the driver of libvirt's that has all of its domains in the
 * process that asks: no daemon and no guest, but libvirt's own parser, events and errors. It
 * writes no files; where somebody's edit matters, the test stores it as libvirt would.
 */
#include <dlfcn.h>
#include <glib/gstdio.h>
#include <string.h>

#include "daemon/keep/keeper.h"
#include "made-tree.h"
#include "support.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define BURST_MS 60 /* as the keeper has it */
#define BURST_TRIES 8

static guint n_reads;
static guint n_defines;

/* In the place of libvirt's own. */
char *
virDomainGetXMLDesc (virDomainPtr domain, unsigned flags)
{
  char *(*own) (virDomainPtr, unsigned) = NULL;

  *(void **) &own = dlsym (RTLD_NEXT, "virDomainGetXMLDesc");
  n_reads++;
  return own (domain, flags);
}

virDomainPtr
virDomainDefineXMLFlags (virConnectPtr connection, const char *text, unsigned flags)
{
  virDomainPtr (*own) (virConnectPtr, const char *, unsigned) = NULL;

  *(void **) &own = dlsym (RTLD_NEXT, "virDomainDefineXMLFlags");
  n_defines++;
  return own (connection, text, flags);
}

typedef struct {
  MadeTree *tree;
  virConnectPtr connection;
  VpLedger *ledger;
  VpBook *book;
  VpVersions *versions;
  VpIntents *intents;
  VpKeeper *keeper;
  const char *lost; /* what on_prepared stores before our own; NULL: an undefine */
} Fixture;

static void
ignore_change (const char *domain, gpointer data)
{
  (void) domain, (void) data;
}

static void
ignore_wrapper (gpointer data)
{
  (void) data;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = NULL;
  g_autofree char *uri = NULL;

  (void) data;
  test_log_clear ();
  fixture->tree = made_tree_new ();
  made_file (fixture->tree, "node.xml", "<node/>");
  made_file (fixture->tree, "qemu/.keep", "");
  made_file (fixture->tree, "run/.keep", "");
  uri = g_strdup_printf ("test://%s/node.xml", fixture->tree->folder);
  folder = g_build_filename (fixture->tree->folder, "qemu", NULL);
  fixture->connection = virConnectOpen (uri);
  g_assert_nonnull (fixture->connection);
  fixture->ledger = vp_ledger_new ();
  vp_ledger_set (fixture->ledger, test_host (NULL, TEST_I7_3770K), test_profiles ());
  fixture->book = vp_book_new (fixture->tree->root, "run", &error);
  g_assert_no_error (error);
  fixture->versions = vp_versions_new (folder, ignore_change, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  vp_versions_ensure (fixture->versions, &error);
  g_assert_no_error (error);
  g_autofree char *intents = g_build_filename (fixture->tree->folder, "intents", NULL);
  fixture->intents = vp_intents_new (intents, &error);
  g_assert_no_error (error);
  fixture->keeper =
    vp_keeper_new (fixture->ledger, fixture->book, fixture->versions, fixture->intents, FALSE, ignore_wrapper, NULL);
  vp_keeper_set_connection (fixture->keeper, fixture->connection);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  vp_keeper_free (fixture->keeper);
  vp_versions_free (fixture->versions);
  vp_intents_free (fixture->intents);
  vp_book_free (fixture->book);
  vp_ledger_free (fixture->ledger);
  g_assert_cmpint (virConnectClose (fixture->connection), >=, 0);
  made_tree_free (fixture->tree);
}

/* Its name is the first letter of its UUID; `profiles` NULL: it has no tag. */
static char *
dup_guest (const char *uuid, const char *profiles, const char *more)
{
  g_autofree char *tag = profiles != NULL ? g_strdup_printf ("<metadata><vfio:profile xmlns:vfio='urn:vfio-profile:1' "
                                                             "name='%s'>%s</vfio:profile></metadata>",
                                                             profiles, more)
                                          : g_strdup (more);

  return g_strdup_printf ("<domain type='test'><name>%c</name><uuid>%s</uuid>%s<memory>1048576</memory><vcpu>2</vcpu>"
                          "<os><type arch='i686'>hvm</type></os></domain>",
                          uuid[0], uuid, tag);
}

static void
define (const Fixture *fixture, const char *text)
{
  g_autoptr (virDomain) domain = virDomainDefineXML (fixture->connection, text);

  g_assert_nonnull (domain);
}

static void
define_guest (const Fixture *fixture, const char *uuid, const char *profiles, const char *more)
{
  g_autofree char *text = dup_guest (uuid, profiles, more);

  define (fixture, text);
}

static virDomainPtr
find (const Fixture *fixture, const char *name)
{
  virDomainPtr domain = virDomainLookupByName (fixture->connection, name);

  g_assert_nonnull (domain);
  return domain;
}

/* NULL-ended parts of an XML that are there, or, behind "!", are not. */
static void G_GNUC_NULL_TERMINATED
assert_stored (const Fixture *fixture, const char *name, ...)
{
  g_autoptr (virDomain) domain = find (fixture, name);
  g_autofree char *text = virDomainGetXMLDesc (domain, VIR_DOMAIN_XML_INACTIVE);
  va_list parts;

  va_start (parts, name);
  for (const char *part = va_arg (parts, const char *); part != NULL; part = va_arg (parts, const char *))
    if ((strstr (text, part[0] == '!' ? part + 1 : part) == NULL) != (part[0] == '!'))
      g_error ("'%s': %s", part, text);
  va_end (parts);
}

static gboolean
on_guard (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/* The main loop goes on until that is said. */
static void
run_until_said (const char *part)
{
  gboolean is_late = FALSE;
  guint guard = g_timeout_add_seconds (60, on_guard, &is_late);

  while (!test_log_has (part) && !is_late)
    g_main_context_iteration (NULL, TRUE);
  if (is_late)
    g_error ("it was not said: %s", part);
  g_source_remove (guard);
}

/* What was planned is done: a request, which comes later, and what follows of it. */
static void
run_dry (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static guint
count_said (const char *part)
{
  guint n = 0;

  while (test_log_take (part))
    n++;
  return n;
}

static void
test_prepare_and_undo (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "pinned", "");
  define_guest (fixture, B, NULL, "");
  vp_keeper_touch_all (fixture->keeper);
  run_until_said ("domain 'a': prepared for 'pinned': ");
  run_dry ();
  assert_stored (fixture, "a", "<vcpupin vcpu='0' cpuset='2'/>", "<nosharepages/>", "urn:vfio-profile:state:1", NULL);
  assert_stored (fixture, "b", "!vcpupin", "!urn:vfio-profile", NULL);
  g_assert_true (vp_ledger_has_prepared (fixture->ledger, A));

  /* What is prepared is not defined again. */
  test_log_clear ();
  vp_keeper_touch (fixture->keeper, "a");
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  run_dry ();
  g_assert_false (test_log_has ("prepared"));

  g_autoptr (virDomain) domain = find (fixture, "a");
  g_assert_cmpint (virDomainSetMetadata (domain, VIR_DOMAIN_METADATA_ELEMENT, NULL, NULL, VP_TAG_NS,
                                         VIR_DOMAIN_AFFECT_CONFIG),
                   ==, 0);
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  run_until_said ("domain 'a': undone: ");
  assert_stored (fixture, "a", "!vcpupin", "!nosharepages", "!urn:vfio-profile", NULL);
}

/* Beside each other, and beside those who run. */
static void
test_neighbours (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "pinned", "");
  define_guest (fixture, B, "pinned", "");
  vp_keeper_touch_all (fixture->keeper);
  run_until_said ("domain 'a': prepared");
  run_until_said ("domain 'b': prepared");
  assert_stored (fixture, "a", "<vcpupin vcpu='0' cpuset='2'/>", "<vcpupin vcpu='1' cpuset='3'/>", NULL);
  assert_stored (fixture, "b", "<vcpupin", "!cpuset='2'", "!cpuset='3'", NULL);

  g_autoptr (virDomain) domain = find (fixture, "a");
  g_assert_cmpint (virDomainCreate (domain), ==, 0);
  vp_keeper_started (fixture->keeper, domain);
  g_autoptr (VpNeighbours) running = vp_book_new_neighbours (fixture->book, NULL);
  while (running->others->len == 0) { /* the look comes when the burst of our own defines is over */
    g_main_context_iteration (NULL, TRUE);
    vp_neighbours_unref (running);
    running = vp_book_new_neighbours (fixture->book, NULL);
  }
  g_assert_cmpuint (running->others->len, ==, 1);
  g_assert_true (hwloc_bitmap_isset (running->taken, 2) && hwloc_bitmap_isset (running->taken, 3));
}

/* Undefined a moment after our define, so that its look is put off: who is prepared meanwhile has its place. */
static void
test_gone_in_a_burst (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "pinned", "");
  vp_keeper_touch (fixture->keeper, "a");
  run_until_said ("domain 'a': prepared");
  g_autoptr (virDomain) domain = find (fixture, "a");
  g_assert_cmpint (virDomainUndefine (domain), ==, 0);
  vp_keeper_touch (fixture->keeper, "a");
  define_guest (fixture, B, "pinned", "");
  vp_keeper_touch (fixture->keeper, "b");
  run_until_said ("domain 'b': prepared");
  assert_stored (fixture, "b", "<vcpupin vcpu='0' cpuset='2'/>", "<vcpupin vcpu='1' cpuset='3'/>", NULL);
  run_dry ();
}

#define MANY 40 /* on the eight CPUs of this host: each is in others' way */

static void
define_one_of_many (const Fixture *fixture, guint at, guint mib)
{
  g_autofree char *text =
    g_strdup_printf ("<domain type='test'><name>m%u</name><uuid>cccccccc-0000-4000-8000-%012u</uuid><metadata>"
                     "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'/></metadata><memory unit='MiB'>%u"
                     "</memory><vcpu>2</vcpu><os><type arch='i686'>hvm</type></os></domain>",
                     at, at, mib);

  define (fixture, text);
  test_log_clear ();
  n_reads = n_defines = 0; /* of what follows */
}

static void
run_until_prepared (guint at)
{
  g_autofree char *said = g_strdup_printf ("domain 'm%u': prepared", at);

  run_until_said (said);
}

/* What libvirt is asked for grows with the change, and not with how many there are. */
static void
test_many (Fixture *fixture, gconstpointer data)
{
  (void) data;
  for (guint i = 0; i < MANY; i++)
    define_one_of_many (fixture, i, 64);
  vp_keeper_touch_all (fixture->keeper);

  /* Who is edited meanwhile does not wait for all others. */
  vp_keeper_touch (fixture->keeper, "m39");
  run_until_prepared (39);
  g_assert_false (vp_versions_is_prompt (fixture->versions) && test_log_has ("domain 'm38': prepared"));
  for (guint i = 0; i < MANY; i++)
    run_until_prepared (i);
  run_dry ();

  /* All are as they shall be: each is read once, and none is written. */
  n_reads = n_defines = 0;
  g_usleep (BURST_MS * 1000);
  vp_keeper_touch_all (fixture->keeper);
  run_dry ();
  g_assert_cmpuint (n_reads, ==, MANY);
  g_assert_cmpuint (n_defines, ==, 0);

  /* One read before the define, and one of what came of it. */
  define_one_of_many (fixture, MANY, 64);
  vp_keeper_touch (fixture->keeper, "m40");
  run_until_prepared (MANY);
  g_usleep (BURST_MS * 1000);
  vp_keeper_touch (fixture->keeper, "m40");
  run_dry ();
  g_assert_cmpuint (n_defines, ==, 1);
  g_assert_cmpuint (n_reads, <=, 2);

  define_one_of_many (fixture, 7, 128);
  vp_keeper_touch (fixture->keeper, "m7");
  run_until_prepared (7);
  run_dry ();
  g_assert_cmpuint (n_defines, ==, 1);
  g_assert_cmpuint (n_reads, <=, 2);
}

static void
test_start (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "pinned", "");
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE_AND_START);
  run_until_said ("domain 'a': prepared for 'pinned'");
  test_log_wait ("domain 'a': started, as its on-stale asks");
  g_autoptr (virDomain) domain = find (fixture, "a");
  g_assert_cmpint (virDomainIsActive (domain), ==, 1);
  while (vp_ledger_is_starting (fixture->ledger, "a"))
    g_thread_yield ();

  /* It runs already: that is libvirt's to say, and no second time is tried. */
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE_AND_START);
  run_dry ();
  test_log_wait ("domain 'a': prepared, but it could not be started again: ");
  while (vp_ledger_is_starting (fixture->ledger, "a"))
    g_thread_yield ();
}

/* This driver cannot pin what runs; that is said, and nothing else happens. */
static void
test_tune (Fixture *fixture, gconstpointer data)
{
  g_autoptr (virDomain) domain = NULL;

  (void) data;
  define_guest (fixture, A, "pinned", "");
  domain = find (fixture, "a");
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_TUNE_LIVE);
  run_until_said ("domain 'a': prepared for 'pinned'");
  g_assert_cmpint (virDomainCreate (domain), ==, 0);
  vp_keeper_started (fixture->keeper, domain);
  g_assert_true (test_log_has ("domain 'a': it runs untuned: cannot pin vCPU 0"));
  test_log_clear ();
  vp_keeper_started (fixture->keeper, domain); /* once is enough */
  g_assert_false (test_log_has ("untuned"));
  run_dry ();
}

/* Said once for as long as it is the same. */
static void
test_not_prepared (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "fast", "");
  for (guint i = 0; i < 3; i++) {
    vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE_AND_START);
    run_dry ();
  }
  g_assert_cmpuint (count_said ("domain 'a': not prepared: "), ==, 1);
  g_autoptr (virDomain) domain = find (fixture, "a");
  g_assert_cmpint (virDomainIsActive (domain), ==, 0);
  define_guest (fixture, A, "faster", "");
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  run_dry ();
  g_assert_cmpuint (count_said ("domain 'a': not prepared: "), ==, 1);
}

/* Nothing that was read through a connection keeps it when it is lost. */
static void
test_lost_connection (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = dup_guest (A, "pinned", "");
  virConnectPtr other = virConnectOpen ("test:///default");

  (void) data;
  g_assert_nonnull (other);
  virDomainPtr domain = virDomainDefineXML (other, text);
  g_assert_nonnull (domain);
  (void) virDomainFree (domain);
  vp_keeper_set_connection (fixture->keeper, other);
  vp_keeper_touch_all (fixture->keeper);
  vp_keeper_set_connection (fixture->keeper, NULL);
  g_assert_cmpint (virConnectClose (other), ==, 0);
  run_dry ();
}

static void
test_nothing_to_do (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "pinned", "");
  vp_keeper_request (fixture->keeper, "nobody", VP_AFTER_PREPARE_AND_START);
  run_dry ();
  vp_keeper_set_connection (fixture->keeper, NULL); /* libvirt is away */
  vp_keeper_touch_all (fixture->keeper);
  vp_keeper_touch (fixture->keeper, "a");
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  run_dry ();
  assert_stored (fixture, "a", "!vcpupin", NULL);
  g_assert_false (test_log_has ("domain '"));
}

/*
 * An edit right after a define of ours may be the first of many: they are waited out. FALSE: this
 * machine was too slow to make it one.
 */
static gboolean
edit_in_burst (const Fixture *fixture)
{
  test_log_clear ();
  define_guest (fixture, A, "pinned", "");
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  gint64 before = g_get_monotonic_time ();
  run_until_said ("domain 'a': prepared for 'pinned'");
  test_log_clear ();
  define_guest (fixture, A, "pinned", "");
  gint64 touched = g_get_monotonic_time ();
  vp_keeper_touch (fixture->keeper, "a");
  run_dry ();
  gboolean waits = !test_log_has ("prepared");
  if (g_get_monotonic_time () - before >= BURST_MS * G_TIME_SPAN_MILLISECOND)
    return FALSE;
  g_assert_true (waits);
  run_until_said ("domain 'a': prepared for 'pinned'");
  g_assert_cmpint (g_get_monotonic_time () - touched, >=, BURST_MS * G_TIME_SPAN_MILLISECOND);
  return TRUE;
}

static void
test_burst (Fixture *fixture, gconstpointer data)
{
  (void) data;
  for (guint i = 0; i < BURST_TRIES; i++)
    if (edit_in_burst (fixture))
      return;
  g_test_message ("not seen: this machine is too busy to edit within %d ms", BURST_MS);
}

/* Requests that come late: definitions are prepared still, but nothing is started any more. */
static void
test_stopped (Fixture *fixture, gconstpointer data)
{
  g_autoptr (virDomain) domain = NULL;

  (void) data;
  define_guest (fixture, A, "pinned", "");
  g_assert_true (vp_keeper_stop (fixture->keeper, g_get_monotonic_time ()));
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE_AND_START);
  run_until_said ("domain 'a': prepared for 'pinned'");
  run_dry ();
  domain = find (fixture, "a");
  g_assert_cmpint (virDomainIsActive (domain), ==, 0);
  g_assert_false (vp_ledger_is_starting (fixture->ledger, "a"));
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE); /* never carried out: it goes with the keeper */
}

/*
 * Between our define and the look at what came in between: that somebody had stored another before ours, and that the
 * watch had its time, as libvirt takes some.
 */
static void
on_prepared (gpointer data)
{
  const Fixture *fixture = data;
  g_autofree char *path = g_build_filename (fixture->tree->folder, "qemu", "a.xml", NULL);
  g_autoptr (virDomain) domain = find (fixture, "a");
  g_autofree char *ours = virDomainGetXMLDesc (domain, VIR_DOMAIN_XML_INACTIVE);
  guint64 serial = 0;

  if (fixture->lost != NULL)
    made_version (fixture->tree, "qemu/a.xml", fixture->lost);
  else
    g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_true (vp_versions_sync (fixture->versions, &serial));
  made_version (fixture->tree, "qemu/a.xml", ours);
}

static void
test_edit_between (Fixture *fixture, gconstpointer data)
{
  g_autofree char *edited = dup_guest (A, "pinned", "");
  g_autoptr (GString) text = g_string_new (edited);

  (void) data;
  g_assert_cmpuint (g_string_replace (text, "</uuid>", "</uuid><title>edited meanwhile</title>", 1), ==, 1);
  define_guest (fixture, A, "pinned", "");
  fixture->lost = text->str;
  test_log_on ("domain 'a': prepared for 'pinned'", on_prepared, fixture);
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  run_until_said ("domain 'a': an edit that came between read and define was recovered");
  run_dry ();
  assert_stored (fixture, "a", "<title>edited meanwhile</title>", "<vcpupin", "<nosharepages/>", NULL);
}

/* It would have to go again; this driver knows no such flags, and that is what is said. */
static void
test_undefined_between (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = dup_guest (A, "pinned", "");

  (void) data;
  define (fixture, text);
  made_version (fixture->tree, "qemu/a.xml", text);
  fixture->lost = NULL;
  test_log_on ("domain 'a': prepared for 'pinned'", on_prepared, fixture);
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  run_until_said ("domain 'a': not prepared: domain 'a' was undefined while it was prepared, and cannot be undefined "
                  "again: ");
  run_dry ();
}

/* It cannot be brought back, but it is said. */
static void
test_unreadable_between (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "pinned", "");
  fixture->lost = "no XML";
  test_log_on ("domain 'a': prepared for 'pinned'", on_prepared, fixture);
  vp_keeper_request (fixture->keeper, "a", VP_AFTER_PREPARE);
  run_until_said ("domain 'a': an edit came between read and define and could not be read in time: it may be lost");
  run_dry ();
  assert_stored (fixture, "a", "<vcpupin", NULL);
}

static void
on_prepared_again (gpointer data)
{
  test_log_on ("domain 'a': prepared for 'pinned'", on_prepared_again, data);
  define_guest (data, A, "pinned", "");
  vp_keeper_touch (((const Fixture *) data)->keeper, "a");
}

/* Whoever puts back what was there, time and again, is not fought for ever. */
static void
test_not_kept (Fixture *fixture, gconstpointer data)
{
  (void) data;
  define_guest (fixture, A, "pinned", "");
  test_log_on ("domain 'a': prepared for 'pinned'", on_prepared_again, fixture);
  vp_keeper_touch (fixture->keeper, "a");
  run_until_said ("domain 'a': not prepared: libvirt does not keep what is written");
  test_log_on (NULL, NULL, NULL);
  g_assert_cmpuint (count_said ("domain 'a': prepared for 'pinned'"), ==, 5);
  assert_stored (fixture, "a", "!vcpupin", NULL);
}

static const struct {
  const char *name;
  void (*func) (Fixture *fixture, gconstpointer data);
} tests[] = {
  { "prepare-and-undo", test_prepare_and_undo },
  { "neighbours", test_neighbours },
  { "gone-in-a-burst", test_gone_in_a_burst },
  { "many", test_many },
  { "start", test_start },
  { "tune", test_tune },
  { "not-prepared", test_not_prepared },
  { "nothing-to-do", test_nothing_to_do },
  { "lost-connection", test_lost_connection },
  { "burst", test_burst },
  { "stopped", test_stopped },
  { "edit-between", test_edit_between },
  { "undefined-between", test_undefined_between },
  { "unreadable-between", test_unreadable_between },
  { "not-kept", test_not_kept },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  test_log_keep (); /* warnings are what is tested */
  vp_libvirt_be_silent ();
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strconcat ("/keeper/", tests[i].name, NULL);
    g_test_add (path, Fixture, NULL, set_up, tests[i].func, tear_down);
  }
  return g_test_run ();
}
