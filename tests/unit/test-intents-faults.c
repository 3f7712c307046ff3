/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The notes of what is about to be written, on a host that fails: no descriptors, a full disk, one that became
 * read-only, files that cannot be read now, and clocks that jump. No edit that was noted is lost, and none is put
 * back twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "edits/intents.h"
#include "sim-book.h"
#include "support.h"

#define INTENT "d-a/intent"

static time_t clock_now = 1; /* what time () says to all of this program */

time_t
time (time_t *now)
{
  if (now != NULL)
    *now = clock_now;
  return clock_now;
}

typedef struct {
  const char *what; /* the operation that fails, and how its path ends */
  const char *where;
  int number; /* with what; 0: nothing does */
  char *above;
  char *folder;
  VpIntents *intents;
  VpDomain *base;
  VpDomain *edited;
  VpDomain *written;
} Notes;

static int
on_fault (const char *what, const char *path, gpointer data)
{
  const Notes *notes = data;

  return notes->number != 0 && strcmp (what, notes->what) == 0 && g_str_has_suffix (path, notes->where) ? notes->number
                                                                                                        : 0;
}

static void
set_fault (Notes *notes, const char *what, const char *where, int number)
{
  notes->what = what;
  notes->where = where;
  notes->number = number;
}

/* As the next daemon does. */
static void
open_notes (Notes *notes)
{
  const VpRootShim shim = { .fault = on_fault, .data = notes };
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&notes->intents, vp_intents_free);
  notes->intents = vp_intents_new (notes->folder, &error);
  g_assert_no_error (error);
  vp_root_set_shim (vp_intents_get_root (notes->intents), &shim);
}

static Notes *
notes_new (void)
{
  Notes *notes = g_new0 (Notes, 1);

  notes->above = g_dir_make_tmp ("vp-intents-XXXXXX", NULL);
  notes->folder = g_build_filename (notes->above, "intents", NULL);
  notes->base = test_domain ("<domain type='kvm'><name>a</name><title>base</title></domain>");
  notes->edited = test_domain ("<domain type='kvm'><name>a</name><title>edited</title></domain>");
  notes->written = test_domain ("<domain type='kvm'><name>a</name><title>written</title></domain>");
  open_notes (notes);
  return notes;
}

static void
remove_below (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *below = g_build_filename (path, name, NULL);
    remove_below (below);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
notes_free (Notes *notes)
{
  vp_intents_free (notes->intents);
  vp_domain_free (notes->base);
  vp_domain_free (notes->edited);
  vp_domain_free (notes->written);
  remove_below (notes->above);
  g_free (notes->folder);
  g_free (notes->above);
  g_free (notes);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Notes, notes_free)

static gboolean
note (Notes *notes, const VpDomain *base, GError **error)
{
  g_autoptr (GPtrArray) none = g_ptr_array_new ();
  const VpWrite write = { base, NULL, notes->written };

  return vp_intents_open (notes->intents, "a", &write, none, error);
}

static void
note_ok (Notes *notes, const VpDomain *base)
{
  g_autoptr (GError) error = NULL;

  (void) note (notes, base, &error);
  g_assert_no_error (error);
}

static void
add_version (Notes *notes, guint64 serial, const VpDomain *domain)
{
  g_autoptr (VpVersion) version = g_new0 (VpVersion, 1);
  char *text = vp_domain_dup_text (domain);

  version->serial = serial;
  version->text = g_bytes_new_take (text, strlen (text));
  vp_intents_note_version (notes->intents, "a", version);
}

/* That intent, with so many versions. */
static void
assert_noted (Notes *notes, const VpDomain *base, guint n_versions)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpIntent) intent = vp_intents_load (notes->intents, "a", &error);

  g_assert_no_error (error);
  g_assert_nonnull (intent);
  g_assert_true (vp_domain_equal (intent->base, base));
  g_autoptr (GPtrArray) versions = vp_intents_load_versions (notes->intents, "a", intent, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (versions->len, ==, n_versions);
}

/* What cannot be read now is there, is not damaged, and is taken up when it can be. */
static void
test_unreadable (void)
{
  static const int numbers[] = { EMFILE, ENFILE, EACCES, EIO, ENOMEM };
  static const char *const where[] = { INTENT, "d-a", ".xml" };

  for (guint i = 0; i < G_N_ELEMENTS (numbers) * G_N_ELEMENTS (where); i++) {
    g_autoptr (Notes) notes = notes_new ();
    g_autoptr (GError) error = NULL;
    note_ok (notes, notes->base);
    add_version (notes, 7, notes->edited);
    open_notes (notes);
    set_fault (notes, "open", where[i % G_N_ELEMENTS (where)], numbers[i / G_N_ELEMENTS (where)]);
    g_assert_true (vp_intents_has (notes->intents, "a"));
    g_autoptr (VpIntent) intent = vp_intents_load (notes->intents, "a", &error);
    g_assert_true ((intent != NULL) == (i % G_N_ELEMENTS (where) > 0));
    GPtrArray *versions = intent != NULL ? vp_intents_load_versions (notes->intents, "a", intent, &error) : NULL;
    g_assert_null (versions);
    g_assert_error (error, VP_ERROR, VP_ERROR_HOST);
    set_fault (notes, "", "", 0);
    assert_noted (notes, notes->base, 1);
  }
}

