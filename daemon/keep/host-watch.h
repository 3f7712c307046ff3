/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tells when the host changed: a CPU on or off line, a PCI device come or gone
 * (the kernel's uevents), a file edited that says what is planned (profiles, rules,
 * limits) or an emulator upgraded. Main thread only.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpHostWatch VpHostWatch;
typedef void (*VpHostWatchFunc) (gpointer data);

/* Changes within half a second are told once. */
VpHostWatch *vp_host_watch_new (VpHostWatchFunc changed, gpointer data);
/* Folders to watch for files, ended by NULL; one that cannot be watched is warned of. */
void vp_host_watch_add_folders (VpHostWatch *watch, const char *const *folders);
/* Somebody else knows that the host changed. */
void vp_host_watch_note (VpHostWatch *watch);
/* Another file to watch: an emulator behind a wrapper. Twice is once. */
void vp_host_watch_add_file (VpHostWatch *watch, const char *path);
void vp_host_watch_free (VpHostWatch *watch);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHostWatch, vp_host_watch_free)

G_END_DECLS
