/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every vCPU's reason, the line that sums up, and a warning with numbers for
 * each rule that gave way. Says what was decided, decides nothing.
 */
#include "placement/placement-report.h"

#include "base/list.h"
#include "placement/placement-host.h"

static G_GNUC_PRINTF (2, 3) void warn (VpPlacement *answer, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_ptr_array_add (answer->warnings, g_strdup_vprintf (format, arguments));
  va_end (arguments);
}

static const char *
plural (guint n)
{
  return n == 1 ? "" : "s";
}

/* "1", "1 and 2", "1, 2 and 3" */
static char *
dup_enumeration (const GArray *numbers)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < numbers->len; i++)
    g_ptr_array_add (words, g_strdup_printf ("%u", g_array_index (numbers, guint, i)));
  return vp_list_dup_words (words);
}

static const char *
device_name (const VpPlacementView *view)
{
  return view->request->device_name != NULL ? view->request->device_name : "the device";
}

static gboolean
is_beside_device (const VpPlacementView *view, guint node)
{
  return view->n_nodes > 1 && view->device_rank[node] < view->request->n_device_nodes &&
         view->device_rank[node] == view->best_device;
}

static void
append_place (const VpPlacementView *view, const VpPu *pu, GString *text)
{
  const VpTopology *topology = view->topology;
  const VpCore *core = &topology->cores[pu->core];
  const VpNode *node = &topology->nodes[core->node];

  g_string_append_printf (text, "CPU %u: core %u", pu->os_index, core->os_index);
  if (topology->n_packages > 1)
    g_string_append_printf (text, " of package %u", core->package);
  g_string_append_printf (text, ", L3 %u", core->l3);
  if (node->os_index == VP_NODE_NONE)
    g_string_append (text, ", no node");
  else
    g_string_append_printf (text, ", node %u", node->os_index);
  if (is_beside_device (view, core->node))
    g_string_append_printf (text, " beside %s", device_name (view));
  if (topology->n_kinds > 1)
    g_string_append_printf (text, ", core kind %u of 0-%u", core->kind, topology->n_kinds - 1);
  if (pu->isolated)
    g_string_append (text, ", isolated");
}

/* `before` vCPUs of this guest are on the core already, `first` of them the first. */
static void
append_thread (const VpPlacementView *view, const VpPu *pu, guint before, guint first, guint on_core, GString *text)
{
  static const char *const ordinals[] = { "first", "second", "third", "fourth" };

  if (before > 0 && before < G_N_ELEMENTS (ordinals))
    g_string_append_printf (text, ", %s thread of vCPU %u's core", ordinals[before], first);
  else if (before > 0)
    g_string_append_printf (text, ", thread %u of vCPU %u's core", before + 1, first);
  else if (view->cores[pu->core].width > 1)
    g_string_append (text, on_core > 1 ? ", first thread" : ", the core to itself");
  if (view->request->taken != NULL && hwloc_bitmap_isset (view->request->taken, pu->os_index))
    g_string_append (text, ", shared with another guest");
}

static void
fill_reasons (const VpPlacementView *view, const guint *on_core, VpPlacement *answer)
{
  const VpTopology *topology = view->topology;
  g_autofree guint *before = g_new0 (guint, topology->n_cores);
  g_autofree guint *first = g_new0 (guint, topology->n_cores);

  answer->reasons = g_new0 (char *, answer->n_vcpus + answer->n_offline + 1);
  for (guint i = 0; i < answer->n_vcpus; i++) {
    const VpPu *pu = &topology->pus[vp_topology_find_pu (topology, (unsigned) answer->vcpus[i])];
    GString *text = g_string_new (NULL);

    if (before[pu->core] == 0)
      first[pu->core] = answer->ids[i];
    append_place (view, pu, text);
    append_thread (view, pu, before[pu->core]++, first[pu->core], on_core[pu->core], text);
    answer->reasons[i] = g_string_free (text, FALSE);
  }
  for (guint i = answer->n_vcpus; i < answer->n_vcpus + answer->n_offline; i++) {
    GString *text = g_string_new (NULL);

    if (answer->vcpus[i] >= 0)
      append_place (view, &topology->pus[vp_topology_find_pu (topology, (unsigned) answer->vcpus[i])], text);
    else
      g_string_append_printf (text, "no CPU is left for it: %s",
                              answer->emulator != NULL ? "where the emulator is" : "not pinned");
    g_string_append (text, ", once it is plugged");
    answer->reasons[i] = g_string_free (text, FALSE);
  }
}

