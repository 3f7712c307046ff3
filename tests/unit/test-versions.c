/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The witness of libvirt's folder, over a folder of its own. Nothing here waits for a while: a
 * sync says that all before it was read. Where the witness must come late, its thread is
 * halted in a signal's handler, until the test lets it go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/xml.h"
#include "edits/version-file.h"
#include "edits/versions.h"

#define MOST_VERSIONS 1024 /* of one domain; the oldest go */
#define QUEUE_LIMIT "/proc/sys/fs/inotify/max_queued_events"
#define LONGEST_QUEUE 1000000 /* of a machine on which it is overflowed here */

static int halted[2];
static int released[2];

typedef struct {
  char *base;
  char *folder;
  VpVersions *versions;
  GPtrArray *noticed; /* of char *: the domains of the notices, "*" for all of them */
} Fixture;

static void
on_changed (const char *domain, gpointer data)
{
  g_ptr_array_add (((Fixture *) data)->noticed, g_strdup (domain != NULL ? domain : "*"));
}

static char *
dup_path (const Fixture *fixture, const char *name)
{
  return g_build_filename (fixture->folder, name, NULL);
}

static void
make_folder (const char *path)
{
  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  fixture->base = g_dir_make_tmp ("vp-versions-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->folder = g_build_filename (fixture->base, "qemu", NULL);
  fixture->noticed = g_ptr_array_new_with_free_func (g_free);
  make_folder (fixture->folder);
  fixture->versions = vp_versions_new (fixture->folder, on_changed, fixture, NULL, NULL, &error);
  g_assert_no_error (error);
  vp_versions_ensure (fixture->versions, &error);
  g_assert_no_error (error);
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *below = g_build_filename (path, name, NULL);
    remove_tree (below);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  vp_versions_free (fixture->versions);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_ptr_array_unref (fixture->noticed);
  remove_tree (fixture->base);
  g_free (fixture->folder);
  g_free (fixture->base);
}

/* All that was done to the folder is read, and its notices have come. */
static guint64
settle (const Fixture *fixture)
{
  guint64 serial = 0;

  while (!vp_versions_sync (fixture->versions, &serial)) /* a busy machine */
    ;
  while (g_main_context_iteration (NULL, FALSE))
    ;
  return serial;
}

static void
write_file (const Fixture *fixture, const char *name, const char *text)
{
  g_autofree char *path = dup_path (fixture, name);
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize) strlen (text));
  g_assert_cmpint (close (fd), ==, 0);
}

static void
move_file (const Fixture *fixture, const char *from, const char *to)
{
  g_autofree char *old = dup_path (fixture, from);
  g_autofree char *new = dup_path (fixture, to);

  g_assert_cmpint (g_rename (old, new), ==, 0);
}

static void
remove_file (const Fixture *fixture, const char *name)
{
  g_autofree char *path = dup_path (fixture, name);

  g_assert_cmpint (g_unlink (path), ==, 0);
}

/* As libvirt stores a definition. */
static void
store (const Fixture *fixture, const char *domain, const char *text)
{
  g_autofree char *made = g_strconcat (domain, ".xml.new", NULL);
  g_autofree char *name = g_strconcat (domain, ".xml", NULL);

  write_file (fixture, made, text);
  move_file (fixture, made, name);
}

static char *
dup_version (const VpVersion *version)
{
  gsize size = 0;
  const char *text = version->text != NULL ? g_bytes_get_data (version->text, &size) : NULL;

  if (version->deleted) {
    g_assert_null (version->text);
    return g_strdup ("(deleted)");
  }
  return version->text != NULL ? g_strndup (text != NULL ? text : "", size) : g_strdup ("(unread)");
}

