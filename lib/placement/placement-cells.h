/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest whose NUMA cells are bound to nodes of the host. Private to the placement files.
 */
#pragma once

#include "placement/placement-view.h"

G_BEGIN_DECLS

/*
 * A fresh assignment of a view that has homes, as vp_placement_search makes one: the vCPUs of each
 * home on its nodes, or anywhere else where these have no room. FALSE where not all find a place so.
 */
gboolean vp_placement_cells_search (const VpPlacementView *view, int *vcpus);

G_END_DECLS
