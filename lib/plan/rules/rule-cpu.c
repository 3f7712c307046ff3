/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pins: vCPUs, emulator thread, iothreads, and the NUMA nodes that memory comes
 * from. Which CPUs those are is placement's matter; this turns the domain into a
 * request and the answer into XML. All of it is host-only.
 */
#include <string.h>

#include "base/list.h"
#include "domain/pins.h"
#include "placement/placement-request.h"
#include "plan/rules/rule.h"

#define MOST_NAMED 8                     /* of those that do not run; a crowd would fill the log */
#define LIBVIRT_THREAD_CONTEXT 8010000ul /* from there on it allocates by threads on the memory's node */

static VpPlacement *
place (const VpRuleContext *context, GError **error)
{
  const VpNeighbours *neighbours = context->neighbours;
  g_autoptr (VpPlacementRequest) own =
    vp_placement_request_new (context->original, context->present, context->host, context->settings, error);

  if (own == NULL)
    return NULL;
  VpPlacementRequest request = *own; /* its memory stays own's */
  /* A guest that was saved without a topology goes on without. */
  request.match = request.match && !context->host_only;
  request.expose = vp_rule_numa_can_expose (context);
  if (vp_rule_numa_is_saved (context))
    request.n_bound = 0;
  request.page_kib = vp_rule_memory_grain_kib (context);
  if (neighbours != NULL) {
    request.taken = neighbours->taken;
    request.planned = neighbours->planned;
    if (neighbours->n_vcpus == request.n_vcpus)
      request.current = neighbours->vcpus;
  }
  return vp_placement_new (context->host->topology, &request, error);
}

/* Placement says how many CPUs are not this guest's alone; here is whose they are, as far as a person reads on. */
static void
warn_overlaps (VpRuleContext *context, const VpPlacement *placement)
{
  gboolean refuse = vp_settings_choice (context->settings, VP_KEY_CPU_CONFLICT) == VP_CONFLICT_REFUSE;
  g_autoptr (VpBitmap) cpus = hwloc_bitmap_alloc ();
  guint n = 0;

  for (guint i = 0; context->neighbours != NULL && i < context->neighbours->others->len; i++) {
    const VpNeighbour *other = context->neighbours->others->pdata[i];
    hwloc_bitmap_zero (cpus);
    for (guint j = 0; j < placement->n_vcpus; j++)
      if (hwloc_bitmap_isset (other->cpus, (unsigned) placement->vcpus[j]))
        hwloc_bitmap_set (cpus, (unsigned) placement->vcpus[j]);
    if (hwloc_bitmap_iszero (cpus) || (!other->running && ++n > MOST_NAMED))
      continue;
    g_autofree char *list = vp_list_dup (cpus);
    vp_rule_warn (context,
                  other->running ? "CPUs %s are those of domain '%s', which runs: %s"
                                 : "CPUs %s are planned for domain '%s' as well: %s",
                  list, other->name,
                  refuse ? "they cannot run at the same time (cpu.conflict is refuse)"
                         : "the two share them while both run");
  }
  if (n > MOST_NAMED)
    vp_rule_warn (context, "they are planned for %u more domains as well", n - MOST_NAMED);
}

/* Whether a list of CPUs has one of the vCPUs'. */
static gboolean
is_on_vcpus (const VpPlacement *placement, const char *list)
{
  g_autoptr (VpBitmap) cpus = vp_list_parse (list);

  for (guint i = 0; i < placement->n_vcpus && cpus != NULL; i++)
    if (hwloc_bitmap_isset (cpus, (unsigned) placement->vcpus[i]))
      return TRUE;
  return FALSE;
}

/* Where the guest has all cores, the user's own pins of other threads are all that there is. */
static void
warn_threads (VpRuleContext *context, const VpPlacement *placement)
{
  g_autoptr (VpPins) pins = vp_pins_read (context->original);

  if (placement->emulator != NULL)
    return;
  if (pins->emulator == NULL)
    vp_rule_warn (context, "the emulator is not pinned: no core is left for the host");
  else
    vp_rule_warn (context, "the emulator stays on CPUs %s, where the domain has it%s: no core is left for the host",
                  pins->emulator, is_on_vcpus (placement, pins->emulator) ? ", beside vCPUs" : "");
  if (placement->n_iothreads > 0)
    vp_rule_warn (context,
                  "the iothreads stay where the domain has them, if it pins them: no core is left for the host");
}

static void
want_vcpu_pins (VpRuleContext *context, const VpPlacement *placement)
{
  for (guint i = 0; i < placement->n_vcpus + placement->n_offline; i++) {
    guint id = placement->ids[i];
    g_autoptr (VpBitmap) set = vp_placement_new_set (placement, i);
    g_autofree char *vcpu = g_strdup_printf ("%u", id);
    g_autofree char *cpus = set != NULL ? vp_list_dup (set) : NULL;
    if (cpus == NULL)
      continue;
    vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup_printf ("cputune/vcpupin[@vcpu='%u']", id),
                  vp_xml_new ("vcpupin", "vcpu", vcpu, "cpuset", cpus, NULL), "vCPU %u → %s", id,
                  placement->reasons[i]);
  }
}

