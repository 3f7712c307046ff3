/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which hugepages a definition needs to start, and whether the host has a mount for
 * their size. Pure: nothing is allocated here, and libvirt is not asked.
 */
#pragma once

#include <hwloc.h>

#include "base/root.h"
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
 */
GArray *vp_hugepages_needs (const VpDomain *domain, guint64 default_kib, guint64 base_kib, GError **error);
void vp_page_need_clear (VpPageNeed *need);
/* memfd takes its pages without a mount. */
gboolean vp_hugepages_need_mount (const VpDomain *domain);

/* The kernel's default size (proc/meminfo); 0: it has no hugepages. */
guint64 vp_hugepages_default_kib (const VpRoot *root);
/*
 * Where a hugetlbfs of that page size is mounted; NULL: nowhere. libvirt knows those alone that
 * were when it started: `known` says whether it has been there.
 */
char *vp_hugepages_dup_mount (const VpRoot *root, guint64 page_kib, gboolean *known);

G_END_DECLS
