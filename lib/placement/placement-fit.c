/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fewest bins, k, are known from the largest ones. Because k - 1 bins never
 * hold the demand, what is left over is smaller than any of the chosen: it can
 * stay in any one of them, and all others are used up.
 *
 * Among the choices of k bins the best sum is found by dynamic programming
 * over (how many bins, which sum), once for pristine bins and once for the
 * others; its tables are small because a demand is a number of cores. Above
 * MAX_STEPS (more than some 500 CPUs with unequal L3s) the largest k - 1 and
 * the best fit for the rest do; with equal L3s that is the same.
 */
#include "placement/placement-fit.h"

#include "base/number.h"

#include <string.h>

#define MAX_STEPS (1u << 19)

/*
 * Which sums so many bins make: a row for each number of bins, a column for each sum below
 * `width`. A cell holds 1 + the bin that was put in last to get there first; 0: not reached.
 * Of bins 0 (room 4), 1 (room 2) and 2 (room 2), n_bins = 3:
 *
 *        sum   0  1  2  3  4  5  6  7
 *     0 bins   4  .  .  .  .  .  .  .     nothing is in it: any number but 0
 *     1 bin    .  .  3  .  1  .  .  .     2 = bin 2,  4 = bin 0
 *     2 bins   .  .  .  .  2  .  1  .     4 = bin 1 and what made 2 with 1 bin, 6 = bin 0 and the same
 *
 * To know a choice, go from its cell to the row above, less the bin's room, until row 0.
 */
typedef struct {
  guint width;
  guint *first; /* the rows, one behind the other */
} Sums;

static guint *
sums_row (const Sums *sums, guint n_bins)
{
  return sums->first + (gsize) n_bins * sums->width;
}

int
vp_bin_fit_compare (const VpBinFit *a, const VpBinFit *b)
{
  int order = vp_number_compare (a->n_bins, b->n_bins);

  if (order == 0)
    order = vp_number_compare (a->shared, b->shared);
  if (order == 0)
    order = vp_number_compare (a->breaks != FALSE, b->breaks != FALSE);
  return order != 0 ? order : vp_number_compare (a->left, b->left);
}

static VpBinFit
rate (guint n_bins, guint n_used, guint left)
{
  return (VpBinFit){
    .n_bins = n_bins, .shared = MAX (n_used, left > 0), .breaks = n_used == 0 && left > 0, .left = left
  };
}

static int
compare_descending (const void *left, const void *right)
{
  return vp_number_compare (*(const guint *) right, *(const guint *) left);
}

static guint
count_needed (const VpBin *bins, guint n_bins, guint demand)
{
  g_autofree guint *rooms = g_new (guint, n_bins);
  guint sum = 0;
  guint k = 0;

  for (guint i = 0; i < n_bins; i++)
    rooms[i] = bins[i].room;
  qsort (rooms, n_bins, sizeof *rooms, compare_descending);
  while (k < n_bins && sum < demand)
    sum += rooms[k++];
  return k;
}

/* The one bin, among those not chosen yet, that holds the demand best. */
static guint
find_best_one (const VpBin *bins, guint n_bins, guint demand, const gboolean *chosen)
{
  guint best = n_bins;
  VpBinFit best_fit = { 0 };

  for (guint i = n_bins; i-- > 0;) {
    if (chosen[i] || bins[i].room < demand)
      continue;
    VpBinFit fit = rate (1, bins[i].pristine ? 0 : 1, bins[i].room - demand);
    if (best == n_bins || vp_bin_fit_compare (&fit, &best_fit) < 0) {
      best = i;
      best_fit = fit;
    }
  }
  return best;
}

static int
compare_bins (gconstpointer left, gconstpointer right, gpointer data)
{
  const VpBin *bins = data;
  guint a = *(const guint *) left;
  guint b = *(const guint *) right;
  int order = vp_number_compare (bins[b].room, bins[a].room);

  if (order == 0)
    order = vp_number_compare (bins[b].pristine != FALSE, bins[a].pristine != FALSE);
  return order != 0 ? order : vp_number_compare (b, a);
}

static void
choose_largest (const VpBin *bins, guint n_bins, guint demand, guint k, gboolean *chosen)
{
  g_autofree guint *order = g_new (guint, n_bins);

  for (guint i = 0; i < n_bins; i++)
    order[i] = i;
  g_qsort_with_data (order, (int) n_bins, sizeof *order, compare_bins, (gpointer) bins);
  for (guint i = 0; i + 1 < k; i++) {
    chosen[order[i]] = TRUE;
    demand -= bins[order[i]].room;
  }
  chosen[find_best_one (bins, n_bins, demand, chosen)] = TRUE;
}

