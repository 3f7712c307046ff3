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
#include "journal/holding.h"
#include "domain/hugepages.h"

G_BEGIN_DECLS

typedef struct VpBook VpBook;

/*
 * Loads the journal in the run folder, a path below `root` that is there, and settles what was being changed
 * when the last daemon ended. `root` stays the caller's. A damaged file is set aside, with a warning.
 */
VpBook *vp_book_new (const VpRoot *root, const char *run_folder, GError **error);
void vp_book_free (VpBook *book); /* gives nothing back: the guests go on running */

/*
 * The pages that a start needs: promised from what is free and nobody else's, the shortfall allocated.
 * Deadlines are of the monotonic clock. All of it, or the guest is released (its devices, too) and the error
 * has the numbers. Another start that is under way is waited for up to two seconds longer.
 */
gboolean vp_book_take_pages (VpBook *book, const char *uuid, const char *name, const GArray *needs,
                              gboolean allocate, gint64 deadline, GError **error);
/* QEMU has its pages now: they are no longer promised but in use. Call it when `started` is asked. */
void vp_book_started (VpBook *book, const char *uuid);
/*
 * Everything back: at release, and after a start that we refused. FALSE: some of it has to be tried again,
 * with vp_book_retry; a warning said why. One who holds nothing has nothing to release.
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
 * PCI devices, by their addresses as text (0000:01:00.0): all of them or none. FALSE with *holder NULL:
 * the error says why; else *holder is the name of the guest that has `*address`. Both are the caller's.
 */
gboolean vp_book_claim_devices (VpBook *book, const char *uuid, const char *name, const char *const *addresses,
                                 char **holder, char **address, GError **error);
/* The CPUs that are the guest's alone, as a list ("2-5,8"); NULL: none. */
gboolean vp_book_set_cpus (VpBook *book, const char *uuid, const char *name, const char *cpus, GError **error);

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

void vp_book_set_access (VpBook *book, VpHoldingKind kind, const VpBookAccess *access);
/*
 * Changes something (a governor, an interrupt's CPUs, a slice) until release, when it gets back what was in it, if
 * it still holds what we wrote; where another guest changed it after us, that one inherits what was there before.
 */
gboolean vp_book_change (VpBook *book, const char *uuid, const char *name, VpHoldingKind kind, const char *key,
                          const char *value, gint64 deadline, GError **error);

/* A copy of all that a guest holds; NULL: nothing. */
VpHolding *vp_book_dup (VpBook *book, const char *uuid);
GStrv vp_book_list (VpBook *book); /* the UUIDs of all that hold something, sorted */
/* CPUs that guests hold, all of them together but for one (NULL: for none), as a list; "" where there are none. */
char *vp_book_dup_cpus (VpBook *book, const char *but_uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpBook, vp_book_free)

G_END_DECLS
