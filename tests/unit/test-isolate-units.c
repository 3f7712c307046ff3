/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd runs is kept off the CPUs of guests that come and go, die with the daemon, or lose the bus. */
#include "fake-systemd.h"
#include "isolate-host.h"

#define OTHER "machine-qemu\\x2d1\\x2dother.scope" /* no guest of ours */

static GString *log_text;

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "GLIB_DOMAIN") == 0 && fields[i].value != NULL)
      return g_log_writer_default (level, fields, n_fields, data); /* GLib's own are defects */
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      g_string_append_printf (log_text, "%s\n", (const char *) fields[i].value);
  return G_LOG_WRITER_HANDLED;
}

typedef struct {
  FakeSystemd *systemd;
  IsolateHost *host;
} Fixture;

static Fixture *
fixture_new (void)
{
  Fixture *fixture = g_new0 (Fixture, 1);

  g_string_truncate (log_text, 0);
  fixture->systemd = fake_systemd_new ();
  fixture->host = isolate_host_new (fake_systemd_get_address (fixture->systemd));
  return fixture;
}

static void
fixture_free (Fixture *fixture)
{
  isolate_host_free (fixture->host);
  fake_systemd_free (fixture->systemd);
  g_free (fixture);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Fixture, fixture_free)

static void
assert_unit (const Fixture *fixture, const char *unit, const char *cpus)
{
  g_autofree char *now = fake_systemd_dup (fixture->systemd, unit);

  g_assert_cmpstr (now, ==, cpus);
}

static void
assert_all (const Fixture *fixture, const char *cpus)
{
  assert_unit (fixture, "system.slice", cpus);
  assert_unit (fixture, "user.slice", cpus);
  assert_unit (fixture, "init.scope", cpus);
}

static void
assert_writes (const Fixture *fixture, const char *expected)
{
  g_autofree char *writes = fake_systemd_take_writes (fixture->systemd);

  g_assert_cmpstr (writes, ==, expected);
}

static void
test_one (void)
{
  g_autoptr (Fixture) fixture = fixture_new ();
  g_auto (GStrv) lines = NULL;

  isolate_start (fixture->host, A, "2-3", "isolate");
  isolate_assert_warned (fixture->host, NULL);
  assert_writes (fixture, "system.slice=0-1,4-7 user.slice=0-1,4-7 init.scope=0-1,4-7");
  g_autoptr (VpHolding) holding = vp_book_dup (fixture->host->book, A);
  g_assert_nonnull (holding);
  lines = vp_holding_describe (holding);
  g_assert_true (g_strv_contains ((const char *const *) lines, "system.slice without 2-3 is 'in force', was 'all'"));
  isolate_end (fixture->host, A);
  /* All first: systemd that forgets a setting does not always tell the kernel. */
  assert_writes (fixture, "init.scope=0-7 init.scope= user.slice=0-7 user.slice= system.slice=0-7 system.slice=");
  assert_all (fixture, "");
  isolate_assert_clean (fixture->host);
}

static void
test_add_up (void)
{
  g_autoptr (Fixture) fixture = fixture_new ();

  isolate_start (fixture->host, A, "2-3", "isolate");
  isolate_start (fixture->host, B, "4-5", "isolate");
  assert_all (fixture, "0-1,6-7");
  isolate_end (fixture->host, A); /* its CPUs are the host's again at once */
  assert_all (fixture, "0-3,6-7");
  isolate_start (fixture->host, C, "4-6", "isolate"); /* shares some of B's */
  assert_all (fixture, "0-3,7");
  isolate_end (fixture->host, B);
  assert_all (fixture, "0-3,7");
  isolate_start (fixture->host, A, "4-6", "isolate"); /* the same as C's */
  isolate_end (fixture->host, C);
  assert_all (fixture, "0-3,7");
  isolate_end (fixture->host, A);
  assert_all (fixture, "");
  isolate_assert_clean (fixture->host);
}

