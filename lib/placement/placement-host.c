/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's cores in the order of their nearness to the guest:
 *
 *   0 behind an L3 of the guest    1 on a node of the guest
 *   2 in a package of the guest    3 all others
 *
 * A guest on fast cores has its host threads on slower ones where there are any,
 * in the same order of nearness: the fast ones are for guests. The emulator has the
 * nearest group that is not empty. An iothread has a core of its own as long as one
 * is left for the emulator, else they share its CPUs.
 * None of these cores is a guest's, in part or planned.
 */
#include "placement/placement-host.h"

#define DEFAULT_PAGE_KIB 2048
#define N_GROUPS 4

typedef struct {
  guint position;
  guint group;
} HostCore;

guint *
vp_host_side_count_on_cores (const VpPlacementView *view, const VpPlacement *answer)
{
  guint *on_core = g_new0 (guint, view->topology->n_cores);

  for (guint i = 0; i < answer->n_vcpus; i++) {
    int position = vp_topology_find_pu (view->topology, (unsigned) answer->vcpus[i]);

    on_core[view->topology->pus[position].core]++;
  }
  return on_core;
}

static void
add_core_cpus (const VpPlacementView *view, guint position, hwloc_bitmap_t cpus)
{
  const VpCore *core = &view->topology->cores[position];

  for (guint i = core->first_pu; i < core->first_pu + core->n_pus; i++) {
    if (view->topology->pus[i].usable)
      hwloc_bitmap_set (cpus, view->topology->pus[i].os_index);
  }
}

hwloc_bitmap_t
vp_host_side_dup_cpus (const VpPlacementView *view, const VpPlacement *answer)
{
  g_autofree guint *on_core = vp_host_side_count_on_cores (view, answer);
  hwloc_bitmap_t cpus = hwloc_bitmap_alloc ();

  for (guint i = 0; i < view->topology->n_cores; i++) {
    if (on_core[i] == 0 && view->cores[i].taken == 0)
      add_core_cpus (view, i, cpus);
  }
  return cpus;
}

static int
compare_host_cores (const void *left, const void *right)
{
  const HostCore *a = left;
  const HostCore *b = right;

  if (a->group != b->group)
    return a->group < b->group ? -1 : 1;
  return a->position < b->position ? -1 : a->position > b->position;
}

/* The place of the guest's worst kind; those after it are the host's rather. */
static guint
find_guest_kind (const VpPlacementView *view, const guint *on_core)
{
  guint worst = 0;

  if (view->request->kind != VP_KIND_PERFORMANCE || view->topology->n_kinds == 1)
    return view->topology->n_kinds;
  for (guint i = 0; i < view->topology->n_cores; i++) {
    if (on_core[i] > 0)
      worst = MAX (worst, vp_placement_view_rank_kind (view, view->topology->cores[i].kind));
  }
  return worst;
}

static HostCore *
list_host_cores (const VpPlacementView *view, const guint *on_core, gboolean planned, gboolean isolated, guint *n)
{
  const VpTopology *topology = view->topology;
  HostCore *list = g_new (HostCore, topology->n_cores);
  g_autofree gboolean *l3s = g_new0 (gboolean, topology->n_l3s);
  g_autofree gboolean *nodes = g_new0 (gboolean, topology->n_nodes);
  g_autofree gboolean *packages = g_new0 (gboolean, topology->n_packages);
  guint kind = find_guest_kind (view, on_core);

  *n = 0;
  for (guint i = 0; i < topology->n_cores; i++) {
    l3s[topology->cores[i].l3] |= on_core[i] > 0;
    nodes[topology->cores[i].node] |= on_core[i] > 0;
    packages[topology->cores[i].package] |= on_core[i] > 0;
  }
  for (guint i = 0; i < topology->n_cores; i++) {
    const VpCore *core = &topology->cores[i];
    const VpCoreView *seen = &view->cores[i];

    if (on_core[i] > 0 || seen->width == 0 || seen->taken > 0 || (!planned && seen->planned > 0) ||
        (!isolated && seen->isolated))
      continue;
    guint group = l3s[core->l3] ? 0 : nodes[core->node] ? 1 : packages[core->package] ? 2 : 3;
    if (vp_placement_view_rank_kind (view, core->kind) <= kind)
      group += N_GROUPS;
    list[(*n)++] = (HostCore){ .position = i, .group = group };
  }
  qsort (list, *n, sizeof *list, compare_host_cores);
  return list;
}

