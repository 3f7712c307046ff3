/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's memory as the kernel lists it: hugepage pools, where they are mounted, and meminfo.
 * Reads; who changes a pool is daemon/hold/kernel-pages.c. A node of -1 is the host as a whole.
 */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

typedef struct {
  int node; /* OS index of the NUMA node */
  guint64 page_kib;
  guint64 total; /* pages in the pool, surplus ones among them */
  guint64 free;  /* 0 also where the kernel does not say */
} VpPagePool;

/* Of VpPagePool, by node and page size: those of the nodes, or of the host where no node has one. The caller's. */
GArray *vp_page_pools_read (const VpRoot *root);
/* Of VpPagePool, by page size: those of the host, which are all nodes' together. The caller's. */
GArray *vp_page_pools_read_host (const VpRoot *root);
/* A file of one pool, "nr_hugepages", as a path below the root. The caller's. */
char *vp_page_pool_dup_path (int node, guint64 page_kib, const char *file);

/* A line of meminfo, "MemTotal", in KiB; 0: not known. */
guint64 vp_meminfo_read_kib (const VpRoot *root, int node, const char *key);
/* The kernel's default page size in KiB; 0: it has no hugepages. */
guint64 vp_hugepages_default_kib (const VpRoot *root);
/*
 * Where a hugetlbfs of that page size is mounted; NULL: nowhere. libvirt knows those alone that
 * were when it started: `known` says whether it has been there. The caller's.
 */
char *vp_hugepages_dup_mount (const VpRoot *root, guint64 page_kib, gboolean *known);

G_END_DECLS