static void
want_other_pins (VpRuleContext *context, const VpPlacement *placement, const GArray *iothreads)
{
  if (placement->emulator != NULL) {
    g_autofree char *cpus = vp_list_dup (placement->emulator);
    vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup ("cputune/emulatorpin"),
                  vp_xml_new ("emulatorpin", "cpuset", cpus, NULL),
                  "emulator threads → CPUs %s: the host's, nearest to the guest", cpus);
  }
  for (guint i = 0; placement->iothreads != NULL && i < placement->n_iothreads; i++) {
    guint id = g_array_index (iothreads, guint, i);
    g_autofree char *text = g_strdup_printf ("%u", id);
    g_autofree char *cpus = vp_list_dup (placement->iothreads[i]);
    vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup_printf ("cputune/iothreadpin[@iothread='%u']", id),
                  vp_xml_new ("iothreadpin", "iothread", text, "cpuset", cpus, NULL),
                  "iothread %u → CPUs %s: the host's, nearest to the guest", id, cpus);
  }
}

/* It is for what has no pin of its own, so that libvirt goes by the pins where they say something else. */
static void
warn_cpuset (VpRuleContext *context, const VpPlacement *placement)
{
  g_autofree char *text = vp_xml_dup_place_value (context->original->doc, "vcpu/@cpuset");
  g_autoptr (VpBitmap) cpuset = vp_list_parse (text);
  g_autoptr (VpBitmap) pinned = hwloc_bitmap_alloc ();

  for (guint i = 0; i < placement->n_vcpus; i++)
    hwloc_bitmap_set (pinned, (unsigned) placement->vcpus[i]);
  if (placement->emulator != NULL)
    hwloc_bitmap_or (pinned, pinned, placement->emulator);
  if (cpuset == NULL || hwloc_bitmap_isincluded (pinned, cpuset))
    return;
  hwloc_bitmap_andnot (pinned, pinned, cpuset);
  g_autofree char *list = vp_list_dup (pinned);
  vp_rule_warn (context,
                "<vcpu cpuset='%s'> does not hold for what is pinned here, CPUs %s are used too: take it out, or set "
                "cpu.pin = no to keep the guest on it",
                text, list);
}

static gboolean
is_preallocated (const VpRuleContext *context)
{
  const xmlNode *allocation = vp_xml_find (context->original->doc, "memoryBacking/allocation");

  return vp_rule_memory_has_pages (context) ||
         vp_xml_find (context->original->doc, "memoryBacking/hugepages") != NULL ||
         (allocation != NULL && vp_xml_attr_is (allocation, "mode", "immediate"));
}

/*
 * libvirt has the memory allocated by threads on the memory's node, which are QEMU's like
 * the emulator's: pinned to another node they cannot go there, and QEMU ends with "Setting
 * CPU affinity failed" (libvirt 9.0, QEMU 7.2).
 */
static gboolean
needs_reach (const VpRuleContext *context, const VpPlacement *placement)
{
  return context->host->libvirt_version >= LIBVIRT_THREAD_CONTEXT && placement->emulator != NULL &&
         placement->nodes != NULL && is_preallocated (context);
}

/* The place of the last vCPU that runs on one of these nodes; -1: there is none. */
static int
find_vcpu_on (const VpRuleContext *context, const VpPlacement *placement, hwloc_const_bitmap_t nodes)
{
  const VpTopology *topology = context->host->topology;

  for (guint i = placement->n_vcpus; i-- > 0;) {
    int pu = vp_topology_find_pu (topology, (unsigned) placement->vcpus[i]);
    if (pu >= 0 && vp_topology_is_node_in (topology, topology->cores[topology->pus[pu].core].node, nodes))
      return (int) i;
  }
  return -1;
}

static void
reach_cell (VpRuleContext *context, VpPlacement *placement, guint cell, hwloc_const_bitmap_t nodes)
{
  int vcpu = -1;

  if (!vp_topology_has_cpu_on (context->host->topology, placement->emulator, nodes))
    vcpu = find_vcpu_on (context, placement, nodes);
  if (vcpu < 0)
    return;
  hwloc_bitmap_set (placement->emulator, (unsigned) placement->vcpus[vcpu]);
  vp_rule_warn (context,
                "the host keeps no CPU on the node of cell %u: the emulator may run on CPU %d, vCPU %u's, too, "
                "or QEMU could not allocate that cell's memory",
                cell, placement->vcpus[vcpu], placement->ids[vcpu]);
}

