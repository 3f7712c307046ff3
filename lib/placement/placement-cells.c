/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each set of nodes is a guest of its own that has the vCPUs of all cells bound to it; the one with the fewest
 * nodes is placed first, and its cores are no longer there for the next. What finds no place at home, and what
 * has no home, comes last and goes anywhere. What the host keeps, it keeps of all.
 */
#include "placement/placement-cells.h"

#include "base/list.h"
#include "base/number.h"
#include "placement/placement-search.h"

/* The vCPUs that one set of nodes is for. */
typedef struct {
  hwloc_const_bitmap_t nodes; /* NULL: any */
  guint n_nodes;
  GArray *vcpus; /* of guint, ascending */
} Party;

static void
party_clear (gpointer data)
{
  Party *party = data;

  g_array_unref (party->vcpus);
}

static int
compare_parties (const void *left, const void *right)
{
  const Party *a = left;
  const Party *b = right;
  int order = vp_number_compare (a->n_nodes, b->n_nodes);

  /* A party has one vCPU at least. */
  return order != 0 ? order
                    : vp_number_compare (g_array_index (a->vcpus, guint, 0), g_array_index (b->vcpus, guint, 0));
}

static GArray *
list_parties (const VpPlacementView *view)
{
  GArray *parties = g_array_new (FALSE, FALSE, sizeof (Party));

  g_array_set_clear_func (parties, party_clear);
  for (guint i = 0; i < view->request->n_vcpus; i++) {
    guint at = 0;

    while (at < parties->len && g_array_index (parties, Party, at).nodes != view->homes[i])
      at++;
    if (at == parties->len) {
      Party party = { .nodes = view->homes[i], .vcpus = g_array_new (FALSE, FALSE, sizeof (guint)) };
      party.n_nodes = party.nodes != NULL ? (guint) hwloc_bitmap_weight (party.nodes) : G_MAXUINT;
      g_array_append_val (parties, party);
    }
    g_array_append_val (g_array_index (parties, Party, at).vcpus, i);
  }
  g_array_sort (parties, compare_parties);
  return parties;
}

static void
take_cores (const VpTopology *topology, const int *cpus, guint n, hwloc_bitmap_t taken)
{
  for (guint i = 0; i < n; i++) {
    const VpCore *core = &topology->cores[topology->pus[vp_topology_find_pu (topology, (unsigned) cpus[i])].core];

    for (guint j = core->first_pu; j < core->first_pu + core->n_pus; j++)
      hwloc_bitmap_set (taken, topology->pus[j].os_index);
  }
}

/* `nodes` NULL: on any. */
static gboolean
search_part (const VpPlacementView *view, guint n_vcpus, hwloc_const_bitmap_t nodes, hwloc_const_bitmap_t taken,
             int *cpus)
{
  VpPlacementRequest request = *view->request;

  request.n_vcpus = n_vcpus;
  request.memory_kib = 0; /* the cells say where theirs is */
  request.n_bound = 0;
  request.taken = taken;
  request.current = NULL;
  g_autoptr (VpPlacementView) part = vp_placement_view_new (view->topology, &request, view->threads);
  if (nodes != NULL) {
    part->within = g_new0 (gboolean, view->topology->n_nodes);
    for (guint i = 0; i < view->topology->n_nodes; i++)
      part->within[i] = vp_topology_is_node_in (view->topology, i, nodes);
  }
  return vp_placement_search_own (part, cpus);
}

/* How many of its vCPUs, in whole guest cores, find a place at home; they are the first. */
static guint
search_home (const VpPlacementView *view, const Party *party, hwloc_const_bitmap_t taken, int *cpus)
{
  guint low = 0;
  guint high = party->vcpus->len / view->threads;

  if (party->nodes == NULL)
    return 0;
  if (search_part (view, party->vcpus->len, party->nodes, taken, cpus))
    return party->vcpus->len;
  /* `low` guest cores fit; more than `high` do not. */
  while (low < high) {
    guint middle = high - (high - low) / 2;

    if (search_part (view, middle * view->threads, party->nodes, taken, cpus))
      low = middle;
    else
      high = middle - 1;
  }
  if (low > 0)
    search_part (view, low * view->threads, party->nodes, taken, cpus);
  return low * view->threads;
}

/* These CPUs are those vCPUs', and their cores nobody else's. */
static void
note (const VpPlacementView *view, const GArray *ids, guint n, const int *cpus, hwloc_bitmap_t taken, int *vcpus)
{
  take_cores (view->topology, cpus, n, taken);
  for (guint i = 0; i < n; i++)
    vcpus[g_array_index (ids, guint, i)] = cpus[i];
}

gboolean
vp_placement_cells_search (const VpPlacementView *view, int *vcpus)
{
  g_autoptr (GArray) parties = list_parties (view);
  g_autoptr (GArray) rest = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (VpBitmap) taken = hwloc_bitmap_alloc ();
  g_autofree int *cpus = g_new (int, view->request->n_vcpus);

  if (view->request->taken != NULL)
    hwloc_bitmap_copy (taken, view->request->taken);
  for (guint i = 0; i < parties->len; i++) {
    const Party *party = &g_array_index (parties, Party, i);
    guint n = search_home (view, party, taken, cpus);

    note (view, party->vcpus, n, cpus, taken, vcpus);
    g_array_append_vals (rest, &g_array_index (party->vcpus, guint, n), party->vcpus->len - n);
  }
  g_array_sort (rest, vp_number_compare_guint);
  if (rest->len > 0 && !search_part (view, rest->len, NULL, taken, cpus))
    return FALSE;
  note (view, rest, rest->len, cpus, taken, vcpus);
  return TRUE;
}
