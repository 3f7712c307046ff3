/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From hwloc's tree to flat tables. Each PU is given a place (node, L3, core)
 * and the PUs are sorted by it; cores, L3s and nodes are then runs in that
 * order. Nothing here decides anything; descriptions may be hostile, so every
 * count is checked before memory is taken for it.
 */
#include "host/topology.h"

#include <errno.h>
#include <hwloc/distances.h>
#include <string.h>
#if defined __x86_64__ || defined __i386__
#include <cpuid.h>
#endif

#include "base/error.h"
#include "base/list.h"
#include "base/number.h"
#include "host/topology-kinds.h"

/* Linux is built for at most 8192 CPUs; what is far beyond is not a machine. */
#define MAX_PUS 65536
#define MAX_OS_INDEX (1u << 20)

typedef struct hwloc_topology HwlocTopology;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HwlocTopology, hwloc_topology_destroy)

/* Where a PU belongs. L3s and cores that do not exist are numbered behind those that do. */
typedef struct {
  hwloc_obj_t pu;
  guint node;
  guint64 l3;
  guint64 core;
  hwloc_obj_t l3_object;
  hwloc_obj_t core_object;
  guint package;
} Place;

static int
compare_places (const void *left, const void *right)
{
  const Place *a = left;
  const Place *b = right;
  int order = vp_number_compare (a->node, b->node);

  if (order == 0)
    order = vp_number_compare (a->l3, b->l3);
  if (order == 0)
    order = vp_number_compare (a->core, b->core);
  return order != 0 ? order : vp_number_compare (a->pu->os_index, b->pu->os_index);
}

static void
fill_nodes (VpTopology *self, hwloc_topology_t hwloc)
{
  hwloc_const_nodeset_t allowed = hwloc_topology_get_allowed_nodeset (hwloc);
  gboolean known = FALSE;

  for (guint i = 0; i < self->n_nodes; i++) {
    hwloc_obj_t object = hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_NUMANODE, i);

    self->nodes[i].os_index = object->os_index;
    self->nodes[i].memory_kib = object->attr->numanode.local_memory / 1024;
    known |= self->nodes[i].memory_kib != 0;
  }
  for (guint i = 0; i < self->n_nodes; i++)
    self->nodes[i].usable =
      hwloc_bitmap_isset (allowed, self->nodes[i].os_index) && (self->nodes[i].memory_kib != 0 || !known);
}

/* Of several nodes beside a PU (high-bandwidth memory): the usable, nearest, largest. */
static gboolean
is_better_node (const VpTopology *self, hwloc_topology_t hwloc, guint a, guint b)
{
  int of_a = hwloc_bitmap_weight (hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_NUMANODE, a)->cpuset);
  int of_b = hwloc_bitmap_weight (hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_NUMANODE, b)->cpuset);

  if (self->nodes[a].usable != self->nodes[b].usable)
    return self->nodes[a].usable;
  if (of_a != of_b)
    return of_a < of_b;
  return self->nodes[a].memory_kib > self->nodes[b].memory_kib;
}

/* The position of the PU's node; n_nodes when it has none. */
static guint
find_node (const VpTopology *self, hwloc_topology_t hwloc, GHashTable *positions, hwloc_obj_t pu)
{
  guint best = self->n_nodes;
  unsigned index;

  if (pu->nodeset == NULL || hwloc_bitmap_weight (pu->nodeset) < 0)
    return best;
  hwloc_bitmap_foreach_begin (index, pu->nodeset)
    gpointer found = NULL;

    if (!g_hash_table_lookup_extended (positions, GUINT_TO_POINTER (index), NULL, &found))
      continue;
    guint node = GPOINTER_TO_UINT (found);
    if (best == self->n_nodes || is_better_node (self, hwloc, node, best))
      best = node;
  hwloc_bitmap_foreach_end ();
  return best;
}

