/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools in the order of the rules, the first that holds the guest wins:
 *
 *   rung      clean; on the host's reserve; shared
 *     whole     threads >= 2, unless efficiency is asked for: guest cores on host
 *               cores that hold them, else filled
 *       planned   beside the guests that do not run, on their CPUs
 *         cache     large (where asked), any
 *           isolated  only these, any
 *             kind      one after the other, then several together
 *               home      without the host's favourite cores, with some, where
 *                         that holds the guest at all or saves a node
 *                 shape     threads >= 2: paired, else filled
 *                           threads == 1: spread or filled, whichever is on
 *                           fewer nodes, then nearer to the devices
 *
 * Every pool costs its cores once, so that all is linear in cores times the
 * handful of pools (reserve: times the logarithm of it).
 */
#include "placement/placement-search.h"

#include <string.h>

#include "base/number.h"
#include "placement/placement-pool.h"

/* The usable CPUs of a core that nobody else holds come first. */
static guint
list_cpus (const VpPlacementView *view, guint position, int *cpus)
{
  const VpTopology *topology = view->topology;
  const VpCore *core = &topology->cores[position];
  hwloc_const_bitmap_t taken = view->request->taken;
  guint n = 0;

  for (int held = 0; held <= 1; held++) {
    for (guint i = core->first_pu; i < core->first_pu + core->n_pus; i++) {
      const VpPu *pu = &topology->pus[i];
      int is_held = taken != NULL && hwloc_bitmap_isset (taken, pu->os_index) ? 1 : 0;

      if (pu->usable && is_held == held)
        cpus[n++] = (int) pu->os_index;
    }
  }
  return n;
}

/* Guest cores whole on host cores as long as there are both. Returns the first vCPU that has no CPU yet. */
static guint
deal_whole (const VpPlacementView *view, const GArray *cores, guint n_vcpus, guint *used, int *cpus, int *vcpus)
{
  guint next = 0;

  for (guint i = 0; i < cores->len; i++) {
    guint width = list_cpus (view, g_array_index (cores, guint, i), cpus);

    while (next + view->threads <= n_vcpus && used[i] + view->threads <= width) {
      for (guint j = 0; j < view->threads; j++)
        vcpus[next++] = cpus[used[i]++];
    }
  }
  return next;
}

/* What the order of cores depends on where the guest is to see L3s. */
typedef struct {
  const VpTopology *topology;
  guint *on_l3;    /* cores picked behind each */
  gboolean *rests; /* for each node: it has an L3 with fewer than another */
} Order;

static int
compare_by_l3 (gconstpointer left, gconstpointer right, gpointer data)
{
  const Order *order = data;
  guint a = *(const guint *) left;
  guint b = *(const guint *) right;
  const VpCore *core_a = &order->topology->cores[a];
  const VpCore *core_b = &order->topology->cores[b];
  int result = vp_number_compare (order->rests[core_a->node] != FALSE, order->rests[core_b->node] != FALSE);

  if (result == 0)
    result = vp_number_compare (core_a->node, core_b->node);
  if (result == 0)
    result = vp_number_compare (order->on_l3[core_b->l3], order->on_l3[core_a->l3]);
  return result != 0 ? result : vp_number_compare (a, b);
}

/* Whole L3s first, what is less than one last; the vCPUs of a node stand together. */
static void
sort_by_l3 (const VpTopology *topology, GArray *cores)
{
  g_autofree guint *on_l3 = g_new0 (guint, topology->n_l3s);
  g_autofree gboolean *rests = g_new0 (gboolean, topology->n_nodes);
  Order order = { .topology = topology, .on_l3 = on_l3, .rests = rests };
  guint most = 0;

  for (guint i = 0; i < cores->len; i++) {
    guint n = ++on_l3[topology->cores[g_array_index (cores, guint, i)].l3];

    most = MAX (most, n);
  }
  for (guint i = 0; i < cores->len; i++) {
    const VpCore *core = &topology->cores[g_array_index (cores, guint, i)];

    rests[core->node] |= on_l3[core->l3] < most;
  }
  g_array_sort_with_data (cores, compare_by_l3, &order);
}