/* Threads of the host's on isolated CPUs are never balanced: only where nothing else is left. */
static HostCore *
find_host_cores (const VpPlacementView *view, const guint *on_core, guint *n)
{
  HostCore *list = NULL;

  for (guint i = 0; i < 4; i++) {
    g_free (list);
    list = list_host_cores (view, on_core, i % 2 == 1, i >= 2, n);
    if (*n > 0)
      break;
  }
  return list;
}

static void
reach (const VpPlacementView *view, const HostCore *cores, guint n, hwloc_const_bitmap_t nodes, VpPlacement *answer)
{
  if (vp_topology_has_cpu_on (view->topology, answer->emulator, nodes))
    return;
  for (guint i = 0; i < n; i++) {
    if (vp_topology_is_node_in (view->topology, view->topology->cores[cores[i].position].node, nodes))
      add_core_cpus (view, cores[i].position, answer->emulator);
  }
}

/* QEMU allocates the memory of a cell by threads on its node: the emulator gets what the host keeps there. */
static void
reach_cells (const VpPlacementView *view, const HostCore *cores, guint n, VpPlacement *answer)
{
  g_autoptr (VpBitmap) node = hwloc_bitmap_alloc ();

  for (guint i = 0; i < answer->n_cells; i++) {
    hwloc_bitmap_only (node, answer->cells[i].node);
    reach (view, cores, n, node, answer);
  }
  for (guint i = 0; i < view->request->n_bound; i++) {
    if (view->request->bound[i].nodes != NULL)
      reach (view, cores, n, view->request->bound[i].nodes, answer);
  }
}

static void
fill_threads (const VpPlacementView *view, const guint *on_core, VpPlacement *answer)
{
  guint n = 0;
  g_autofree HostCore *cores = find_host_cores (view, on_core, &n);
  guint n_own = n > answer->n_iothreads ? answer->n_iothreads : 0;

  if (n == 0)
    return;
  answer->emulator = hwloc_bitmap_alloc ();
  for (guint i = 0; i < n; i++) {
    if (cores[i].group == cores[0].group && (i == 0 || i > n_own))
      add_core_cpus (view, cores[i].position, answer->emulator);
  }
  reach_cells (view, cores, n, answer);
  if (answer->n_iothreads == 0)
    return;
  answer->iothreads = g_new0 (hwloc_bitmap_t, answer->n_iothreads);
  for (guint i = 0; i < answer->n_iothreads; i++) {
    answer->iothreads[i] = n_own > 0 ? hwloc_bitmap_alloc () : hwloc_bitmap_dup (answer->emulator);
    if (n_own > 0)
      add_core_cpus (view, cores[i + 1].position, answer->iothreads[i]);
  }
}

static VpPlacementLevel
find_level (const VpPlacementView *view, const VpPlacementKey *key, const guint *on_core)
{
  const VpTopology *topology = view->topology;

  if (key->part[VP_PART_RUNG] >= 1)
    return key->part[VP_PART_RUNG] == 2 ? VP_LEVEL_SHARED : VP_LEVEL_RESERVE;
  for (guint i = 0; i < topology->n_l3s; i++) {
    guint n_own = 0;
    guint n_usable = 0;

    for (guint j = topology->l3s[i].first_core; j < topology->l3s[i].first_core + topology->l3s[i].n_cores; j++) {
      n_own += on_core[j] > 0 ? 1 : 0;
      n_usable += view->cores[j].width > 0 ? 1 : 0;
    }
    if (n_own > 0 && n_own < n_usable)
      return VP_LEVEL_WHOLE_CORES;
  }
  return VP_LEVEL_WHOLE_L3;
}

