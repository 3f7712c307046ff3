/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties of placement on random hosts, guests and neighbours; the seed is
 * fixed. On small hosts every set of cores is tried as well: none may be
 * better by the rules, which are written down a second time here.
 */
#include <string.h>

#include "made-host.h"
#include "placement/placement.h"

#define SEED 20150614
#define N_SMALL 2500
#define N_LARGE 1500

typedef struct {
  VpTopology *topology;
  VpPlacementRequest request;
  hwloc_bitmap_t taken;
  hwloc_bitmap_t planned;
  VpBoundCell cells[2];
  int devices[2];
  char *text; /* what is needed to see it again */
} Case;

/* `spared` is never in it: a host has at least one CPU. */
static char *
random_list (GRand *rand, guint n_cpus, guint percent, guint spared)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < n_cpus; i++) {
    if ((guint) g_rand_int_range (rand, 0, 100) < percent && i != spared)
      g_string_append_printf (text, "%s%u", text->len > 0 ? "," : "", i);
  }
  return g_string_free (text, FALSE);
}

static guint
pick (GRand *rand, guint n, const guint *choices)
{
  return choices[g_rand_int_range (rand, 0, (int) n)];
}

#define PICK(rand, ...) pick (rand, G_N_ELEMENTS (((const guint[]){ __VA_ARGS__ })), (const guint[]){ __VA_ARGS__ })

typedef struct {
  guint packages, nodes, l3s, cores, threads;
} Shape;

static Shape
random_shape (GRand *rand, gboolean small)
{
  Shape shape = { .packages = 1,
                  .nodes = PICK (rand, 1, 1, 2),
                  .l3s = PICK (rand, 1, 2, 3),
                  .cores = PICK (rand, 1, 2, 3, 4, 6),
                  .threads = PICK (rand, 1, 2, 2) };

  if (!small)
    return (Shape){ .packages = PICK (rand, 1, 1, 2),
                    .nodes = PICK (rand, 1, 1, 2, 4, 8),
                    .l3s = PICK (rand, 1, 1, 2, 4),
                    .cores = PICK (rand, 2, 3, 4, 6, 8),
                    .threads = PICK (rand, 1, 2, 2, 2, 4) };
  while (shape.nodes * shape.l3s * shape.cores * shape.threads > 12)
    shape.l3s > 1 ? shape.l3s-- : shape.cores > 1 ? shape.cores-- : shape.nodes--;
  return shape;
}

/* The first or the last third are slow, with one thread a core: CPU 0 is of either kind. */
static void
set_kinds (GRand *rand, guint n_cores, guint threads, MadeHost *host)
{
  guint n_slow = n_cores / 3 + 1;
  gboolean last = g_rand_int_range (rand, 0, 2) == 0;
  guint from = last ? n_cores - n_slow : 0;
  g_autofree char *slow = g_strdup_printf ("%u-%u", from, from + n_slow - 1);
  g_autofree char *siblings = g_strdup_printf ("%u-%u", n_cores + from, n_cores + from + n_slow - 1);
  hwloc_bitmap_t rest = hwloc_bitmap_alloc ();
  char *fast = NULL;

  hwloc_bitmap_set_range (rest, 0, (int) (n_cores * threads) - 1);
  hwloc_bitmap_clr_range (rest, from, (int) (from + n_slow) - 1);
  if (threads > 1)
    hwloc_bitmap_clr_range (rest, n_cores + from, (int) (n_cores + from + n_slow) - 1);
  hwloc_bitmap_list_asprintf (&fast, rest);
  host->kinds[0] = (MadeKind){ g_intern_string (slow), "CoreType", "IntelAtom" };
  host->kinds[1] = (MadeKind){ g_intern_string (fast), "CoreType", "IntelCore" };
  if (threads > 1)
    host->offline = g_intern_string (siblings);
  hwloc_bitmap_free (rest);
  free (fast);
}

