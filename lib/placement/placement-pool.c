/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes, then L3s in them, then cores in those.
 *
 *   one node holds the guest   the best of those that do: memory that fits, the
 *                              devices' node, the best fit of L3s
 *   else                       the fewest nodes; all are used up but one, where
 *                              the best fit of L3s decides
 *   else                       all nodes with memory, and cores that have none
 *
 * The cost is linear in cores for the pool, n log n in nodes, and that of
 * vp_bins_choose for each node.
 */
#include "placement/placement-pool.h"

#include "base/number.h"
#include "placement/placement-fit.h"

typedef struct {
  const VpCorePool *pool;
  guint *units; /* for each core of the topology; 0: not in the pool */
  guint demand;
  guint *room; /* for each node */
  guint total;
} Work;

guint
vp_core_pool_count_units (const VpPlacementView *view, VpCoreShape shape, guint core)
{
  guint width = view->cores[core].width;

  if (shape == VP_SHAPE_PAIRED)
    return width / view->threads;
  return shape == VP_SHAPE_SPREAD ? MIN (width, 1) : width;
}

guint
vp_core_pool_count_demand (const VpPlacementView *view, VpCoreShape shape, guint n_vcpus)
{
  return shape == VP_SHAPE_PAIRED ? n_vcpus / view->threads + (n_vcpus % view->threads != 0) : n_vcpus;
}

static gboolean
is_member (const VpCorePool *pool, guint position)
{
  const VpCoreView *core = &pool->view->cores[position];

  return core->width > 0 && core->taken == 0 && core->keep >= pool->home &&
         (!pool->avoid_planned || core->planned == 0) && (!pool->large_only || core->large) &&
         (!pool->isolated_only || core->isolated) &&
         (pool->view->within == NULL || pool->view->within[pool->view->topology->cores[position].node]) &&
         (pool->kind == VP_ANY_KIND || pool->view->topology->cores[position].kind == pool->kind);
}

guint
vp_core_pool_count_room (const VpCorePool *pool)
{
  guint room = 0;

  for (guint i = 0; i < pool->view->topology->n_cores; i++) {
    if (is_member (pool, i))
      room += vp_core_pool_count_units (pool->view, pool->shape, i);
  }
  return pool->shape == VP_SHAPE_PAIRED ? room * pool->view->threads : room;
}

static void
work_clear (Work *work)
{
  g_free (work->units);
  g_free (work->room);
}

/* Where all cores are alike a unit is a core: what is left of the last core is no room for anybody. */
static void
work_init (Work *work, const VpCorePool *pool, guint n_vcpus)
{
  const VpTopology *topology = pool->view->topology;
  guint low = G_MAXUINT;
  guint high = 0;

  *work = (Work){ .pool = pool,
                  .units = g_new0 (guint, topology->n_cores),
                  .room = g_new0 (guint, topology->n_nodes),
                  .demand = vp_core_pool_count_demand (pool->view, pool->shape, n_vcpus) };
  for (guint i = 0; i < topology->n_cores; i++) {
    guint units = is_member (pool, i) ? vp_core_pool_count_units (pool->view, pool->shape, i) : 0;

    work->units[i] = units;
    low = units > 0 ? MIN (low, units) : low;
    high = MAX (high, units);
  }
  gboolean alike = high > 1 && low == high;
  if (alike)
    work->demand = work->demand / high + (work->demand % high != 0);
  for (guint i = 0; i < topology->n_cores; i++) {
    if (alike && work->units[i] > 0)
      work->units[i] = 1;
    work->room[topology->cores[i].node] += work->units[i];
    work->total += work->units[i];
  }
}

/* Isolated ones first, those that nobody plans on, those that hold most, then the highest. */
static int
compare_cores (gconstpointer left, gconstpointer right, gpointer data)
{
  const Work *work = data;
  const VpPlacementView *view = work->pool->view;
  guint a = *(const guint *) left;
  guint b = *(const guint *) right;

  if (view->cores[a].isolated != view->cores[b].isolated)
    return view->cores[a].isolated ? -1 : 1;
  if (view->cores[a].planned != view->cores[b].planned)
    return vp_number_compare (view->cores[a].planned, view->cores[b].planned);
  if (work->units[a] != work->units[b])
    return vp_number_compare (work->units[b], work->units[a]);
  return vp_number_compare (b, a);
}

