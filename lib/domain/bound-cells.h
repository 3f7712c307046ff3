/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest NUMA cells of a definition, where it says which of the host's nodes their memory comes from. */
#pragma once

#include "domain/domain.h"

G_BEGIN_DECLS

typedef struct {
  hwloc_bitmap_t vcpus; /* empty: it has only memory */
  hwloc_bitmap_t nodes; /* OS indexes of the host's; NULL: from anywhere */
  gboolean strict;      /* its memory comes from there or the guest does not start */
} VpBoundCell;

/*
 * Of VpBoundCell, in the order of the cells, the caller's: by numatune/memnode, else numatune/memory; a vCPU that
 * is in no cell is in the first, as libvirt has it. Empty: there are no cells, none is bound, or more than QEMU takes.
 */
GArray *vp_domain_bound_cells (const VpDomain *domain);

G_END_DECLS