/* The texts of the versions after that serial, one behind the other. */
static void
assert_versions (const Fixture *fixture, const char *domain, guint64 after, const char *expected)
{
  g_autoptr (GPtrArray) list = vp_versions_list (fixture->versions, domain, after);
  g_autoptr (GString) text = g_string_new (NULL);
  guint64 last = after;

  for (guint i = 0; i < list->len; i++) {
    const VpVersion *version = list->pdata[i];
    g_autofree char *one = dup_version (version);
    g_assert_cmpuint (version->serial, >, last);
    last = version->serial;
    g_string_append_printf (text, "%s%s", i > 0 ? " " : "", one);
  }
  g_assert_cmpstr (text->str, ==, expected);
}

/* The notices so far, which are then forgotten. */
static void
assert_noticed (const Fixture *fixture, const char *expected)
{
  g_ptr_array_add (fixture->noticed, NULL);
  g_autofree char *text = g_strjoinv (" ", (char **) fixture->noticed->pdata);

  g_assert_cmpstr (text, ==, expected);
  g_ptr_array_set_size (fixture->noticed, 0);
}

/* Only what is safe in a handler. */
static void
on_halt (int number)
{
  int problem = errno;
  char byte = 0;

  (void) number;
  (void) !write (halted[1], &byte, 1);
  while (read (released[0], &byte, 1) < 0 && errno == EINTR)
    ;
  errno = problem;
}

static int
find_thread (const char *name)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  int found = 0;

  for (const char *task = g_dir_read_name (dir); task != NULL && found == 0; task = g_dir_read_name (dir)) {
    g_autofree char *path = g_build_filename ("/proc/self/task", task, "comm", NULL);
    g_autofree char *comm = NULL;
    if (g_file_get_contents (path, &comm, NULL, NULL) && strcmp (g_strchomp (comm), name) == 0)
      found = atoi (task);
  }
  g_assert_cmpint (found, >, 0);
  return found;
}

/* After a settle: the thread holds no lock then that this one wants. */
static void
halt (void)
{
  char byte = 0;

  g_assert_cmpint (syscall (SYS_tgkill, getpid (), find_thread ("versions"), SIGUSR1), ==, 0);
  g_assert_cmpint (read (halted[0], &byte, 1), ==, 1);
}

static void
go_on (void)
{
  char byte = 0;

  g_assert_cmpint (write (released[1], &byte, 1), ==, 1);
}

static void
test_stored (Fixture *fixture, gconstpointer data)
{
  (void) data;
  store (fixture, "a", "one");
  guint64 first = settle (fixture);
  assert_noticed (fixture, "a");
  assert_versions (fixture, "a", 0, "one");
  store (fixture, "a", "two");
  guint64 second = settle (fixture);
  g_assert_cmpuint (second, >, first);
  assert_noticed (fixture, "a");
  assert_versions (fixture, "a", 0, "one two");
  assert_versions (fixture, "a", first, "two");
  assert_versions (fixture, "a", second, "");
  assert_versions (fixture, "b", 0, "");
}

static void
test_deleted (Fixture *fixture, gconstpointer data)
{
  (void) data;
  store (fixture, "a", "one");
  guint64 stored = settle (fixture);
  remove_file (fixture, "a.xml");
  settle (fixture);
  assert_versions (fixture, "a", stored, "(deleted)");
  store (fixture, "a", "two");
  settle (fixture);
  assert_versions (fixture, "a", 0, "one (deleted) two");
  assert_noticed (fixture, "a a a");
}

static void
test_moved_away (Fixture *fixture, gconstpointer data)
{
  (void) data;
  store (fixture, "a", "one");
  settle (fixture);
  move_file (fixture, "a.xml", "../a.xml");
  settle (fixture);
  assert_versions (fixture, "a", 0, "one (deleted)");
  move_file (fixture, "../a.xml", "a.xml");
  settle (fixture);
  assert_versions (fixture, "a", 0, "one (deleted) one");
}

static void
test_renamed (Fixture *fixture, gconstpointer data)
{
  (void) data;
  store (fixture, "a", "one");
  settle (fixture);
  move_file (fixture, "a.xml", "b.xml");
  settle (fixture);
  assert_versions (fixture, "a", 0, "one (deleted)");
  assert_versions (fixture, "b", 0, "one");
  assert_noticed (fixture, "a a b");
}

