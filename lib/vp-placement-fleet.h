/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All guests of a host together. Pure, as vp-placement.h is; the order in which
 * guests are given makes no difference.
 */
#pragma once

#include "vp-placement.h"

G_BEGIN_DECLS

typedef struct {
  const char *name;           /* no two guests have the same: a UUID */
  gboolean running;           /* holds the CPUs of its request's `current` */
  VpPlacementRequest request; /* `taken`: by others than these guests; `planned` is found here */
} VpPlacementGuest;

/*
 * One VpPlacement for each guest, in the order given; NULL where that guest is
 * refused, with its error in `errors`, which has n_guests places that are NULL.
 *
 * Guests that run come first and hold what they hold. The others are placed
 * beside each other as far as the host goes, so that those can run together;
 * pins that are good stay, unless only a fresh start lets more of them do so.
 */
GPtrArray *vp_placement_new_fleet (const VpTopology *topology, const VpPlacementGuest *guests, guint n_guests,
                                   GError **errors);

G_END_DECLS