static VpTopology *
random_host (GRand *rand, Shape shape, char **text)
{
  guint n_cores = shape.packages * shape.nodes * shape.l3s * shape.cores;
  guint n_cpus = n_cores * shape.threads;
  g_autofree char *synthetic =
    g_strdup_printf ("pack:%u numa:%u l3:%u core:%u pu:%u(indexes=%u*%u:%u*1)", shape.packages, shape.nodes, shape.l3s,
                     shape.cores, shape.threads, shape.threads, n_cores, n_cores);
  guint spared = (guint) g_rand_int_range (rand, 0, (int) n_cpus);
  g_autofree char *offline = random_list (rand, n_cpus, PICK (rand, 0, 0, 10, 40), spared);
  g_autofree char *disallowed = random_list (rand, n_cpus, PICK (rand, 0, 0, 0, 20), spared);
  g_autofree char *isolated = random_list (rand, n_cpus, PICK (rand, 0, 0, 0, 60), n_cpus);
  MadeHost host = { .synthetic = synthetic, .offline = offline, .disallowed = disallowed, .isolated = isolated };
  gboolean kinds = shape.threads <= 2 && n_cores > 3 && g_rand_int_range (rand, 0, 3) == 0;

  if (kinds)
    set_kinds (rand, n_cores, shape.threads, &host);
  for (guint i = 0; i < 16; i++) {
    host.l3_mib[i] = PICK (rand, 32, 32, 96);
    host.node_mib[i] = PICK (rand, 4, 4, 4, 4, 0) == 0 ? -1 : 65536;
  }
  *text = g_strdup_printf ("%s offline=%s disallowed=%s isolated=%s slow=%s", synthetic, host.offline, disallowed,
                           isolated, kinds ? host.kinds[0].cpus : "");
  return made_host_load (&host);
}

static void
random_request (GRand *rand, guint n_cpus, Case *self)
{
  VpPlacementRequest *request = &self->request;
  g_autofree char *taken = random_list (rand, n_cpus, PICK (rand, 0, 0, 15, 40), n_cpus);
  g_autofree char *planned = random_list (rand, n_cpus, PICK (rand, 0, 0, 15, 60), n_cpus);

  self->taken = made_set (taken);
  self->planned = made_set (planned);
  self->devices[0] = g_rand_int_range (rand, -1, 4);
  self->devices[1] = g_rand_int_range (rand, -1, 4);
  request->n_vcpus = (guint) g_rand_int_range (rand, 1, MAX (2, (int) (n_cpus * 11 / 10)));
  if (g_rand_int_range (rand, 0, 2) == 0)
    request->n_vcpus = 1 + request->n_vcpus / 4;
  request->threads = PICK (rand, 1, 2, 2, 3, 4);
  request->n_iothreads = PICK (rand, 0, 0, 1, 3);
  request->memory_kib = PICK (rand, 0, 4 << 20);
  request->device_nodes = self->devices;
  request->n_device_nodes = PICK (rand, 0, 1, 2);
  request->pin = VP_PIN_YES;
  request->reserve_cores = PICK (rand, 0, 1, 1, 1, 2);
  request->kind = PICK (rand, VP_KIND_PERFORMANCE, VP_KIND_PERFORMANCE, VP_KIND_EFFICIENCY, VP_KIND_ANY);
  request->cache = PICK (rand, VP_CACHE_ANY, VP_CACHE_LARGEST);
  request->taken = self->taken;
  request->planned = self->planned;
  /* Of what there is: those that run must not change. */
  request->n_offline = (const guint[]){ 0, 0, 1, 3, n_cpus }[(request->n_vcpus * 3 + n_cpus) % 5];
}

/* Two cells, each bound to one node, or none. */
static void
random_cells (GRand *rand, Case *self)
{
  guint n_vcpus = self->request.n_vcpus;
  guint n_nodes = self->topology->n_nodes;
  guint first = n_vcpus / 2 / self->request.threads * self->request.threads;
  guint node = (guint) g_rand_int_range (rand, 0, (int) n_nodes);

  for (guint i = 0; i < G_N_ELEMENTS (self->cells); i++) {
    self->cells[i].vcpus = hwloc_bitmap_alloc ();
    self->cells[i].nodes = hwloc_bitmap_alloc ();
    hwloc_bitmap_set (self->cells[i].nodes, self->topology->nodes[(node + i) % n_nodes].os_index % 1024);
  }
  if (first > 0)
    hwloc_bitmap_set_range (self->cells[0].vcpus, 0, (int) first - 1);
  hwloc_bitmap_set_range (self->cells[1].vcpus, first, (int) n_vcpus - 1);
  self->request.n_bound = n_nodes > 1 ? PICK (rand, 0, 2) : 0;
}