static void
add_cores (const Work *work, guint l3, guint demand, GArray *cores)
{
  const VpPlacementView *view = work->pool->view;
  const VpL3 *group = &view->topology->l3s[l3];
  g_autofree guint *members = g_new (guint, group->n_cores);
  guint n = 0;

  for (guint i = group->first_core; i < group->first_core + group->n_cores; i++) {
    if (work->units[i] > 0)
      members[n++] = i;
  }
  g_qsort_with_data (members, (int) n, sizeof *members, compare_cores, (gpointer) work);
  for (guint i = 0; i < n && demand > 0; i++) {
    g_array_append_val (cores, members[i]);
    demand -= MIN (demand, work->units[members[i]]);
  }
}

/* An L3's room, and whether all of its usable cores are in the pool and nobody's. */
static VpBin
make_bin (const Work *work, guint l3)
{
  const VpPlacementView *view = work->pool->view;
  const VpL3 *group = &view->topology->l3s[l3];
  VpBin bin = { .pristine = TRUE };

  for (guint i = group->first_core; i < group->first_core + group->n_cores; i++) {
    bin.room += work->units[i];
    if (view->cores[i].width > 0 && (work->units[i] == 0 || view->cores[i].planned > 0))
      bin.pristine = FALSE;
  }
  return bin;
}

/* `cores` NULL: only the fit is wanted. The node has the room. */
static VpBinFit
fit_node (const Work *work, guint node, guint demand, GArray *cores)
{
  const VpTopology *topology = work->pool->view->topology;
  guint first_l3 = topology->cores[topology->nodes[node].first_core].l3;
  guint last_l3 = topology->cores[topology->nodes[node].first_core + topology->nodes[node].n_cores - 1].l3;
  g_autofree VpBin *bins = g_new (VpBin, last_l3 - first_l3 + 1);
  g_autofree guint *l3_of = g_new (guint, last_l3 - first_l3 + 1);
  g_autofree gboolean *chosen = g_new (gboolean, last_l3 - first_l3 + 1);
  guint n = 0;
  guint partial = 0;
  VpBinFit fit = { 0 };

  for (guint l3 = first_l3; l3 <= last_l3; l3++) {
    bins[n] = make_bin (work, l3);
    l3_of[n] = l3;
    n += bins[n].room > 0 ? 1 : 0;
  }
  vp_bins_choose (bins, n, demand, chosen, &partial, &fit);
  for (guint i = 0; i < n && cores != NULL; i++) {
    if (chosen[i])
      add_cores (work, l3_of[i], bins[i].room - (i == partial ? fit.left : 0), cores);
  }
  return fit;
}

/* For one node that holds all. */
typedef struct {
  guint node;
  gboolean memory_short;
  guint device_rank;
  VpBinFit fit;
  gboolean breaks_node; /* a node that nobody uses is used in part */
} Option;

static int
compare_options (const Option *a, const Option *b)
{
  int order = vp_number_compare (a->memory_short != FALSE, b->memory_short != FALSE);
  VpBinFit of_a = a->fit;
  VpBinFit of_b = b->fit;

  if (order == 0)
    order = vp_number_compare (a->device_rank, b->device_rank);
  of_a.left = of_b.left = 0;
  if (order == 0)
    order = vp_bin_fit_compare (&of_a, &of_b);
  if (order == 0)
    order = vp_number_compare (a->breaks_node != FALSE, b->breaks_node != FALSE);
  if (order == 0)
    order = vp_number_compare (a->fit.left, b->fit.left);
  return order != 0 ? order : vp_number_compare (b->node, a->node);
}

static gboolean
is_whole_node (const Work *work, guint node)
{
  const VpPlacementView *view = work->pool->view;
  const VpNode *group = &view->topology->nodes[node];

  for (guint i = group->first_core; i < group->first_core + group->n_cores; i++) {
    if (view->cores[i].width > 0 && (work->units[i] == 0 || view->cores[i].planned > 0))
      return FALSE;
  }
  return TRUE;
}