static guint
count_missed (const GPtrArray *list)
{
  guint n = 0;

  for (guint i = 0; i < list->len; i++)
    n += ((const VpVersion *) list->pdata[i])->missed ? 1 : 0;
  return n;
}

/* Each round may find the thread where it pleases; one that it misses is marked, and the last is what is there. */
static void
test_many (Fixture *fixture, gconstpointer data)
{
  enum { ROUNDS = 300 };

  (void) data;
  settle (fixture);
  for (guint i = 1; i <= ROUNDS; i++) {
    g_autofree char *text = g_strdup_printf ("%u", i);
    store (fixture, i % 2 == 0 ? "a" : "b", text);
  }
  settle (fixture);
  g_assert_cmpuint (fixture->noticed->len, ==, ROUNDS);
  g_autoptr (GPtrArray) list = vp_versions_list (fixture->versions, "a", 0);
  g_assert_true (list->len == ROUNDS / 2 || (list->len < ROUNDS / 2 && count_missed (list) > 0));
  g_autofree char *last = dup_version (list->pdata[list->len - 1]);
  g_assert_cmpstr (last, ==, G_STRINGIFY (300));
}

static void
test_oldest_go (Fixture *fixture, gconstpointer data)
{
  (void) data;
  for (guint i = 0; i < MOST_VERSIONS + 5; i++) {
    g_autofree char *text = g_strdup_printf ("%u", i);
    store (fixture, "a", text);
    settle (fixture);
  }
  g_autoptr (GPtrArray) list = vp_versions_list (fixture->versions, "a", 0);
  g_assert_cmpuint (list->len, ==, MOST_VERSIONS);
  g_autofree char *first = dup_version (list->pdata[0]);
  g_autofree char *last = dup_version (list->pdata[MOST_VERSIONS - 1]);
  g_assert_cmpstr (first, ==, "5");
  g_assert_cmpstr (last, ==, "1028");
}

static void
test_late (Fixture *fixture, gconstpointer data)
{
  (void) data;
  settle (fixture);
  halt ();
  store (fixture, "a", "one");
  store (fixture, "a", "two");
  store (fixture, "a", "three");
  go_on ();
  settle (fixture);
  /* Two events show the file of the last: the two before it were missed, and that is said. */
  g_autoptr (GPtrArray) list = vp_versions_list (fixture->versions, "a", 0);
  g_assert_cmpuint (list->len, ==, 1);
  g_autofree char *last = dup_version (list->pdata[0]);
  g_assert_cmpstr (last, ==, "three");
  g_assert_true (((const VpVersion *) list->pdata[0])->missed);
  assert_noticed (fixture, "a a a");
}

/* What the descriptor is for: the thread saw it made, and the rename only when it was gone. */
static void
test_written_over (Fixture *fixture, gconstpointer data)
{
  (void) data;
  write_file (fixture, "a.xml.new", "one");
  settle (fixture);
  halt ();
  move_file (fixture, "a.xml.new", "a.xml");
  write_file (fixture, "other", "two");
  move_file (fixture, "other", "a.xml");
  go_on ();
  settle (fixture);
  assert_versions (fixture, "a", 0, "one two");
}

static void
test_gone_before_it_was_read (Fixture *fixture, gconstpointer data)
{
  (void) data;
  settle (fixture);
  halt ();
  store (fixture, "a", "one");
  remove_file (fixture, "a.xml");
  go_on ();
  settle (fixture);
  assert_versions (fixture, "a", 0, "(unread) (deleted)");
}

