/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is mounted, as libmount reads mountinfo and swaps (proc(5)): the text comes from below the root, and
 * libmount opens nothing by itself, neither this machine's files nor the tables that mount(8) keeps.
 */
#pragma once

#include <libmount.h>

#include "base/root.h"

G_BEGIN_DECLS

/* libmount's types by names that g_autoptr takes. */
typedef struct libmnt_table VpMounts;
typedef struct libmnt_iter VpMountIter;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpMounts, mnt_unref_table)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpMountIter, mnt_free_iter)

/* Those that a process has ("self", "1"), in the kernel's order; empty where that is not known. The caller's. */
VpMounts *vp_mounts_read (const VpRoot *root, const char *process);
/* Swap areas; of each there is the source alone. The caller's. */
VpMounts *vp_swaps_read (const VpRoot *root);
/* How the file system is mounted that a path is on: "rw", "noexec", …; the caller's. NULL: not known. */
GStrv vp_mount_dup_options (const VpRoot *root, const char *path);

G_END_DECLS
