/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The libvirt hook as it lies in libvirt's folder: what is wrong with it. libvirt passes
 * over a hook that it cannot run, or does not know, without a word.
 */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

typedef enum {
  VP_HOOK_FINE,
  VP_HOOK_UNSEEN, /* we may not look */
  VP_HOOK_ABSENT,
  VP_HOOK_NOT_EXECUTABLE,
  VP_HOOK_NOEXEC,
  VP_HOOK_OLD_LIBVIRT,
} VpHookFault;

/* `version`: libvirt's, 0: not known. */
VpHookFault vp_hook_find_fault (const VpRoot *root, unsigned long version);
/* What is seen, and what to do, NULL for one that is fine; both static. */
const char *vp_hook_fault_seen (VpHookFault fault);
const char *vp_hook_fault_advice (VpHookFault fault);

/*
 * libvirt looks once whether there is any qemu hook, when it starts or is reloaded: when the
 * oldest of them came, in seconds since the epoch; G_MAXINT64: there is none that it could run.
 */
gint64 vp_hook_first_time (const VpRoot *root);
/* Whether a libvirt that started then must know the hook, even if it was never reloaded. */
gboolean vp_hook_is_older (gint64 first, guint64 libvirt_started);

/* Of a guest that was started past it, on this machine: what is wrong, and the one thing to do. The caller's. */
char *vp_hook_dup_likely_cause (const VpRoot *root, unsigned long version);

G_END_DECLS
