/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is asked of every core before and after a search: what it has, who
 * holds it, in which order the host keeps cores, and the key of an assignment.
 */
#include "placement/placement-view.h"

#include "base/list.h"

static guint64
find_smallest_l3 (const VpTopology *topology)
{
  guint64 smallest = 0;

  for (guint i = 0; i < topology->n_l3s; i++) {
    guint64 size = topology->l3s[i].size;

    if (size != 0 && (smallest == 0 || size < smallest))
      smallest = size;
  }
  return smallest;
}

static void
fill_core (VpPlacementView *self, guint position, guint64 smallest_l3)
{
  const VpTopology *topology = self->topology;
  const VpCore *core = &topology->cores[position];
  VpCoreView *view = &self->cores[position];
  guint isolated = 0;

  for (guint i = core->first_pu; i < core->first_pu + core->n_pus; i++) {
    const VpPu *pu = &topology->pus[i];

    view->width += pu->usable ? 1 : 0;
    isolated += pu->usable && pu->isolated ? 1 : 0;
    if (self->request->taken != NULL && hwloc_bitmap_isset (self->request->taken, pu->os_index))
      view->taken++;
    else if (self->request->planned != NULL && hwloc_bitmap_isset (self->request->planned, pu->os_index))
      view->planned++;
  }
  view->keep = G_MAXUINT;
  view->isolated = view->width > 0 && isolated == view->width;
  guint64 size = topology->l3s[core->l3].size;
  view->large = smallest_l3 != 0 && size >= smallest_l3 && size - smallest_l3 >= VP_LARGE_CACHE;
  self->n_cores += view->width > 0 ? 1 : 0;
  self->n_cpus += view->width;
  self->width = MAX (self->width, view->width);
  self->n_isolated += view->isolated ? 1 : 0;
}

static void
fill_cores (VpPlacementView *self)
{
  guint64 smallest = find_smallest_l3 (self->topology);
  gboolean large = FALSE;
  gboolean small = FALSE;

  for (guint i = 0; i < self->topology->n_cores; i++) {
    fill_core (self, i, smallest);
    large |= self->cores[i].width > 0 && self->cores[i].large;
    small |= self->cores[i].width > 0 && !self->cores[i].large;
  }
  self->has_large = self->request->cache == VP_CACHE_LARGEST && large && small;
}

/* The usable cores in the order of their lowest usable CPUs. */
static guint *
list_by_cpu (const VpPlacementView *self)
{
  const VpTopology *topology = self->topology;
  g_autofree gboolean *seen = g_new0 (gboolean, topology->n_cores);
  guint *list = g_new (guint, self->n_cores);
  guint n = 0;

  for (guint i = 0; i < topology->n_pus; i++) {
    const VpPu *pu = &topology->pus[topology->by_os_index[i]];

    if (!pu->usable || seen[pu->core])
      continue;
    seen[pu->core] = TRUE;
    list[n++] = pu->core;
  }
  return list;
}

/* 0 free, 1 other guests hold it, 2 isolated */
static guint
rank_candidate (const VpCoreView *core)
{
  return core->isolated ? 2 : core->taken > 0 ? 1 : 0;
}

/*
 * The core of CPU 0 first (or of the lowest CPU that the host can have), others of its
 * node after it; isolated CPUs last, which exist for guests.
 */
static void
order_reserve (VpPlacementView *self)
{
  g_autofree guint *list = list_by_cpu (self);
  g_autofree guint *class = g_new (guint, self->n_cores);
  guint n_before[7] = { 0 }; /* the class */
  guint home = 0;

  for (guint i = 0; i < self->n_cores; i++) {
    class[i] = 2 * rank_candidate (&self->cores[list[i]]);
    home = class[i] < class[home] ? i : home;
  }
  for (guint i = 0; i < self->n_cores; i++) {
    class[i] += self->topology->cores[list[i]].node != self->topology->cores[list[home]].node ? 1 : 0;
    n_before[class[i] + 1]++;
  }
  for (guint i = 1; i < G_N_ELEMENTS (n_before); i++)
    n_before[i] += n_before[i - 1];
  for (guint i = 0; i < self->n_cores; i++) {
    self->cores[list[i]].keep = n_before[class[i]]++;
    self->by_keep[self->cores[list[i]].keep] = list[i];
  }
}

gboolean
vp_placement_view_is_host (const VpPlacementView *view, guint core)
{
  const VpCoreView *seen = &view->cores[core];

  return seen->width > 0 && seen->taken == 0 && (!seen->isolated || view->n_isolated == view->n_cores);
}

