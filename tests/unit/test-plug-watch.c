/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's records of guests: whose was written is told, and nothing else. */
#include <glib/gstdio.h>

#include "daemon/keep/plug-watch.h"
#include "made-tree.h"

#define GUARD_SECONDS 60

static void
on_changed (const char *domain, gpointer data)
{
  g_ptr_array_add (data, g_strdup (domain));
}

static gboolean
on_guard (gpointer data)
{
  (void) data;
  g_error ("nothing was noticed");
  return G_SOURCE_REMOVE;
}

static void
test_renamed (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *folder = g_build_filename (tree->folder, "qemu", NULL);
  g_autofree char *from = g_build_filename (folder, "win.10.xml.new", NULL);
  g_autofree char *to = g_build_filename (folder, "win.10.xml", NULL);
  g_autoptr (GPtrArray) changed = g_ptr_array_new_with_free_func (g_free);
  guint guard = g_timeout_add_seconds (GUARD_SECONDS, on_guard, NULL);

  made_file (tree, "qemu/gone.xml", "");
  g_autofree char *gone = g_build_filename (folder, "gone.xml", NULL);
  g_autoptr (VpPlugWatch) watch = vp_plug_watch_new (folder, on_changed, changed);
  g_assert_cmpint (g_unlink (gone), ==, 0);
  made_file (tree, "qemu/win.10.pid", "1");
  made_file (tree, "qemu/win.10.xml.new", "<domstatus/>");
  g_assert_cmpint (g_rename (from, to), ==, 0);
  while (changed->len == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (changed->len, ==, 1);
  g_assert_cmpstr (changed->pdata[0], ==, "win.10");
  g_source_remove (guard);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/plug-watch/renamed", test_renamed);
  return g_test_run ();
}