/* The administrator keeps services to some CPUs already. */
static void
test_own_setting (void)
{
  g_autoptr (Fixture) fixture = fixture_new ();

  fake_systemd_set (fixture->systemd, "system.slice", "0-3");
  isolate_start (fixture->host, A, "2-3", "isolate");
  isolate_start (fixture->host, B, "4-5", "isolate"); /* that slice is not on them anyway */
  assert_unit (fixture, "system.slice", "0-1");
  assert_unit (fixture, "user.slice", "0-1,6-7");
  isolate_end (fixture->host, A);
  assert_unit (fixture, "system.slice", "0-3");
  isolate_end (fixture->host, B);
  assert_unit (fixture, "system.slice", "0-3");
  assert_unit (fixture, "user.slice", "");
}

static void
test_machines (void)
{
  static const char *const ours = "machine-qemu\\x2d2\\x2dmy\\x2dguest.scope";
  g_autoptr (Fixture) fixture = fixture_new ();

  fake_systemd_set (fixture->systemd, OTHER, "");
  fake_systemd_set (fixture->systemd, "machine-box.scope", "0-3");
  fake_systemd_set (fixture->systemd, ours, "");
  made_claim_ok (fixture->host->book, B, "my_guest", "4-5", NULL);
  isolate_start (fixture->host, A, "2-3", "isolate");
  assert_unit (fixture, OTHER, "0-1,4-7");
  assert_unit (fixture, "machine-box.scope", "0-1");
  assert_unit (fixture, ours, ""); /* it has CPUs of its own; libvirt's name for my_guest */
  fake_systemd_set (fixture->systemd, "machine-box.scope", NULL);
  isolate_end (fixture->host, A);
  assert_unit (fixture, OTHER, "");
  assert_unit (fixture, "machine-box.scope", NULL);
  isolate_end (fixture->host, B);
  isolate_assert_clean (fixture->host);
}

static void
test_none_left (void)
{
  g_autoptr (Fixture) fixture = fixture_new ();

  isolate_start (fixture->host, A, "0-3", "isolate");
  isolate_start (fixture->host, B, "4-7", "isolate");
  isolate_assert_warned (fixture->host, "none would be left for the host");
  assert_all (fixture, "4-7");
  isolate_end (fixture->host, A);
  isolate_end (fixture->host, B);
  assert_all (fixture, "");

  fake_systemd_set (fixture->systemd, "user.slice", "2-3");
  isolate_start (fixture->host, A, "2-3", "isolate");
  isolate_assert_warned (fixture->host, "user.slice is not kept off its CPUs: no CPU that is on would be left");
  assert_unit (fixture, "user.slice", "2-3");
  assert_unit (fixture, "system.slice", "0-1,4-7");
}

static void
test_obstacles (void)
{
  g_autoptr (Fixture) fixture = fixture_new ();
  g_autoptr (IsolateHost) alone = isolate_host_new (NULL);
  g_autoptr (IsolateHost) hybrid = isolate_host_new (NULL);
  static const char *const controllers = "sys/fs/cgroup/cgroup.controllers";

  isolate_start (alone, A, "2-3", "isolate");
  isolate_assert_warned (alone, "nothing is kept off its CPUs (cpu.isolate): systemd cannot be asked over D-Bus");
  made_file (hybrid->tree, controllers, "cpu io memory\n");
  isolate_start (hybrid, A, "2-3", "isolate");
  isolate_assert_warned (hybrid, "no cpuset controller");

  fake_bus_stop (fake_systemd_get_bus (fixture->systemd));
  fake_bus_start (fake_systemd_get_bus (fixture->systemd), FALSE);
  isolate_start (fixture->host, A, "2-3", "isolate");
  isolate_assert_warned (fixture->host, "org.freedesktop.systemd1"); /* nobody has that name */
  g_autoptr (VpHolding) holding = vp_book_dup (fixture->host->book, A);
  g_assert_cmpuint (holding->records->len, ==, 0);
}