/* `inode`: that of the version before it. */
static ino_t
assert_made (const Fixture *fixture, ino_t inode, const char *expected)
{
  struct stat folder;
  struct stat info = { 0 };
  g_assert_cmpint (stat (fixture->folder, &folder), ==, 0);
  int fd = vp_version_file_open_made (fixture->folder, "a", folder.st_dev, inode);
  g_autoptr (GBytes) text = fd >= 0 ? vp_version_file_read (fd) : NULL;
  gsize size = 0;
  const char *data = text != NULL ? g_bytes_get_data (text, &size) : "";
  g_autofree char *got = g_strndup (data, size);

  g_assert_cmpstr (got, ==, expected);
  if (fd >= 0) {
    g_assert_cmpint (fstat (fd, &info), ==, 0);
    (void) close (fd);
  }
  return info.st_ino;
}

/* Who comes too late for NAME.xml.new holds what it became, and not the next one. */
static void
test_made (Fixture *fixture, gconstpointer data)
{
  (void) data;
  (void) assert_made (fixture, 0, "");
  write_file (fixture, "a.xml.new", "one");
  ino_t one = assert_made (fixture, 0, "one");
  move_file (fixture, "a.xml.new", "a.xml");
  (void) assert_made (fixture, one, "");
  write_file (fixture, "a.xml.new", "two");
  (void) assert_made (fixture, one, "two");
  move_file (fixture, "a.xml.new", "a.xml");
  (void) assert_made (fixture, one, "two");
  write_file (fixture, "a.xml.new", "three");
  (void) assert_made (fixture, one, "two");
}

static void
test_other_names (Fixture *fixture, gconstpointer data)
{
  static const char *const names[] = { "a.txt", "xml", "a.xml.tmp", "axml", "a.XML", "a.xml.new" };
  g_autofree char *folder = dup_path (fixture, "autostart");
  g_autofree char *odd_folder = dup_path (fixture, "folder.xml");
  guint64 start = settle (fixture);

  (void) data;
  make_folder (folder);
  make_folder (odd_folder);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    write_file (fixture, "made", "text");
    move_file (fixture, "made", names[i]);
    remove_file (fixture, names[i]);
  }
  g_assert_cmpuint (settle (fixture), ==, start);
  assert_noticed (fixture, "");
  store (fixture, "Ä \n.xml", "one");
  g_assert_cmpuint (settle (fixture), ==, start + 1);
  assert_versions (fixture, "Ä \n.xml", 0, "one");
}

/* Neither waits for a writer nor follows: the version is noted, and that it could not be read. */
static void
test_no_files (Fixture *fixture, gconstpointer data)
{
  g_autofree char *pipe_path = dup_path (fixture, "pipe");
  g_autofree char *link_path = dup_path (fixture, "link");

  (void) data;
  write_file (fixture, "secret", "text");
  g_assert_cmpint (mkfifo (pipe_path, 0600), ==, 0);
  g_assert_cmpint (symlink ("secret", link_path), ==, 0);
  move_file (fixture, "pipe", "a.xml");
  move_file (fixture, "link", "b.xml");
  settle (fixture);
  assert_versions (fixture, "a", 0, "(unread)");
  assert_versions (fixture, "b", 0, "(unread)");
  assert_noticed (fixture, "a b");
}

static gsize
store_sized (const Fixture *fixture, const char *domain, gsize size)
{
  g_autofree char *made = g_strconcat (domain, ".xml.new", NULL);
  g_autofree char *name = g_strconcat (domain, ".xml", NULL);
  g_autofree char *path = dup_path (fixture, made);

  write_file (fixture, made, "");
  g_assert_cmpint (truncate (path, (off_t) size), ==, 0);
  move_file (fixture, made, name);
  settle (fixture);
  g_autoptr (GPtrArray) list = vp_versions_list (fixture->versions, domain, 0);
  g_assert_cmpuint (list->len, ==, 1);
  const VpVersion *version = list->pdata[0];
  return version->text != NULL ? g_bytes_get_size (version->text) : 0;
}

static void
test_huge (Fixture *fixture, gconstpointer data)
{
  (void) data;
  g_assert_cmpuint (store_sized (fixture, "most", VP_XML_MAX_BYTES), ==, VP_XML_MAX_BYTES);
  g_assert_cmpuint (store_sized (fixture, "more", VP_XML_MAX_BYTES + 1024 * 1024), ==, 0);
  g_assert_cmpuint (store_sized (fixture, "none", G_GUINT64_CONSTANT (1) << 40), ==, 0);
}