/* ", node 0 beside 0000:41:00.0" */
static void
append_nodes (const VpPlacementView *view, const GArray *nodes, gboolean beside, GString *text)
{
  g_autofree char *list = dup_enumeration (nodes);

  g_string_append_printf (text, "%s%s", nodes->len == 0 ? ", no node" : nodes->len == 1 ? ", node " : ", nodes ", list);
  if (beside)
    g_string_append_printf (text, " beside %s", device_name (view));
}

/* Why the guest has cores that the host would have kept of itself. */
static const char *
find_home_reason (const VpPlacementView *view, const VpPlacementKey *key, guint core)
{
  if (view->has_large && view->cores[core].large && key->part[VP_PART_CACHE] == 0)
    return "behind the large L3";
  if (view->topology->n_kinds > 1)
    return "on its kind of core";
  if (view->homes != NULL)
    return "on the nodes of its cells";
  if (view->n_nodes > 1)
    return key->part[VP_PART_NODES] == 1 ? "on one node" : "on fewer nodes";
  return "on whole cores";
}

static void
append_home (const VpPlacementView *view, const VpPlacementKey *key, const guint *on_core, GString *text)
{
  const VpTopology *topology = view->topology;
  g_autoptr (VpBitmap) cpus = hwloc_bitmap_alloc ();
  guint last = 0;

  for (guint i = 0; i < view->reserve; i++) {
    const VpCore *core = &topology->cores[view->by_keep[i]];

    if (on_core[view->by_keep[i]] == 0)
      continue;
    last = view->by_keep[i];
    for (guint j = core->first_pu; j < core->first_pu + core->n_pus; j++)
      hwloc_bitmap_set (cpus, topology->pus[j].os_index);
  }
  g_autofree char *list = vp_list_dup (cpus);
  g_string_append_printf (text, ", the guest has %s%s to be %s", hwloc_bitmap_weight (cpus) == 1 ? "CPU " : "CPUs ",
                          list, find_home_reason (view, key, last));
}

static void
append_host_side (const VpPlacementView *view, const VpPlacementKey *key, const guint *on_core,
                  const VpPlacement *answer, GString *text)
{
  g_autoptr (VpBitmap) host = vp_host_side_dup_cpus (view, answer);
  g_autofree char *list = vp_list_dup (host);

  if (hwloc_bitmap_iszero (host))
    g_string_append (text, "; host keeps no CPU");
  else
    g_string_append_printf (text, "; host keeps CPUs %s", list);
  if (key->part[VP_PART_RUNG] == 0 && key->part[VP_PART_HOME] > 0)
    append_home (view, key, on_core, text);
}

static void
fill_summary (const VpPlacementView *view, const VpPlacementKey *key, const guint *on_core, VpPlacement *answer)
{
  const VpTopology *topology = view->topology;
  g_autoptr (GArray) l3s = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GArray) nodes = g_array_new (FALSE, FALSE, sizeof (guint));
  guint n_cores = key->part[VP_PART_CORES];
  guint n_running = answer->n_vcpus - view->request->n_beside;
  guint n_offline = answer->n_offline + view->request->n_beside;
  guint last_node = G_MAXUINT;
  gboolean beside = FALSE;

  for (guint i = 0; i < topology->n_cores; i++) {
    const VpCore *core = &topology->cores[i];

    if (on_core[i] == 0)
      continue;
    if (l3s->len == 0 || g_array_index (l3s, guint, l3s->len - 1) != core->l3)
      g_array_append_val (l3s, core->l3);
    if (core->node != last_node && topology->nodes[core->node].os_index != VP_NODE_NONE)
      g_array_append_val (nodes, topology->nodes[core->node].os_index);
    last_node = core->node;
    beside |= is_beside_device (view, core->node);
  }
  g_autofree char *l3_list = dup_enumeration (l3s);
  GString *text = g_string_new (NULL);
  g_string_append_printf (text, "%u vCPU%s on ", n_running, plural (n_running));
  g_string_append_printf (text, "%u %score%s of L3 %s", n_cores, key->part[VP_PART_RUNG] < 2 ? "whole " : "",
                          plural (n_cores), l3_list);
  append_nodes (view, nodes, beside, text);
  if (n_offline > 0)
    g_string_append_printf (text, "; %u more %s offline", n_offline, n_offline == 1 ? "is" : "are");
  append_host_side (view, key, on_core, answer, text);
  answer->summary = g_string_free (text, FALSE);
}