static void
fill_host (VpPlacementView *self)
{
  self->reserve = MIN (self->request->reserve_cores, self->n_cores);
  if (self->n_isolated < self->n_cores)
    self->reserve = MIN (self->reserve, self->n_cores - self->n_isolated);
  for (guint i = 0; i < self->topology->n_cores; i++) {
    gboolean host = vp_placement_view_is_host (self, i);

    self->n_host += host ? 1 : 0;
    self->n_host_clear += host && self->cores[i].planned == 0 ? 1 : 0;
  }
}

/* Nodes without a CPU that could be used ask for nothing. */
static gboolean
has_cores_on (const VpPlacementView *self, hwloc_const_bitmap_t nodes)
{
  for (guint i = 0; i < self->topology->n_cores; i++) {
    if (self->cores[i].width > 0 && vp_topology_is_node_in (self->topology, self->topology->cores[i].node, nodes))
      return TRUE;
  }
  return FALSE;
}

/* The nodes of a bound cell, by the first cell that has the same ones, so that equal sets are one pointer. */
static hwloc_const_bitmap_t
find_home (const VpPlacementView *self, guint cell)
{
  const VpBoundCell *bound = self->request->bound;
  guint first = 0;

  if (bound[cell].nodes == NULL || !has_cores_on (self, bound[cell].nodes))
    return NULL;
  while (bound[first].nodes == NULL || !hwloc_bitmap_isequal (bound[first].nodes, bound[cell].nodes))
    first++;
  return bound[first].nodes;
}

static void
fill_homes (VpPlacementView *self)
{
  const VpPlacementRequest *request = self->request;

  /* With one node all are at home everywhere. */
  for (guint i = 0; i < request->n_bound && self->topology->n_nodes > 1; i++) {
    hwloc_const_bitmap_t nodes = find_home (self, i);

    if (nodes != NULL && self->homes == NULL)
      self->homes = g_new0 (hwloc_const_bitmap_t, request->n_vcpus);
    for (guint j = 0; nodes != NULL && j < request->n_vcpus; j++) {
      if (hwloc_bitmap_isset (request->bound[i].vcpus, j))
        self->homes[j] = nodes;
    }
  }
}

static void
fill_devices (VpPlacementView *self)
{
  const VpPlacementRequest *request = self->request;

  self->best_device = request->n_device_nodes;
  for (guint i = 0; i < self->topology->n_nodes; i++) {
    const VpNode *node = &self->topology->nodes[i];

    self->device_rank[i] = request->n_device_nodes;
    if (!node->usable || node->n_cores == 0)
      continue;
    self->n_nodes++;
    for (guint j = request->n_device_nodes; j-- > 0;) {
      if (request->device_nodes[j] >= 0 && (unsigned) request->device_nodes[j] == node->os_index)
        self->device_rank[i] = j;
    }
    self->best_device = MIN (self->best_device, self->device_rank[i]);
  }
}

VpPlacementView *
vp_placement_view_new (const VpTopology *topology, const VpPlacementRequest *request, guint threads)
{
  VpPlacementView *self = g_new0 (VpPlacementView, 1);

  self->topology = topology;
  self->request = request;
  self->threads = CLAMP (threads, 1, MAX (request->n_vcpus, 1));
  self->cores = g_new0 (VpCoreView, topology->n_cores);
  self->device_rank = g_new0 (guint, topology->n_nodes);
  self->has_planned = request->planned != NULL && !hwloc_bitmap_iszero (request->planned);
  fill_cores (self);
  self->by_keep = g_new0 (guint, self->n_cores);
  order_reserve (self);
  fill_host (self);
  fill_homes (self);
  fill_devices (self);
  return self;
}

void
vp_placement_view_free (VpPlacementView *view)
{
  if (view == NULL)
    return;
  g_free (view->cores);
  g_free (view->by_keep);
  g_free (view->within);
  g_free (view->homes);
  g_free (view->device_rank);
  g_free (view);
}

guint
vp_placement_view_rank_kind (const VpPlacementView *view, guint kind)
{
  return view->request->kind == VP_KIND_EFFICIENCY ? kind : view->topology->n_kinds - 1 - kind;
}

/* What the parts of a key are made of. */
typedef struct {
  guint *on_core; /* vCPUs on each core */
  guint overlap_taken;
  guint overlap_planned;
  guint n_beside; /* cores of which other guests hold a part */
  guint n_host;   /* cores that the host could live on */
  guint n_clear;  /* of these such as nobody is planned on */
} Count;