static Case
random_case (GRand *rand, gboolean small)
{
  Case self = { .topology = NULL };
  Shape shape = random_shape (rand, small);
  g_autofree char *host = NULL;

  self.topology = random_host (rand, shape, &host);
  random_request (rand, shape.packages * shape.nodes * shape.l3s * shape.cores * shape.threads, &self);
  random_cells (rand, &self);
  char *taken = NULL;
  char *planned = NULL;
  hwloc_bitmap_list_asprintf (&taken, self.taken);
  hwloc_bitmap_list_asprintf (&planned, self.planned);
  self.text = g_strdup_printf (
    "%s: %u vCPUs and %u offline, threads %u, reserve %u, kind %d, cache %d, devices %u:%d,%d, taken %s, planned %s, "
    "cells %u: %d,%d",
    host, self.request.n_vcpus, self.request.n_offline, self.request.threads, self.request.reserve_cores,
    (int) self.request.kind, (int) self.request.cache, self.request.n_device_nodes, self.devices[0], self.devices[1],
    taken, planned, self.request.n_bound, hwloc_bitmap_first (self.cells[0].nodes),
    hwloc_bitmap_first (self.cells[1].nodes));
  free (taken);
  free (planned);
  return self;
}

static void
case_clear (Case *self)
{
  vp_topology_free (self->topology);
  hwloc_bitmap_free (self->taken);
  hwloc_bitmap_free (self->planned);
  for (guint i = 0; i < G_N_ELEMENTS (self->cells); i++) {
    hwloc_bitmap_free (self->cells[i].vcpus);
    hwloc_bitmap_free (self->cells[i].nodes);
  }
  g_free (self->text);
}

/* random_case returns a copy: the request's pointers are set once it has its place. */
static void
case_settle (Case *self)
{
  self->request.device_nodes = self->devices;
  self->request.bound = self->cells;
}

/* g_assert would say where, not with what. */
#define EXPECT(self, condition)                                                                                        \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    if (!(condition))                                                                                                  \
      g_error ("line %d: " #condition "\n%s", __LINE__, (self)->text);                                                 \
  }                                                                                                                    \
  G_STMT_END

/* --- the rules, written a second time --- */

static guint
usable_width (const VpTopology *topology, guint core)
{
  guint width = 0;

  for (guint i = 0; i < topology->cores[core].n_pus; i++)
    width += topology->pus[topology->cores[core].first_pu + i].usable ? 1 : 0;
  return width;
}