/* CPUs that are free beside the first cores that the host would keep, or with these. */
static guint
count_free (const VpPlacementView *view, gboolean with_reserve)
{
  guint to_keep = with_reserve ? 0 : view->reserve;
  guint n = 0;

  for (guint i = 0; i < view->n_cores; i++) {
    const VpCoreView *core = &view->cores[view->by_keep[i]];

    if (core->taken > 0)
      continue;
    n += to_keep > 0 ? 0 : core->width;
    to_keep -= MIN (to_keep, 1);
  }
  return n;
}

static guint
count_taken (const VpPlacementView *view)
{
  return view->n_cpus - count_free (view, TRUE);
}

/* "3 CPUs that are" */
static char *
dup_free_count (const VpPlacementView *view, gboolean with_reserve)
{
  guint n = count_free (view, with_reserve);

  return g_strdup_printf ("%u CPU%s that %s", n, plural (n), n == 1 ? "is" : "are");
}

static char *
dup_shape (const VpPlacementView *view)
{
  return view->threads > 1 ? g_strdup_printf (" in cores of %u threads", view->threads) : g_strdup ("");
}

static void
warn_rung (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  guint n = answer->n_vcpus;
  g_autofree char *shape = dup_shape (view);
  g_autofree char *beside = dup_free_count (view, FALSE);
  g_autofree char *all = dup_free_count (view, TRUE);

  if (key->part[VP_PART_PLANNED] != 0 && key->part[VP_PART_RUNG] == 0 && key->n_planned > 0)
    warn (answer,
          "%u of the %u CPUs are planned for guests that are not running: they cannot run beside this one "
          "as planned",
          key->n_planned, n);
  else if (key->part[VP_PART_PLANNED] != 0 && key->part[VP_PART_RUNG] == 0)
    warn (answer,
          "guests that are not running are planned on all cores but this one's and fewer than the host's %u "
          "reserved: they cannot run beside it as planned",
          view->reserve);
  if (key->part[VP_PART_RUNG] == 1)
    warn (answer, "%u vCPUs%s do not fit on the %s free beside the host's %u reserved core%s: %u of these %s used too",
          n, shape, beside, view->reserve, plural (view->reserve), key->part[VP_PART_RESERVE],
          key->part[VP_PART_RESERVE] == 1 ? "is" : "are");
  if (key->part[VP_PART_RUNG] == 2)
    warn (answer,
          "%u vCPUs%s do not fit on the %s free, the host's reserve with them; other guests "
          "hold the cores of %u: %u CPU%s shared with them%s",
          n, shape, all, count_taken (view), key->part[VP_PART_OVERLAP],
          key->part[VP_PART_OVERLAP] == 1 ? " is" : "s are",
          key->part[VP_PART_RESERVE] > 0 ? ", and the host's reserve is used too" : "");
}

/* A guest that is behind the large cache, or on isolated CPUs, is there whatever kind these are of. */
static gboolean
is_kind_asked (const VpPlacementView *view, const VpPlacementKey *key)
{
  return view->request->kind != VP_KIND_ANY && !(view->has_large && key->part[VP_PART_CACHE] == 0) &&
         !(view->n_isolated > 0 && key->part[VP_PART_ISOLATED] == 0);
}

/* That they would hold the guest is not denied where the cache was what took it elsewhere. */
static void
warn_isolated (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  g_autofree char *shape = dup_shape (view);

  if (key->part[VP_PART_ISOLATED] == 0 || view->n_isolated == 0)
    return;
  if (view->has_large && key->part[VP_PART_CACHE] == 0)
    warn (answer, "behind the largest L3 not all of the %u vCPUs are on isolated CPUs: cpu.cache = any prefers these",
          answer->n_vcpus);
  else
    warn (answer, "%u vCPUs%s do not fit on the isolated CPUs (%u core%s) that are free: others are used too",
          answer->n_vcpus, shape, view->n_isolated, plural (view->n_isolated));
}

static void
warn_cores (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  guint n = answer->n_vcpus;
  guint n_kinds = view->topology->n_kinds;
  const char *wanted = view->request->kind == VP_KIND_EFFICIENCY ? "efficiency" : "performance";

  if (key->part[VP_PART_CACHE] != 0)
    warn (answer, "%u vCPUs do not fit on the free cores of the largest L3: others are used too", n);
  warn_isolated (view, key, answer);
  if (is_kind_asked (view, key) && key->part[VP_PART_KIND] >= n_kinds && n_kinds > 1)
    warn (answer, "%u vCPUs fit on no one kind of core: cores of several kinds are used", n);
  else if (is_kind_asked (view, key) && key->part[VP_PART_KIND] > 0)
    warn (answer, "%u vCPUs do not fit on the free %s cores: the next kind is used", n, wanted);
  if (view->threads > 1 && key->part[VP_PART_SPLIT] != 0)
    warn (answer,
          "the guest's cores have %u threads, which no longer fit on one host core each: some guest cores "
          "are on several host cores",
          view->threads);
}