static void
test_mute (void)
{
  g_autoptr (Fixture) fixture = fixture_new ();

  isolate_start (fixture->host, A, "2-3", "isolate");
  fake_systemd_set_mute (fixture->systemd, TRUE);
  gint64 begin = g_get_monotonic_time ();
  isolate_start (fixture->host, B, "4-5", "isolate");
  isolate_assert_warned (fixture->host, "systemd cannot be asked over D-Bus");
  g_assert_false (vp_book_release (fixture->host->book, A, isolate_in (5)));
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 2 * G_TIME_SPAN_SECOND);
  g_assert_nonnull (strstr (log_text->str, "it is tried again"));
  fake_systemd_set_mute (fixture->systemd, FALSE);
  for (guint tries = 0; vp_book_retry (fixture->host->book); tries++) {
    g_assert_cmpuint (tries, <, 100);
    g_usleep (G_USEC_PER_SEC / 10);
  }
  assert_all (fixture, "");
  isolate_end (fixture->host, B);
  isolate_assert_clean (fixture->host);
}

static void
test_bus_restarted (void)
{
  g_autoptr (Fixture) fixture = fixture_new ();

  isolate_start (fixture->host, A, "2-3", "isolate");
  fake_bus_stop (fake_systemd_get_bus (fixture->systemd));
  fake_bus_start (fake_systemd_get_bus (fixture->systemd), TRUE);
  isolate_start (fixture->host, B, "4-5", "isolate");
  isolate_assert_warned (fixture->host, NULL);
  assert_all (fixture, "0-1,6-7");
  fake_bus_stop (fake_systemd_get_bus (fixture->systemd));
  g_assert_false (vp_book_release (fixture->host->book, A, isolate_in (5)));
  fake_bus_start (fake_systemd_get_bus (fixture->systemd), TRUE);
  g_assert_false (vp_book_retry (fixture->host->book));
  isolate_end (fixture->host, B);
  assert_all (fixture, "");
  isolate_assert_clean (fixture->host);
}

/* Guests that end while nobody can ask systemd: the next daemon has no more than the journal. */
static void
test_daemon_restarted (void)
{
  static const char *const running[] = { B, NULL };
  static const char *const nobody[] = { NULL };
  g_autoptr (Fixture) fixture = fixture_new ();

  isolate_start (fixture->host, A, "2-3", "isolate");
  isolate_start (fixture->host, B, "4-5", "isolate");
  isolate_host_stop (fixture->host);
  isolate_host_start (fixture->host);
  vp_book_reconcile (fixture->host->book, running);
  assert_all (fixture, "0-3,6-7");
  isolate_host_stop (fixture->host);
  isolate_host_start (fixture->host);
  vp_book_reconcile (fixture->host->book, nobody);
  assert_all (fixture, "");
  isolate_assert_clean (fixture->host);
}

static void
maybe_die (const char *what, const char *path, gpointer data)
{
  guint *left = data;

  (void) what;
  (void) path;
  if (--*left == 0)
    _exit (77);
}

/* The other process of test_crash: "crash FOLDER BUS STEP". */
static int
run_until (char **arguments)
{
  g_autoptr (IsolateHost) host = g_new0 (IsolateHost, 1);
  MadeTree tree = { .folder = arguments[0] };
  guint left = (guint) atoi (arguments[2]);
  const VpRootShim shim = { .step = maybe_die, .data = &left };

  tree.root = vp_root_open (arguments[0], NULL);
  host->tree = &tree;
  host->root = vp_root_open (arguments[0], NULL);
  host->bus = g_strdup (arguments[1]);
  host->warnings = g_ptr_array_new_with_free_func (g_free);
  isolate_host_start (host);
  vp_root_set_shim (host->root, &shim);
  isolate_start (host, A, "2-3", "isolate");
  isolate_end (host, A);
  _exit (0);
}

static gboolean
run_other (const Fixture *fixture, guint step)
{
  g_autofree char *number = g_strdup_printf ("%u", step);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) other = g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, &error, "/proc/self/exe", "crash",
                                                    fixture->host->tree->folder, fixture->host->bus, number, NULL);

  g_assert_no_error (error);
  g_subprocess_wait (other, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_if_exited (other));
  int status = g_subprocess_get_exit_status (other);
  g_assert_true (status == 0 || status == 77);
  return status == 77;
}