/* Cells are bound one by one, which only those threads can do: the emulator gets a CPU on each cell's node. */
static void
reach_cells (VpRuleContext *context, VpPlacement *placement)
{
  g_autoptr (GArray) ours = vp_rule_numa_list_cells (context);
  g_autoptr (GArray) own = vp_domain_bound_cells (context->original);

  if (!needs_reach (context, placement))
    return;
  for (guint i = 0; i < ours->len; i++)
    reach_cell (context, placement, i, g_array_index (ours, VpGuestCell, i).nodes);
  for (guint i = 0; i < own->len && ours->len == 0; i++) {
    const VpBoundCell *cell = &g_array_index (own, VpBoundCell, i);
    if (cell->strict)
      reach_cell (context, placement, i, cell->nodes);
  }
}

/* Without cells the cgroup can bind the memory, and then there are no such threads. */
static const char *
get_memory_mode (const VpRuleContext *context, const VpPlacement *placement)
{
  g_autoptr (GArray) cells = vp_rule_numa_list_cells (context);

  if (cells->len == 0 && needs_reach (context, placement) &&
      !vp_topology_has_cpu_on (context->host->topology, placement->emulator, placement->nodes))
    return "restrictive";
  return vp_settings_choice (context->settings, VP_KEY_CPU_NUMA) == VP_NUMA_PREFERRED ? "preferred" : "strict";
}

static void
want_nodes (VpRuleContext *context, const VpPlacement *placement)
{
  g_autoptr (GArray) own = vp_domain_bound_cells (context->original);

  /* The user says where the memory of his cells comes from, and the vCPUs went there. */
  if (placement->nodes == NULL || vp_xml_find (context->original->doc, "numatune/memnode") != NULL ||
      (own->len > 0 && !vp_rule_numa_is_saved (context)))
    return;
  g_autofree char *nodes = vp_list_dup (placement->nodes);
  const char *mode = get_memory_mode (context, placement);
  vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup ("numatune/memory"),
                vp_xml_new ("memory", "mode", mode, "nodeset", nodes, NULL),
                strcmp (mode, "restrictive") == 0
                  ? "memory from node %s, where the guest's CPUs are; bound by the cgroup, as the emulator's CPUs are "
                    "on another node"
                  : "memory from node %s, where the guest's CPUs are",
                nodes);
}

static gboolean
plan_cpu (VpRuleContext *context, GError **error)
{
  g_autoptr (GArray) iothreads = vp_domain_iothreads (context->original);

  if (!vp_settings_pin (context->settings))
    return TRUE;
  VpPlacement *placement = place (context, error);
  context->plan->placement = placement;
  if (placement == NULL)
    return FALSE;
  for (guint i = 0; i < placement->warnings->len; i++)
    vp_rule_warn (context, "%s", (const char *) placement->warnings->pdata[i]);
  if (placement->level == VP_LEVEL_UNPINNED)
    return TRUE;
  warn_overlaps (context, placement);
  warn_threads (context, placement);
  reach_cells (context, placement);
  /* With placement='auto' libvirt asks numad and ignores emulatorpin. */
  g_autofree char *automatic = vp_xml_dup_place_value (context->original->doc, "vcpu/@placement");
  if (g_strcmp0 (automatic, "auto") == 0)
    vp_rule_want_attribute (context, &vp_rule_cpu, VP_HOST_ONLY, "vcpu/@placement", "static",
                            "libvirt must not ask numad for CPUs that are pinned here");
  want_vcpu_pins (context, placement);
  want_other_pins (context, placement, iothreads);
  warn_cpuset (context, placement);
  want_nodes (context, placement);
  return TRUE;
}

#define NUMBER "(?:0|[1-9][0-9]{0,9})"
#define VCPUPIN "vcpupin(?:/@(?:vcpu|cpuset)=" VP_CONTENT_LIST ")?"
#define EMULATORPIN "emulatorpin(?:/@cpuset=" VP_CONTENT_LIST ")?"
#define IOTHREADPIN "iothreadpin(?:/@(?:iothread|cpuset)=" VP_CONTENT_LIST ")?"
#define MEMORY "memory(?:/@(?:mode|placement)=[a-z]{1,20}|/@nodeset=" VP_CONTENT_LIST ")?"

static const VpRulePlace places[] = {
  { .place = "cputune/vcpupin\\[@vcpu='" NUMBER "'\\]", VP_HOST_ONLY, VCPUPIN, VCPUPIN },
  { .place = "cputune/emulatorpin", VP_HOST_ONLY, EMULATORPIN, EMULATORPIN },
  { .place = "cputune/iothreadpin\\[@iothread='" NUMBER "'\\]", VP_HOST_ONLY, IOTHREADPIN, IOTHREADPIN },
  { .place = "numatune/memory", VP_HOST_ONLY, MEMORY, MEMORY },
  { .place = "vcpu/@placement", VP_HOST_ONLY, "auto", "static" },
  { .place = NULL },
};

const VpRule vp_rule_cpu = { "cpu", places, plan_cpu, NULL, NULL };