/* vCPUs of one run, in the order of cores, which may be changed. */
static void
deal (const VpPlacementView *view, GArray *cores, VpCoreShape shape, guint n_vcpus, int *vcpus)
{
  if (view->request->match)
    sort_by_l3 (view->topology, cores);
  g_autofree guint *used = g_new0 (guint, cores->len);
  g_autofree int *cpus = g_new0 (int, view->topology->n_pus);
  guint next = shape == VP_SHAPE_SPREAD ? 0 : deal_whole (view, cores, n_vcpus, used, cpus, vcpus);
  guint room = shape == VP_SHAPE_PAIRED ? view->threads : 1;

  for (guint i = 0; i < cores->len && next < n_vcpus; i++) {
    guint width = list_cpus (view, g_array_index (cores, guint, i), cpus);

    if (shape == VP_SHAPE_SPREAD)
      width = MIN (width, 1);
    if (width < used[i] + room)
      continue;
    while (used[i] < width && next < n_vcpus)
      vcpus[next++] = cpus[used[i]++];
  }
}

static int
compare_picks (const VpCorePick *a, const VpCorePick *b)
{
  int order = vp_number_compare (a->memoryless != FALSE, b->memoryless != FALSE);

  if (order == 0)
    order = vp_number_compare (a->n_nodes, b->n_nodes);
  if (order == 0)
    order = vp_number_compare (a->memory_short != FALSE, b->memory_short != FALSE);
  return order != 0 ? order : vp_number_compare (a->device_rank, b->device_rank);
}

static gboolean
try_threads (VpCorePool *pool, guint n_vcpus, VpCorePick *pick, int *vcpus)
{
  gboolean odd = n_vcpus % pool->view->threads != 0;

  /* The last guest core, where it is not complete, is whole on a smaller core too. */
  for (guint i = 0; i < (pool->whole && !odd ? 1 : 2); i++) {
    pool->shape = i == 0 ? VP_SHAPE_PAIRED : VP_SHAPE_FILLED;
    if (!vp_core_pool_pick (pool, n_vcpus, pick))
      continue;
    deal (pool->view, pick->cores, pool->shape, n_vcpus, vcpus);
    if (!pool->whole || !vp_placement_view_has_split_core (pool->view, vcpus, n_vcpus))
      return TRUE;
  }
  return FALSE;
}

static gboolean
try_no_threads (VpCorePool *pool, guint n_vcpus, VpCorePick *pick, int *vcpus)
{
  g_autoptr (GArray) cores = g_array_new (FALSE, FALSE, sizeof (guint));
  VpCorePick spread = { .cores = cores };

  pool->shape = VP_SHAPE_FILLED;
  if (!vp_core_pool_pick (pool, n_vcpus, pick))
    return FALSE;
  pool->shape = VP_SHAPE_SPREAD;
  if (!pool->dense && vp_core_pool_pick (pool, n_vcpus, &spread) && compare_picks (&spread, pick) <= 0) {
    deal (pool->view, cores, VP_SHAPE_SPREAD, n_vcpus, vcpus);
    spread.cores = pick->cores;
    *pick = spread;
    g_array_set_size (pick->cores, 0);
    g_array_append_vals (pick->cores, cores->data, cores->len);
  } else {
    deal (pool->view, pick->cores, VP_SHAPE_FILLED, n_vcpus, vcpus);
  }
  pool->shape = VP_SHAPE_FILLED;
  return TRUE;
}

/* `pick` says which cores they are. */
static gboolean
try_shapes (VpCorePool *pool, guint n_vcpus, VpCorePick *pick, int *vcpus)
{
  return pool->view->threads > 1 ? try_threads (pool, n_vcpus, pick, vcpus)
                                 : try_no_threads (pool, n_vcpus, pick, vcpus);
}

/* All of them are in it, which saves something; as many stay out as can at no cost. */
static void
spare_home (VpCorePool *pool, VpCorePick *pick, int *vcpus)
{
  guint n_nodes = pick->n_nodes;
  gboolean memoryless = pick->memoryless;
  guint low = 0;
  guint high = pool->leave;

  if (pool->leave == 1)
    return;
  /* `low` can stay out, `high` cannot. */
  while (high - low > 1) {
    pool->home = low + (high - low) / 2;
    if (try_shapes (pool, pool->view->request->n_vcpus, pick, vcpus) && pick->memoryless == memoryless &&
        pick->n_nodes == n_nodes)
      low = pool->home;
    else
      high = pool->home;
  }
  pool->home = low;
  try_shapes (pool, pool->view->request->n_vcpus, pick, vcpus);
}