static gboolean
pick_one_node (const Work *work, VpCorePick *pick)
{
  const VpPlacementView *view = work->pool->view;
  const VpTopology *topology = view->topology;
  Option best = { .node = topology->n_nodes };

  for (guint i = 0; i < topology->n_nodes; i++) {
    if (!topology->nodes[i].usable || work->room[i] < work->demand)
      continue;
    guint64 memory = topology->nodes[i].memory_kib;
    Option option = { .node = i,
                      .memory_short =
                        view->n_nodes > 1 && memory != 0 &&
                        memory<view->request->memory_kib, .device_rank = view->device_rank[i],
                               .fit = fit_node (work, i, work->demand, NULL), .breaks_node = work->room[i]>
                          work->demand &&
                        is_whole_node (work, i) };
    if (best.node == topology->n_nodes || compare_options (&option, &best) < 0)
      best = option;
  }
  if (best.node == topology->n_nodes)
    return FALSE;
  fit_node (work, best.node, work->demand, pick->cores);
  pick->n_nodes = 1;
  pick->memory_short = best.memory_short;
  pick->device_rank = best.device_rank;
  return TRUE;
}

/* The order in which nodes are taken for a guest that needs several. */
typedef struct {
  guint node;
  guint room;
  guint device_rank;
  gboolean same_package; /* as the first device's node */
} Node;

static int
compare_by_room (const void *left, const void *right)
{
  const Node *a = left;
  const Node *b = right;
  int order = vp_number_compare (b->room, a->room);

  return order != 0 ? order : vp_number_compare (b->node, a->node);
}

static int
compare_by_device (const void *left, const void *right)
{
  const Node *a = left;
  const Node *b = right;
  int order = vp_number_compare (a->device_rank, b->device_rank);

  return order != 0 ? order : compare_by_room (left, right);
}

static int
compare_by_package (const void *left, const void *right)
{
  const Node *a = left;
  const Node *b = right;
  int order = vp_number_compare (a->device_rank, b->device_rank);

  if (order == 0)
    order = vp_number_compare (b->same_package != FALSE, a->same_package != FALSE);
  return order != 0 ? order : compare_by_room (left, right);
}

static guint
sum_room (const Node *nodes, guint n)
{
  guint sum = 0;

  for (guint i = 0; i < n; i++)
    sum += nodes[i].room;
  return sum;
}

static Node *
list_nodes (const Work *work, guint *n)
{
  const VpPlacementView *view = work->pool->view;
  const VpTopology *topology = view->topology;
  Node *nodes = g_new0 (Node, topology->n_nodes);
  guint anchor = topology->n_nodes;

  *n = 0;
  for (guint i = 0; i < topology->n_nodes; i++) {
    if (!topology->nodes[i].usable || work->room[i] == 0)
      continue;
    nodes[(*n)++] = (Node){ .node = i, .room = work->room[i], .device_rank = view->device_rank[i] };
    if (view->device_rank[i] < view->request->n_device_nodes && view->device_rank[i] == view->best_device)
      anchor = i;
  }
  for (guint i = 0; i < *n && anchor < topology->n_nodes; i++)
    nodes[i].same_package = topology->cores[topology->nodes[nodes[i].node].first_core].package ==
                            topology->cores[topology->nodes[anchor].first_core].package;
  return nodes;
}

/* The fewest that hold the demand, which are the first then, or all; one fewer lack n_short. */
static guint
find_fewest_nodes (Node *nodes, guint n, guint demand, guint *n_short)
{
  guint k = 0;
  guint sum = 0;

  qsort (nodes, n, sizeof *nodes, compare_by_room);
  while (k < n && sum < demand) {
    *n_short = demand - sum;
    sum += nodes[k++].room;
  }
  return k;
}

/* Sorts nodes so that the first k hold the demand; k is the fewest that can. */
static guint
order_nodes (Node *nodes, guint n, guint demand, guint *n_short)
{
  guint k = find_fewest_nodes (nodes, n, demand, n_short);

  qsort (nodes, n, sizeof *nodes, compare_by_package);
  if (sum_room (nodes, k) >= demand)
    return k;
  qsort (nodes, n, sizeof *nodes, compare_by_device);
  if (sum_room (nodes, k) >= demand)
    return k;
  qsort (nodes, n, sizeof *nodes, compare_by_room);
  return k;
}

