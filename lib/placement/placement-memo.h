/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers of placement.h that are kept, by all that was asked. Whoever settles a fleet asks for most of its guests
 * what was asked before: in the round before, or before the last change. One topology, one thread.
 */
#pragma once

#include "placement/placement.h"

G_BEGIN_DECLS

/* Where a guest sits among the others; shared, never changed. */
typedef struct {
  VpPlacement *answer; /* NULL: refused; of a seat that is not whole what vp_placement_choose says */
  GError *error;
  hwloc_bitmap_t taken; /* as in the request, never NULL */
  hwloc_bitmap_t planned;
} VpPlacementSeat;

VpPlacementSeat *vp_placement_seat_ref (VpPlacementSeat *seat); /* a reference more; the same */
void vp_placement_seat_unref (VpPlacementSeat *seat);           /* may be NULL */
/* The same CPUs for the same threads and the same memory, whatever is said of it. Either may be NULL. */
gboolean vp_placement_seat_equal (const VpPlacementSeat *a, const VpPlacementSeat *b);

typedef struct VpPlacementMemo VpPlacementMemo;

VpPlacementMemo *vp_placement_memo_new (void);       /* empty */
void vp_placement_memo_free (VpPlacementMemo *memo); /* may be NULL */
/* A reference. `taken` and `planned` of the request are finite sets, and there. `whole`: not the CPUs alone. */
VpPlacementSeat *vp_placement_memo_place (VpPlacementMemo *memo, const VpTopology *topology,
                                          const VpPlacementRequest *request, gboolean whole);
/* What was not asked for since the last call of this is forgotten. */
void vp_placement_memo_age (VpPlacementMemo *memo);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPlacementMemo, vp_placement_memo_free)

G_END_DECLS
