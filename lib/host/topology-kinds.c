/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hwloc's kinds, merged and ranked.
 *
 *   - Cores of different types (IntelCore, IntelAtom) are different kinds,
 *     however close their clocks are (Lakefield: 3.0 and 2.8 GHz).
 *   - Otherwise kinds whose clock and capacity are within a tenth of the best
 *     of them are one kind: favoured cores, the two CCDs of a 7950X3D, the ten
 *     big cores of a GB10, all of a Grace.
 *   - Where hwloc knows of no kinds (a hybrid part without cpufreq), the caches
 *     tell: efficiency cores share their L2 in modules and have one thread.
 */
#include "host/topology-kinds.h"

#include <hwloc/cpukinds.h>
#include <string.h>

#include "base/list.h"
#include "base/number.h"

/* In percent of the better one. hwloc's own adjustment of frequencies uses the same tenth. */
#define SAME_KIND_PERCENT 90

typedef struct {
  guint index;       /* hwloc's */
  int efficiency;    /* hwloc's rank, -1 when it has none */
  guint64 frequency; /* MHz, 0: not known */
  guint64 capacity;  /* 0: not known */
  const char *type;  /* NULL: not known */
  guint rank;
} Kind;

static Kind
read_kind (hwloc_topology_t hwloc, guint index, hwloc_bitmap_t cpus)
{
  struct hwloc_info_s *infos = NULL;
  unsigned n_infos = 0;
  Kind kind = { .index = index, .efficiency = -1 };

  if (hwloc_cpukinds_get_info (hwloc, index, cpus, &kind.efficiency, &n_infos, &infos, 0) != 0)
    return kind;
  for (unsigned i = 0; i < n_infos; i++) {
    if (strcmp (infos[i].name, "FrequencyMaxMHz") == 0)
      kind.frequency = g_ascii_strtoull (infos[i].value, NULL, 10);
    else if (strcmp (infos[i].name, "LinuxCapacity") == 0)
      kind.capacity = g_ascii_strtoull (infos[i].value, NULL, 10);
    else if (strcmp (infos[i].name, "CoreType") == 0)
      kind.type = infos[i].value;
  }
  return kind;
}

/* Best first. hwloc's order stands where it has one; its index is that order. */
static int
compare_kinds (const void *left, const void *right)
{
  const Kind *a = left;
  const Kind *b = right;
  int order = vp_number_compare ((guint64) (gint64) b->efficiency + 1, (guint64) (gint64) a->efficiency + 1);

  if (order == 0)
    order = vp_number_compare (b->capacity, a->capacity);
  if (order == 0)
    order = vp_number_compare (b->frequency, a->frequency);
  return order != 0 ? order : vp_number_compare (b->index, a->index);
}

static gboolean
is_close (guint64 best, guint64 other)
{
  guint64 high = MAX (best, other);
  guint64 low = MIN (best, other);

  /* Capacities and MHz are small; a number that is not is no reason to overflow. */
  return low >= high / 100 * SAME_KIND_PERCENT + high % 100 * SAME_KIND_PERCENT / 100;
}

static gboolean
is_same_kind (const Kind *best, const Kind *other)
{
  gboolean compared = FALSE;

  if (best->type != NULL && other->type != NULL && strcmp (best->type, other->type) != 0)
    return FALSE;
  if (best->frequency != 0 && other->frequency != 0) {
    if (!is_close (best->frequency, other->frequency))
      return FALSE;
    compared = TRUE;
  }
  if (best->capacity != 0 && other->capacity != 0) {
    if (!is_close (best->capacity, other->capacity))
      return FALSE;
    compared = TRUE;
  }
  /* Nothing to compare by: only hwloc's own rank can tell them apart. */
  return compared || best->efficiency == other->efficiency;
}