static gboolean
try_home (VpCorePool *pool, int *vcpus)
{
  g_autoptr (GArray) cores = g_array_new (FALSE, FALSE, sizeof (guint));
  VpCorePick pick = { .cores = cores };
  guint n_vcpus = pool->view->request->n_vcpus;

  pool->home = pool->leave;
  gboolean fits = try_shapes (pool, n_vcpus, &pick, vcpus);
  if (pool->leave == 0 || (fits && !pick.memoryless && pick.n_nodes == 1))
    return fits;
  pool->home = 0;
  if (fits && !pick.memoryless && pick.n_short > pool->leave * pool->view->width)
    return TRUE;
  if (fits) {
    guint n_nodes = vp_core_pool_count_nodes (pool, n_vcpus);
    if (pick.memoryless ? n_nodes == G_MAXUINT : n_nodes >= pick.n_nodes)
      return TRUE;
  }
  g_autofree int *others = g_new (int, n_vcpus);
  if (!try_shapes (pool, n_vcpus, &pick, others))
    return fits;
  spare_home (pool, &pick, others);
  memcpy (vcpus, others, n_vcpus * sizeof *vcpus);
  return TRUE;
}

/* The kind that stands at this place of the request's order. */
static guint
kind_at (const VpPlacementView *view, guint rank)
{
  return view->request->kind == VP_KIND_EFFICIENCY ? rank : view->topology->n_kinds - 1 - rank;
}

/* What a kind can give to a guest that has several: whole guest cores, so that none is of two kinds. */
static guint
count_share (VpCorePool *pool, guint need)
{
  guint threads = pool->view->threads;

  pool->shape = pool->whole && threads > 1 ? VP_SHAPE_PAIRED : VP_SHAPE_FILLED;
  guint room = vp_core_pool_count_room (pool);
  if (room >= need)
    return need;
  return room / threads * threads;
}

/* One kind is used up first, then the next; what the host keeps is of the last. */
static gboolean
try_kinds_in_turn (VpCorePool *pool, gboolean best_first, int *vcpus)
{
  const VpPlacementView *view = pool->view;
  g_autoptr (GArray) cores = g_array_new (FALSE, FALSE, sizeof (guint));
  VpCorePick pick = { .cores = cores };
  guint need = view->request->n_vcpus;

  pool->home = 0;
  pool->used = 0;
  for (guint i = 0; i < view->topology->n_kinds && need > 0; i++) {
    pool->kind = kind_at (view, best_first ? i : view->topology->n_kinds - 1 - i);
    guint part = count_share (pool, need);
    if (part > 0 && !try_shapes (pool, part, &pick, vcpus + (view->request->n_vcpus - need)))
      break;
    pool->used += part > 0 ? vp_core_pool_count_host (pool, cores) : 0;
    need -= part;
  }
  pool->used = 0;
  return need == 0;
}

static gboolean
try_kinds (VpCorePool *pool, int *vcpus)
{
  const VpPlacementView *view = pool->view;

  for (guint rank = 0; rank < view->topology->n_kinds; rank++) {
    pool->kind = kind_at (view, rank);
    if (try_home (pool, vcpus))
      return TRUE;
  }
  /* Where the best ones are the narrow ones, the others first leave more to the host. */
  return view->topology->n_kinds > 1 &&
         (try_kinds_in_turn (pool, TRUE, vcpus) || try_kinds_in_turn (pool, FALSE, vcpus));
}

static gboolean
try_pools (VpCorePool *pool, int *vcpus)
{
  const VpPlacementView *view = pool->view;

  /* Who is in the way of guests that are planned does not spread. */
  pool->dense = view->request->dense || (!pool->avoid_planned && view->has_planned);
  for (int large = view->has_large ? 1 : 0; large >= 0; large--) {
    for (int isolated = view->n_isolated > 0 ? 1 : 0; isolated >= 0; isolated--) {
      pool->large_only = large == 1;
      pool->isolated_only = isolated == 1;
      if (try_kinds (pool, vcpus))
        return TRUE;
    }
  }
  return FALSE;
}

/* With `leave` cores left to the host. */
static gboolean
try_rung (const VpPlacementView *view, guint leave, gboolean avoid_planned, int *vcpus)
{
  gboolean whole = view->threads > 1 && view->threads <= view->width && view->request->kind != VP_KIND_EFFICIENCY;

  for (guint split = whole ? 0 : 1; split <= 1; split++) {
    VpCorePool pool = { .view = view, .leave = leave, .whole = split == 0, .avoid_planned = avoid_planned };

    if (try_pools (&pool, vcpus))
      return TRUE;
    pool.avoid_planned = FALSE;
    if (avoid_planned && view->has_planned && try_pools (&pool, vcpus))
      return TRUE;
  }
  return FALSE;
}

