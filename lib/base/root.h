/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one way to read and change /sys, /proc and our own journal: paths below a
 * directory descriptor, which is the real root or a recorded tree. A link that
 * leads out of the tree is not followed.
 */
#pragma once

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

typedef struct VpRoot VpRoot;

/* The caller's. NULL: the folder cannot be opened. */
VpRoot *vp_root_open (const char *path, GError **error);
/* `path` is a recorded /sys: what is read below "sys/" comes from it, nothing else is there. */
VpRoot *vp_root_open_sysfs (const char *path, GError **error);
void vp_root_free (VpRoot *root);

/* Without the white space at its ends; NULL where the file is not there or not readable. */
char *vp_root_dup_text (const VpRoot *root, const char *path);
gboolean vp_root_read_number (const VpRoot *root, const char *path, int base, guint64 *number);
/* As the file is, up to `most` bytes, with a 0 byte after them. */
char *vp_root_dup_bytes (const VpRoot *root, const char *path, gsize most, gsize *length);
/*
 * For who concludes something from a file that is not there: TRUE with *text NULL (*bytes) is that it is gone, or what
 * it stood for is (ENOENT, ENODEV, ENXIO). All else (no descriptor left, an offline CPU's EBUSY) is an error, of
 * VP_ERROR_HOST, that passes: try it again. What is read is the caller's, as above.
 */
gboolean vp_root_read_text (const VpRoot *root, const char *path, char **text, GError **error);
gboolean vp_root_read_bytes (const VpRoot *root, const char *path, gsize most, char **bytes, gsize *length,
                             GError **error);
/* Where a link leads, its last part only ("vfio-pci"); NULL: no such link. */
char *vp_root_dup_link_name (const VpRoot *root, const char *path);
/* Calls for each link in a folder, in no order, until `func` says FALSE. `open`: what a link of /proc's stands for. */
typedef gboolean (*VpRootLinkFunc) (const char *name, const char *target, const struct stat *open, gpointer data);
void vp_root_each_link (const VpRoot *root, const char *path, VpRootLinkFunc func, gpointer data);
/* Names in a folder, sorted; empty where it is not there. */
GStrv vp_root_list (const VpRoot *root, const char *path);
/* That, and NULL with VP_ERROR_HOST where it is there and cannot be read. */
GStrv vp_root_read_folder (const VpRoot *root, const char *path, GError **error);
gboolean vp_root_is_executable (const VpRoot *root, const char *path);
gboolean vp_root_stat (const VpRoot *root, const char *path, struct stat *info); /* FALSE: errno says why */
/*
 * A file of our own. VP_ERROR_IO: there is none, or it is not to be trusted, as somebody else may have written it or it
 * has more than `most` bytes. VP_ERROR_HOST: it cannot be read now.
 */
char *vp_root_load_own (const VpRoot *root, const char *path, gsize most, GError **error);

/*
 * Writes to an attribute that is there already, in one call; errors are of VP_ERROR_IO, and
 * `number` (NULL: not wanted) gets the errno, 0 for success: the kernel's reason decides what to try next.
 */
gboolean vp_root_write_text (const VpRoot *root, const char *path, const char *text, int *number, GError **error);

#define VP_ROOT_TEMPORARY ".new" /* what vp_root_store puts behind the name; one is left where we died in it */

/* Files of our own. All is on the disk, or nothing changed: temporary file, fsync, rename, fsync of the folder. */
gboolean vp_root_store (const VpRoot *root, const char *path, const char *text, GError **error);
/* A folder and the files in it; one that is not there is no error. */
gboolean vp_root_clear_folder (const VpRoot *root, const char *path, GError **error);
/* That, for all to read (0644), and the folders that lead there (0755); one that is there already may be a link. */
gboolean vp_root_store_public (const VpRoot *root, const char *path, const char *text, GError **error);
gboolean vp_root_make_public_folders (const VpRoot *root, const char *path, GError **error);
void vp_root_remove_folder (const VpRoot *root, const char *path);              /* if it is there and empty */
gboolean vp_root_remove (const VpRoot *root, const char *path, GError **error); /* one that is not there is no error */
/* These survive this process alone and not a power cut: for what is done in a hurry, or need not be. */
gboolean vp_root_store_unsynced (const VpRoot *root, const char *path, const char *text, GError **error);
gboolean vp_root_remove_unsynced (const VpRoot *root, const char *path, GError **error);
/* To the same folder, never over another file. */
gboolean vp_root_rename (const VpRoot *root, const char *path, const char *name, GError **error);
/* Mode 0700; its parent is there. */
gboolean vp_root_make_folder (const VpRoot *root, const char *path, GError **error);

/*
 * For tests: a kernel of their own below the descriptor. `step` is called before and after each
 * change of a file, and need not return; `write` is called in place of the write of an attribute,
 * and returns 0 or an errno; `fault` is asked before each "open", "mkdir", "rename" and "remove", and when a file of
 * our own was written and is to be synced ("store"), and returns 0 or the errno that it fails with. All may be NULL.
 */
typedef struct {
  void (*step) (const char *what, const char *path, gpointer data);
  int (*write) (const char *path, const char *text, gpointer data);
  int (*fault) (const char *what, const char *path, gpointer data);
  gpointer data;
} VpRootShim;

/* Copied; its data is borrowed for as long as the root lives. */
void vp_root_set_shim (VpRoot *root, const VpRootShim *shim);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpRoot, vp_root_free)

G_END_DECLS