/* A daemon that dies at each change of the journal in turn, with another guest there. */
static void
test_crash (void)
{
  static const char *const running[] = { B, NULL };
  gboolean died = TRUE;
  guint steps = 0;

  for (guint step = 1; died; step++) {
    g_autoptr (Fixture) fixture = fixture_new ();
    isolate_start (fixture->host, B, "4-5", "isolate");
    isolate_host_stop (fixture->host);
    died = run_other (fixture, step);
    isolate_host_start (fixture->host);
    vp_book_reconcile (fixture->host->book, running);
    assert_all (fixture, "0-3,6-7");
    isolate_end (fixture->host, B);
    assert_all (fixture, "");
    isolate_assert_clean (fixture->host);
    steps = step;
  }
  g_assert_cmpuint (steps, >, 20);
  g_test_message ("killed at %u steps", steps - 1);
}

/* It died between "all" and "nothing". */
static void
test_crash_amid_undo (void)
{
  static const char *const nobody[] = { NULL };
  g_autoptr (Fixture) fixture = fixture_new ();

  isolate_start (fixture->host, A, "2-3", "isolate");
  isolate_host_stop (fixture->host);
  fake_systemd_set (fixture->systemd, "init.scope", "0-7");
  isolate_host_start (fixture->host);
  vp_book_reconcile (fixture->host->book, nobody);
  assert_all (fixture, "");
  isolate_assert_clean (fixture->host);
}

static void
test_random (void)
{
  static const char *const uuids[] = { A, B, C };
  static const char *const cpus[] = { "1-2", "3-4", "5-6", "2-3", "4-6", "1", "6-7" };
  const char *held[3] = { NULL, NULL, NULL };
  g_autoptr (Fixture) fixture = fixture_new ();

  for (guint round = 0; round < 60; round++) {
    guint guest = (guint) g_test_rand_int_range (0, 3);
    const char *wanted = cpus[g_test_rand_int_range (0, G_N_ELEMENTS (cpus))];
    if (held[guest] != NULL)
      isolate_end (fixture->host, uuids[guest]);
    else
      isolate_start (fixture->host, uuids[guest], wanted, "isolate");
    held[guest] = held[guest] != NULL ? NULL : wanted;
    g_autoptr (VpBitmap) rest = vp_list_parse ("0-7");
    for (guint i = 0; i < 3; i++) {
      g_autoptr (VpBitmap) set = vp_list_parse (held[i]);
      if (set != NULL)
        hwloc_bitmap_andnot (rest, rest, set);
    }
    g_autofree char *list = vp_list_dup (rest);
    assert_all (fixture, strcmp (list, "0-7") == 0 ? "" : list);
  }
}

int
main (int argc, char **argv)
{
  log_text = g_string_new (NULL);
  g_log_set_writer_func (keep_log, NULL, NULL);
  if (argc == 5 && strcmp (argv[1], "crash") == 0)
    return run_until (argv + 2);
  g_test_init (&argc, &argv, NULL);
  if (!fake_bus_is_possible ()) {
    printf ("1..0 # SKIP there is no dbus-daemon (package dbus-daemon)\n");
    return 0;
  }
  g_test_add_func ("/isolate-units/one", test_one);
  g_test_add_func ("/isolate-units/add-up", test_add_up);
  g_test_add_func ("/isolate-units/own-setting", test_own_setting);
  g_test_add_func ("/isolate-units/machines", test_machines);
  g_test_add_func ("/isolate-units/none-left", test_none_left);
  g_test_add_func ("/isolate-units/obstacles", test_obstacles);
  g_test_add_func ("/isolate-units/mute", test_mute);
  g_test_add_func ("/isolate-units/bus-restarted", test_bus_restarted);
  g_test_add_func ("/isolate-units/daemon-restarted", test_daemon_restarted);
  g_test_add_func ("/isolate-units/crash", test_crash);
  g_test_add_func ("/isolate-units/crash-amid-undo", test_crash_amid_undo);
  g_test_add_func ("/isolate-units/random", test_random);
  int failed = g_test_run ();
  g_string_free (log_text, TRUE);
  return failed;
}