/* As much of the reserve as can be stays with the host. What fits with less of the host's fits with more of it. */
static gboolean
try_reserve (const VpPlacementView *view, int *vcpus)
{
  guint low = 0;
  guint high = view->reserve;

  if (high == 0 || !try_rung (view, 0, FALSE, vcpus))
    return FALSE;
  /* It fits with `low` kept, not with `high`. */
  while (high - low > 1) {
    guint middle = low + (high - low) / 2;

    if (try_rung (view, middle, FALSE, vcpus))
      low = middle;
    else
      high = middle;
  }
  return try_rung (view, low, FALSE, vcpus);
}

/* The fewest CPUs of others, then those that only stopped guests want, then the rules that are left. */
static int
compare_shared (gconstpointer left, gconstpointer right, gpointer data)
{
  const VpPlacementView *view = data;
  guint a = *(const guint *) left;
  guint b = *(const guint *) right;
  const VpCore *core_a = &view->topology->cores[a];
  const VpCore *core_b = &view->topology->cores[b];
  int order = vp_number_compare (view->cores[a].taken, view->cores[b].taken);

  if (order == 0)
    order = vp_number_compare (view->cores[a].keep < view->reserve, view->cores[b].keep < view->reserve);
  if (order == 0)
    order = vp_number_compare (view->cores[a].planned, view->cores[b].planned);
  if (order == 0)
    order = vp_number_compare (vp_placement_view_rank_kind (view, core_a->kind),
                               vp_placement_view_rank_kind (view, core_b->kind));
  if (order == 0)
    order =
      vp_number_compare (!view->topology->nodes[core_a->node].usable, !view->topology->nodes[core_b->node].usable);
  if (order == 0)
    order = vp_number_compare (view->device_rank[core_a->node], view->device_rank[core_b->node]);
  return order != 0 ? order : vp_number_compare (b, a);
}

static gboolean
share_kind (const VpPlacementView *view, guint kind, VpCoreShape shape, guint n_vcpus, int *vcpus)
{
  g_autoptr (GArray) cores = g_array_new (FALSE, FALSE, sizeof (guint));
  guint demand = vp_core_pool_count_demand (view, shape, n_vcpus);
  guint n = 0;

  for (guint i = 0; i < view->topology->n_cores; i++) {
    if ((kind == VP_ANY_KIND || view->topology->cores[i].kind == kind) && vp_core_pool_count_units (view, shape, i) > 0)
      g_array_append_val (cores, i);
  }
  g_array_sort_with_data (cores, compare_shared, (gpointer) view);
  for (; n < cores->len && demand > 0; n++)
    demand -= MIN (demand, vp_core_pool_count_units (view, shape, g_array_index (cores, guint, n)));
  g_array_set_size (cores, n);
  g_array_sort (cores, vp_number_compare_guint);
  if (demand == 0)
    deal (view, cores, shape, n_vcpus, vcpus);
  return demand == 0;
}

static gboolean
try_shared (const VpPlacementView *view, int *vcpus)
{
  guint need = view->request->n_vcpus;

  if (view->threads > 1 && share_kind (view, VP_ANY_KIND, VP_SHAPE_PAIRED, need, vcpus))
    return TRUE;
  if (view->threads == 1)
    return share_kind (view, VP_ANY_KIND, VP_SHAPE_FILLED, need, vcpus);
  for (guint rank = 0; rank < view->topology->n_kinds && need > 0; rank++) {
    guint kind = kind_at (view, rank);
    guint part = 0;

    for (guint i = 0; i < view->topology->n_cores; i++)
      part += view->topology->cores[i].kind == kind ? view->cores[i].width : 0;
    part = part >= need ? need : part / view->threads * view->threads;
    if (part > 0)
      share_kind (view, kind, VP_SHAPE_FILLED, part, vcpus + (view->request->n_vcpus - need));
    need -= part;
  }
  return need == 0;
}

gboolean
vp_placement_search_own (const VpPlacementView *view, int *vcpus)
{
  return try_rung (view, view->reserve, TRUE, vcpus) || try_reserve (view, vcpus);
}

gboolean
vp_placement_search (const VpPlacementView *view, int *vcpus)
{
  if (view->request->n_vcpus > view->n_cpus)
    return FALSE;
  return vp_placement_search_own (view, vcpus) || try_shared (view, vcpus);
}