/* The node that is not used up: where the rest costs the fewest L3s; not a device's, if that makes no difference. */
static guint
find_partial_node (const Work *work, const Node *nodes, guint k, guint left)
{
  guint best = 0;
  guint best_change = G_MAXUINT;

  for (guint i = 0; i < k; i++) {
    guint with_rest = fit_node (work, nodes[i].node, nodes[i].room - left, NULL).n_bins;
    guint with_all = fit_node (work, nodes[i].node, nodes[i].room, NULL).n_bins;
    guint change = work->pool->view->topology->n_l3s + with_rest - with_all;

    if (change < best_change || (change == best_change && (nodes[i].device_rank > nodes[best].device_rank ||
                                                           (nodes[i].device_rank == nodes[best].device_rank &&
                                                            nodes[i].node < nodes[best].node)))) {
      best = i;
      best_change = change;
    }
  }
  return best;
}

static void
pick_several_nodes (const Work *work, VpCorePick *pick, Node *nodes, guint n)
{
  const VpTopology *topology = work->pool->view->topology;
  guint k = order_nodes (nodes, n, work->demand, &pick->n_short);
  guint left = sum_room (nodes, k) - work->demand;
  guint partial = find_partial_node (work, nodes, k, left);
  guint64 memory = 0;
  gboolean known = TRUE;

  for (guint i = 0; i < k; i++) {
    fit_node (work, nodes[i].node, nodes[i].room - (i == partial ? left : 0), pick->cores);
    pick->device_rank = MIN (pick->device_rank, nodes[i].device_rank);
    memory += topology->nodes[nodes[i].node].memory_kib;
    known &= topology->nodes[nodes[i].node].memory_kib != 0;
  }
  pick->n_nodes = k;
  pick->memory_short = known && memory < work->pool->view->request->memory_kib;
}

static void
pick_all_and_more (const Work *work, VpCorePick *pick, const Node *nodes, guint n)
{
  const VpTopology *topology = work->pool->view->topology;
  guint demand = work->demand - sum_room (nodes, n);

  for (guint i = 0; i < n; i++) {
    fit_node (work, nodes[i].node, nodes[i].room, pick->cores);
    pick->device_rank = MIN (pick->device_rank, nodes[i].device_rank);
  }
  pick->n_nodes = n;
  pick->memoryless = TRUE;
  for (guint i = topology->n_nodes; i-- > 0 && demand > 0;) {
    guint part = MIN (demand, work->room[i]);

    if (topology->nodes[i].usable || part == 0)
      continue;
    fit_node (work, i, part, pick->cores);
    pick->n_nodes++;
    demand -= part;
  }
}

guint
vp_core_pool_count_nodes (const VpCorePool *pool, guint n_vcpus)
{
  Work work;
  guint n = 0;
  guint n_short = 0;

  work_init (&work, pool, n_vcpus);
  g_autofree Node *nodes = list_nodes (&work, &n);
  guint k = find_fewest_nodes (nodes, n, work.demand, &n_short);
  k = sum_room (nodes, k) < work.demand ? G_MAXUINT : k;
  work_clear (&work);
  return k;
}

guint
vp_core_pool_count_host (const VpCorePool *pool, const GArray *cores)
{
  guint n = 0;

  for (guint i = 0; i < cores->len; i++)
    n += vp_placement_view_is_host (pool->view, g_array_index (cores, guint, i)) ? 1 : 0;
  return n;
}

gboolean
vp_core_pool_pick (const VpCorePool *pool, guint n_vcpus, VpCorePick *pick)
{
  guint n_host = pool->avoid_planned ? pool->view->n_host_clear : pool->view->n_host;
  Work work;
  guint n = 0;

  g_array_set_size (pick->cores, 0);
  pick->device_rank = pool->view->request->n_device_nodes;
  pick->memoryless = FALSE;
  work_init (&work, pool, n_vcpus);
  gboolean fits = work.total >= work.demand;
  if (fits && !pick_one_node (&work, pick)) {
    g_autofree Node *nodes = list_nodes (&work, &n);

    if (sum_room (nodes, n) >= work.demand)
      pick_several_nodes (&work, pick, nodes, n);
    else
      pick_all_and_more (&work, pick, nodes, n);
  }
  g_array_sort (pick->cores, vp_number_compare_guint);
  work_clear (&work);
  return fits && pool->used + vp_core_pool_count_host (pool, pick->cores) + pool->leave <= MAX (n_host, pool->leave);
}