static void
test_forget (Fixture *fixture, gconstpointer data)
{
  (void) data;
  store (fixture, "a", "one");
  guint64 first = settle (fixture);
  store (fixture, "b", "other");
  store (fixture, "a", "two");
  guint64 last = settle (fixture);

  vp_versions_forget (fixture->versions, "a", first - 1);
  assert_versions (fixture, "a", 0, "one two");
  vp_versions_forget (fixture->versions, "a", first);
  assert_versions (fixture, "a", 0, "two");
  vp_versions_forget (fixture->versions, "a", last);
  assert_versions (fixture, "a", 0, "");
  assert_versions (fixture, "b", 0, "other");
  vp_versions_forget (fixture->versions, "nobody", last);
  store (fixture, "a", "three");
  g_assert_cmpuint (settle (fixture), ==, last + 1);
  assert_versions (fixture, "a", 0, "three");
}

/* A list is the caller's: it outlives what is forgotten. */
static void
test_list_outlives (Fixture *fixture, gconstpointer data)
{
  (void) data;
  store (fixture, "a", "one");
  guint64 serial = settle (fixture);
  g_autoptr (GPtrArray) list = vp_versions_list (fixture->versions, "a", 0);
  vp_versions_forget (fixture->versions, "a", serial);
  g_autofree char *text = dup_version (list->pdata[0]);
  g_assert_cmpstr (text, ==, "one");
}