static Place
find_place (hwloc_obj_t pu, guint node)
{
  Place place = { .pu = pu, .node = node };
  hwloc_obj_t package = NULL;

  for (hwloc_obj_t above = pu->parent; above != NULL; above = above->parent) {
    if (above->type == HWLOC_OBJ_CORE)
      place.core_object = above;
    else if (above->type == HWLOC_OBJ_L3CACHE)
      place.l3_object = above;
    else if (above->type == HWLOC_OBJ_PACKAGE)
      package = above;
  }
  place.package = package != NULL ? package->logical_index : 0;
  place.core = place.core_object != NULL ? place.core_object->logical_index : G_MAXUINT32 + (guint64) pu->logical_index;
  place.l3 = place.l3_object != NULL ? place.l3_object->logical_index : G_MAXUINT32 + (guint64) place.package;
  return place;
}

static Place *
find_places (VpTopology *self, hwloc_topology_t hwloc)
{
  g_autofree Place *places = g_new0 (Place, self->n_pus);
  g_autoptr (GHashTable) positions = g_hash_table_new (NULL, NULL);
  gboolean stray = FALSE;

  for (guint i = 0; i < self->n_nodes; i++)
    g_hash_table_insert (positions, GUINT_TO_POINTER (self->nodes[i].os_index), GUINT_TO_POINTER (i));
  for (guint i = 0; i < self->n_pus; i++) {
    hwloc_obj_t pu = hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_PU, i);

    places[i] = find_place (pu, find_node (self, hwloc, positions, pu));
    stray |= places[i].node == self->n_nodes;
    self->n_packages = MAX (self->n_packages, places[i].package + 1);
  }
  /* The table has room for this one. */
  if (stray)
    self->nodes[self->n_nodes++].os_index = VP_NODE_NONE;
  qsort (places, self->n_pus, sizeof *places, compare_places);
  return g_steal_pointer (&places);
}

static void
add_core (VpTopology *self, const Place *place, guint first_pu, guint kind, gboolean new_l3)
{
  guint position = self->n_cores++;
  VpCore *core = &self->cores[position];
  VpNode *node = &self->nodes[place->node];

  if (new_l3) {
    self->l3s[self->n_l3s].first_core = position;
    self->l3s[self->n_l3s++].size = place->l3_object != NULL ? place->l3_object->attr->cache.size : 0;
  }
  if (node->n_cores++ == 0)
    node->first_core = position;
  self->l3s[self->n_l3s - 1].n_cores++;
  core->os_index = place->core_object != NULL && place->core_object->os_index != HWLOC_UNKNOWN_INDEX
                     ? place->core_object->os_index
                     : position;
  core->package = place->package;
  core->l3 = self->n_l3s - 1;
  core->node = place->node;
  core->kind = kind;
  core->first_pu = first_pu;
}

static void
fill_tables (VpTopology *self, hwloc_topology_t hwloc, hwloc_const_bitmap_t isolated, const Place *places)
{
  g_autofree guint *kinds = vp_topology_rank_kinds (hwloc, self->amd, &self->n_kinds);
  hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset (hwloc);

  for (guint i = 0; i < self->n_pus; i++) {
    const Place *place = &places[i];
    gboolean new_l3 = i == 0 || place->node != places[i - 1].node || place->l3 != places[i - 1].l3;
    VpPu *pu = &self->pus[i];

    if (new_l3 || place->core != places[i - 1].core)
      add_core (self, place, i, kinds[place->pu->logical_index], new_l3);
    pu->os_index = place->pu->os_index;
    pu->core = self->n_cores - 1;
    pu->thread = self->cores[pu->core].n_pus++;
    pu->usable = hwloc_bitmap_isset (allowed, pu->os_index) != 0;
    pu->isolated = isolated != NULL && hwloc_bitmap_isset (isolated, pu->os_index);
  }
}

static int
compare_os_index (gconstpointer left, gconstpointer right, gpointer data)
{
  const VpTopology *self = data;

  return vp_number_compare (self->pus[*(const guint *) left].os_index, self->pus[*(const guint *) right].os_index);
}

