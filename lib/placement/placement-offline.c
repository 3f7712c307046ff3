/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is left for vCPUs that are offline, when those that run have their places:
 *
 *   0 the CPU beside a vCPU of its own guest core
 *   - of the next two first what is on the nodes that the memory of its cell comes from
 *   1 without threads: what is free on the guest's cores, which nobody else may have
 *   2 with threads: a host core for the guest core
 *   3 any CPU that no guest holds
 *   4 none
 *
 * Host cores in the order: nobody's, planned for others, the host's reserve; then as the rules of placement
 * have it. Nothing makes way for them, and they count for nobody else. All is linear in CPUs and vCPUs.
 */
#include "placement/placement-offline.h"

#include <string.h>

#include "base/list.h"
#include "base/number.h"
#include "placement/placement-host.h"

typedef struct {
  guint position;
  guint cost[6]; /* the first that differs decides */
} Rest;

typedef struct {
  const VpPlacementView *view;
  VpPlacement *answer;
  guint threads;     /* of a guest core, whether they run or not */
  VpBitmap *used;    /* CPUs that vCPUs of this guest have */
  GHashTable *homes; /* guest core → 1 + the position of its host core */
  Rest *rest;        /* host cores without a vCPU of any guest, the best first */
  guint n_rest;
  guint next_whole; /* in rest */
  guint next_any;   /* in rest */
  guint next_own;   /* of those that run */
} Leftovers;

static int
compare_rest (const void *left, const void *right)
{
  const Rest *a = left;
  const Rest *b = right;

  for (guint i = 0; i < G_N_ELEMENTS (a->cost); i++)
    if (a->cost[i] != b->cost[i])
      return vp_number_compare (a->cost[i], b->cost[i]);
  return vp_number_compare (b->position, a->position);
}

static void
list_rest (Leftovers *self)
{
  const VpPlacementView *view = self->view;
  const VpTopology *topology = view->topology;
  g_autofree guint *on_core = vp_host_side_count_on_cores (view, self->answer);
  g_autofree gboolean *l3s = g_new0 (gboolean, topology->n_l3s);
  g_autofree gboolean *nodes = g_new0 (gboolean, topology->n_nodes);

  for (guint i = 0; i < topology->n_cores; i++) {
    l3s[topology->cores[i].l3] |= on_core[i] > 0;
    nodes[topology->cores[i].node] |= on_core[i] > 0;
  }
  self->rest = g_new0 (Rest, topology->n_cores);
  for (guint i = 0; i < topology->n_cores; i++) {
    const VpCore *core = &topology->cores[i];
    const VpCoreView *seen = &view->cores[i];
    if (on_core[i] > 0 || seen->width == 0 || seen->taken > 0)
      continue;
    Rest rest = { i,
                  { seen->keep < view->reserve ? 2
                    : seen->planned > 0        ? 1
                                               : 0,
                    view->has_large && !seen->large, !seen->isolated, vp_placement_view_rank_kind (view, core->kind),
                    !nodes[core->node], !l3s[core->l3] } };
    self->rest[self->n_rest++] = rest;
  }
  qsort (self->rest, self->n_rest, sizeof *self->rest, compare_rest);
}

/* A usable CPU of the core that no guest has; -1: none. */
static int
find_free (const Leftovers *self, guint core)
{
  const VpTopology *topology = self->view->topology;
  hwloc_const_bitmap_t taken = self->view->request->taken;

  for (guint i = topology->cores[core].first_pu; i < topology->cores[core].first_pu + topology->cores[core].n_pus;
       i++) {
    const VpPu *pu = &topology->pus[i];
    if (pu->usable && !hwloc_bitmap_isset (self->used, pu->os_index) &&
        (taken == NULL || !hwloc_bitmap_isset (taken, pu->os_index)))
      return (int) pu->os_index;
  }
  return -1;
}

static guint
core_of (const Leftovers *self, guint vcpu)
{
  const VpTopology *topology = self->view->topology;

  return topology->pus[vp_topology_find_pu (topology, (unsigned) self->answer->vcpus[vcpu])].core;
}

static void
note (Leftovers *self, guint vcpu, int cpu)
{
  self->answer->vcpus[vcpu] = cpu;
  if (cpu < 0)
    return;
  hwloc_bitmap_set (self->used, (unsigned) cpu);
  g_hash_table_insert (self->homes, GUINT_TO_POINTER (self->answer->ids[vcpu] / self->threads),
                       GUINT_TO_POINTER (core_of (self, vcpu) + 1));
}

