/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What guests hold, and their journal, on a host that fails: no descriptors, a full disk, one that became read-only,
 * attributes that cannot be read now, and clocks that jump. Nothing is lost, and all is tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "made-claim.h"
#include "sim-book.h"
#include "support.h"

#define KNOB "sys/knob"
#define FILE_OF_A SIM_HOLDS "/" A

/* The operation and the end of the path that fail, and with what; 0: nothing does. */
typedef struct {
  const char *what;
  const char *where;
  int number;
} Fault;

static int
on_fault (const char *what, const char *path, gpointer data)
{
  const Fault *fault = data;

  return fault->number != 0 && strcmp (what, fault->what) == 0 && g_str_has_suffix (path, fault->where) ? fault->number
                                                                                                        : 0;
}

/* Attributes are real files; what is written to one is as long as what was in it. */
static Sim *
make_host (Fault *fault)
{
  Sim *sim = sim_new (0);
  const VpRootShim shim = { .fault = on_fault, .data = fault };

  sim_write_file (sim, KNOB, "0-3\n");
  vp_root_set_shim (sim->root, &shim);
  return sim;
}

static void
assert_knob (Sim *sim, const char *expected)
{
  g_autofree char *text = sim_read_file (sim, KNOB);

  g_assert_cmpstr (g_strstrip (text), ==, expected);
}

static void
assert_has_file (Sim *sim, gboolean expected)
{
  struct stat info;

  g_assert_cmpint (vp_root_stat (sim->root, FILE_OF_A, &info), ==, expected);
}

static void
change_ok (VpBook *book, const char *value)
{
  g_autoptr (GError) error = NULL;

  (void) vp_book_change (book, A, "a", VP_HOLDING_FILE, KNOB, value, sim_in_ms (1000), &error);
  g_assert_no_error (error);
}

/* What cannot be read now is there, and gets its value back when it can. */
static void
test_unreadable (void)
{
  static const int numbers[] = { EMFILE, ENFILE, EBUSY, EACCES, EIO, ENOMEM, EINTR };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    Fault fault = { "open", KNOB, 0 };
    g_autoptr (Sim) sim = make_host (&fault);
    g_autoptr (VpBook) book = sim_load (sim);
    change_ok (book, "4-7");
    fault.number = numbers[i];
    g_assert_false (vp_book_release (book, A, sim_in_ms (1000)));
    g_assert_true (vp_book_retry (book));
    assert_has_file (sim, TRUE);
    fault.number = 0;
    assert_knob (sim, "4-7");
    g_assert_false (vp_book_retry (book));
    assert_knob (sim, "0-3");
    assert_has_file (sim, FALSE);
  }
  sim_assert_said ("cannot read /" KNOB ": ");
}

static void
test_gone (void)
{
  static const int numbers[] = { ENOENT, ENODEV, ENXIO };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    Fault fault = { "open", KNOB, 0 };
    g_autoptr (Sim) sim = make_host (&fault);
    g_autoptr (VpBook) book = sim_load (sim);
    change_ok (book, "4-7");
    fault.number = numbers[i];
    g_assert_true (vp_book_release (book, A, sim_in_ms (1000)));
    assert_has_file (sim, FALSE);
  }
}

/* The next daemon finds no descriptor for the journal: it does not begin with an empty one, and damages none. */
static void
test_load (void)
{
  static const char *const where[] = { A, SIM_HOLDS };
  Fault fault = { "open", KNOB, 0 };
  g_autoptr (Sim) sim = make_host (&fault);

  {
    g_autoptr (VpBook) book = sim_load (sim);
    change_ok (book, "4-7");
  }
  for (guint i = 0; i < G_N_ELEMENTS (where); i++) {
    g_autoptr (GError) error = NULL;
    fault = (Fault){ "open", where[i], EMFILE };
    g_assert_null (vp_book_new (sim->root, "run", &error));
    g_assert_error (error, VP_ERROR, VP_ERROR_HOST);
    g_assert_nonnull (strstr (error->message, where[i]));
    fault.number = 0;
    assert_has_file (sim, TRUE);
  }
  g_autoptr (VpBook) book = sim_load (sim);
  vp_book_reconcile (book, (const char *const[]){ NULL });
  assert_knob (sim, "0-3");
}

/* A journal that cannot be written changes nothing of the host, and what was in it stays. */
static void
test_store (void)
{
  static const Fault faults[] = { { "store", A, ENOSPC }, { "rename", A, EROFS }, { "open", SIM_HOLDS, EMFILE } };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++) {
    Fault fault = faults[i];
    g_autoptr (Sim) sim = make_host (&fault);
    g_autoptr (GError) error = NULL;
    fault.number = 0;
    g_autoptr (VpBook) book = sim_load (sim);
    made_claim_ok (book, A, "a", "2-3", NULL);
    g_assert_true (vp_book_note_claim (book, A, NULL));
    g_autofree char *before = sim_read_file (sim, FILE_OF_A);
    fault.number = faults[i].number;
    g_assert_false (vp_book_change (book, A, "a", VP_HOLDING_FILE, KNOB, "4-7", sim_in_ms (1000), &error));
    g_assert_nonnull (strstr (error->message, g_strerror (faults[i].number)));
    fault.number = 0;
    g_autofree char *after = sim_read_file (sim, FILE_OF_A);
    g_assert_cmpstr (before, ==, after);
    assert_knob (sim, "0-3");
    sim_release_ok (book, A);
    assert_has_file (sim, FALSE);
    assert_knob (sim, "0-3");
  }
}

