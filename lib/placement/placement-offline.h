/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUs for vCPUs that are offline. Private to the placement files.
 */
#pragma once

#include "placement/placement-view.h"

G_BEGIN_DECLS

/* Behind the vcpus of an answer that has those that run: those that may be plugged, and the ids of all. */
void vp_placement_offline_fill (const VpPlacementView *view, VpPlacement *answer);

G_END_DECLS
