/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which host CPUs a guest gets, and why. Pure: a topology and a request in, an
 * assignment out; no I/O, no clock, no randomness, the same answer every time.
 */
#pragma once

#include "placement/assignment.h"

G_BEGIN_DECLS

/* The caller's. NULL and VP_ERROR_UNFIT only where pin is VP_PIN_REQUIRED, or the guest has no vCPUs. */
VpPlacement *vp_placement_new (const VpTopology *topology, const VpPlacementRequest *request, GError **error);
/*
 * As far as a search among guests needs it: the CPUs (NULL: none, required or not) and of the level whether it is
 * VP_LEVEL_RESERVE or more. The caller's; NULL: the guest has no vCPUs.
 */
VpPlacement *vp_placement_choose (const VpTopology *topology, const VpPlacementRequest *request);
void vp_placement_free (VpPlacement *placement); /* may be NULL */
/* Where the vCPU of that place of its arrays may run, of a pinned answer; NULL: anywhere. The caller's. */
hwloc_bitmap_t vp_placement_new_set (const VpPlacement *placement, guint place);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPlacement, vp_placement_free)

G_END_DECLS