/* Two PUs with one number cannot be told apart by anybody. */
static gboolean
index_pus (VpTopology *self, GError **error)
{
  for (guint i = 0; i < self->n_pus; i++)
    self->by_os_index[i] = i;
  g_qsort_with_data (self->by_os_index, (int) self->n_pus, sizeof *self->by_os_index, compare_os_index, self);
  for (guint i = 0; i < self->n_pus; i++) {
    unsigned os_index = self->pus[self->by_os_index[i]].os_index;

    if (os_index >= MAX_OS_INDEX) {
      g_set_error (error, VP_ERROR, VP_ERROR_HOST, "the topology has a CPU %u; numbers below %u are expected", os_index,
                   MAX_OS_INDEX);
      return FALSE;
    }
    if (i > 0 && self->pus[self->by_os_index[i - 1]].os_index == os_index) {
      g_set_error (error, VP_ERROR, VP_ERROR_HOST, "the topology has CPU %u twice", os_index);
      return FALSE;
    }
  }
  return TRUE;
}

static void
read_vendor (VpTopology *self, hwloc_topology_t hwloc)
{
  hwloc_obj_t package = hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_PACKAGE, 0);
  const char *vendor = package != NULL ? hwloc_obj_get_info_by_name (package, "CPUVendor") : NULL;

  if (vendor == NULL)
    vendor = hwloc_obj_get_info_by_name (hwloc_get_root_obj (hwloc), "CPUVendor");
  self->amd = g_strcmp0 (vendor, "AuthenticAMD") == 0 || g_strcmp0 (vendor, "HygonGenuine") == 0;
  self->intel = g_strcmp0 (vendor, "GenuineIntel") == 0;
}

/* What firmware says of the ways between nodes (ACPI's SLIT): 10 to itself, 255 no way. Synthetic hosts have none. */
static void
read_distances (VpTopology *self, hwloc_topology_t hwloc)
{
  struct hwloc_distances_s *matrix = NULL;
  unsigned n = 1;

  if (hwloc_distances_get_by_name (hwloc, "NUMALatency", &n, &matrix, 0) != 0 || n == 0)
    return;
  self->distances = g_new0 (VpDistance, (gsize) matrix->nbobjs * matrix->nbobjs);
  for (unsigned i = 0; i < matrix->nbobjs * matrix->nbobjs; i++) {
    hwloc_obj_t from = matrix->objs[i / matrix->nbobjs];
    hwloc_obj_t to = matrix->objs[i % matrix->nbobjs];

    /* hwloc takes objects out that it was told to ignore, and leaves their places. */
    if (from != NULL && to != NULL)
      self->distances[self->n_distances++] =
        (VpDistance){ from->os_index, to->os_index, (guint) MIN (matrix->values[i], 255) };
  }
  hwloc_distances_release (hwloc, matrix);
}

/* An offline CPU has no object: it is in the complete set alone. */
static void
list_offline (VpTopology *self, hwloc_topology_t hwloc)
{
  g_autoptr (VpBitmap) offline = hwloc_bitmap_alloc ();
  unsigned index;

  hwloc_bitmap_andnot (offline, hwloc_topology_get_complete_cpuset (hwloc), hwloc_topology_get_topology_cpuset (hwloc));
  int n = hwloc_bitmap_weight (offline);
  if (n < 0 || n > MAX_PUS)
    return;
  self->offline = g_new0 (unsigned, (gsize) n);
  hwloc_bitmap_foreach_begin (index, offline)
    self->offline[self->n_offline++] = index;
  hwloc_bitmap_foreach_end ();
}

VpTopology *
vp_topology_new_from_hwloc (hwloc_topology_t hwloc, hwloc_const_bitmap_t isolated, GError **error)
{
  int n_pus = hwloc_get_nbobjs_by_type (hwloc, HWLOC_OBJ_PU);
  int n_nodes = hwloc_get_nbobjs_by_type (hwloc, HWLOC_OBJ_NUMANODE);

  if (n_pus < 1 || n_pus > MAX_PUS || n_nodes < 0 || n_nodes > MAX_PUS) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "the topology has %d CPUs and %d NUMA nodes; 1 to %d CPUs and at most %d nodes are expected", n_pus,
                 n_nodes, MAX_PUS, MAX_PUS);
    return NULL;
  }

  g_autoptr (VpTopology) self = g_new0 (VpTopology, 1);
  self->n_pus = (guint) n_pus;
  self->n_nodes = (guint) n_nodes;
  self->pus = g_new0 (VpPu, self->n_pus);
  self->cores = g_new0 (VpCore, self->n_pus);
  self->l3s = g_new0 (VpL3, self->n_pus);
  self->nodes = g_new0 (VpNode, self->n_nodes + 1);
  self->by_os_index = g_new0 (guint, self->n_pus);
  read_vendor (self, hwloc);
  fill_nodes (self, hwloc);
  g_autofree Place *places = find_places (self, hwloc);
  fill_tables (self, hwloc, isolated, places);
  list_offline (self, hwloc);
  read_distances (self, hwloc);
  if (!index_pus (self, error))
    return NULL;
  return g_steal_pointer (&self);
}