static void
warn_nodes (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  if (key->part[VP_PART_AWAY] != 0)
    warn (answer, "%u of the %u vCPUs do not fit on the nodes that the memory of their NUMA cells comes from",
          key->part[VP_PART_AWAY], answer->n_vcpus);
  if (view->homes != NULL)
    return;
  if (key->part[VP_PART_MEMORYLESS] != 0)
    warn (answer, "%u vCPUs do not fit on the nodes that have memory: cores without memory of their own are used too",
          answer->n_vcpus);
  if (key->part[VP_PART_NODES] > 1)
    warn (answer, "%u vCPUs do not fit on one NUMA node: %u nodes are used", answer->n_vcpus, key->part[VP_PART_NODES]);
  if (key->part[VP_PART_MEMORY] != 0 && answer->nodes != NULL)
    warn (answer,
          "%" G_GUINT64_FORMAT " KiB of memory are more than the nodes of the vCPUs have: it comes from %d "
          "nodes",
          view->request->memory_kib, hwloc_bitmap_weight (answer->nodes));
  else if (key->part[VP_PART_MEMORY] != 0)
    warn (answer, "%" G_GUINT64_FORMAT " KiB of memory are more than all nodes have: it is not bound to nodes",
          view->request->memory_kib);
  if (view->n_nodes > 1 && key->part[VP_PART_DEVICE] > view->best_device) {
    guint node = 0;

    while (view->device_rank[node] != view->best_device)
      node++;
    warn (answer, "%u vCPUs do not fit on node %u beside %s: another node is used", answer->n_vcpus,
          view->topology->nodes[node].os_index, device_name (view));
  }
}

static int
compare_descending (const void *left, const void *right)
{
  guint a = *(const guint *) left;
  guint b = *(const guint *) right;

  return a > b ? -1 : a < b;
}

/* L3s that would hold as many cores on an idle host. */
static guint
count_ideal_l3s (const VpPlacementView *view, guint n_cores)
{
  const VpTopology *topology = view->topology;
  g_autofree guint *sizes = g_new0 (guint, topology->n_l3s);
  guint n = 0;

  for (guint i = 0; i < topology->n_cores; i++)
    sizes[topology->cores[i].l3] += view->cores[i].width > 0 ? 1 : 0;
  qsort (sizes, topology->n_l3s, sizeof *sizes, compare_descending);
  for (guint sum = 0; sum < n_cores && n < topology->n_l3s; n++)
    sum += sizes[n];
  return n;
}

static void
warn_l3s (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  guint ideal = count_ideal_l3s (view, key->part[VP_PART_CORES]);

  if (key->part[VP_PART_RUNG] < 2 && view->request->taken != NULL && count_taken (view) > 0 &&
      key->part[VP_PART_L3S] > ideal)
    warn (answer,
          "the guest's %u cores are spread over %u L3s where %u would hold them: other guests hold the cores "
          "of %u CPUs",
          key->part[VP_PART_CORES], key->part[VP_PART_L3S], ideal, count_taken (view));
}

char *
vp_placement_report_dup_shortage (const VpPlacementView *view)
{
  guint n = view->request->n_vcpus;

  if (n > view->n_cpus)
    return g_strdup_printf ("%u vCPUs are more than the %u CPUs of this host that can be used", n, view->n_cpus);
  return g_strdup_printf ("%u vCPUs in cores of %u threads do not fit on the host's %u CPUs: a guest core would be on "
                          "cores of two kinds",
                          n, view->threads, view->n_cpus);
}

void
vp_placement_report_fill (const VpPlacementView *view, const VpPlacementKey *key, VpPlacement *answer)
{
  if (answer->vcpus == NULL) {
    g_autofree char *shortage = vp_placement_report_dup_shortage (view);

    answer->summary =
      g_strdup_printf ("%u vCPUs are not pinned: the host has %u CPUs that can be used", answer->n_vcpus, view->n_cpus);
    warn (answer, "%s: they stay unpinned", shortage);
    return;
  }
  g_autofree guint *on_core = vp_host_side_count_on_cores (view, answer);
  fill_reasons (view, on_core, answer);
  fill_summary (view, key, on_core, answer);
  warn_rung (view, key, answer);
  warn_cores (view, key, answer);
  warn_nodes (view, key, answer);
  warn_l3s (view, key, answer);
}
