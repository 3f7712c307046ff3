/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one way to read /sys, /proc and the like: paths below a directory
 * descriptor, which is the real root or a recorded tree. A link that leads out
 * of the tree is not followed.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpRoot VpRoot;

VpRoot *vp_root_open (const char *path, GError **error);
/* `path` is a recorded /sys: what is read below "sys/" comes from it, nothing else is there. */
VpRoot *vp_root_open_sysfs (const char *path, GError **error);
void vp_root_free (VpRoot *root);

/* Without the white space at its ends; NULL where the file is not there or not readable. */
char *vp_root_dup_text (const VpRoot *root, const char *path);
gboolean vp_root_read_number (const VpRoot *root, const char *path, int base, guint64 *number);
/* Where a link leads, its last part only ("vfio-pci"); NULL: no such link. */
char *vp_root_dup_link_name (const VpRoot *root, const char *path);
/* Names in a folder, sorted; empty where it is not there. */
GStrv vp_root_list (const VpRoot *root, const char *path);
gboolean vp_root_is_executable (const VpRoot *root, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpRoot, vp_root_free)

G_END_DECLS