static int
take_own (Leftovers *self)
{
  int cpu = -1;

  while (self->next_own < self->answer->n_vcpus && (cpu = find_free (self, core_of (self, self->next_own))) < 0)
    self->next_own++;
  return cpu;
}

static gboolean
holds_guest_core (const Leftovers *self, guint core)
{
  const VpCore *at = &self->view->topology->cores[core];

  for (guint i = at->first_pu; i < at->first_pu + at->n_pus; i++)
    if (hwloc_bitmap_isset (self->used, self->view->topology->pus[i].os_index))
      return FALSE;
  return self->view->cores[core].width >= self->threads;
}

/* Cores that do not hold a guest core are passed by for good. */
static int
take_whole (Leftovers *self)
{
  int cpu = -1;

  while (self->next_whole < self->n_rest && cpu < 0) {
    guint core = self->rest[self->next_whole++].position;
    if (holds_guest_core (self, core))
      cpu = find_free (self, core);
  }
  return cpu;
}

static int
take_any (Leftovers *self)
{
  int cpu = -1;

  while (self->next_any < self->n_rest && (cpu = find_free (self, self->rest[self->next_any].position)) < 0)
    self->next_any++;
  return cpu >= 0 ? cpu : take_own (self);
}

/* The nodes that the memory of its cell comes from; NULL: any. */
static hwloc_const_bitmap_t
find_nodes (const Leftovers *self, guint vcpu)
{
  const VpPlacementRequest *request = self->view->request;

  for (guint i = 0; i < request->n_bound; i++)
    if (hwloc_bitmap_isset (request->bound[i].vcpus, vcpu))
      return request->bound[i].nodes;
  return NULL;
}

/* A free CPU on these nodes, of the guest's cores or of such as nobody wants. */
static int
take_near (const Leftovers *self, hwloc_const_bitmap_t nodes, gboolean whole)
{
  const VpPlacementView *view = self->view;
  int cpu = -1;

  for (guint i = 0; i < self->answer->n_vcpus && self->threads == 1 && cpu < 0; i++)
    if (vp_topology_is_node_in (view->topology, view->topology->cores[core_of (self, i)].node, nodes))
      cpu = find_free (self, core_of (self, i));
  for (guint i = 0; i < self->n_rest && cpu < 0; i++) {
    guint core = self->rest[i].position;
    if (self->rest[i].cost[0] == 0 &&
        vp_topology_is_node_in (view->topology, view->topology->cores[core].node, nodes) &&
        (!whole || holds_guest_core (self, core)))
      cpu = find_free (self, core);
  }
  return cpu;
}

static int
take (Leftovers *self, guint vcpu)
{
  hwloc_const_bitmap_t nodes = find_nodes (self, vcpu);
  guint home =
    GPOINTER_TO_UINT (g_hash_table_lookup (self->homes, GUINT_TO_POINTER (self->answer->ids[vcpu] / self->threads)));
  int cpu = home > 0 ? find_free (self, home - 1) : -1;

  if (cpu < 0 && nodes != NULL && home == 0)
    cpu = take_near (self, nodes, TRUE);
  if (cpu < 0 && nodes != NULL)
    cpu = take_near (self, nodes, FALSE);
  if (cpu < 0 && self->threads == 1)
    cpu = take_own (self);
  if (cpu < 0 && home == 0)
    cpu = take_whole (self);
  return cpu >= 0 ? cpu : take_any (self);
}

void
vp_placement_offline_fill (const VpPlacementView *view, VpPlacement *answer)
{
  const VpPlacementRequest *request = view->request;
  guint n = answer->n_vcpus + answer->n_offline;
  g_autoptr (VpBitmap) used = hwloc_bitmap_alloc ();
  g_autoptr (GHashTable) homes = g_hash_table_new (NULL, NULL);
  guint threads = request->core_threads > 0 ? request->core_threads : request->threads;
  Leftovers self = {
    .view = view, .answer = answer, .threads = MAX (view->threads, threads), .used = used, .homes = homes
  };

  answer->ids = g_new (guint, n);
  for (guint i = 0; i < n; i++)
    answer->ids[i] = request->ids != NULL ? request->ids[i] : i;
  if (answer->n_offline == 0)
    return;
  answer->vcpus = g_renew (int, answer->vcpus, n);
  list_rest (&self);
  for (guint i = 0; i < n; i++)
    note (&self, i, i < answer->n_vcpus ? answer->vcpus[i] : take (&self, i));
  g_free (self.rest);
}
