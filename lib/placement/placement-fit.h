/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which L3s: the fewest bins that hold a demand, whole ones first, then the
 * least that is left over. Knows nothing of CPUs.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint room;        /* units that are free in it; never 0 */
  gboolean pristine; /* nobody else has a part of it */
} VpBin;

/* Lower is better, the first field that differs decides. */
typedef struct {
  guint n_bins;
  guint shared;    /* chosen bins that the demand does not have to itself, or does not fill */
  gboolean breaks; /* a pristine bin is used in part */
  guint left;      /* units that stay free in the chosen bins */
} VpBinFit;

/*
 * Chooses among bins, the later ones where that makes no difference. `chosen`
 * has a flag for each. All chosen bins are used up but `partial`, where
 * fit->left units stay free. The bins together must hold the demand.
 */
void vp_bins_choose (const VpBin *bins, guint n_bins, guint demand, gboolean *chosen, guint *partial, VpBinFit *fit);

/* Below 0: a is the better one; 0: neither. */
int vp_bin_fit_compare (const VpBinFit *a, const VpBinFit *b);

G_END_DECLS