static gboolean
is_taken (const Case *self, guint core)
{
  const VpCore *at = &self->topology->cores[core];

  for (guint i = at->first_pu; i < at->first_pu + at->n_pus; i++) {
    if (hwloc_bitmap_isset (self->taken, self->topology->pus[i].os_index))
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_isolated (const VpTopology *topology, guint core)
{
  const VpCore *at = &topology->cores[core];
  gboolean isolated = usable_width (topology, core) > 0;

  for (guint i = at->first_pu; i < at->first_pu + at->n_pus; i++)
    isolated = isolated && (!topology->pus[i].usable || topology->pus[i].isolated);
  return isolated;
}

static gboolean
has_isolated (const Case *self)
{
  gboolean isolated = FALSE;

  for (guint i = 0; i < self->topology->n_cores; i++)
    isolated |= is_isolated (self->topology, i);
  return isolated;
}

/* The L3s that are 64 MB larger than the smallest, where there are usable cores of both sorts. */
static gboolean
is_large (const Case *self, guint core)
{
  return self->topology->l3s[self->topology->cores[core].l3].size >= (guint64) 96 << 20;
}

static gboolean
has_large (const Case *self)
{
  gboolean large = FALSE;
  gboolean small = FALSE;

  for (guint i = 0; i < self->topology->n_cores; i++) {
    large |= usable_width (self->topology, i) > 0 && is_large (self, i);
    small |= usable_width (self->topology, i) > 0 && !is_large (self, i);
  }
  return self->request.cache == VP_CACHE_LARGEST && large && small;
}

static guint64
reserve_order (const Case *self, guint core, guint home)
{
  const VpCore *at = &self->topology->cores[core];
  guint64 lowest = G_MAXUINT32;

  for (guint i = at->first_pu + at->n_pus; i-- > at->first_pu;)
    lowest = self->topology->pus[i].usable ? self->topology->pus[i].os_index : lowest;
  return lowest + (home < self->topology->n_nodes && at->node != home ? (guint64) 1 << 32 : 0) +
         (is_taken (self, core) ? (guint64) 1 << 33 : 0) + (is_isolated (self->topology, core) ? (guint64) 1 << 34 : 0);
}

/* How many cores the host keeps; isolated ones exist for guests. */
static guint
count_reserve (const Case *self)
{
  guint n_plain = 0;

  for (guint i = 0; i < self->topology->n_cores; i++)
    n_plain += usable_width (self->topology, i) > 0 && !is_isolated (self->topology, i) ? 1 : 0;
  return n_plain > 0 ? MIN (self->request.reserve_cores, n_plain) : self->request.reserve_cores;
}

/* Whether the host can live on the core. */
static gboolean
is_host (const Case *self, guint core)
{
  gboolean all_isolated = TRUE;

  for (guint i = 0; i < self->topology->n_cores; i++)
    all_isolated &= usable_width (self->topology, i) == 0 || is_isolated (self->topology, i);
  return usable_width (self->topology, core) > 0 && !is_taken (self, core) &&
         (all_isolated || !is_isolated (self->topology, core));
}

/* Flags of the cores that the host keeps where it may choose. */
static gboolean *
find_home (const Case *self)
{
  const VpTopology *topology = self->topology;
  gboolean *reserve = g_new0 (gboolean, topology->n_cores);
  guint home = topology->n_nodes;
  guint n = count_reserve (self);

  /* The first one found says which node is the host's; it is found again as the first of the rest. */
  for (guint round = 0; round <= n; round++) {
    guint best = topology->n_cores;

    for (guint i = 0; i < topology->n_cores; i++) {
      if (usable_width (topology, i) > 0 && !reserve[i] &&
          (best == topology->n_cores || reserve_order (self, i, home) < reserve_order (self, best, home)))
        best = i;
    }
    if (best == topology->n_cores)
      break;
    if (round == 0)
      home = topology->cores[best].node;
    else
      reserve[best] = TRUE;
  }
  return reserve;
}

enum {
  RUNG,
  RESERVE,
  WHOLE,
  CACHE,
  ISOLATED,
  KIND,
  SPLIT,
  MEMORYLESS,
  NODES,
  HOME,
  DEVICE,
  PAIRS,
  CORES,
  L3S,
  N_PARTS
};

/* The cost of a set of cores, in one shape: 0 paired or spread, 1 filled. FALSE: it does not hold the guest. */
static gboolean
rate_set (const Case *self, const gboolean *home, guint64 set, int filled, guint *cost)
{
  const VpTopology *topology = self->topology;
  guint threads = MIN (self->request.threads, self->request.n_vcpus);
  guint room = 0;
  guint last_l3 = G_MAXUINT;
  guint last_node = G_MAXUINT;
  guint best_kind = self->request.kind == VP_KIND_EFFICIENCY ? 0 : topology->n_kinds - 1;
  int kind = -1;
  guint left = 0;
  guint rest = 0;

  memset (cost, 0, N_PARTS * sizeof *cost);
  cost[DEVICE] = self->request.n_device_nodes;
  for (guint i = 0; i < topology->n_cores; i++) {
    const VpCore *core = &topology->cores[i];
    guint width = usable_width (topology, i);

    if ((set >> i & 1) == 0) {
      left += is_host (self, i) ? 1 : 0;
      continue;
    }
    if (width == 0 || is_taken (self, i))
      return FALSE;
    room += filled ? width : threads > 1 ? width / threads * threads : 1;
    rest = MAX (rest, width % threads);
    cost[HOME] += home[i] ? 1 : 0;
    cost[CACHE] |= has_large (self) && !is_large (self, i);
    cost[ISOLATED] |= !is_isolated (topology, i);
    if (kind < 0)
      cost[KIND] = core->kind == best_kind ? 0 : 1;
    else if (kind != (int) core->kind)
      cost[KIND] = topology->n_kinds;
    kind = (int) core->kind;
    cost[MEMORYLESS] |= !topology->nodes[core->node].usable;
    cost[NODES] += core->node != last_node ? 1 : 0;
    cost[L3S] += core->l3 != last_l3 ? 1 : 0;
    cost[CORES]++;
    last_node = core->node;
    last_l3 = core->l3;
    for (guint j = self->request.n_device_nodes; j-- > 0;) {
      if (topology->nodes[core->node].usable && self->devices[j] == (int) topology->nodes[core->node].os_index)
        cost[DEVICE] = MIN (cost[DEVICE], j);
    }
  }
  guint wanted = count_reserve (self);
  cost[RESERVE] = wanted - MIN (wanted, left);
  cost[RUNG] = cost[RESERVE] > 0 ? 1 : 0;
  if (threads > 1)
    cost[SPLIT] = (guint) filled;
  else
    cost[PAIRS] = (guint) filled;
  cost[WHOLE] = self->request.kind != VP_KIND_EFFICIENCY ? cost[SPLIT] : 0;
  cost[ISOLATED] &= has_isolated (self) ? 1 : 0;
  /* A guest core that is not complete is whole on what others leave of a host core, too. */
  if (!filled && threads > 1 && rest >= self->request.n_vcpus % threads)
    room += self->request.n_vcpus % threads;
  /* Several kinds: a guest core is of one, so that sets of them are not that simple; see below. */
  return room >= self->request.n_vcpus;
}

static int
compare_costs (const guint *a, const guint *b, guint n)
{
  for (guint i = 0; i < n; i++) {
    if (a[i] != b[i])
      return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

static gboolean
find_best (const Case *self, const gboolean *home, guint *best)
{
  gboolean found = FALSE;

  for (guint64 set = 1; set >> self->topology->n_cores == 0; set++) {
    for (int filled = 0; filled <= 1; filled++) {
      guint cost[N_PARTS];

      if (!rate_set (self, home, set, filled, cost) || (found && compare_costs (cost, best, N_PARTS) >= 0))
        continue;
      memcpy (best, cost, sizeof cost);
      found = TRUE;
    }
  }
  return found;
}

/* --- what holds of every answer --- */

static guint64
set_of (const Case *self, const VpPlacement *answer)
{
  guint64 set = 0;

  for (guint i = 0; i < answer->n_vcpus; i++) {
    int position = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[i]);

    set |= (guint64) 1 << self->topology->pus[position].core;
  }
  return set;
}

static gboolean
is_split (const Case *self, const VpPlacement *answer)
{
  for (guint i = 0; i < answer->n_vcpus; i++) {
    guint first = i - i % self->request.threads;
    int a = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[first]);
    int b = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[i]);

    if (self->topology->pus[a].core != self->topology->pus[b].core)
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_paired (const Case *self, const VpPlacement *answer)
{
  g_autofree guint *on_core = g_new0 (guint, self->topology->n_cores);

  for (guint i = 0; i < answer->n_vcpus; i++) {
    int position = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[i]);

    if (on_core[self->topology->pus[position].core]++ > 0)
      return TRUE;
  }
  return FALSE;
}

static void
check_vcpus (const Case *self, const VpPlacement *answer)
{
  hwloc_bitmap_t seen = hwloc_bitmap_alloc ();
  guint n_shared = 0;

  for (guint i = 0; i < answer->n_vcpus; i++) {
    int position = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[i]);

    EXPECT (self, position >= 0 && self->topology->pus[position].usable);
    EXPECT (self, !hwloc_bitmap_isset (seen, (unsigned) answer->vcpus[i]));
    hwloc_bitmap_set (seen, (unsigned) answer->vcpus[i]);
    n_shared += hwloc_bitmap_isset (self->taken, (unsigned) answer->vcpus[i]) ? 1 : 0;
    EXPECT (self, answer->reasons[i] != NULL);
  }
  EXPECT (self, n_shared == 0 || (answer->level == VP_LEVEL_SHARED && answer->warnings->len > 0));
  EXPECT (self, answer->level < VP_LEVEL_RESERVE || answer->warnings->len > 0);
  hwloc_bitmap_free (seen);
}

/* Nothing makes way for those that are offline; they have what nobody has, once each, while there is any. */
static void
check_offline (const Case *self, const VpPlacement *answer)
{
  VpPlacementRequest request = self->request;
  hwloc_bitmap_t left = hwloc_bitmap_alloc ();
  gboolean all = FALSE;

  request.n_offline = 0;
  g_autoptr (VpPlacement) alone = vp_placement_new (self->topology, &request, NULL);
  EXPECT (self, memcmp (alone->vcpus, answer->vcpus, answer->n_vcpus * sizeof *answer->vcpus) == 0);
  EXPECT (self, alone->warnings->len == answer->warnings->len && alone->level == answer->level);
  EXPECT (self, (alone->emulator == NULL) == (answer->emulator == NULL) &&
                  (alone->emulator == NULL || hwloc_bitmap_isequal (alone->emulator, answer->emulator)));
  for (guint i = 0; i < self->topology->n_pus; i++) {
    const VpPu *pu = &self->topology->pus[i];
    if (pu->usable && !is_taken (self, pu->core))
      hwloc_bitmap_set (left, pu->os_index);
  }
  for (guint i = 0; i < answer->n_vcpus; i++)
    hwloc_bitmap_clr (left, (unsigned) answer->vcpus[i]);
  for (guint i = answer->n_vcpus; i < answer->n_vcpus + answer->n_offline; i++) {
    EXPECT (self, answer->ids[i] == i && answer->reasons[i] != NULL);
    EXPECT (self, !all || answer->vcpus[i] < 0);
    all = all || answer->vcpus[i] < 0;
    if (answer->vcpus[i] >= 0 && answer->level != VP_LEVEL_SHARED)
      EXPECT (self, hwloc_bitmap_isset (left, (unsigned) answer->vcpus[i]));
    if (answer->vcpus[i] >= 0)
      hwloc_bitmap_clr (left, (unsigned) answer->vcpus[i]);
  }
  EXPECT (self, answer->n_offline == 0 || !all || hwloc_bitmap_iszero (left));
  hwloc_bitmap_free (left);
}

/* The offline thread of a guest core that runs is beside it, where there is room for it. */
static void
check_beside (const Case *self, const VpPlacement *answer)
{
  guint first = answer->n_vcpus - answer->n_vcpus % self->request.threads;
  guint core =
    self->topology->pus[vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[answer->n_vcpus - 1])].core;

  if (answer->n_vcpus == first || answer->level == VP_LEVEL_SHARED ||
      usable_width (self->topology, core) != self->request.threads)
    return;
  for (guint i = first; i < first + self->request.threads && i < answer->n_vcpus + answer->n_offline; i++) {
    int position = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[i]);
    EXPECT (self, position >= 0 && (self->topology->pus[position].core == core || is_split (self, answer)));
  }
}