/* The node that helps most where the guest's memory is more than its nodes have: near the others, then large. */
static guint
find_more_memory (const VpTopology *topology, const gboolean *chosen, guint package)
{
  guint best = topology->n_nodes;
  gboolean best_near = FALSE;

  for (guint i = 0; i < topology->n_nodes; i++) {
    const VpNode *node = &topology->nodes[i];

    if (chosen[i] || !node->usable)
      continue;
    gboolean near = node->n_cores > 0 && topology->cores[node->first_core].package == package;
    if (best == topology->n_nodes || (near && !best_near) ||
        (near == best_near && node->memory_kib > topology->nodes[best].memory_kib)) {
      best = i;
      best_near = near;
    }
  }
  return best;
}

/* No binding where there is only one node, or where all that are known do not hold the guest. */
static void
fill_nodes (const VpPlacementView *view, const guint *on_core, VpPlacement *answer)
{
  const VpTopology *topology = view->topology;
  g_autofree gboolean *chosen = g_new0 (gboolean, topology->n_nodes);
  guint64 memory = 0;
  guint n_usable = 0;
  guint n_chosen = 0;
  guint package = 0;
  gboolean known = TRUE;

  for (guint i = 0; i < topology->n_cores; i++) {
    if (on_core[i] > 0 && topology->nodes[topology->cores[i].node].usable) {
      chosen[topology->cores[i].node] = TRUE;
      package = topology->cores[i].package;
    }
  }
  for (guint i = 0; i < topology->n_nodes; i++) {
    n_usable += topology->nodes[i].usable ? 1 : 0;
    known &= !topology->nodes[i].usable || topology->nodes[i].memory_kib != 0;
    n_chosen += chosen[i] ? 1 : 0;
    memory += chosen[i] ? topology->nodes[i].memory_kib : 0;
  }
  if (n_usable < 2 || n_chosen == 0)
    return;
  while (known && memory < view->request->memory_kib) {
    guint more = find_more_memory (topology, chosen, package);

    if (more == topology->n_nodes)
      return;
    chosen[more] = TRUE;
    memory += topology->nodes[more].memory_kib;
  }
  answer->nodes = hwloc_bitmap_alloc ();
  for (guint i = 0; i < topology->n_nodes; i++) {
    if (chosen[i])
      hwloc_bitmap_set (answer->nodes, topology->nodes[i].os_index);
  }
}

static guint
node_of_vcpu (const VpPlacementView *view, const VpPlacement *answer, guint vcpu)
{
  int position = vp_topology_find_pu (view->topology, (unsigned) answer->vcpus[vcpu]);

  return view->topology->cores[view->topology->pus[position].core].node;
}

/* Memory goes as the vCPUs go, in whole pages; the last cell has what rounding left. */
static void
split_memory (const VpPlacementView *view, VpPlacement *answer)
{
  guint64 page = view->request->page_kib != 0 ? view->request->page_kib : DEFAULT_PAGE_KIB;
  guint64 left = view->request->memory_kib;
  guint64 pages = left / page;

  for (guint i = 0; i + 1 < answer->n_cells; i++) {
    guint64 n = (guint64) hwloc_bitmap_weight (answer->cells[i].vcpus);

    /* pages / n_vcpus * n would lose up to n_vcpus pages; the product of the remainder is small. */
    answer->cells[i].memory_kib = (pages / answer->n_vcpus * n + pages % answer->n_vcpus * n / answer->n_vcpus) * page;
    left -= answer->cells[i].memory_kib;
  }
  answer->cells[answer->n_cells - 1].memory_kib = left;
}

static guint64
node_memory_kib (const VpTopology *topology, unsigned os_index)
{
  for (guint i = 0; i < topology->n_nodes; i++) {
    if (topology->nodes[i].os_index == os_index && topology->nodes[i].memory_kib != 0)
      return topology->nodes[i].memory_kib;
  }
  return G_MAXUINT64; /* not known */
}