/* One that cannot be written leaves the one before it, whose versions go on to be saved. */
static void
test_store (void)
{
  static const struct {
    const char *what;
    const char *where;
    int number;
  } faults[] = { { "store", INTENT, ENOSPC }, { "store", INTENT, EDQUOT }, { "rename", INTENT, EROFS },
                 { "mkdir", "d-a", ENOSPC },  { "mkdir", "d-a", EROFS },   { "open", "d-a", EMFILE } };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++) {
    g_autoptr (Notes) notes = notes_new ();
    g_autoptr (GError) error = NULL;
    note_ok (notes, notes->base);
    add_version (notes, 1, notes->edited);
    set_fault (notes, faults[i].what, faults[i].where, faults[i].number);
    g_assert_false (note (notes, notes->edited, &error));
    g_assert_nonnull (strstr (error->message, g_strerror (faults[i].number)));
    set_fault (notes, "", "", 0);
    add_version (notes, 2, notes->written);
    assert_noted (notes, notes->base, 2);
    note_ok (notes, notes->edited);
    assert_noted (notes, notes->edited, 0);
  }
}

/* A version for which there is no room is one that was missed, and no secret. */
static void
test_version (void)
{
  g_autoptr (Notes) notes = notes_new ();
  g_autoptr (GError) error = NULL;

  note_ok (notes, notes->base);
  set_fault (notes, "store", ".xml", ENOSPC);
  add_version (notes, 3, notes->edited);
  g_autoptr (VpIntent) intent = vp_intents_load (notes->intents, "a", &error);
  g_autoptr (GPtrArray) versions = vp_intents_load_versions (notes->intents, "a", intent, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (versions->len, ==, 1);
  g_assert_true (((const VpVersion *) versions->pdata[0])->missed);
  sim_assert_said ("a version of its definition could not be saved");
}

/* What is settled and cannot be removed is not taken up by this daemon, and is tried again. */
static void
test_remove (void)
{
  g_autoptr (Notes) notes = notes_new ();

  note_ok (notes, notes->base);
  set_fault (notes, "remove", INTENT, EROFS);
  vp_intents_close (notes->intents, "a");
  sim_assert_said ("what was noted of its last change cannot be removed");
  g_assert_false (vp_intents_has (notes->intents, "a"));
  add_version (notes, 1, notes->edited);
  g_auto (GStrv) names = vp_root_list (vp_intents_get_root (notes->intents), "d-a");
  g_assert_cmpuint (g_strv_length (names), ==, 1);
  g_assert_null (vp_intents_load (notes->intents, "a", NULL));
  vp_intents_close (notes->intents, "a");
  g_assert_false (vp_intents_has (notes->intents, "a"));
  set_fault (notes, "", "", 0);
  vp_intents_close (notes->intents, "a");
  open_notes (notes);
  g_assert_false (vp_intents_has (notes->intents, "a"));

  note_ok (notes, notes->base); /* one that follows is open again */
  g_assert_true (vp_intents_has (notes->intents, "a"));
}

/* A damaged one is for a person, and the next intent leaves it there. */
static void
test_damaged (void)
{
  g_autoptr (Notes) notes = notes_new ();
  g_autofree char *path = g_build_filename (notes->folder, INTENT, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) again = NULL;

  note_ok (notes, notes->base);
  g_assert_true (g_file_set_contents (path, "[intent]\n", -1, NULL));
  set_fault (notes, "rename", INTENT, EROFS);
  g_assert_null (vp_intents_load (notes->intents, "a", &error));
  g_assert_nonnull (strstr (error->message, g_strerror (EROFS)));
  g_assert_true (vp_intents_has (notes->intents, "a"));
  set_fault (notes, "", "", 0);
  g_assert_null (vp_intents_load (notes->intents, "a", &again));
  const char *name = strstr (again->message, "intent.damaged-");
  g_autofree char *aside = g_strndup (name, strcspn (name, " "));
  g_autofree char *kept = g_build_filename (notes->folder, "d-a", aside, NULL);
  note_ok (notes, notes->edited);
  vp_intents_close (notes->intents, "a");
  g_assert_true (g_file_test (kept, G_FILE_TEST_EXISTS));
}

static void
test_keep (void)
{
  static const int numbers[] = { ENOSPC, EROFS };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    g_autoptr (Notes) notes = notes_new ();
    g_autoptr (GError) error = NULL;
    set_fault (notes, i == 0 ? "store" : "mkdir", i == 0 ? ".xml" : "kept", numbers[i]);
    g_assert_null (vp_intents_keep (notes->intents, "a", notes->edited, &error));
    g_assert_nonnull (strstr (error->message, g_strerror (numbers[i])));
  }
}

