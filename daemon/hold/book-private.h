/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of VpBook share; nobody else includes it. On the ground: book.c (the
 * table), pool-share.c and shortage.c; on it change.c, claim.c and give-back.c; on
 * those take-pages.c, reconcile.c and book-load.c.
 *
 * Locks, in this order:
 *   work     one thread at a time changes the host, or removes a guest that something was taken for; whoever
 *            waits for it has a deadline. It is a flag below `mutex`, with `idle` to wait on.
 *   saving   one thread at a time writes the journal; a run folder is a tmpfs.
 *   mutex    the table and everything in it; held for memory only.
 * A VpHolding that something was taken for is removed with the work lock alone, so whoever has that may keep the
 * pointer. Its `records` and `uses` are changed with it alone, too: who has it reads them without the mutex, and
 * changes them under it. One in state SEEN comes and goes with the mutex.
 */
#pragma once

#include "daemon/hold/book.h"
#include "daemon/hold/kernel-pages.h"
#include "journal/journal.h"

G_BEGIN_DECLS

#define VP_BOOK_CLAIMED_BEFORE 1 /* of VpHolding.claimed: by the last daemon; until libvirt's first list */

struct VpBook {
  const VpRoot *root;
  VpJournal *journal;
  GMutex saving;
  GMutex mutex;
  GCond idle;
  gboolean working;
  char *working_for;    /* a guest's name */
  GHashTable *table;    /* char *, the UUID -> VpHolding * */
  GHashTable *released; /* set of UUIDs: libvirt's lists say later than the hook that they run no more */
  VpMemoryKeep keep;
  gint64 last_claim;                       /* monotonic, µs; no two are the same */
  VpBookAccess access[VP_N_HOLDING_KINDS]; /* not that of pages */
};

/* FALSE at the deadline, with VP_ERROR_BUSY that names whom it waited for. */
gboolean vp_book_begin_work (VpBook *book, const char *name, gint64 deadline, GError **error);
void vp_book_end_work (VpBook *book);

/* With the mutex. What was taken for that guest; NULL: nothing, though libvirt may say that it runs. */
VpHolding *vp_book_find (const VpBook *book, const char *uuid);
/* With the mutex. The guest's entry by that name, made in state SEEN where there is none. */
VpHolding *vp_book_enter (VpBook *book, const char *uuid, const char *name);
/* With the mutex. That, ready for a start: something is taken for it. */
VpHolding *vp_book_ensure (VpBook *book, const char *uuid, const char *name);
/* With the mutex. It ended: nothing is promised to it any more, and others may have its devices and CPUs. */
void vp_book_end_guest (VpHolding *holding);
/* The guest's file as the table is now; removes it where nothing is taken for it. */
gboolean vp_book_save (VpBook *book, const char *uuid, GError **error);
void vp_book_save_or_warn (VpBook *book, const char *uuid);

typedef struct {
  guint64 promised; /* to guests that are starting */
  guint64 held;     /* allocated for guests, whatever their state */
} VpPoolClaims;

/* Pages of one pool, all guests' but one's (NULL: all). */
VpPoolClaims vp_book_sum_pool (VpBook *book, int node, guint64 page_kib, const VpHolding *but);
typedef struct {
  VpMemoryKeep keep;
  guint64 available; /* KiB */
  guint64 kept;      /* KiB of it that the administrator wants to stay */
} VpRoom;

/* For pages that are allocated now; 0 of both where the kernel does not say. */
VpRoom vp_book_read_room (VpBook *book);
/* With the work lock. A record that is pending is counted as what the kernel shows; FALSE: that cannot be read. */
gboolean vp_book_settle_pages (VpBook *book, const VpHolding *holding, VpHoldingRecord *record, GError **error);

/*
 * With the work lock. Puts back what a guest changed of that kind, or leaves it to whoever came after it. TRUE: it
 * is undone.
 */
gboolean vp_book_undo_change (VpBook *book, const VpHolding *holding, const VpHoldingRecord *record, GError **error);
/*
 * With the work lock. Undoes what can be undone now, and removes the guest when nothing is left: TRUE. It is freed
 * then, and also where FALSE means that its file alone is left.
 */
gboolean vp_book_undo_all (VpBook *book, VpHolding *holding);
/* With the work lock. That, for everyone who ended, but one (NULL: for all); TRUE: nothing is left of them. */
gboolean vp_book_undo_releasing (VpBook *book, const VpHolding *but);
/* vp_book_release for whom no list can be too late. */
gboolean vp_book_give_back (VpBook *book, const char *uuid, gint64 deadline);

typedef struct {
  const VpHolding *holding;
  const VpPageNeed *need;
  guint64 left; /* of the need */
  gboolean allocate;
  gboolean is_too_much; /* for the memory that there is */
  gboolean is_no_room;  /* without what has to stay available */
  VpRoom room;          /* then */
  guint tries;
  int number; /* errno of the last write that failed; 0: the kernel gave what it had */
} VpShortage;

/* With the work lock, before what was taken is given back. VP_ERROR_UNFIT: the numbers, and what helps. */
void vp_book_set_shortage (VpBook *book, const VpShortage *shortage, GError **error);
/* There is no pool of that size where the need wants one. */
void vp_book_set_no_pool (VpBook *book, const VpPageNeed *need, GError **error);
gboolean vp_page_need_wishes (const VpPageNeed *need, int node);

G_END_DECLS
