/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon reads again when it changes: files and folders; the kernel's own events need a kernel. */
#include "daemon/keep/host-watch.h"
#include "made-tree.h"

#define GUARD_SECONDS 60

static void
on_changed (gpointer data)
{
  (*(guint *) data)++;
}

static gboolean
on_guard (gpointer data)
{
  (void) data;
  g_error ("nothing was noticed");
  return G_SOURCE_REMOVE;
}

static void
run_until_changed (const guint *changed)
{
  guint guard = g_timeout_add_seconds (GUARD_SECONDS, on_guard, NULL);

  while (*changed == 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (guard);
}

static void
test_folder (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *folder = g_build_filename (tree->folder, "profiles.d", NULL);
  g_autofree char *file = g_build_filename (folder, "a.conf", NULL);
  const char *const folders[] = { folder, folder, NULL };
  guint changed = 0;

  made_file (tree, "profiles.d/.keep", "");
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);
  vp_host_watch_add_folders (watch, folders);
  made_file (tree, "profiles.d/a.conf", "[cpu]\n");
  made_file (tree, "profiles.d/b.conf", "[cpu]\n");
  run_until_changed (&changed);
  g_assert_cmpuint (changed, ==, 1); /* several at once are one */
  changed = 0;
  g_assert_cmpint (g_unlink (file), ==, 0);
  run_until_changed (&changed);
}

/* One that is made later is watched from its making on. */
static void
test_missing (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *folder = g_build_filename (tree->folder, "rules.d", NULL);
  const char *const folders[] = { folder, NULL };
  guint changed = 0;
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);

  vp_host_watch_add_folders (watch, folders);
  made_file (tree, "rules.d/a.conf", "[rule]\n");
  run_until_changed (&changed);
}

static void
test_file (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *file = g_build_filename (tree->folder, "qemu", NULL);
  guint changed = 0;

  made_file (tree, "qemu", "1");
  g_autoptr (VpHostWatch) watch = vp_host_watch_new (on_changed, &changed);
  vp_host_watch_add_file (watch, file);
  made_file (tree, "qemu", "2");
  run_until_changed (&changed);
}

/* What is noted is told once, and not any more after the end. */
static void
test_note (void)
{
  guint changed = 0;
  VpHostWatch *watch = vp_host_watch_new (on_changed, &changed);

  vp_host_watch_note (watch);
  vp_host_watch_note (watch);
  run_until_changed (&changed);
  g_assert_cmpuint (changed, ==, 1);
  vp_host_watch_note (watch);
  vp_host_watch_free (watch);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (changed, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/host-watch/folder", test_folder);
  g_test_add_func ("/host-watch/missing", test_missing);
  g_test_add_func ("/host-watch/file", test_file);
  g_test_add_func ("/host-watch/note", test_note);
  return g_test_run ();
}