/* With no descriptor left at all, and with one. */
static void
test_no_descriptors (void)
{
  g_autoptr (Notes) notes = notes_new ();
  struct rlimit old;

  note_ok (notes, notes->base);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &old), ==, 0);
  for (guint more = 0; more < 4; more++) {
    g_autoptr (GError) error = NULL;
    int next = dup (0);
    g_assert_cmpint (next, >=, 0);
    g_assert_cmpint (close (next), ==, 0);
    const struct rlimit few = { (rlim_t) next + more, old.rlim_max };
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
    gboolean has = vp_intents_has (notes->intents, "a");
    gboolean noted = note (notes, notes->edited, &error);
    VpIntent *intent = vp_intents_load (notes->intents, "a", NULL);
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &old), ==, 0);
    g_assert_true (has);
    g_assert_cmpint (intent != NULL, ==, more > 0);
    g_assert_cmpint (noted, ==, more > 2); /* the folder, where it is, and a file in it */
    assert_noted (notes, noted ? notes->edited : notes->base, 0);
    vp_intent_free (intent);
  }
}

/* In a mount namespace of its own: a folder of few pages, which is full and then read-only. */
static int
run_on_full_disk (Notes *notes)
{
  g_autofree char *filler = g_build_filename (notes->above, "filler", NULL);
  char page[4096] = "";

  if (unshare (CLONE_NEWNS) != 0 || mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount ("none", notes->above, "tmpfs", 0, "size=32k,mode=700") != 0)
    return 77;
  open_notes (notes);
  note_ok (notes, notes->base);
  int fd = open (filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  guint n = 0;
  while (n < 1000 && write (fd, page, sizeof page) > 0)
    n++;
  g_assert_cmpint (close (fd), ==, 0);
  if (n == 1000)
    return 77; /* a kernel whose tmpfs knows no size */
  g_autoptr (GError) full = NULL;
  g_assert_false (note (notes, notes->edited, &full));
  g_assert_nonnull (strstr (full->message, g_strerror (ENOSPC)));
  assert_noted (notes, notes->base, 0);
  g_assert_cmpint (mount (NULL, notes->above, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), ==, 0);
  vp_intents_close (notes->intents, "a");
  g_assert_false (vp_intents_has (notes->intents, "a"));
  g_assert_cmpint (mount (NULL, notes->above, NULL, MS_REMOUNT | MS_BIND, NULL), ==, 0);
  vp_intents_close (notes->intents, "a");
  open_notes (notes);
  g_assert_false (vp_intents_has (notes->intents, "a"));
  return 0;
}

static void
test_full_disk (void)
{
  g_autoptr (Notes) notes = notes_new ();
  int status = 0;
  pid_t child = fork ();

  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    _exit (run_on_full_disk (notes));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  if (WEXITSTATUS (status) == 77)
    g_test_skip ("no small tmpfs in a mount namespace of its own: not root, or in a container");
  else
    g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* The order of versions is that of their serials, whatever the times of their files; and no kept edit replaces one. */
static void
test_clocks (void)
{
  static const gint64 times[] = { 4102444800, 1, 0, -1, G_MAXINT32, 1 };
  g_autoptr (Notes) notes = notes_new ();
  g_autofree char *kept = g_build_filename (notes->folder, "kept", NULL);
  g_autofree char *d = g_build_filename (notes->folder, "d-a", NULL);
  g_autoptr (GError) error = NULL;

  note_ok (notes, notes->base);
  for (guint i = 0; i < G_N_ELEMENTS (times); i++) {
    clock_now = times[i];
    add_version (notes, i + 1, i % 2 == 0 ? notes->edited : notes->written);
    g_autofree char *path = vp_intents_keep (notes->intents, "a", notes->edited, &error);
    g_assert_no_error (error);
  }
  g_autoptr (VpRoot) files = vp_root_open (notes->folder, NULL);
  g_auto (GStrv) all = vp_root_list (files, "kept");
  g_assert_cmpuint (g_strv_length (all), ==, G_N_ELEMENTS (times));
  g_auto (GStrv) names = vp_root_list (files, "d-a");
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (d, names[i], NULL);
    const struct timespec both[] = { { .tv_sec = times[i % 6] }, { .tv_sec = times[i % 6] } };
    g_assert_cmpint (utimensat (AT_FDCWD, path, both, 0), ==, 0);
  }
  open_notes (notes);
  g_autoptr (VpIntent) intent = vp_intents_load (notes->intents, "a", &error);
  g_autoptr (GPtrArray) versions = vp_intents_load_versions (notes->intents, "a", intent, &error);
  g_assert_cmpuint (versions->len, ==, G_N_ELEMENTS (times));
  for (guint i = 0; i < versions->len; i++)
    g_assert_cmpuint (((const VpVersion *) versions->pdata[i])->serial, ==, i + 1);
}

static const SimTest tests[] = {
  { "unreadable", test_unreadable },
  { "store", test_store },
  { "version", test_version },
  { "remove", test_remove },
  { "damaged", test_damaged },
  { "keep", test_keep },
  { "no-descriptors", test_no_descriptors },
  { "full-disk", test_full_disk },
  { "clocks", test_clocks },
};

int
main (int argc, char **argv)
{
  return sim_run_tests (argc, argv, "/intents-faults/", tests, G_N_ELEMENTS (tests));
}
