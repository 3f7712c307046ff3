/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files below a root, while others on the machine rename theirs: sysfs's links are full of "..". */
#include "made-tree.h"

#define READS 20000

static gint reading = 1;

static gpointer
rename_on_and_on (gpointer data)
{
  const MadeTree *tree = data;
  g_autofree char *a = made_place (tree, "elsewhere/a");
  g_autofree char *b = made_place (tree, "elsewhere/b");

  while (g_atomic_int_get (&reading)) {
    g_assert_cmpint (g_rename (a, b), ==, 0);
    g_assert_cmpint (g_rename (b, a), ==, 0);
  }
  return NULL;
}

static void
test_renames (void)
{
  MadeTree *tree = made_tree_new ();

  made_file (tree, "elsewhere/a", "");
  made_file (tree, "groups/7", "seven");
  made_link (tree, "devices/one/group", "../../groups/7");
  GThread *thread = g_thread_new ("renames", rename_on_and_on, tree);
  for (guint i = 0; i < READS; i++) {
    g_autofree char *text = vp_root_dup_text (tree->root, "devices/one/group");
    g_assert_cmpstr (text, ==, "seven");
  }
  g_atomic_int_set (&reading, 0);
  g_thread_join (thread);
  made_tree_free (tree);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/root/renames", test_renames);
  return g_test_run ();
}