static void
check_host_set (const Case *self, const VpPlacement *answer, hwloc_const_bitmap_t set)
{
  guint64 guest = self->topology->n_cores <= 64 ? set_of (self, answer) : 0;
  unsigned cpu;

  EXPECT (self, !hwloc_bitmap_iszero (set));
  hwloc_bitmap_foreach_begin (cpu, set)
    int position = vp_topology_find_pu (self->topology, cpu);

    EXPECT (self, position >= 0 && self->topology->pus[position].usable);
    EXPECT (self, !is_taken (self, self->topology->pus[position].core));
    EXPECT (self, self->topology->n_cores > 64 || (guest >> self->topology->pus[position].core & 1) == 0);
  hwloc_bitmap_foreach_end ();
}

static void
check_host_side (const Case *self, const VpPlacement *answer)
{
  if (answer->emulator != NULL)
    check_host_set (self, answer, answer->emulator);
  for (guint i = 0; i < answer->n_iothreads && answer->iothreads != NULL; i++)
    check_host_set (self, answer, answer->iothreads[i]);
  for (guint i = 0; i < self->topology->n_nodes && answer->nodes != NULL; i++) {
    const VpNode *node = &self->topology->nodes[i];

    EXPECT (self,
            node->usable || node->os_index == VP_NODE_NONE || !hwloc_bitmap_isset (answer->nodes, node->os_index));
  }
}

