/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest NUMA cells: a guest that is larger than a node of the host is shown nodes
 * of its own, each with the vCPUs and the memory that come from one of the host's.
 * The cells are guest-visible; which host node a cell is bound to (memnode) is not.
 * How vCPUs and memory are split is placement's matter.
 *
 * A guest that was saved keeps the cells that it was saved with, and they are
 * bound to the nodes where its vCPUs are now.
 */
#include <string.h>

#include "base/list.h"
#include "plan/rules/rule.h"

/* QEMU's machines that know NUMA; the names of their versions go on behind these. */
static const struct {
  const char *arch;
  const char *machine;
} capable[] = {
  { "x86_64", "pc" },    { "x86_64", "q35" },    { "i686", "pc" },         { "i686", "q35" },
  { "aarch64", "virt" }, { "ppc64", "pseries" }, { "ppc64le", "pseries" }, { "riscv64", "virt" },
};

static gboolean
is_capable (const VpDomain *domain)
{
  g_autofree char *arch = vp_domain_dup_arch (domain);
  g_autofree char *machine = vp_xml_dup_place_value (domain->doc, "os/type/@machine");

  /* Who names neither has libvirt's default, which its first define writes down. */
  if (arch == NULL || machine == NULL)
    return TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS (capable); i++)
    if (strcmp (arch, capable[i].arch) == 0 && g_str_has_prefix (machine, capable[i].machine))
      return TRUE;
  return FALSE;
}

/* Why this domain can have no cells of ours; NULL: it can. */
static const char *
find_obstacle (const VpDomain *domain)
{
  if (vp_xml_find (domain->doc, "cpu/numa") != NULL)
    return "the domain has NUMA cells of its own (cpu/numa)";
  if (vp_xml_find (domain->doc, "numatune/memnode") != NULL)
    return "the domain binds NUMA cells itself (numatune/memnode)";
  /* Modules name the cell that they belong to, and their memory is part of <memory> but of no cell. */
  if (vp_xml_find (domain->doc, "maxMemory") != NULL || vp_xml_find (domain->doc, "devices/memory") != NULL)
    return "the domain has pluggable memory (maxMemory, devices/memory)";
  if (!is_capable (domain))
    return "the domain's machine type has no NUMA nodes";
  return NULL;
}

static gboolean
is_asked (const VpRuleContext *context)
{
  return vp_settings_choice (context->settings, VP_KEY_CPU_NUMA) == VP_NUMA_EXPOSE;
}

gboolean
vp_rule_numa_can_expose (const VpRuleContext *context)
{
  return is_asked (context) && !context->host_only && find_obstacle (context->original) == NULL;
}

static void
guest_cell_clear (gpointer data)
{
  VpGuestCell *cell = data;

  hwloc_bitmap_free (cell->vcpus);
  hwloc_bitmap_free (cell->nodes);
}

/* OS indexes of the host's nodes on whose CPUs these vCPUs are; of those that run, where one of them does. */
static hwloc_bitmap_t
find_nodes (const VpRuleContext *context, hwloc_const_bitmap_t vcpus)
{
  const VpTopology *topology = context->host->topology;
  const VpPlacement *placement = context->plan->placement;
  hwloc_bitmap_t nodes = hwloc_bitmap_alloc ();

  for (guint i = 0; i < placement->n_vcpus + placement->n_offline; i++) {
    if (placement->vcpus[i] < 0 || !hwloc_bitmap_isset (vcpus, placement->ids[i]) ||
        (i >= placement->n_vcpus && !hwloc_bitmap_iszero (nodes)))
      continue;
    int position = vp_topology_find_pu (topology, (unsigned) placement->vcpus[i]);
    const VpNode *node = &topology->nodes[topology->cores[topology->pus[position].core].node];
    if (node->usable && node->os_index != VP_NODE_NONE)
      hwloc_bitmap_set (nodes, node->os_index);
  }
  return nodes;
}

/* The cells that the rewrite made before this guest was saved: still there, for the guest sees them. */
static const xmlNode *
find_saved (const VpRuleContext *context)
{
  g_autoptr (GPtrArray) slots = context->host_only ? vp_slots_read (context->present, context->owners, NULL) : NULL;
  const VpSlot *slot = slots != NULL ? vp_slots_find (slots, "cpu/numa") : NULL;
  g_autoptr (VpPlaces) places = vp_places_new ((VpDomain *) context->original); /* only read */

  if (slot == NULL || !vp_slot_is_ours (slot, places))
    return NULL;
  return vp_xml_find (context->original->doc, "cpu/numa");
}

gboolean
vp_rule_numa_is_saved (const VpRuleContext *context)
{
  return find_saved (context) != NULL;
}

/* Empty for what is no list. */
static hwloc_bitmap_t
new_set (const char *list)
{
  hwloc_bitmap_t set = vp_list_parse (list);

  return set != NULL ? set : hwloc_bitmap_alloc ();
}

