/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The generated emulator wrappers: one short text file for each real QEMU, run
 * through its `#!` line by hooks/emulator.c, which documents the format. Made
 * and refreshed by the daemon; everybody else only asks for names.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The same emulator always has the same wrapper, because libvirt probes each new path for seconds. The caller's. */
char *vp_wrapper_dup_path (const char *folder, const char *emulator);

/* What an existing wrapper runs, the caller's; NULL: the text is not a wrapper's. */
char *vp_wrapper_dup_emulator (const char *text);

/*
 * Makes the wrapper of an emulator, or makes it anew when that QEMU changed
 * (its identity is in the file, so libvirt sees a new ctime and probes again).
 * Replaces the file atomically. `changed` says whether it was written.
 */
gboolean vp_wrapper_refresh (const char *folder, const char *emulator, gboolean *changed, GError **error);

/* By their paths alone, whether they are there or not: a wrapper of any emulator, the wrapper of this one. */
gboolean vp_wrapper_has_name (const char *path);
gboolean vp_wrapper_is_of (const char *path, const char *emulator);

G_END_DECLS