/* All sums of up to k bins of one sort. Later bins come first, so that they are preferred. */
static Sums
make_sums (const VpBin *bins, guint n_bins, gboolean pristine, guint k, guint width)
{
  Sums sums = { .width = width, .first = g_new0 (guint, (gsize) (k + 1) * width) };
  guint reached = 0;

  sums.first[0] = n_bins + 1;
  for (guint i = n_bins; i-- > 0;) {
    if ((bins[i].pristine != FALSE) != pristine || bins[i].room >= width)
      continue;
    for (guint taken = MIN (reached, k - 1) + 1; taken-- > 0;) {
      const guint *from = sums_row (&sums, taken);
      guint *to = sums_row (&sums, taken + 1) + bins[i].room;

      for (guint sum = 0; sum < width - bins[i].room; sum++) {
        if (from[sum] != 0 && to[sum] == 0)
          to[sum] = i + 1;
      }
    }
    reached++;
  }
  return sums;
}

static void
follow_sums (const Sums *sums, const VpBin *bins, guint taken, guint sum, gboolean *chosen)
{
  while (taken > 0) {
    guint bin = sums_row (sums, taken)[sum] - 1;

    chosen[bin] = TRUE;
    sum -= bins[bin].room;
    taken--;
  }
}

static void
choose_best_sum (const VpBin *bins, guint n_bins, guint demand, guint k, guint width, gboolean *chosen)
{
  Sums whole = make_sums (bins, n_bins, TRUE, k, width);
  Sums used = make_sums (bins, n_bins, FALSE, k, width);
  g_autofree guint *next = g_new (guint, width + 1);
  VpBinFit best = { .n_bins = G_MAXUINT };
  guint best_used = 0;
  guint best_sums[2] = { 0, 0 };

  for (guint n_used = 0; n_used <= k; n_used++) {
    const guint *of_whole = sums_row (&whole, k - n_used);
    const guint *of_used = sums_row (&used, n_used);

    /* next[s]: the smallest sum of used bins that is s or more. */
    next[width] = width;
    for (guint sum = width; sum-- > 0;)
      next[sum] = of_used[sum] != 0 ? sum : next[sum + 1];
    for (guint sum = 0; sum < width; sum++) {
      guint rest = next[sum < demand ? demand - sum : 0];

      if (of_whole[sum] == 0 || rest == width)
        continue;
      VpBinFit fit = rate (k, n_used, sum + rest - demand);
      if (vp_bin_fit_compare (&fit, &best) < 0) {
        best = fit;
        best_used = n_used;
        best_sums[0] = sum;
        best_sums[1] = rest;
      }
    }
  }
  follow_sums (&whole, bins, k - best_used, best_sums[0], chosen);
  follow_sums (&used, bins, best_used, best_sums[1], chosen);
  g_free (whole.first);
  g_free (used.first);
}

void
vp_bins_choose (const VpBin *bins, guint n_bins, guint demand, gboolean *chosen, guint *partial, VpBinFit *fit)
{
  guint k = count_needed (bins, n_bins, demand);
  guint largest = 0;
  guint sum = 0;
  guint n_used = 0;

  memset (chosen, 0, n_bins * sizeof *chosen);
  for (guint i = 0; i < n_bins; i++)
    largest = MAX (largest, bins[i].room);
  if (k <= 1)
    chosen[find_best_one (bins, n_bins, demand, chosen)] = TRUE;
  else if ((guint64) n_bins * k * (demand + largest) <= MAX_STEPS)
    choose_best_sum (bins, n_bins, demand, k, demand + largest, chosen);
  else
    choose_largest (bins, n_bins, demand, k, chosen);

  *partial = n_bins;
  for (guint i = 0; i < n_bins; i++) {
    if (!chosen[i])
      continue;
    sum += bins[i].room;
    n_used += bins[i].pristine ? 0 : 1;
    /* What stays free stays in a bin that is shared anyway. */
    if (*partial == n_bins || (bins[*partial].pristine && !bins[i].pristine))
      *partial = i;
  }
  *fit = rate (k, n_used, sum - demand);
}