static void
add_saved (const VpRuleContext *context, GArray *cells)
{
  const xmlNode *numa = find_saved (context);
  g_autoptr (GArray) sizes = numa != NULL ? vp_domain_cells_kib (context->original, NULL) : NULL;

  for (const xmlNode *node = sizes != NULL ? vp_xml_first (numa) : NULL; node != NULL; node = vp_xml_next (node)) {
    if (!vp_xml_is (node, "cell"))
      continue;
    g_autofree char *cpus = vp_xml_dup_attr (node, "cpus");
    VpGuestCell cell = { .memory_kib = g_array_index (sizes, guint64, cells->len) };
    cell.vcpus = new_set (cpus);
    cell.nodes = find_nodes (context, cell.vcpus);
    g_array_append_val (cells, cell);
  }
}

GArray *
vp_rule_numa_list_cells (const VpRuleContext *context)
{
  const VpPlacement *placement = context->plan->placement;
  GArray *cells = g_array_new (FALSE, FALSE, sizeof (VpGuestCell));

  g_array_set_clear_func (cells, guest_cell_clear);
  if (placement == NULL || placement->vcpus == NULL)
    return cells;
  for (guint i = 0; i < placement->n_cells; i++) {
    const VpPlacementCell *from = &placement->cells[i];
    VpGuestCell cell = { .memory_kib = from->memory_kib, .vcpus = hwloc_bitmap_dup (from->vcpus) };
    cell.nodes = hwloc_bitmap_alloc ();
    hwloc_bitmap_set (cell.nodes, from->node);
    g_array_append_val (cells, cell);
  }
  if (placement->n_cells == 0)
    add_saved (context, cells);
  return cells;
}

/* As the host's nodes are to each other; nothing where a way is unknown or there is none, or QEMU would refuse it. */
static gboolean
has_distances (const VpRuleContext *context, const GArray *cells)
{
  for (guint i = 0; i < cells->len * cells->len; i++) {
    int from = hwloc_bitmap_first (g_array_index (cells, VpGuestCell, i / cells->len).nodes);
    int to = hwloc_bitmap_first (g_array_index (cells, VpGuestCell, i % cells->len).nodes);
    guint way = vp_topology_find_distance (context->host->topology, (unsigned) from, (unsigned) to);
    if (from == to ? way != 10 : way <= 10 || way > 254)
      return FALSE;
  }
  return TRUE;
}

static void
add_distances (const VpRuleContext *context, const GArray *cells, guint cell, xmlNode *node)
{
  xmlNode *distances = xmlAddChild (node, vp_xml_new ("distances", NULL));
  int from = hwloc_bitmap_first (g_array_index (cells, VpGuestCell, cell).nodes);

  for (guint i = 0; i < cells->len; i++) {
    int to = hwloc_bitmap_first (g_array_index (cells, VpGuestCell, i).nodes);
    g_autofree char *id = g_strdup_printf ("%u", i);
    g_autofree char *value =
      g_strdup_printf ("%u", vp_topology_find_distance (context->host->topology, (unsigned) from, (unsigned) to));
    xmlAddChild (distances, vp_xml_new ("sibling", "id", id, "value", value, NULL));
  }
}

static void
want_cells (VpRuleContext *context, const GArray *cells)
{
  xmlNode *numa = vp_xml_new ("numa", NULL);
  g_autofree char *nodes = vp_list_dup (context->plan->placement->nodes);
  gboolean distances = has_distances (context, cells);

  for (guint i = 0; i < cells->len; i++) {
    const VpGuestCell *cell = &g_array_index (cells, VpGuestCell, i);
    g_autofree char *id = g_strdup_printf ("%u", i);
    g_autofree char *vcpus = vp_list_dup (cell->vcpus);
    g_autofree char *memory = g_strdup_printf ("%" G_GUINT64_FORMAT, cell->memory_kib);
    xmlNode *node =
      xmlAddChild (numa, vp_xml_new ("cell", "id", id, "cpus", vcpus, "memory", memory, "unit", "KiB", NULL));
    if (distances)
      add_distances (context, cells, i, node);
  }
  vp_rule_want (context, &vp_rule_numa, VP_GUEST_VISIBLE, g_strdup ("cpu/numa"), numa,
                "the guest is on the host's nodes %s, and sees %u of its own", nodes, cells->len);
}

static void
want_binding (VpRuleContext *context, const GArray *cells)
{
  for (guint i = 0; i < cells->len; i++) {
    const VpGuestCell *cell = &g_array_index (cells, VpGuestCell, i);
    g_autofree char *id = g_strdup_printf ("%u", i);
    g_autofree char *nodes = vp_list_dup (cell->nodes);
    g_autofree char *vcpus = vp_list_dup (cell->vcpus);
    vp_rule_want (context, &vp_rule_numa, VP_HOST_ONLY, g_strdup_printf ("numatune/memnode[@cellid='%u']", i),
                  vp_xml_new ("memnode", "cellid", id, "mode", "strict", "nodeset", nodes, NULL),
                  "cell %u: memory from node %s, where its vCPUs %s are", i, nodes, vcpus);
  }
}

