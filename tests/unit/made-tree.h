/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machines for tests, made in a temporary folder as /sys and /proc show them. Device
 * nodes cannot be made without privileges, and are not needed: links of open files
 * lead to where no node is, as recorded ones do.
 */
#pragma once

#include <glib/gstdio.h>
#include <unistd.h>

#include "base/root.h"

typedef struct {
  char *folder;
  VpRoot *root;
} MadeTree;

static inline MadeTree *
made_tree_new (void)
{
  MadeTree *tree = g_new0 (MadeTree, 1);
  g_autoptr (GError) error = NULL;

  tree->folder = g_dir_make_tmp ("vp-tree-XXXXXX", &error);
  g_assert_no_error (error);
  tree->root = vp_root_open (tree->folder, &error);
  g_assert_no_error (error);
  return tree;
}

static inline void
made_tree_remove (const char *path)
{
  g_autoptr (GDir) dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *below = g_build_filename (path, name, NULL);
    made_tree_remove (below);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static inline void
made_tree_free (MadeTree *tree)
{
  vp_root_free (tree->root);
  made_tree_remove (tree->folder);
  g_free (tree->folder);
  g_free (tree);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MadeTree, made_tree_free)

/* Where that is, with the folders that lead there made. */
static inline char *
made_place (const MadeTree *tree, const char *path)
{
  char *whole = g_build_filename (tree->folder, path, NULL);
  g_autofree char *folder = g_path_get_dirname (whole);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  return whole;
}

static inline void
made_data (const MadeTree *tree, const char *path, const char *data, gssize length)
{
  g_autofree char *whole = made_place (tree, path);
  g_autoptr (GError) error = NULL;

  (void) g_unlink (whole); /* the flag means: written over, and not cut off */
  g_file_set_contents_full (whole, data, length, G_FILE_SET_CONTENTS_NONE, 0644, &error); /* no fsync */
  g_assert_no_error (error);
}

static inline void
made_file (const MadeTree *tree, const char *path, const char *text)
{
  made_data (tree, path, text, -1);
}

/* A definition as libvirt stores one: beside its place, then in it. */
static inline void
made_version (const MadeTree *tree, const char *path, const char *text)
{
  g_autofree char *beside = g_strconcat (path, ".new", NULL);
  g_autofree char *whole = made_place (tree, path);
  g_autofree char *made = made_place (tree, beside);

  made_file (tree, beside, text);
  g_assert_cmpint (g_rename (made, whole), ==, 0);
}

static inline void
made_link (const MadeTree *tree, const char *path, const char *target)
{
  g_autofree char *whole = made_place (tree, path);

  (void) g_unlink (whole);
  g_assert_cmpint (symlink (target, whole), ==, 0);
}

/* `more`: "class vendor device" in hexadecimal; group -1: none. */
static inline void
made_device (const MadeTree *tree, const char *address, const char *more, const char *driver, int group)
{
  g_autofree char *folder = g_strdup_printf ("sys/devices/pci0000:00/%s", address);
  g_autofree char *link = g_strdup_printf ("sys/bus/pci/devices/%s", address);
  g_autofree char *target = g_strdup_printf ("../../../devices/pci0000:00/%s", address);
  g_autofree char *driver_link = g_strdup_printf ("%s/driver", folder);
  g_autofree char *group_link = g_strdup_printf ("%s/iommu_group", folder);
  g_autofree char *driver_target = g_strdup_printf ("../../../bus/pci/drivers/%s", driver != NULL ? driver : "");
  g_autofree char *group_target = g_strdup_printf ("../../../kernel/iommu_groups/%d", group);
  g_auto (GStrv) ids = g_strsplit (more, " ", 3);
  static const char *const names[] = { "class", "vendor", "device" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *file = g_strdup_printf ("%s/%s", folder, names[i]);
    g_autofree char *text = g_strdup_printf ("0x%s\n", ids[i]);
    made_file (tree, file, text);
  }
  made_link (tree, link, target);
  if (driver != NULL)
    made_link (tree, driver_link, driver_target);
  if (group >= 0) {
    g_autofree char *type = g_strdup_printf ("sys/kernel/iommu_groups/%d/type", group);
    made_link (tree, group_link, group_target);
    made_file (tree, type, "DMA\n");
  }
}

/* `below`: the folder under the PCI device's; `node`: "dri/card0 226:0", or NULL. */
static inline void
made_node (const MadeTree *tree, const char *class, const char *address, const char *below, const char *node)
{
  g_autofree char *name = g_path_get_basename (below);
  g_autofree char *link = g_strdup_printf ("sys/class/%s/%s", class, name);
  g_autofree char *target = g_strdup_printf ("../../devices/%s/%s", address, below);
  g_autofree char *file = g_strdup_printf ("sys/devices/%s/%s/uevent", address, below);
  g_auto (GStrv) parts = g_strsplit_set (node != NULL ? node : "", " :", 3);
  g_autofree char *text = node != NULL
                            ? g_strdup_printf ("MAJOR=%s\nMINOR=%s\nDEVNAME=%s\n", parts[1], parts[2], parts[0])
                            : g_strdup_printf ("INTERFACE=%s\nIFINDEX=2\n", name);

  made_link (tree, link, target);
  made_file (tree, file, text);
}

/* Has these files open; NULL-ended. */
static inline void G_GNUC_NULL_TERMINATED
made_process (const MadeTree *tree, int pid, const char *name, ...)
{
  g_autofree char *comm = g_strdup_printf ("proc/%d/comm", pid);
  g_autofree char *line = g_strconcat (name, "\n", NULL);
  va_list files;
  int number = 0;

  made_file (tree, comm, line);
  va_start (files, name);
  for (const char *file = va_arg (files, const char *); file != NULL; file = va_arg (files, const char *)) {
    g_autofree char *link = g_strdup_printf ("proc/%d/fd/%d", pid, number++);
    made_link (tree, link, file);
  }
  va_end (files);
}
