/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What follows from an assignment: where the emulator, the iothreads and the
 * memory go, and what the guest is shown. Private to the placement files.
 */
#pragma once

#include "placement/placement-view.h"

G_BEGIN_DECLS

/* Fills level, emulator, iothreads, nodes, cells and the topology of an answer whose vcpus are set. */
void vp_host_side_fill (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer);

/* The caller's: the usable CPUs that no guest holds, without those on the answer's cores. */
hwloc_bitmap_t vp_host_side_dup_cpus (const VpPlacementView *view, const VpPlacement *answer);

/* How many of the answer's vCPUs are on each of the topology's cores; freed by the caller. */
guint *vp_host_side_count_on_cores (const VpPlacementView *view, const VpPlacement *answer);

G_END_DECLS