/* Ranks from the best down, then turned round so that 0 is the least. */
static guint
rank_kinds (Kind *kinds, guint n)
{
  guint best = 0;
  guint rank = 0;

  qsort (kinds, n, sizeof *kinds, compare_kinds);
  for (guint i = 0; i < n; i++) {
    if (!is_same_kind (&kinds[best], &kinds[i])) {
      best = i;
      rank++;
    }
    kinds[i].rank = rank;
  }
  for (guint i = 0; i < n; i++)
    kinds[i].rank = rank - kinds[i].rank;
  return rank + 1;
}

static guint
count_cores (hwloc_topology_t hwloc, hwloc_obj_t above)
{
  return (guint) MAX (0, hwloc_get_nbobjs_inside_cpuset_by_type (hwloc, above->cpuset, HWLOC_OBJ_CORE));
}

/* No kinds from the system: modules of single-thread cores around one L2 beside cores with SMT and their own. */
static guint
rank_by_cache (hwloc_topology_t hwloc, guint *ranks, guint n_pus)
{
  gboolean modules = FALSE;
  gboolean smt = FALSE;

  for (guint i = 0; i < n_pus; i++) {
    hwloc_obj_t pu = hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_PU, i);
    hwloc_obj_t core = hwloc_get_ancestor_obj_by_type (hwloc, HWLOC_OBJ_CORE, pu);
    hwloc_obj_t l2 = hwloc_get_ancestor_obj_by_type (hwloc, HWLOC_OBJ_L2CACHE, pu);

    if (core == NULL || l2 == NULL)
      return 1;
    gboolean alone = count_cores (hwloc, l2) == 1;
    if (!alone && hwloc_bitmap_weight (core->cpuset) > 1)
      return 1;
    ranks[i] = alone ? 1 : 0;
    modules |= !alone;
    smt |= alone && hwloc_bitmap_weight (core->cpuset) > 1;
  }
  return modules && smt ? 2 : 1;
}

/* Kinds without a PU here (disallowed ones that were left out) would leave gaps. */
static guint
close_gaps (guint *ranks, guint n_pus, guint n_ranks)
{
  g_autofree guint *new_rank = g_new0 (guint, n_ranks);
  guint next = 0;

  for (guint i = 0; i < n_pus; i++)
    new_rank[ranks[i]] = 1;
  for (guint i = 0; i < n_ranks; i++)
    new_rank[i] = new_rank[i] != 0 ? next++ : 0;
  for (guint i = 0; i < n_pus; i++)
    ranks[i] = new_rank[ranks[i]];
  return next;
}

guint *
vp_topology_rank_kinds (hwloc_topology_t hwloc, gboolean amd, guint *n_kinds)
{
  guint n_pus = (guint) hwloc_get_nbobjs_by_type (hwloc, HWLOC_OBJ_PU);
  guint n = (guint) MAX (0, hwloc_cpukinds_get_nr (hwloc, 0));
  g_autofree guint *ranks = g_new0 (guint, n_pus);
  g_autofree Kind *kinds = g_new0 (Kind, n);
  g_autoptr (VpBitmap) cpus = hwloc_bitmap_alloc ();
  guint n_ranks = 1;

  if (n > 1) {
    for (guint i = 0; i < n; i++)
      kinds[i] = read_kind (hwloc, i, cpus);
    n_ranks = rank_kinds (kinds, n);
    for (guint i = 0; i < n; i++) {
      read_kind (hwloc, kinds[i].index, cpus);
      for (guint j = 0; j < n_pus; j++) {
        if (hwloc_bitmap_isset (cpus, hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_PU, j)->os_index))
          ranks[j] = kinds[i].rank;
      }
    }
  } else if (!amd) {
    n_ranks = rank_by_cache (hwloc, ranks, n_pus);
    if (n_ranks == 1)
      memset (ranks, 0, n_pus * sizeof *ranks);
  }
  *n_kinds = close_gaps (ranks, n_pus, n_ranks);
  return g_steal_pointer (&ranks);
}
