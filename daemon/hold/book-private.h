/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of VpBook share; nobody else includes it.
 *
 * Locks, in this order:
 *   work     one thread at a time changes the host or removes a guest from the table; whoever waits for it
 *            has a deadline. It is a flag below `mutex`, with `idle` to wait on.
 *   saving   one thread at a time writes the journal; a run folder is a tmpfs.
 *   mutex    the table and everything in it; held for memory only.
 * A VpHolding is removed with the work lock alone, so its holder may keep the pointer. `records` and `uses`
 * are changed by it alone, too; it reads them without the mutex, and changes them under it.
 */
#pragma once

#include "daemon/hold/book.h"
#include "daemon/hold/kernel-pages.h"
#include "journal/journal.h"

G_BEGIN_DECLS

struct VpBook {
  const VpRoot *root;
  VpJournal *journal;
  GMutex saving;
  GMutex mutex;
  GCond idle;
  gboolean working;
  char *working_for; /* a guest's name */
  GHashTable *table; /* char *, the UUID -> VpHolding * */
  VpBookAccess access[VP_N_HOLDING_KINDS]; /* not that of pages */
};

/* FALSE at the deadline, with an error that names whom it waited for. */
gboolean vp_book_begin_work (VpBook *book, const char *name, gint64 deadline, GError **error);
void vp_book_end_work (VpBook *book);

/* The guest's entry, made where there is none, ready for a start; call it with the mutex. */
VpHolding *vp_book_ensure (VpBook *book, const char *uuid, const char *name);
/* The guest's file as the table is now; removes it where the table has no such guest. */
gboolean vp_book_save (VpBook *book, const char *uuid, GError **error);
void vp_book_save_or_warn (VpBook *book, const char *uuid);

typedef struct {
  guint64 promised; /* to guests that are starting */
  guint64 held;     /* allocated for guests, whatever their state */
} VpPoolClaims;

/* Of one pool, all guests but one (NULL: all). */
VpPoolClaims vp_book_sum_pool (VpBook *book, int node, guint64 page_kib, const VpHolding *but);

/* With the work lock. A record that is pending is counted as what the kernel shows; FALSE: that cannot be read. */
gboolean vp_book_settle (VpBook *book, const VpHolding *holding, VpHoldingRecord *record, GError **error);
/* Puts back what a guest changed of that kind, or leaves it to whoever came after it. TRUE: it is undone. */
gboolean vp_book_undo_change (VpBook *book, const VpHolding *holding, const VpHoldingRecord *record, GError **error);
/* Undoes what can be undone now, and removes the guest when nothing is left: then it is freed, and TRUE. */
gboolean vp_book_undo_all (VpBook *book, VpHolding *holding);
/* That, for everyone who ended, but one (NULL: for all); TRUE: nothing is left of them. */
gboolean vp_book_undo_releasing (VpBook *book, const VpHolding *but);

/* With the work lock, before the error's reader gives back what was taken: the numbers, and what helps. */
typedef struct {
  const VpHolding *holding;
  const VpPageNeed *need;
  guint64 left;       /* of the need */
  gboolean allocate;
  gboolean is_too_much; /* for the memory that there is */
  guint tries;
  int number;         /* errno of the last write that failed; 0: the kernel gave what it had */
} VpShortage;

void vp_book_set_shortage (VpBook *book, const VpShortage *shortage, GError **error);
/* There is no pool of that size where the need wants one. */
void vp_book_set_no_pool (VpBook *book, const VpPageNeed *need, GError **error);
gboolean vp_page_need_wishes (const VpPageNeed *need, int node);

G_END_DECLS