/* All is given back, but the file that says it was not cannot be removed: it would tell the next daemon a lie. */
static void
test_remove (void)
{
  Fault fault = { "remove", A, 0 };
  g_autoptr (Sim) sim = make_host (&fault);
  g_autoptr (VpBook) book = sim_load (sim);

  change_ok (book, "4-7");
  fault.number = EROFS;
  g_assert_false (vp_book_release (book, A, sim_in_ms (1000)));
  assert_knob (sim, "0-3");
  assert_has_file (sim, TRUE);
  g_assert_true (vp_book_retry (book));
  fault.number = 0;
  g_assert_false (vp_book_retry (book));
  assert_has_file (sim, FALSE);
}

/* With no descriptor left at all, for each step that needs one. */
static void
test_no_descriptors (void)
{
  Fault fault = { 0 };
  g_autoptr (Sim) sim = make_host (&fault);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GError) error = NULL;
  struct rlimit old;

  change_ok (book, "4-7");
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &old), ==, 0);
  for (guint more = 0; more < 2; more++) {
    int next = dup (0);
    g_assert_cmpint (next, >=, 0);
    g_assert_cmpint (close (next), ==, 0);
    const struct rlimit none = { (rlim_t) next + more, old.rlim_max };
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
    gboolean released = vp_book_release (book, A, sim_in_ms (1000));
    VpBook *other = vp_book_new (sim->root, "run", &error);
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &old), ==, 0);
    g_assert_cmpint (released, ==, more > 0); /* one is enough for all */
    g_assert_true (released == (other != NULL));
    g_clear_pointer (&other, vp_book_free);
    g_clear_error (&error);
    assert_has_file (sim, !released);
  }
  assert_knob (sim, "0-3");
}

/* In a mount namespace of its own: a run folder of few pages, which is full and then read-only. */
static int
run_on_full_disk (const char *path)
{
  const VpRootShim real = { 0 };
  g_autofree char *run = g_build_filename (path, "run", NULL);
  g_autofree char *filler = g_build_filename (run, "filler", NULL);
  char page[4096] = "";

  if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount ("none", run, "tmpfs", 0, "size=16k,mode=700") != 0)
    return 77;
  Sim *sim = sim_new_at (path); /* the other one's descriptor is of the mounts from before */
  vp_root_set_shim (sim->root, &real);
  g_autoptr (VpBook) book = sim_load (sim);
  change_ok (book, "4-7");
  int fd = open (filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  guint n = 0;
  while (n < 1000 && write (fd, page, sizeof page) > 0)
    n++;
  g_assert_cmpint (close (fd), ==, 0);
  if (n == 1000)
    return 77; /* a kernel whose tmpfs knows no size */
  g_autoptr (GError) error = NULL;
  g_assert_false (vp_book_change (book, A, "a", VP_HOLDING_FILE, KNOB, "1-2", sim_in_ms (1000), &error));
  g_assert_nonnull (strstr (error->message, g_strerror (ENOSPC)));
  assert_knob (sim, "4-7");
  g_assert_cmpint (mount (NULL, run, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), ==, 0);
  g_assert_false (vp_book_release (book, A, sim_in_ms (1000)));
  assert_knob (sim, "0-3");
  assert_has_file (sim, TRUE);
  g_assert_cmpint (mount (NULL, run, NULL, MS_REMOUNT | MS_BIND, NULL), ==, 0);
  g_assert_false (vp_book_retry (book));
  assert_has_file (sim, FALSE);
  return 0;
}

static void
test_full_disk (void)
{
  Fault fault = { 0 };
  g_autoptr (Sim) sim = make_host (&fault);
  int status = 0;
  pid_t child = fork ();

  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    _exit (run_on_full_disk (sim->path));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  if (WEXITSTATUS (status) == 77)
    g_test_skip ("no small tmpfs in a mount namespace of its own: not root, or in a container");
  else
    g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* A file's time says nothing, and a claim's age is counted by a clock that nobody sets. */
static void
test_clocks (void)
{
  static const gint64 times[] = { 0, 1, G_MAXINT32, 4102444800 };
  Fault fault = { 0 };
  g_autoptr (Sim) sim = make_host (&fault);
  g_autofree char *path = g_build_filename (sim->path, FILE_OF_A, NULL);

  {
    g_autoptr (VpBook) book = sim_load (sim);
    change_ok (book, "4-7");
  }
  for (guint i = 0; i < G_N_ELEMENTS (times); i++) {
    const struct timespec both[] = { { .tv_sec = times[i] }, { .tv_sec = times[i] } };
    g_assert_cmpint (utimensat (AT_FDCWD, path, both, 0), ==, 0);
    g_autoptr (VpBook) book = sim_load (sim);
    vp_book_reconcile (book, (const char *const[]){ A, NULL });
    sim_assert_lines (book, A, "/" KNOB " is '4-7', was '0-3'");
  }
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (VpFleet) nobody = vp_fleet_new (host, profiles);
  made_claim_ok (book, B, "b", "2-3", NULL);
  gint64 now = g_get_monotonic_time ();
  const gint64 before[] = { now, 0, G_MININT64 / 2, -1, now };
  for (guint i = 0; i < G_N_ELEMENTS (before); i++) {
    vp_book_set_running (book, nobody, before[i]);
    g_autofree char *cpus = vp_book_dup_cpus (book, NULL);
    g_assert_cmpstr (cpus, ==, "2-3");
  }
}

static const SimTest tests[] = {
  { "unreadable", test_unreadable }, { "gone", test_gone },     { "load", test_load },
  { "store", test_store },           { "remove", test_remove }, { "no-descriptors", test_no_descriptors },
  { "full-disk", test_full_disk },   { "clocks", test_clocks },
};

int
main (int argc, char **argv)
{
  return sim_run_tests (argc, argv, "/book-faults/", tests, G_N_ELEMENTS (tests));
}