static void
check_again (const Case *self, const VpPlacement *answer)
{
  VpPlacementRequest request = self->request;
  g_autoptr (VpPlacement) same = vp_placement_new (self->topology, &request, NULL);

  EXPECT (self, memcmp (same->vcpus, answer->vcpus, answer->n_vcpus * sizeof *answer->vcpus) == 0);
  request.current = answer->vcpus;
  g_autoptr (VpPlacement) kept = vp_placement_new (self->topology, &request, NULL);
  EXPECT (self, memcmp (kept->vcpus, answer->vcpus, answer->n_vcpus * sizeof *answer->vcpus) == 0);
  EXPECT (self, strcmp (kept->summary, answer->summary) == 0);
  EXPECT (self, kept->warnings->len == answer->warnings->len);
}

/* The kind of the host core that a vCPU is on. */
static guint
kind_of (const Case *self, const VpPlacement *answer, guint vcpu)
{
  int position = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[vcpu]);

  return self->topology->cores[self->topology->pus[position].core].kind;
}

/* Guest cores that the free cores of the best kind hold whole, and how many cores these are of those that the host has. */
static gboolean
holds_best_kind (const Case *self)
{
  guint threads = MIN (self->request.threads, self->request.n_vcpus);
  guint room = 0;
  guint left = 0;

  for (guint i = 0; i < self->topology->n_cores; i++) {
    gboolean best = self->topology->cores[i].kind == self->topology->n_kinds - 1;

    if (best && !is_taken (self, i))
      room += usable_width (self->topology, i) / threads;
    else
      left += is_host (self, i) ? 1 : 0;
  }
  return room >= (self->request.n_vcpus + threads - 1) / threads && left >= count_reserve (self);
}

