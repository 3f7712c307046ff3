/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which cores are of one kind. hwloc splits kinds by frequency, capacity and
 * core type; for a guest only differences that it would feel count.
 */
#pragma once

#include <glib.h>
#include <hwloc.h>

G_BEGIN_DECLS

/*
 * The rank of each PU's kind, by the PU's logical index: 0 is the least
 * performance, and no rank is skipped. The caller's. Sets the number of ranks, at least 1.
 * `amd`: the vendor is AMD's, whose parts mark no kind by their caches.
 */
guint *vp_topology_rank_kinds (hwloc_topology_t hwloc, gboolean amd, guint *n_kinds);

G_END_DECLS