/* hwloc takes memory for whatever a string asks for: the product of its counts comes first. */
static gboolean
is_sane_synthetic (const char *description)
{
  guint64 product = 1;
  int depth = 0;

  for (const char *at = description; *at != '\0'; at++) {
    depth += *at == '(' || *at == '[' ? 1 : *at == ')' || *at == ']' ? -1 : 0;
    if (depth != 0 || !g_ascii_isdigit (*at) || (at > description && g_ascii_isalnum (at[-1])))
      continue;
    product *= MIN (g_ascii_strtoull (at, NULL, 10), MAX_PUS + 1);
    if (product > MAX_PUS)
      return FALSE;
  }
  return TRUE;
}

static gboolean
set_source (hwloc_topology_t hwloc, const char *description, GError **error)
{
  if (g_file_test (description, G_FILE_TEST_IS_REGULAR)) {
    if (hwloc_topology_set_xml (hwloc, description) == 0)
      return TRUE;
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "'%s' is not an hwloc 2 topology; a file that \"lstopo --of xml\" wrote is expected", description);
    return FALSE;
  }
  if (!is_sane_synthetic (description)) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "the topology '%s' has more CPUs than the %d that are supported",
                 description, MAX_PUS);
    return FALSE;
  }
  if (hwloc_topology_set_synthetic (hwloc, description) == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST,
               "'%s' is neither an existing file nor an hwloc synthetic topology; "
               "something like \"pack:1 l3:1 core:4 pu:2\" is expected",
               description);
  return FALSE;
}

/*
 * To look at CPUs with its own eyes hwloc has to run on each of them: on those that guests are busy on, too, which it
 * waits for and disturbs. It learns nothing that Linux does not say, unless there are cores of several kinds.
 */
static gboolean
needs_visits (void)
{
#if defined __x86_64__ || defined __i386__
  unsigned a = 0, b = 0, c = 0, d = 0;

  return (__get_cpuid_count (7, 0, &a, &b, &c, &d) && (d >> 15 & 1) != 0) ||        /* Intel: hybrid */
         (__get_cpuid_count (0x80000026, 0, &a, &b, &c, &d) && (a >> 30 & 1) != 0); /* AMD: heterogeneous cores */
#else
  return FALSE;
#endif
}

