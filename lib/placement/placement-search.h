/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The search down the ladder. Private to the placement files.
 */
#pragma once

#include "placement/placement-view.h"

G_BEGIN_DECLS

/*
 * A fresh assignment: n_vcpus OS indexes, the best that the rules find, in
 * `vcpus`. FALSE where there is none.
 */
gboolean vp_placement_search (const VpPlacementView *view, int *vcpus);

/* The same without CPUs of other guests. */
gboolean vp_placement_search_own (const VpPlacementView *view, int *vcpus);

G_END_DECLS