/* What a cell's node does not have goes to other cells. FALSE: that is not enough, or a cell has no memory at all. */
static gboolean
spread_excess (const VpPlacementView *view, VpPlacement *answer)
{
  guint64 page = view->request->page_kib != 0 ? view->request->page_kib : DEFAULT_PAGE_KIB;
  guint64 excess = 0;

  for (guint i = 0; i < answer->n_cells; i++) {
    VpPlacementCell *cell = &answer->cells[i];
    guint64 room = node_memory_kib (view->topology, cell->node) / page * page;

    excess += cell->memory_kib > room ? cell->memory_kib - room : 0;
    cell->memory_kib = MIN (cell->memory_kib, room);
  }
  for (guint i = 0; i < answer->n_cells; i++) {
    VpPlacementCell *cell = &answer->cells[i];
    guint64 room = node_memory_kib (view->topology, cell->node) / page * page;
    guint64 more = MIN (excess, room - cell->memory_kib);

    cell->memory_kib += more;
    excess -= more;
    if (cell->memory_kib == 0)
      return FALSE;
  }
  return excess == 0;
}

static void
clear_cells (VpPlacement *answer)
{
  for (guint i = 0; i < answer->n_cells; i++)
    hwloc_bitmap_free (answer->cells[i].vcpus);
  g_clear_pointer (&answer->cells, g_free);
  answer->n_cells = 0;
}

static void
fill_cells (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  const VpTopology *topology = view->topology;
  g_autofree guint *cell_of = g_new (guint, topology->n_nodes);
  guint n_nodes = key->part[VP_PART_NODES];

  if (!view->request->expose || n_nodes < 2 || key->part[VP_PART_MEMORYLESS] != 0 || key->part[VP_PART_MEMORY] != 0 ||
      view->request->memory_kib == 0)
    return;
  answer->cells = g_new0 (VpPlacementCell, n_nodes);
  for (guint i = 0; i < topology->n_nodes; i++)
    cell_of[i] = n_nodes;
  for (guint i = 0; i < answer->n_vcpus; i++) {
    guint node = node_of_vcpu (view, answer, i);

    if (cell_of[node] == n_nodes) {
      cell_of[node] = answer->n_cells++;
      answer->cells[cell_of[node]].node = topology->nodes[node].os_index;
      answer->cells[cell_of[node]].vcpus = hwloc_bitmap_alloc ();
    }
    hwloc_bitmap_set (answer->cells[cell_of[node]].vcpus, answer->ids[i]);
  }
  split_memory (view, answer);
  if (!spread_excess (view, answer)) {
    clear_cells (answer);
    return;
  }
  for (guint i = answer->n_vcpus; i < answer->n_vcpus + answer->n_offline; i++) {
    guint cell = answer->vcpus[i] >= 0 ? cell_of[node_of_vcpu (view, answer, i)] : n_nodes;
    hwloc_bitmap_set (answer->cells[cell < n_nodes ? cell : answer->n_cells - 1].vcpus, answer->ids[i]);
  }
}

static guint
l3_of_vcpu (const VpPlacementView *view, const VpPlacement *answer, guint vcpu)
{
  int position = vp_topology_find_pu (view->topology, (unsigned) answer->vcpus[vcpu]);

  return view->topology->cores[view->topology->pus[position].core].l3;
}

/* Bits that hold all numbers below n. */
static guint
count_bits (guint n)
{
  return n > 1 ? g_bit_storage (n - 1) : 0;
}

/* QEMU's number of a vCPU for the guest: thread, core, die and socket each have as many bits as they need. */
static guint
find_apic_id (const VpPlacement *answer, guint vcpu)
{
  guint core = vcpu / answer->threads;
  guint die = core / answer->cores;
  guint id = die / answer->dies;

  id = id << count_bits (answer->dies) | die % answer->dies;
  id = id << count_bits (answer->cores) | core % answer->cores;
  return id << count_bits (answer->threads) | vcpu % answer->threads;
}