static void
check_kinds (const Case *self, const VpPlacement *answer)
{
  guint threads = MIN (self->request.threads, self->request.n_vcpus);

  for (guint i = 0; i < answer->n_vcpus; i++) {
    guint first = i - i % threads;

    EXPECT (self, kind_of (self, answer, i) == kind_of (self, answer, first));
  }
  /* What comes before kinds may ask for others; a guest with threads makes no way for one that is only planned. */
  if (self->request.kind != VP_KIND_PERFORMANCE || has_isolated (self) || has_large (self) || !holds_best_kind (self) ||
      (threads == 1 && !hwloc_bitmap_iszero (self->planned) && self->request.planned != NULL))
    return;
  for (guint i = 0; i < answer->n_vcpus; i++)
    EXPECT (self, kind_of (self, answer, i) == self->topology->n_kinds - 1);
}

/* The node of a core, as cells name it; -1: it has no number. */
static int
node_of (const Case *self, guint core)
{
  unsigned node = self->topology->nodes[self->topology->cores[core].node].os_index;

  return node == VP_NODE_NONE ? -1 : (int) node;
}

/* Guest cores that a cell needs, and whether those of its node that nobody holds are as many. */
static gboolean
fits_at_home (const Case *self, const VpBoundCell *cell, guint *demand)
{
  guint threads = MIN (self->request.threads, self->request.n_vcpus);
  guint room = 0;

  *demand = ((guint) hwloc_bitmap_weight (cell->vcpus) + threads - 1) / threads;
  for (guint i = 0; i < self->topology->n_cores; i++) {
    if (!is_taken (self, i) && node_of (self, i) == hwloc_bitmap_first (cell->nodes))
      room += usable_width (self->topology, i) / threads;
  }
  return room >= *demand;
}

/* Each cell's vCPUs are at home where they fit there beside what the host keeps. */
static void
check_cells (const Case *self, const VpPlacement *answer)
{
  guint left = 0;
  guint demand[2];
  gboolean fits = fits_at_home (self, &self->cells[0], &demand[0]) && fits_at_home (self, &self->cells[1], &demand[1]);

  for (guint i = 0; i < self->topology->n_cores; i++)
    left += is_host (self, i) ? 1 : 0;
  if (!fits || left < demand[0] + demand[1] + count_reserve (self))
    return;
  EXPECT (self, answer->level < VP_LEVEL_RESERVE);
  for (guint i = 0; i < answer->n_vcpus; i++) {
    const VpBoundCell *cell = &self->cells[hwloc_bitmap_isset (self->cells[0].vcpus, i) ? 0 : 1];
    int position = vp_topology_find_pu (self->topology, (unsigned) answer->vcpus[i]);
    int node = node_of (self, self->topology->pus[position].core);

    EXPECT (self, node == hwloc_bitmap_first (cell->nodes));
  }
}

/* A guest core of two kinds is never made: where that leaves nothing, the guest is not pinned. */
static guint
count_usable (const VpTopology *topology)
{
  guint n = 0;

  for (guint i = 0; i < topology->n_pus; i++)
    n += topology->pus[i].usable ? 1 : 0;
  return n;
}

static gboolean
check_properties (const Case *self, VpPlacement **answer)
{
  g_autoptr (GError) error = NULL;

  *answer = vp_placement_new (self->topology, &self->request, &error);
  EXPECT (self, *answer != NULL);
  if ((*answer)->level == VP_LEVEL_UNPINNED) {
    EXPECT (self, self->request.n_vcpus > count_usable (self->topology) ||
                    (self->topology->n_kinds > 1 && self->request.threads > 1));
    EXPECT (self, (*answer)->warnings->len > 0);
    return FALSE;
  }
  check_vcpus (self, *answer);
  check_offline (self, *answer);
  check_beside (self, *answer);
  check_host_side (self, *answer);
  if (self->request.n_bound > 0)
    check_cells (self, *answer);
  else
    check_kinds (self, *answer);
  check_again (self, *answer);
  return TRUE;
}

