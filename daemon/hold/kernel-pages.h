/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's hugepage pools: what is in them, and asking for another size.
 * Whose pages they are is not known here.
 *
 * Reading nr_hugepages gives all pages, the surplus among them; writing it sets how
 * many there are beside the surplus: the persistent ones. Fewer than are in use
 * makes the rest surplus, which vanishes as it is freed. Reservations (mapped, not
 * touched yet) are counted for the host as a whole; they are among the free pages.
 */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

typedef struct {
  int node; /* -1: the host as a whole, where it has no nodes */
  guint64 page_kib;
  guint64 persistent;
  guint64 surplus;
  guint64 free;
  guint64 reserved; /* of the whole host */
} VpKernelPages;

/* Of one pool, as it is now; FALSE: there is none, or its files cannot be read (VP_ERROR_HOST). */
gboolean vp_kernel_pages_read (const VpRoot *root, int node, guint64 page_kib, VpKernelPages *pages, GError **error);
/*
 * How many persistent pages there shall be. The kernel may give fewer and say nothing: read again. FALSE: the write
 * failed (VP_ERROR_IO); `number` (NULL: not wanted) gets its errno, or 0.
 */
gboolean vp_kernel_pages_write (const VpRoot *root, int node, guint64 page_kib, guint64 persistent, int *number,
                                GError **error);
/* Makes free memory contiguous, where the kernel can; takes as long as the node has memory. */
void vp_kernel_pages_compact (const VpRoot *root, int node);
/*
 * Of int, ascending, the caller's: the nodes with a pool of that size, -1 alone on a host without nodes; empty: no
 * such size.
 */
GArray *vp_kernel_pages_nodes (const VpRoot *root, guint64 page_kib);
char *vp_kernel_pages_dup_sizes (const VpRoot *root); /* "2M, 1G" or "none", for messages; the caller's */

G_END_DECLS
