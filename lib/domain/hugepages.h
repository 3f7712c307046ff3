/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which hugepages a definition needs to start. Pure: what the host has of them is in
 * host/page-pools.h.
 */
#pragma once

#include <hwloc.h>

#include "domain/domain.h"
#include "host/page-words.h"

G_BEGIN_DECLS

typedef struct {
  guint64 page_kib;
  guint64 pages;
  hwloc_bitmap_t nodes; /* NUMA nodes of the host that the pages are for; NULL: any */
  gboolean strict;      /* from `nodes` and nowhere else (a numatune of strict or restrictive) */
} VpPageNeed;

/*
 * Of VpPageNeed, those for one node first; empty where the guest has no hugepages. `default_kib` is the
 * size of a <hugepages/> without one, `base_kib` the size of an ordinary page: a <page> of that size is none.
 * The caller's; NULL and an error: a size or a set of nodes is none.
 */
GArray *vp_hugepages_needs (const VpDomain *domain, guint64 default_kib, guint64 base_kib, GError **error);
/* Pages of that size, of the whole guest, if all but what has a size of its own were made of them; FALSE: as above. */
gboolean vp_hugepages_count (const VpDomain *domain, guint64 page_kib, guint64 *pages);
/* Of one that is not in such an array, which clears its own. */
void vp_page_need_clear (VpPageNeed *need);
/* Whether all memory modules that have no page size of their own can be made of such pages. */
gboolean vp_hugepages_fit_modules (const VpDomain *domain, guint64 page_kib);
/* memfd takes its pages without a mount. */
gboolean vp_hugepages_need_mount (const VpDomain *domain);

G_END_DECLS
