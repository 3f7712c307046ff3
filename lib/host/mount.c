/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives libmount the text, and asks it for the mount that a path is on. */
#include "host/mount.h"

#include <stdio.h>
#include <string.h>

#define MAX_BYTES (8u * 1024 * 1024) /* a host with thousands of containers */

/* For the source "/dev/root" of a kernel without initramfs libmount would look which one that is on this machine. */
static char *
dup_table (const VpRoot *root, const char *path)
{
  g_autoptr (GRegex) form = g_regex_new ("( - \\S+ )/dev/root ", G_REGEX_RAW, 0, NULL);
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, path, MAX_BYTES, &length);

  return text != NULL ? g_regex_replace (form, text, -1, 0, "\\1rootfs ", 0, NULL) : NULL;
}

static VpMounts *
read_table (const VpRoot *root, const char *path)
{
  g_autofree char *text = dup_table (root, path);
  VpMounts *mounts = mnt_new_table ();
  FILE *stream = text != NULL && text[0] != '\0' ? fmemopen (text, strlen (text), "r") : NULL;

  if (stream == NULL)
    return mounts;
  /* Lines that are none are passed over. A file's name would be looked for on this machine. */
  (void) mnt_table_parse_stream (mounts, stream, "");
  (void) fclose (stream);
  return mounts;
}

VpMounts *
vp_mounts_read (const VpRoot *root, const char *process)
{
  g_autofree char *path = g_strdup_printf ("proc/%s/mountinfo", process);

  return read_table (root, path);
}

VpMounts *
vp_swaps_read (const VpRoot *root)
{
  return read_table (root, "proc/swaps");
}

/* mnt_table_find_mountpoint () would look at the path on this machine. Of two at one place the later is on top. */
static struct libmnt_fs *
find_mount (VpMounts *mounts, const char *path)
{
  g_autofree char *place = g_strdup (path);
  struct libmnt_fs *mount = mnt_table_find_target (mounts, place, MNT_ITER_BACKWARD);

  while (mount == NULL && place[0] == '/' && place[1] != '\0') {
    char *above = g_path_get_dirname (place);
    g_free (place);
    place = above;
    mount = mnt_table_find_target (mounts, place, MNT_ITER_BACKWARD);
  }
  return mount;
}

GStrv
vp_mount_dup_options (const VpRoot *root, const char *path)
{
  g_autoptr (VpMounts) mounts = vp_mounts_read (root, "self");
  struct libmnt_fs *mount = find_mount (mounts, path);
  const char *options = mount != NULL ? mnt_fs_get_vfs_options (mount) : NULL;

  return options != NULL ? g_strsplit (options, ",", -1) : NULL;
}
