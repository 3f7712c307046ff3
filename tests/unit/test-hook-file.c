/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is wrong with the hook's file, on a made machine. */
#include "host/hook-file.h"

#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "made-tree.h"

#define HOOK (&VP_HOOK_FILE[1])
#define OLD 6004000
#define NEW 9000000

static void
make_program (const MadeTree *tree, const char *path, const char *text, guint mode)
{
  g_autofree char *whole = made_place (tree, path);

  made_file (tree, path, text);
  g_assert_cmpint (g_chmod (whole, (int) mode), ==, 0);
}

static char *
dup_beside (const char *name)
{
  g_autofree char *folder = g_path_get_dirname (HOOK);
  g_autofree char *top = g_path_get_dirname (folder);

  return g_build_filename (top, name, NULL);
}

static void
test_faults (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  g_assert_cmpint (vp_hook_find_fault (tree->root, NEW), ==, VP_HOOK_ABSENT);
  g_assert_cmpint (vp_hook_first_time (tree->root), ==, G_MAXINT64);
  make_program (tree, HOOK, "", 0644);
  g_assert_cmpint (vp_hook_find_fault (tree->root, NEW), ==, VP_HOOK_NOT_EXECUTABLE);
  g_assert_cmpint (vp_hook_first_time (tree->root), ==, G_MAXINT64);
  make_program (tree, HOOK, "", 0755);
  g_assert_cmpint (vp_hook_find_fault (tree->root, NEW), ==, VP_HOOK_FINE);
  g_assert_cmpint (vp_hook_find_fault (tree->root, 0), ==, VP_HOOK_FINE);
  made_file (tree, "proc/self/mountinfo", "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /etc rw,noexec - ext4 b rw\n");
  g_assert_cmpint (vp_hook_find_fault (tree->root, NEW), ==, VP_HOOK_NOEXEC);
}

/* A libvirt that knows no folder of hooks needs the administrator's own to call ours. */
static void
test_old (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *own = dup_beside ("qemu");

  make_program (tree, HOOK, "", 0755);
  g_assert_cmpint (vp_hook_find_fault (tree->root, OLD), ==, VP_HOOK_OLD_LIBVIRT);
  make_program (tree, own, "#!/bin/sh\nlogger \"$@\"\n", 0755);
  g_assert_cmpint (vp_hook_find_fault (tree->root, OLD), ==, VP_HOOK_OLD_LIBVIRT);
  make_program (tree, own, "#!/bin/sh\nexec " VP_HOOK_FILE " \"$@\"\n", 0644);
  g_assert_cmpint (vp_hook_find_fault (tree->root, OLD), ==, VP_HOOK_OLD_LIBVIRT);
  make_program (tree, own, "#!/bin/sh\nexec " VP_HOOK_FILE " \"$@\"\n", 0755);
  g_assert_cmpint (vp_hook_find_fault (tree->root, OLD), ==, VP_HOOK_FINE);
}

static void
assert_cause (const MadeTree *tree, const char *part)
{
  g_autofree char *cause = vp_hook_dup_likely_cause (tree->root, NEW);

  if (strstr (cause, part) == NULL)
    g_error ("no '%s' in: %s", part, cause);
}

static void
test_causes (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *ticks = g_strdup_printf ("700 (libvirtd) S%s 500 0 0\n", " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0");

  assert_cause (tree, "install vfio-profile again");
  make_program (tree, HOOK, "", 0600);
  assert_cause (tree, "chmod 755");
  make_program (tree, HOOK, "", 0755);
  assert_cause (tree, "vfio-profile doctor");
  made_file (tree, "proc/stat", "cpu 1 2 3\nbtime 1000\n");
  made_file (tree, "proc/700/comm", "libvirtd\n");
  made_file (tree, "proc/700/stat", ticks);
  assert_cause (tree, "systemctl reload libvirtd'");
  assert_cause (tree, "after libvirtd was started");
  made_file (tree, "proc/stat", "cpu 1 2 3\nbtime 99999999999\n");
  assert_cause (tree, "vfio-profile doctor");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hook-file/faults", test_faults);
  g_test_add_func ("/hook-file/old", test_old);
  g_test_add_func ("/hook-file/causes", test_causes);
  return g_test_run ();
}
