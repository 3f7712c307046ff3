/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one book of who has what of the host: hugepages, changed files, slices, CPUs and
 * devices of guests that are admitted, until they are released; and CPUs and devices of
 * all that libvirt says run. In memory; what was taken for a guest is in the journal,
 * too (lib/journal), written before the host is touched. A daemon that was killed
 * anywhere in between finds in it what to undo.
 *
 * Everything may be called from any thread and waits to its deadline at most (of the
 * monotonic clock, µs); nothing here asks libvirt. All undoing is idempotent. A guest is
 * named by its UUID; names are for messages. Texts are read, not kept.
 */
#pragma once

#include "base/root.h"
#include "devices/device-check.h"
#include "domain/hugepages.h"
#include "host/page-pools.h"
#include "journal/holding.h"
#include "plan/fleet.h"
#include "profile/tag-limits.h"

G_BEGIN_DECLS

typedef struct VpBook VpBook;

/*
 * Loads the journal in the run folder, a path below `root` that is there, and settles what was being changed
 * when the last daemon ended. `root` stays the caller's. A damaged file is set aside, with a warning;
 * with one that cannot be read now there is no book (VP_ERROR_HOST).
 */
VpBook *vp_book_new (const VpRoot *root, const char *run_folder, GError **error);
void vp_book_free (VpBook *book); /* gives nothing back: the guests go on running */

/*
 * The pages that a start needs (of VpPageNeed): promised from what is free and nobody else's, the shortfall
 * allocated if it may be. All of it, or the guest is released (its CPUs and devices, too) and the error has the
 * numbers (VP_ERROR_UNFIT). Another start that is under way is waited for up to two seconds longer (VP_ERROR_BUSY).
 */
gboolean vp_book_take_pages (VpBook *book, const char *uuid, const char *name, const GArray *needs, gboolean allocate,
                             gint64 deadline, GError **error);
/* What allocating pages leaves of the memory that is available, from now on; until then nothing. */
void vp_book_set_keep (VpBook *book, VpMemoryKeep keep);
/* QEMU has its pages now: they are no longer promised but in use. Call it when `started` is asked. */
void vp_book_started (VpBook *book, const char *uuid);
/*
 * Everything back: at release, and after a start that we refused. A list of libvirt's that still has the guest is
 * too old, then. FALSE: some of it has to be tried again, with vp_book_retry; a warning said why. One who holds
 * nothing has nothing to release.
 */
gboolean vp_book_release (VpBook *book, const char *uuid, gint64 deadline);
/* For a timer: tries once more, without waiting for a start that is under way; TRUE: there is still something left. */
gboolean vp_book_retry (VpBook *book);

/*
 * Against what libvirt says. Call begin before libvirt is asked for the UUIDs of the guests that run, and
 * reconcile with the answer (NULL-ended): whoever held something at begin, does not run, and was not heard
 * of in between is released. A journal that was just loaded needs no begin.
 */
void vp_book_begin_reconcile (VpBook *book);
void vp_book_reconcile (VpBook *book, const char *const *running);

/*
 * CPUs and devices, from prepare to release. The gate claims them for a start, unless its CPUs are others' and `share`
 * is FALSE (*claimed, then nothing is noted). Gives the guests of that moment that have CPUs, as neighbours (the
 * caller's): nothing is planned, only taken. Devices are claimed without a look at others': see dup_devices.
 */
VpNeighbours *vp_book_claim (VpBook *book, const VpRunning *claim, gboolean share, gboolean *claimed);
/* The claim on disk, before anything is done to the host; one of nothing needs no disk. */
gboolean vp_book_note_claim (VpBook *book, const char *uuid, GError **error);
/*
 * Who runs, as libvirt has them at `now` (monotonic, µs; read, not kept): of these it is known better than by their
 * claims. Claims of others end when they are two minutes old.
 */
void vp_book_set_running (VpBook *book, const VpFleet *fleet, gint64 now);
/* The guests that have CPUs, but one (NULL: all), as neighbours; the caller's. */
VpNeighbours *vp_book_new_neighbours (VpBook *book, const char *uuid);
/*
 * Of VpDeviceHeld, the caller's: devices of all guests but one (NULL: all), and where that one has a claim, without
 * those of later claims: of two who want the same device the first gets it.
 */
GArray *vp_book_dup_devices (VpBook *book, const char *uuid);

/*
 * Who was heard of at all has an entry, also one that holds nothing: the hook was called for that run of the guest;
 * or it was not, and why. FALSE: one of both was noted for that run already.
 */
void vp_book_note_called (VpBook *book, const char *uuid, const char *name, int run);
gboolean vp_book_note_silent (VpBook *book, const char *uuid, const char *name, int run, const char *why);

/*
 * How a kind of thing is read and written: files are known, another kind by whoever sets this before it is used.
 * read: FALSE, it cannot be read now; *value NULL, it is there no more. Both must have deadlines of their own: a
 * start may wait for them. Called from any thread, one at a time.
 */
typedef struct {
  gboolean (*read) (const char *key, char **value, gpointer data, GError **error);
  gboolean (*write) (const char *key, const char *value, gpointer data, GError **error);
  gpointer data;
} VpBookAccess;

void vp_book_set_access (VpBook *book, VpHoldingKind kind, const VpBookAccess *access); /* copied, without `data` */
/*
 * Changes something (a governor, an interrupt's CPUs, a slice) until release, when it gets back what was in it, if
 * it still holds what we wrote; where another guest changed it after us, that one inherits what was there before.
 * FALSE: it is as it was, or (VP_ERROR_BUSY) another start was under way until the deadline.
 */
gboolean vp_book_change (VpBook *book, const char *uuid, const char *name, VpHoldingKind kind, const char *key,
                         const char *value, gint64 deadline, GError **error);

/*
 * A step by which the host lets a card go (VP_HOLDING_HANDOVER), in the journal before it is taken; one that is there
 * stays as it is. No release undoes it: whoever took it gives it back, and drops it then; the guest that has ended is
 * there until the last one is dropped. FALSE: the journal cannot be written, or VP_ERROR_BUSY.
 */
gboolean vp_book_note_step (VpBook *book, const char *uuid, const char *name, const char *key, const char *before,
                            gint64 deadline, GError **error);
/* FALSE: it is still there, try it again. */
gboolean vp_book_drop_step (VpBook *book, const char *uuid, const char *key, gint64 deadline);

/* All are the caller's. A copy of what was taken for a guest; NULL: nothing, though it may run. */
VpHolding *vp_book_dup (VpBook *book, const char *uuid);
GStrv vp_book_list (VpBook *book); /* the UUIDs of all that something was taken for, sorted */
/* CPUs that guests were admitted with, of all but one (NULL: all), as a list; "" where there are none. */
char *vp_book_dup_cpus (VpBook *book, const char *but_uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpBook, vp_book_free)

G_END_DECLS
