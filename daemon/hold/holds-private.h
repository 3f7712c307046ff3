/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of VpHolds share; nobody else includes it.
 *
 * Locks, in this order:
 *   work     one thread at a time changes the host or removes a guest from the table; whoever waits for it
 *            has a deadline. It is a flag below `mutex`, with `idle` to wait on.
 *   journal  one thread at a time writes the journal; a run folder is a tmpfs.
 *   mutex    the table and everything in it; held for memory only.
 * A VpHold is removed with the work lock alone, so its holder may keep the pointer. `records` and `uses`
 * are changed by it alone, too; it reads them without the mutex, and changes them under it.
 */
#pragma once

#include "daemon/hold/holds.h"
#include "daemon/hold/pages.h"

G_BEGIN_DECLS

struct VpHolds {
  const VpRoot *root;
  char *folder;
  GMutex journal;
  GMutex mutex;
  GCond idle;
  gboolean working;
  char *working_for; /* a guest's name */
  GHashTable *table; /* char *, the UUID -> VpHold * */
  VpHoldAccess access[VP_N_HOLD_KINDS]; /* not that of pages */
};

/* FALSE at the deadline, with an error that names whom it waited for. */
gboolean vp_holds_begin_work (VpHolds *holds, const char *name, gint64 deadline, GError **error);
void vp_holds_end_work (VpHolds *holds);

/* The guest's entry, made where there is none, ready for a start; call it with the mutex. */
VpHold *vp_holds_ensure (VpHolds *holds, const char *uuid, const char *name);
/* The guest's file as the table is now; removes it where the table has no such guest. */
gboolean vp_holds_save (VpHolds *holds, const char *uuid, GError **error);
void vp_holds_save_or_warn (VpHolds *holds, const char *uuid);

typedef struct {
  guint64 promised; /* to guests that are starting */
  guint64 held;     /* allocated for guests, whatever their state */
} VpPoolClaims;

/* Of one pool, all guests but one (NULL: all). */
VpPoolClaims vp_holds_sum_pool (VpHolds *holds, int node, guint64 page_kib, const VpHold *but);

/* With the work lock. A record that is pending is counted as what the kernel shows; FALSE: that cannot be read. */
gboolean vp_holds_settle (VpHolds *holds, const VpHold *hold, VpHoldRecord *record, GError **error);
/* Puts back what a guest changed of that kind, or leaves it to whoever came after it. TRUE: it is undone. */
gboolean vp_holds_undo_change (VpHolds *holds, const VpHold *hold, const VpHoldRecord *record, GError **error);
/* Undoes what can be undone now, and removes the guest when nothing is left: then it is freed, and TRUE. */
gboolean vp_holds_undo_all (VpHolds *holds, VpHold *hold);
/* That, for everyone who ended, but one (NULL: for all); TRUE: nothing is left of them. */
gboolean vp_holds_undo_releasing (VpHolds *holds, const VpHold *but);

/* With the work lock, before the error's reader gives back what was taken: the numbers, and what helps. */
typedef struct {
  const VpHold *hold;
  const VpPageNeed *need;
  guint64 left;       /* of the need */
  gboolean allocate;
  gboolean is_too_much; /* for the memory that there is */
  guint tries;
  int number;         /* errno of the last write that failed; 0: the kernel gave what it had */
} VpShortage;

void vp_holds_set_shortage (VpHolds *holds, const VpShortage *shortage, GError **error);
/* There is no pool of that size where the need wants one. */
void vp_holds_set_no_pool (VpHolds *holds, const VpPageNeed *need, GError **error);
gboolean vp_page_need_wishes (const VpPageNeed *need, int node);

G_END_DECLS
