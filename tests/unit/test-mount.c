/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How what a path is on is mounted, on made machines. */
#include "host/mount.h"

#include "made-tree.h"

static void
check_options (const MadeTree *tree, const char *path, const char *wanted)
{
  g_auto (GStrv) options = vp_mount_dup_options (tree->root, path);
  g_autofree char *text = options != NULL ? g_strjoinv (",", options) : NULL;

  g_assert_cmpstr (text, ==, wanted);
}

static void
test_options (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  check_options (tree, "/etc/x", NULL);
  made_file (tree, "proc/self/mountinfo",
             "1 0 8:1 / / rw shared:1 - ext4 /dev/root rw,seclabel\n"
             "no line\n"
             "2 1 8:2 / /etc rw,noexec - ext4 b rw\n"
             "3 1 8:3 / /srv/my\\040files ro master:2 shared:3 - xfs c rw\n"
             "4 2 8:4 / /etc rw,nodev - ext4 d rw\n");
  check_options (tree, "/", "rw");
  check_options (tree, "/etc2/x", "rw");
  check_options (tree, "/etc", "rw,nodev");
  check_options (tree, "/etc/not/there", "rw,nodev");
  check_options (tree, "/srv/my files/x", "ro");
  made_file (tree, "proc/self/mountinfo", "1 0 8:2 / /etc rw - ext4 b rw\n");
  check_options (tree, "/srv", NULL);
}

/* libmount would look on this machine for what the recorded one's is. */
static void
test_root_source (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_file (tree, "proc/1/mountinfo",
             "1 0 8:1 / / rw - ext4 /dev/root rw\n"
             "2 1 8:2 / /dev/root rw - ext4 /dev/root rw\n");
  g_autoptr (VpMounts) mounts = vp_mounts_read (tree->root, "1");
  g_autoptr (VpMountIter) at = mnt_new_iter (MNT_ITER_FORWARD);
  struct libmnt_fs *mount = NULL;
  guint n = 0;

  for (; mnt_table_next_fs (mounts, at, &mount) == 0; n++) {
    g_assert_cmpstr (mnt_fs_get_source (mount), ==, "rootfs");
    g_assert_cmpstr (mnt_fs_get_target (mount), ==, n == 0 ? "/" : "/dev/root");
  }
  g_assert_cmpuint (n, ==, 2);
}

static void
test_swaps (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_file (tree, "proc/swaps",
             "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"
             "/dev/dm-1                               partition\t1048572\t0\t-2\n"
             "/var/my\\040swap file\t\t1024\t0\t-3\n");
  g_autoptr (VpMounts) swaps = vp_swaps_read (tree->root);
  g_autoptr (VpMountIter) at = mnt_new_iter (MNT_ITER_FORWARD);
  static const char *const wanted[] = { "/dev/dm-1", "/var/my swap" };
  struct libmnt_fs *swap = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (wanted); i++) {
    g_assert_cmpint (mnt_table_next_fs (swaps, at, &swap), ==, 0);
    g_assert_cmpstr (mnt_fs_get_source (swap), ==, wanted[i]);
  }
  g_assert_cmpint (mnt_table_next_fs (swaps, at, &swap), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mount/options", test_options);
  g_test_add_func ("/mount/root-source", test_root_source);
  g_test_add_func ("/mount/swaps", test_swaps);
  return g_test_run ();
}