static gboolean
has_equal_widths (const VpTopology *topology)
{
  guint first = 0;

  for (guint i = 0; i < topology->n_cores; i++) {
    guint width = usable_width (topology, i);

    first = first == 0 ? width : first;
    if (width != 0 && width != first)
      return FALSE;
  }
  return TRUE;
}

/*
 * How many parts of the cost the search promises to be the best in. Several
 * kinds are taken one after the other, isolated cores or not; cores without
 * memory are taken as they come; a guest on several nodes fills them one by one,
 * which may be one L3 more; cores of unequal width are counted by their CPUs, and
 * which of them, or of isolated ones, to leave to the host is not tried out; what
 * the host is short of is what it would have kept last.
 */
static guint
count_promised (const Case *self, const guint *best)
{
  const VpTopology *topology = self->topology;

  gboolean odd = self->request.n_vcpus % self->request.threads != 0;

  if (!has_equal_widths (topology) && (best[HOME] > 0 || best[NODES] > 1 || odd))
    return 0;
  if (has_isolated (self) && best[HOME] > 0)
    return 0;
  if (best[KIND] == topology->n_kinds && topology->n_kinds > 1)
    return has_isolated (self) ? 0 : KIND + 1;
  if (best[MEMORYLESS] != 0)
    return MEMORYLESS + 1;
  if (odd)
    return KIND + 1;
  if (best[RESERVE] > 0)
    return HOME + 1;
  if (!has_equal_widths (topology))
    return DEVICE + 1;
  return best[NODES] > 1 ? CORES + 1 : N_PARTS;
}

static void
check_against_all (const Case *self, const VpPlacement *answer, guint *n_compared)
{
  g_autofree gboolean *home = find_home (self);
  guint best[N_PARTS];
  guint cost[N_PARTS];
  gboolean fits = find_best (self, home, best);

  if (!fits) {
    EXPECT (self, answer->level == VP_LEVEL_SHARED);
    return;
  }
  /* Guest cores of two kinds are not made, so that sharing may come earlier than the sets say. */
  if (best[KIND] == self->topology->n_kinds && self->topology->n_kinds > 1 && self->request.threads > 1)
    return;
  EXPECT (self, answer->level < VP_LEVEL_SHARED);
  gboolean filled = self->request.threads > 1 ? is_split (self, answer) : is_paired (self, answer);
  /* The last guest core, if it is not complete, may have a smaller core. */
  if (!rate_set (self, home, set_of (self, answer), filled ? 1 : 0, cost))
    EXPECT (self, rate_set (self, home, set_of (self, answer), 1, cost));
  if (compare_costs (cost, best, count_promised (self, best)) != 0) {
    for (guint i = 0; i < N_PARTS; i++)
      g_printerr ("part %u: %u, best %u\n", i, cost[i], best[i]);
    g_error ("a better set of cores exists; %s\n%s", answer->summary, self->text);
  }
  (*n_compared)++;
}

static void
test_small (void)
{
  GRand *rand = g_rand_new_with_seed (SEED);
  guint n_compared = 0;

  for (guint i = 0; i < N_SMALL; i++) {
    Case self = random_case (rand, TRUE);
    g_autoptr (VpPlacement) answer = NULL;

    case_settle (&self);
    /* These are left to the other test: memory may outweigh a device's node. */
    self.request.memory_kib = 0;
    self.request.planned = NULL;
    self.request.n_bound = 0;
    if (check_properties (&self, &answer))
      check_against_all (&self, answer, &n_compared);
    case_clear (&self);
  }
  g_test_message ("%u of %u answers held against all sets of cores", n_compared, N_SMALL);
  g_assert_cmpuint (n_compared, >, N_SMALL / 2);
  g_rand_free (rand);
}

static void
test_large (void)
{
  GRand *rand = g_rand_new_with_seed (SEED + 1);

  for (guint i = 0; i < N_LARGE; i++) {
    Case self = random_case (rand, FALSE);
    g_autoptr (VpPlacement) answer = NULL;

    case_settle (&self);
    check_properties (&self, &answer);
    case_clear (&self);
  }
  g_rand_free (rand);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/placement-random/small-hosts", test_small);
  g_test_add_func ("/placement-random/large-hosts", test_large);
  return g_test_run ();
}