static gboolean
count_cpus (const VpPlacementView *self, const int *vcpus, Count *count)
{
  const VpTopology *topology = self->topology;
  const VpPlacementRequest *request = self->request;
  g_autoptr (VpBitmap) seen = hwloc_bitmap_alloc ();

  for (guint i = 0; i < request->n_vcpus; i++) {
    int position = vcpus[i] < 0 ? -1 : vp_topology_find_pu (topology, (unsigned) vcpus[i]);

    if (position < 0 || !topology->pus[position].usable || hwloc_bitmap_isset (seen, (unsigned) vcpus[i]))
      return FALSE;
    hwloc_bitmap_set (seen, (unsigned) vcpus[i]);
    count->on_core[topology->pus[position].core]++;
    if (request->taken != NULL && hwloc_bitmap_isset (request->taken, (unsigned) vcpus[i]))
      count->overlap_taken++;
    else if (request->planned != NULL && hwloc_bitmap_isset (request->planned, (unsigned) vcpus[i]))
      count->overlap_planned++;
  }
  return TRUE;
}

gboolean
vp_placement_view_has_split_core (const VpPlacementView *view, const int *vcpus, guint n_vcpus)
{
  const VpTopology *topology = view->topology;

  for (guint i = 0; i < n_vcpus; i++) {
    guint first = i - i % view->threads;
    int a = vp_topology_find_pu (topology, (unsigned) vcpus[first]);
    int b = vp_topology_find_pu (topology, (unsigned) vcpus[i]);

    if (topology->pus[a].core != topology->pus[b].core)
      return TRUE;
  }
  return FALSE;
}

/* Guest cores on several host cores, and of these such as are on several kinds. */
static void
rate_guest_cores (const VpPlacementView *self, const int *vcpus, VpPlacementKey *key)
{
  const VpTopology *topology = self->topology;

  for (guint first = 0; first < self->request->n_vcpus; first += self->threads) {
    guint core = topology->pus[vp_topology_find_pu (topology, (unsigned) vcpus[first])].core;
    gboolean split = FALSE;
    gboolean mixed = FALSE;

    for (guint i = first + 1; i < MIN (first + self->threads, self->request->n_vcpus); i++) {
      guint other = topology->pus[vp_topology_find_pu (topology, (unsigned) vcpus[i])].core;
      split |= other != core;
      mixed |= topology->cores[other].kind != topology->cores[core].kind;
    }
    key->part[VP_PART_SPLIT] += split ? 1 : 0;
    key->part[VP_PART_MIXED] += mixed ? 1 : 0;
  }
}

/* Without threads siblings still belong to adjacent vCPUs: a core is not come back to. */
static gboolean
has_scattered_core (const VpPlacementView *self, const int *vcpus)
{
  g_autofree gboolean *seen = g_new0 (gboolean, self->topology->n_cores);
  guint last = self->topology->n_cores;

  for (guint i = 0; i < self->request->n_vcpus; i++) {
    guint core = self->topology->pus[vp_topology_find_pu (self->topology, (unsigned) vcpus[i])].core;

    if (core != last && seen[core])
      return TRUE;
    seen[core] = TRUE;
    last = core;
  }
  return FALSE;
}

/* The guest counts its L3s off: only what is less than a whole one may stand last. */
static gboolean
has_uneven_order (const VpPlacementView *self, const int *vcpus)
{
  g_autofree guint *on_l3 = g_new0 (guint, self->topology->n_l3s);
  guint last = self->topology->n_l3s;
  guint before = G_MAXUINT;

  for (guint i = 0; i < self->request->n_vcpus; i++) {
    guint l3 =
      self->topology->cores[self->topology->pus[vp_topology_find_pu (self->topology, (unsigned) vcpus[i])].core].l3;

    if (l3 != last && on_l3[l3] > 0)
      return TRUE;
    before = l3 != last && last < self->topology->n_l3s ? on_l3[last] : before;
    if (++on_l3[l3] > before)
      return TRUE;
    last = l3;
  }
  return FALSE;
}

/* Of one kind: its place. Of several: the more on the best ones, the better. */
static guint
rate_kinds (const VpPlacementView *self, const guint *on_core)
{
  guint first = G_MAXUINT;
  guint sum = 0;
  gboolean several = FALSE;

  for (guint i = 0; i < self->topology->n_cores && self->topology->n_kinds > 1; i++) {
    guint kind = vp_placement_view_rank_kind (self, self->topology->cores[i].kind);

    if (on_core[i] == 0)
      continue;
    several |= first != G_MAXUINT && kind != first;
    first = kind;
    sum += kind * on_core[i];
  }
  return several ? self->topology->n_kinds + sum : first == G_MAXUINT ? 0 : first;
}