/* `description` NULL: this machine, of which `visits` holds. */
static hwloc_topology_t
load_hwloc (const char *description, gboolean visits, GError **error)
{
  g_autoptr (HwlocTopology) hwloc = NULL;

  if (hwloc_topology_init (&hwloc) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot start hwloc: %s", g_strerror (errno));
    return NULL;
  }
  hwloc_topology_set_flags (hwloc, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  hwloc_topology_set_type_filter (hwloc, HWLOC_OBJ_L1CACHE, HWLOC_TYPE_FILTER_KEEP_NONE);
  if (description != NULL && !set_source (hwloc, description, error))
    return NULL;
  if (!visits)
    hwloc_topology_set_components (hwloc, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
  if (hwloc_topology_load (hwloc) != 0) {
    int reason = errno;

    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read the topology of %s%s%s: %s",
                 description != NULL ? "'" : "", description != NULL ? description : "this host",
                 description != NULL ? "'" : "",
                 description != NULL && reason == EINVAL ? "a file that \"lstopo --of xml\" wrote is expected"
                                                         : g_strerror (reason));
    return NULL;
  }
  return g_steal_pointer (&hwloc);
}

static VpTopology *
load (const char *description, hwloc_const_bitmap_t isolated, GError **error)
{
  gboolean visits = description == NULL && needs_visits ();
  g_autoptr (HwlocTopology) hwloc = load_hwloc (description, visits, error);

  /* A virtual machine whose kernel was told of no caches. */
  if (hwloc != NULL && description == NULL && !visits && hwloc_get_nbobjs_by_type (hwloc, HWLOC_OBJ_L3CACHE) == 0) {
    hwloc_topology_destroy (hwloc);
    hwloc = load_hwloc (NULL, TRUE, error);
  }
  return hwloc != NULL ? vp_topology_new_from_hwloc (hwloc, isolated, error) : NULL;
}

VpTopology *
vp_topology_load_description (const char *description, GError **error)
{
  VpTopology *topology = load (description, NULL, error);

  /* hwloc gives a synthetic node 1 GiB where the string names no memory: a fiction that no guest fits. */
  if (topology != NULL && !g_file_test (description, G_FILE_TEST_IS_REGULAR) &&
      strstr (description, "memory=") == NULL) {
    for (guint i = 0; i < topology->n_nodes; i++)
      topology->nodes[i].memory_kib = 0;
  }
  return topology;
}

static hwloc_bitmap_t
parse_isolated (const char *isolated, GError **error)
{
  g_autofree char *list = g_strstrip (g_strdup (isolated != NULL ? isolated : ""));
  hwloc_bitmap_t set = list[0] != '\0' ? vp_list_parse (list) : hwloc_bitmap_alloc ();

  if (set == NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "the list of isolated CPUs is '%s'; something like \"4-7,12\" is expected", list);
  return set;
}

gboolean
vp_topology_set_isolated (VpTopology *topology, const char *isolated, GError **error)
{
  g_autoptr (VpBitmap) set = parse_isolated (isolated, error);

  for (guint i = 0; set != NULL && i < topology->n_pus; i++)
    topology->pus[i].isolated = hwloc_bitmap_isset (set, topology->pus[i].os_index) != 0;
  return set != NULL;
}

void
vp_topology_set_allowed (VpTopology *topology, const char *allowed)
{
  g_autoptr (VpBitmap) set = vp_list_parse (allowed);

  for (guint i = 0; set != NULL && i < topology->n_pus; i++)
    topology->pus[i].usable = hwloc_bitmap_isset (set, topology->pus[i].os_index) != 0;
}

VpTopology *
vp_topology_load_host (const char *isolated, GError **error)
{
  g_autoptr (VpBitmap) set = parse_isolated (isolated, error);

  return set != NULL ? load (NULL, set, error) : NULL;
}

void
vp_topology_free (VpTopology *topology)
{
  if (topology == NULL)
    return;
  g_free (topology->pus);
  g_free (topology->cores);
  g_free (topology->l3s);
  g_free (topology->nodes);
  g_free (topology->by_os_index);
  g_free (topology->offline);
  g_free (topology->distances);
  g_free (topology);
}

int
vp_topology_find_pu (const VpTopology *topology, unsigned os_index)
{
  guint low = 0;
  guint high = topology->n_pus;

  while (low < high) {
    guint middle = low + (high - low) / 2;
    unsigned found = topology->pus[topology->by_os_index[middle]].os_index;

    if (found == os_index)
      return (int) topology->by_os_index[middle];
    if (found < os_index)
      low = middle + 1;
    else
      high = middle;
  }
  return -1;
}

gboolean
vp_topology_is_node_in (const VpTopology *topology, guint node, hwloc_const_bitmap_t nodes)
{
  guint number = topology->nodes[node].os_index;

  return number != VP_NODE_NONE && hwloc_bitmap_isset (nodes, number);
}

gboolean
vp_topology_has_cpu_on (const VpTopology *topology, hwloc_const_bitmap_t cpus, hwloc_const_bitmap_t nodes)
{
  for (guint i = 0; i < topology->n_pus; i++) {
    const VpPu *pu = &topology->pus[i];
    if (hwloc_bitmap_isset (cpus, pu->os_index) &&
        vp_topology_is_node_in (topology, topology->cores[pu->core].node, nodes))
      return TRUE;
  }
  return FALSE;
}

guint
vp_topology_find_distance (const VpTopology *topology, unsigned from, unsigned to)
{
  for (guint i = 0; i < topology->n_distances; i++)
    if (topology->distances[i].from == from && topology->distances[i].to == to)
      return topology->distances[i].value;
  return 0;
}