static void
test_folder_made_again (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  (void) data;
  store (fixture, "a", "one");
  settle (fixture);
  remove_tree (fixture->folder);
  guint64 gone = settle (fixture);
  assert_versions (fixture, "a", 0, "one (deleted)");
  g_assert_false (vp_versions_ensure (fixture->versions, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_IO);
  g_assert_nonnull (strstr (error->message, fixture->folder));
  g_clear_error (&error);

  make_folder (fixture->folder);
  g_assert_true (vp_versions_ensure (fixture->versions, &error));
  g_assert_no_error (error);
  g_assert_true (vp_versions_ensure (fixture->versions, NULL)); /* it does already */
  store (fixture, "a", "two");
  settle (fixture);
  assert_versions (fixture, "a", gone, "two");
}

/* Nothing that is written where the folder is now concerns us; what is at its path does, once it is watched. */
static void
test_folder_moved_away (Fixture *fixture, gconstpointer data)
{
  g_autofree char *away = g_build_filename (fixture->base, "away", NULL);
  g_autoptr (GError) error = NULL;

  (void) data;
  guint64 before = settle (fixture);
  g_assert_false (vp_versions_missed (fixture->versions, before));
  g_assert_cmpint (g_rename (fixture->folder, away), ==, 0);
  settle (fixture);
  assert_noticed (fixture, "*");
  g_assert_true (vp_versions_missed (fixture->versions, before));
  make_folder (fixture->folder);
  g_assert_true (vp_versions_ensure (fixture->versions, &error));
  g_assert_no_error (error);
  store (fixture, "a", "one");
  guint64 after = settle (fixture);
  assert_versions (fixture, "a", before, "one");
  g_assert_true (vp_versions_missed (fixture->versions, before));
  g_assert_false (vp_versions_missed (fixture->versions, after));
  remove_tree (away);
}

/* Somebody put another folder there, and no event said so. */
static void
test_another_folder (Fixture *fixture, gconstpointer data)
{
  g_autofree char *away = g_build_filename (fixture->base, "away", NULL);

  (void) data;
  settle (fixture);
  halt ();
  g_assert_cmpint (g_rename (fixture->folder, away), ==, 0);
  make_folder (fixture->folder);
  g_assert_true (vp_versions_ensure (fixture->versions, NULL));
  go_on ();
  store (fixture, "a", "one");
  settle (fixture);
  assert_versions (fixture, "a", 0, "one");
  remove_tree (away);
}

/* The kernel gives the number of a file that is gone to the next: that is no version seen twice. */
static void
test_inode_again (Fixture *fixture, gconstpointer data)
{
  (void) data;
  for (guint i = 0; i < 50; i++) {
    guint64 before = settle (fixture);
    store (fixture, "a", "one");
    settle (fixture);
    remove_file (fixture, "a.xml");
    settle (fixture);
    assert_versions (fixture, "a", before, "one (deleted)");
  }
}

static void
test_not_a_folder (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = dup_path (fixture, "file");
  g_autoptr (GError) error = NULL;

  (void) data;
  write_file (fixture, "file", "text");
  g_autoptr (VpVersions) versions = vp_versions_new (path, on_changed, fixture, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_false (vp_versions_ensure (versions, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_IO);
}

static void
test_sync_deadline (Fixture *fixture, gconstpointer data)
{
  guint64 serial = 0;

  (void) data;
  store (fixture, "a", "one");
  guint64 before = settle (fixture);
  halt ();
  store (fixture, "a", "two");
  g_assert_false (vp_versions_sync (fixture->versions, &serial));
  g_assert_cmpuint (serial, ==, before); /* what is known, all the same */
  go_on ();
  g_assert_cmpuint (settle (fixture), ==, before + 1);
  assert_versions (fixture, "a", before, "two");
}

/* Less descriptors than it waits for: it cannot wait then. It answers all the same, and goes on when there are more. */
static void
test_cannot_wait (Fixture *fixture, gconstpointer data)
{
  struct rlimit before;
  guint64 serial = 0;

  (void) data;
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  const struct rlimit none = { 0, before.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  for (guint i = 0; i < 3; i++)
    g_assert_true (vp_versions_sync (fixture->versions, &serial));
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
  store (fixture, "a", "one");
  g_assert_cmpuint (settle (fixture), ==, serial + 1);
  assert_versions (fixture, "a", serial, "one");
}

static void
set_real_time (int priority)
{
  const struct sched_param param = { .sched_priority = priority };

  g_assert_cmpint (pthread_setschedparam (pthread_self (), SCHED_RR, &param), ==, 0);
}

/* All threads of this process, as on a machine whose other CPUs are busy. */
static void
stay_on_one_cpu (const cpu_set_t *cpus)
{
  g_autoptr (GDir) tasks = g_dir_open ("/proc/self/task", 0, NULL);

  for (const char *name = g_dir_read_name (tasks); name != NULL; name = g_dir_read_name (tasks))
    g_assert_cmpint (sched_setaffinity ((pid_t) atoi (name), sizeof *cpus, cpus), ==, 0);
}

/* The witness makes it behind the one that it watches with. */
static int
find_wake_fd (void)
{
  for (int fd = 0; fd < 64; fd++) {
    g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
    g_autofree char *target = g_file_read_link (path, NULL);
    if (g_strcmp0 (target, "anon_inode:inotify") == 0)
      return fd + 1;
  }
  g_assert_not_reached ();
}

/* Woken with the witness, it lets it run, but nobody without a real-time priority. */
static gpointer
store_when_woken (gpointer data)
{
  struct pollfd fd = { find_wake_fd (), POLLIN, 0 };

  set_real_time (2);
  g_assert_cmpint (poll (&fd, 1, 5000), ==, 1);
  set_real_time (1);
  store (data, "a", "one");
  g_assert_cmpint (sched_yield (), ==, 0);
  store (data, "a", "two");
  g_assert_cmpint (sched_yield (), ==, 0);
  return NULL;
}

/* Who asks for a sync may get no CPU just then; the witness does not wait for him. */
static void
test_waits_for_nobody (Fixture *fixture, gconstpointer data)
{
  cpu_set_t before;
  cpu_set_t one;

  (void) data;
  settle (fixture);
  if (!vp_versions_is_prompt (fixture->versions)) {
    g_test_skip ("needs the right to a real-time priority");
    return;
  }
  g_assert_cmpint (sched_getaffinity (0, sizeof before, &before), ==, 0);
  CPU_ZERO (&one);
  CPU_SET (sched_getcpu (), &one);
  GThread *thread = g_thread_new ("store", store_when_woken, fixture);
  stay_on_one_cpu (&one);
  g_usleep (50 * 1000); /* it waits by now */
  settle (fixture);
  g_thread_join (thread);
  settle (fixture);
  stay_on_one_cpu (&before);
  assert_versions (fixture, "a", 0, "one two");
}

static guint
queue_limit (void)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (QUEUE_LIMIT, &text, NULL, &error);
  g_assert_no_error (error);
  return (guint) g_ascii_strtoull (text, NULL, 10);
}

/* More than the kernel keeps while nobody reads: that all must be looked at is said, and it goes on. */
static void
test_overflow (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = dup_path (fixture, "made");
  guint limit = queue_limit ();

  (void) data;
  if (limit > LONGEST_QUEUE) {
    g_test_skip ("the kernel's queue is too long to fill");
    return;
  }
  settle (fixture);
  halt ();
  for (guint i = 0; i <= limit / 2; i++) { /* two events each */
    write_file (fixture, "made", "");
    g_assert_cmpint (g_unlink (path), ==, 0);
  }
  store (fixture, "a", "one");
  go_on ();
  settle (fixture);
  assert_noticed (fixture, "*");
  store (fixture, "a", "two");
  guint64 last = settle (fixture);
  assert_noticed (fixture, "a");
  assert_versions (fixture, "a", last - 1, "two");
}

/* A notice that nobody came to look at. */
static void
test_freed_with_versions (Fixture *fixture, gconstpointer data)
{
  guint64 serial = 0;

  (void) data;
  write_file (fixture, "b.xml.new", "half");
  store (fixture, "a", "one");
  while (!vp_versions_sync (fixture->versions, &serial))
    ;
  assert_versions (fixture, "a", serial - 1, "one");
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_clear_pointer (&fixture->versions, vp_versions_free);
  store (fixture, "a", "two");
  g_assert_false (g_main_context_iteration (NULL, FALSE));
  assert_noticed (fixture, "a");
}

static const struct {
  const char *name;
  void (*func) (Fixture *fixture, gconstpointer data);
} tests[] = {
  { "stored", test_stored },
  { "deleted", test_deleted },
  { "moved-away", test_moved_away },
  { "renamed", test_renamed },
  { "many", test_many },
  { "oldest-go", test_oldest_go },
  { "late", test_late },
  { "written-over", test_written_over },
  { "gone-before-it-was-read", test_gone_before_it_was_read },
  { "made", test_made },
  { "other-names", test_other_names },
  { "no-files", test_no_files },
  { "huge", test_huge },
  { "forget", test_forget },
  { "list-outlives", test_list_outlives },
  { "folder-made-again", test_folder_made_again },
  { "folder-moved-away", test_folder_moved_away },
  { "another-folder", test_another_folder },
  { "inode-again", test_inode_again },
  { "not-a-folder", test_not_a_folder },
  { "sync-deadline", test_sync_deadline },
  { "cannot-wait", test_cannot_wait },
  { "waits-for-nobody", test_waits_for_nobody },
  { "overflow", test_overflow },
  { "freed-with-versions", test_freed_with_versions },
};

int
main (int argc, char **argv)
{
  const struct sigaction action = { .sa_handler = on_halt, .sa_flags = SA_RESTART };

  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (pipe (halted), ==, 0);
  g_assert_cmpint (pipe (released), ==, 0);
  g_assert_cmpint (sigaction (SIGUSR1, &action, NULL), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strconcat ("/versions/", tests[i].name, NULL);
    g_test_add (path, Fixture, NULL, set_up, tests[i].func, tear_down);
  }
  return g_test_run ();
}
