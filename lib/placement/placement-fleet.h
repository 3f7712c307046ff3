/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All guests of a host together. Pure, as placement.h is; the order in which
 * guests are given makes no difference.
 */
#pragma once

#include "placement/placement-memo.h"

G_BEGIN_DECLS

typedef struct {
  const char *name;           /* no two guests have the same: a UUID */
  gboolean running;           /* holds the CPUs of its request's `current` */
  VpPlacementRequest request; /* `taken`, `planned`: by others than these guests */
} VpPlacementGuest;

/*
 * One VpPlacementSeat for each guest, in the order given. The same request with a seat's sets, and
 * with the answer's own CPUs as `current`, gives the same answer: so one guest can be placed again
 * without the others at hand.
 *
 * Guests that run come first and hold what they hold. The others are placed
 * beside each other as far as the host goes, so that those can run together;
 * pins that are good stay, unless only a fresh start lets more of them do so. The array has
 * references; the guests are only read. `memo`: what was asked in earlier calls; NULL: there was none.
 */
GPtrArray *vp_placement_new_fleet (const VpTopology *topology, const VpPlacementGuest *guests, guint n_guests,
                                   VpPlacementMemo *memo);

G_END_DECLS
