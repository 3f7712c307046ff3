/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each guest holds of the host, from prepare to release: hugepages, changed
 * files, slices, CPUs and devices; in memory, and as a journal with one file a
 * guest (holds/UUID in the run folder), which is written before the host is
 * touched. A daemon that was killed anywhere in between finds in it what to undo.
 *
 * Everything may be called from any thread and waits to its deadline at most;
 * nothing here asks libvirt. All undoing is idempotent.
 */
#pragma once

#include "base/root.h"
#include "daemon/hold/hold.h"
#include "domain/hugepages.h"

G_BEGIN_DECLS

typedef struct VpHolds VpHolds;

/*
 * Loads the journal below `root` (its folder is made, its parent must be there) and settles what was being
 * changed when the last daemon ended. `root` stays the caller's. A damaged file is set aside, with a warning.
 */
VpHolds *vp_holds_new (const VpRoot *root, const char *folder, GError **error);
void vp_holds_free (VpHolds *holds); /* gives nothing back: the guests go on running */

/*
 * The pages that a start needs: promised from what is free and nobody else's, the shortfall allocated.
 * Deadlines are of the monotonic clock. All of it, or the guest is released (its devices, too) and the error
 * has the numbers. Another start that is under way is waited for up to two seconds longer.
 */
gboolean vp_holds_take_pages (VpHolds *holds, const char *uuid, const char *name, const GArray *needs,
                              gboolean allocate, gint64 deadline, GError **error);
/* QEMU has its pages now: they are no longer promised but in use. Call it when `started` is asked. */
void vp_holds_started (VpHolds *holds, const char *uuid);
/*
 * Everything back: at release, and after a start that we refused. FALSE: some of it has to be tried again,
 * with vp_holds_retry; a warning said why. One who holds nothing has nothing to release.
 */
gboolean vp_holds_release (VpHolds *holds, const char *uuid, gint64 deadline);
/* For a timer: tries once more, without waiting for a start that is under way; TRUE: there is still something left. */
gboolean vp_holds_retry (VpHolds *holds);

/*
 * Against what libvirt says. Call begin before libvirt is asked for the UUIDs of the guests that run, and
 * reconcile with the answer (NULL-ended): whoever held something at begin, does not run, and was not heard
 * of in between is released. A journal that was just loaded needs no begin.
 */
void vp_holds_begin_reconcile (VpHolds *holds);
void vp_holds_reconcile (VpHolds *holds, const char *const *running);

/*
 * PCI devices, by their addresses as text (0000:01:00.0): all of them or none. FALSE with *holder NULL:
 * the error says why; else *holder is the name of the guest that has `*address`. Both are the caller's.
 */
gboolean vp_holds_claim_devices (VpHolds *holds, const char *uuid, const char *name, const char *const *addresses,
                                 char **holder, char **address, GError **error);
/* The CPUs that are the guest's alone, as a list ("2-5,8"); NULL: none. */
gboolean vp_holds_set_cpus (VpHolds *holds, const char *uuid, const char *name, const char *cpus, GError **error);

/*
 * Who was heard of at all has an entry, also one that holds nothing: the hook was called for that run of the guest;
 * or it was not, and why. FALSE: one of both was noted for that run already.
 */
void vp_holds_note_called (VpHolds *holds, const char *uuid, const char *name, int run);
gboolean vp_holds_note_silent (VpHolds *holds, const char *uuid, const char *name, int run, const char *why);

/*
 * How a kind of thing is read and written: files are known, another kind by whoever sets this before it is used.
 * read: FALSE, it cannot be read now; *value NULL, it is there no more. Both must have deadlines of their own: a
 * start may wait for them. Called from any thread, one at a time.
 */
typedef struct {
  gboolean (*read) (const char *key, char **value, gpointer data, GError **error);
  gboolean (*write) (const char *key, const char *value, gpointer data, GError **error);
  gpointer data;
} VpHoldAccess;

void vp_holds_set_access (VpHolds *holds, VpHoldKind kind, const VpHoldAccess *access);
/*
 * Changes something (a governor, an interrupt's CPUs, a slice) until release, when it gets back what was in it, if
 * it still holds what we wrote; where another guest changed it after us, that one inherits what was there before.
 */
gboolean vp_holds_change (VpHolds *holds, const char *uuid, const char *name, VpHoldKind kind, const char *key,
                          const char *value, gint64 deadline, GError **error);

/* A copy of all that a guest holds; NULL: nothing. */
VpHold *vp_holds_dup (VpHolds *holds, const char *uuid);
GStrv vp_holds_list (VpHolds *holds); /* the UUIDs of all that hold something, sorted */
/* CPUs that guests hold, all of them together but for one (NULL: for none), as a list; "" where there are none. */
char *vp_holds_dup_cpus (VpHolds *holds, const char *but_uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHolds, vp_holds_free)

G_END_DECLS