guint64
vp_rule_numa_sum_kib (const GArray *cells, hwloc_const_bitmap_t nodes)
{
  guint64 sum = 0;

  for (guint i = 0; i < cells->len; i++) {
    const VpGuestCell *cell = &g_array_index (cells, VpGuestCell, i);
    sum += hwloc_bitmap_isequal (cell->nodes, nodes) ? cell->memory_kib : 0;
  }
  return sum;
}

static guint64
find_memory_kib (const VpTopology *topology, hwloc_const_bitmap_t nodes)
{
  guint64 memory = 0;

  for (guint i = 0; i < topology->n_nodes; i++) {
    if (topology->nodes[i].os_index == VP_NODE_NONE || !hwloc_bitmap_isset (nodes, topology->nodes[i].os_index))
      continue;
    if (topology->nodes[i].memory_kib == 0)
      return G_MAXUINT64; /* not known */
    memory += topology->nodes[i].memory_kib;
  }
  return memory;
}

/* Cells of a saved guest may not suit this host; then its nodes together serve, as numatune/memory says. */
static gboolean
fits_nodes (const VpRuleContext *context, const GArray *cells)
{
  for (guint i = 0; i < cells->len; i++) {
    hwloc_const_bitmap_t nodes = g_array_index (cells, VpGuestCell, i).nodes;
    if (hwloc_bitmap_iszero (nodes) ||
        vp_rule_numa_sum_kib (cells, nodes) > find_memory_kib (context->host->topology, nodes))
      return FALSE;
  }
  return TRUE;
}

static void
warn_of_none (VpRuleContext *context)
{
  const VpPlacement *placement = context->plan->placement;
  const char *obstacle = find_obstacle (context->original);
  g_autoptr (VpBitmap) all = hwloc_bitmap_alloc ();

  for (guint i = 0; i < placement->n_vcpus; i++)
    hwloc_bitmap_set (all, placement->ids[i]);
  g_autoptr (VpBitmap) nodes = find_nodes (context, all);
  if (hwloc_bitmap_weight (nodes) > 1) {
    g_autofree char *list = vp_list_dup (nodes);
    vp_rule_warn (context, "the guest is on the host's nodes %s, but is shown no NUMA cells for them: %s", list,
                  obstacle != NULL ? obstacle : "its memory cannot be split among them as its vCPUs are");
  }
}

static gboolean
plan_numa (VpRuleContext *context, GError **error)
{
  const VpPlacement *placement = context->plan->placement;

  (void) error;
  if (placement == NULL || placement->level == VP_LEVEL_UNPINNED)
    return TRUE;
  g_autoptr (GArray) cells = vp_rule_numa_list_cells (context);
  if (placement->n_cells > 0)
    want_cells (context, cells);
  else if (cells->len == 0 && is_asked (context) && !context->host_only)
    warn_of_none (context);
  /* Without nodes there is nothing to choose: one node, or all that are known do not hold the guest. */
  if (placement->nodes != NULL && fits_nodes (context, cells))
    want_binding (context, cells);
  return TRUE;
}

/*
 * Who raises the number of vCPUs while cells stand (virsh setvcpus --maximum) has them
 * put into cell 0 by libvirt. That is no cell of the user's: new ones are made.
 */
static gboolean
is_filled (const xmlNode *set, const xmlNode *present)
{
  g_autoptr (xmlNode) copy = vp_xml_dup_node (present);
  xmlNode *cell = vp_xml_first (copy);
  const xmlNode *ours = vp_xml_first (set);
  g_autofree char *now = cell != NULL ? vp_xml_dup_attr (cell, "cpus") : NULL;
  g_autofree char *before = ours != NULL ? vp_xml_dup_attr (ours, "cpus") : NULL;

  if (now == NULL || before == NULL)
    return FALSE;
  g_autoptr (VpBitmap) more = new_set (now);
  g_autoptr (VpBitmap) less = new_set (before);
  gboolean grew = hwloc_bitmap_isincluded (less, more) != 0;
  xmlSetProp (cell, BAD_CAST "cpus", BAD_CAST before);
  return grew && vp_xml_equal (copy, set);
}

#define MEMNODE "memnode(?:/@mode=[a-z]{1,20}|/@(?:cellid|nodeset)=" VP_CONTENT_LIST ")?"

static const VpRulePlace places[] = {
  { .place = "cpu/numa",
    VP_GUEST_VISIBLE,
    NULL,
    "numa(?:/cell(?:/@(?:id|cpus|memory)=" VP_CONTENT_LIST "|/@unit=[A-Za-z]{1,8}|"
    "/distances(?:/sibling(?:/@(?:id|value)=[0-9]{1,9})?)?)?)?" },
  { .place = "numatune/memnode\\[@cellid='(?:0|[1-9][0-9]{0,4})'\\]", VP_HOST_ONLY, MEMNODE, MEMNODE },
  { .place = NULL },
};

const VpRule vp_rule_numa = { "numa", places, plan_numa, is_filled, NULL };