static guint
package_of_vcpu (const VpPlacementView *view, const VpPlacement *answer, guint vcpu)
{
  int position = vp_topology_find_pu (view->topology, (unsigned) answer->vcpus[vcpu]);

  return view->topology->cores[view->topology->pus[position].core].package;
}

/*
 * How many of the host's L3s, nodes or packages the guest is on, where it can be
 * shown them: the same number of whole guest cores on each, one after the other; else 1.
 */
static guint
count_even (const VpPlacementView *view, const VpPlacement *answer,
            guint (*group_of) (const VpPlacementView *, const VpPlacement *, guint))
{
  g_autoptr (GHashTable) groups = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < answer->n_vcpus; i++)
    g_hash_table_add (groups, GUINT_TO_POINTER (group_of (view, answer, i)));
  guint n = g_hash_table_size (groups);
  if (answer->n_vcpus % (n * view->threads) != 0)
    return 1;
  guint each = answer->n_vcpus / n;
  for (guint i = 1; i < answer->n_vcpus; i++) {
    if ((i % each == 0) != (group_of (view, answer, i) != group_of (view, answer, i - 1)))
      return 1;
  }
  return n;
}

/*
 * Dies show L3s, for QEMU gives one to each die. A guest with cells has the host's
 * packages as sockets; else one socket, since some systems use only so many. Neither
 * an L3 nor a node is on two packages, so that even numbers of them divide.
 */
static void
fill_topology (const VpPlacementView *view, VpPlacement *answer)
{
  /* The numbers of offline vCPUs are behind those of all that run, and no die or socket is full without them. */
  gboolean is_whole = answer->n_offline == 0;
  guint dies = is_whole ? count_even (view, answer, l3_of_vcpu) : 1;

  gboolean has_cells = is_whole && (answer->n_cells > 0 || view->homes != NULL);

  answer->sockets = has_cells ? count_even (view, answer, package_of_vcpu) : 1;
  if (has_cells && dies == 1)
    dies = count_even (view, answer, node_of_vcpu);
  if (dies % answer->sockets != 0)
    dies = answer->sockets;
  answer->dies = dies / answer->sockets;
  answer->threads = view->threads;
  answer->cores = (answer->n_vcpus + answer->n_offline) / dies / answer->threads;
}

/*
 * A guest that is shown the host's caches is told how many CPUs share an L3 there, and takes
 * so many of its own for one, rounded up to a power of two: are those the L3s that they are on?
 */
static void
fill_l3_run (const VpPlacementView *view, VpPlacement *answer)
{
  const VpTopology *topology = view->topology;
  const VpL3 *l3 = &topology->l3s[l3_of_vcpu (view, answer, 0)];
  g_autofree gboolean *seen = g_new0 (gboolean, topology->n_l3s);
  guint sharing = 0;

  for (guint i = l3->first_core; i < l3->first_core + l3->n_cores; i++)
    sharing += topology->cores[i].n_pus;
  guint bits = count_bits (sharing);
  for (guint i = 0; i < answer->n_vcpus; i++) {
    guint at = l3_of_vcpu (view, answer, i);
    gboolean same_run = i > 0 && find_apic_id (answer, i) >> bits == find_apic_id (answer, i - 1) >> bits;
    gboolean same_l3 = i > 0 && at == l3_of_vcpu (view, answer, i - 1);

    if (same_run != same_l3 || (!same_l3 && seen[at]))
      answer->l3_run = 1u << bits;
    seen[at] = TRUE;
  }
}

void
vp_host_side_fill (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  g_autofree guint *on_core = vp_host_side_count_on_cores (view, answer);

  answer->level = find_level (view, key, on_core);
  fill_nodes (view, on_core, answer);
  fill_cells (view, key, answer);
  fill_threads (view, on_core, answer);
  if (view->request->match) {
    fill_topology (view, answer);
    fill_l3_run (view, answer);
  }
}