static void
rate_core (const VpPlacementView *self, guint position, Count *count, VpPlacementKey *key)
{
  const VpCore *core = &self->topology->cores[position];
  const VpCoreView *view = &self->cores[position];
  gboolean host = vp_placement_view_is_host (self, position);

  key->part[VP_PART_CORES]++;
  count->n_beside += view->taken > 0 ? 1 : 0;
  count->n_host += host ? 1 : 0;
  count->n_clear += host && view->planned == 0 ? 1 : 0;
  if (view->keep < self->reserve)
    key->part[VP_PART_HOME]++;
  if (self->has_large && !view->large)
    key->part[VP_PART_CACHE] = 1;
  if (self->n_isolated > 0 && !view->isolated)
    key->part[VP_PART_ISOLATED] = 1;
  if (!self->topology->nodes[core->node].usable)
    key->part[VP_PART_MEMORYLESS] = 1;
  if (self->threads == 1 && count->on_core[position] > 1)
    key->part[VP_PART_PAIRS] = 1;
}

/* Cores of an L3 and of a node stand together, so that a change of either counts each once. */
static void
rate_places (const VpPlacementView *self, Count *count, VpPlacementKey *key)
{
  const VpTopology *topology = self->topology;
  guint last_l3 = G_MAXUINT;
  guint last_node = G_MAXUINT;
  guint64 memory = 0;
  gboolean known = TRUE;

  key->part[VP_PART_DEVICE] = self->request->n_device_nodes;
  for (guint i = 0; i < topology->n_cores; i++) {
    const VpCore *core = &topology->cores[i];

    if (count->on_core[i] == 0)
      continue;
    rate_core (self, i, count, key);
    if (core->l3 != last_l3)
      key->part[VP_PART_L3S]++;
    last_l3 = core->l3;
    if (core->node == last_node)
      continue;
    last_node = core->node;
    key->part[VP_PART_NODES]++;
    key->part[VP_PART_DEVICE] = MIN (key->part[VP_PART_DEVICE], self->device_rank[core->node]);
    memory += topology->nodes[core->node].memory_kib;
    known &= topology->nodes[core->node].memory_kib != 0;
  }
  key->part[VP_PART_MEMORY] = self->n_nodes > 1 && self->homes == NULL && known && memory < self->request->memory_kib;
}

static guint
count_away (const VpPlacementView *self, const int *vcpus)
{
  guint n = 0;

  for (guint i = 0; i < self->request->n_vcpus && self->homes != NULL; i++) {
    guint core = self->topology->pus[vp_topology_find_pu (self->topology, (unsigned) vcpus[i])].core;

    n += self->homes[i] != NULL &&
             !vp_topology_is_node_in (self->topology, self->topology->cores[core].node, self->homes[i])
           ? 1
           : 0;
  }
  return n;
}

/* How many of `reserve` the host is short of when the guest has `used` of its cores. */
static guint
count_short (guint reserve, guint cores, guint used)
{
  return reserve - MIN (reserve, cores - used);
}

gboolean
vp_placement_view_rate (const VpPlacementView *view, const int *vcpus, VpPlacementKey *key)
{
  g_autofree guint *on_core = g_new0 (guint, view->topology->n_cores);
  Count count = { .on_core = on_core };

  *key = (VpPlacementKey){ .n_planned = 0 };
  if (!count_cpus (view, vcpus, &count))
    return FALSE;
  rate_places (view, &count, key);
  key->part[VP_PART_KIND] = rate_kinds (view, on_core);
  if (view->threads > 1)
    rate_guest_cores (view, vcpus, key);
  else
    key->part[VP_PART_SPLIT] = has_scattered_core (view, vcpus);
  if (view->threads > 1 && view->request->kind != VP_KIND_EFFICIENCY)
    key->part[VP_PART_WHOLE] = key->part[VP_PART_SPLIT] > 0;
  key->part[VP_PART_OVERLAP] = count.overlap_taken;
  key->part[VP_PART_RESERVE] = count_short (view->reserve, view->n_host, count.n_host);
  key->part[VP_PART_AWAY] = count_away (view, vcpus);
  key->part[VP_PART_RUNG] = count.n_beside > 0 ? 2 : key->part[VP_PART_RESERVE] > 0 ? 1 : 0;
  key->n_planned = count.overlap_planned;
  key->part[VP_PART_PLANNED] =
    count.overlap_planned > 0 || count_short (view->reserve, view->n_host_clear, count.n_clear) > 0;
  /* Cells have an order of their own. */
  key->part[VP_PART_ORDER] = view->request->match && view->homes == NULL && has_uneven_order (view, vcpus);
  /* Who is in the way of others does not spread. */
  if (key->part[VP_PART_PLANNED] != 0)
    key->part[VP_PART_PAIRS] = 0;
  return TRUE;
}

int
vp_placement_key_compare (const VpPlacementKey *a, const VpPlacementKey *b)
{
  for (guint i = 0; i < VP_PART_N; i++) {
    if (a->part[i] != b->part[i])
      return a->part[i] < b->part[i] ? -1 : 1;
  }
  return 0;
}
