/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The initramfs has the list of sequestered cards in it, and must be made anew when that changes. */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

/* "run 'update-initramfs -u -k all' and boot", by what this machine has. The caller's. */
char *vp_initramfs_dup_advice (const VpRoot *root);
/* That of the running kernel is older than the list; FALSE: it is not, or cannot be looked at. */
gboolean vp_initramfs_is_stale (const VpRoot *root);
/* `make`: makes all images anew, by another program; else says how, where the list `changed` or an image is stale. */
gboolean vp_initramfs_finish (const VpRoot *root, gboolean make, gboolean changed, GError **error);

G_END_DECLS
