/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words of an answer. Private to the placement files.
 */
#pragma once

#include "placement/placement-view.h"

G_BEGIN_DECLS

/* Fills reasons, summary and warnings of an answer that is complete otherwise; vcpus NULL: unpinned. */
void vp_placement_report_fill (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer);

/* Why the guest cannot be pinned: what it needs, what is there. The caller's. */
char *vp_placement_report_dup_shortage (const VpPlacementView *view);

G_END_DECLS
