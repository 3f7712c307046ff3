/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How libvirt's driver for QEMU chooses the pages behind each piece of guest
 * memory, so that they can be counted before it does.
 *
 * A piece is a guest NUMA cell, the whole memory where there are none, or a
 * memory module. It has the size of the <page> whose nodeset has its cell, else
 * that of the <page> without one; and it is bound as the cell's <memnode> says,
 * else as <memory> of <numatune> does.
 */
#include "domain/hugepages.h"

#include "base/error.h"
#include "base/number.h"

typedef struct {
  const VpDomain *domain;
  const xmlNode *hugepages; /* NULL: the domain has none */
  guint64 default_kib;
  guint64 base_kib;
  gboolean has_cells;
  GArray *needs;
} Count;

void
vp_page_need_clear (VpPageNeed *need)
{
  g_clear_pointer (&need->nodes, hwloc_bitmap_free);
}

/* An element's text and unit, or those of two attributes. */
static gboolean
read_size (const xmlNode *node, const char *attribute, const char *what, guint64 *kib, GError **error)
{
  g_autofree char *text = attribute != NULL ? vp_xml_dup_attr (node, attribute) : vp_xml_dup_content (node);
  g_autofree char *unit = vp_xml_dup_attr (node, "unit");

  if (vp_size_to_kib (text, unit, kib))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_XML, "%s is '%s' in unit '%s': not a size", what, text != NULL ? text : "",
               unit != NULL ? unit : "KiB");
  return FALSE;
}

static gboolean
page_is_for (const xmlNode *page, int cell)
{
  g_autofree char *text = vp_xml_dup_attr (page, "nodeset");
  g_autoptr (VpBitmap) cells = vp_list_parse (text);

  return cells != NULL && cell >= 0 && hwloc_bitmap_isset (cells, (unsigned) cell);
}

/* NULL: the piece has ordinary pages. A guest without cells may say nodeset='0'. */
static const xmlNode *
find_page (const Count *count, int cell)
{
  const xmlNode *general = NULL;

  for (const xmlNode *page = vp_xml_first (count->hugepages); page != NULL; page = vp_xml_next (page)) {
    g_autofree char *nodeset = vp_xml_is (page, "page") ? vp_xml_dup_attr (page, "nodeset") : NULL;
    if (!vp_xml_is (page, "page"))
      continue;
    if (nodeset == NULL || (!count->has_cells && cell < 0))
      general = page;
    else if (page_is_for (page, cell))
      return page;
  }
  return general;
}

/* 0: ordinary pages. */
static gboolean
find_page_kib (const Count *count, int cell, guint64 *kib, GError **error)
{
  *kib = 0;
  if (count->hugepages == NULL)
    return TRUE;
  *kib = count->default_kib;
  if (vp_xml_first (count->hugepages) != NULL) {
    const xmlNode *page = find_page (count, cell);
    if (page == NULL)
      *kib = 0;
    else if (!read_size (page, "size", "<hugepages>: the size of a <page>", kib, error))
      return FALSE;
  }
  if (*kib == count->base_kib)
    *kib = 0;
  return TRUE;
}

static xmlNode *
find_memnode (const VpDomain *domain, int cell)
{
  xmlNode *numatune = vp_xml_child (vp_domain_root (domain), "numatune");
  g_autofree char *id = g_strdup_printf ("%d", cell);

  for (xmlNode *node = numatune != NULL ? vp_xml_first (numatune) : NULL; node != NULL; node = vp_xml_next (node))
    if (vp_xml_is (node, "memnode") && vp_xml_attr_is (node, "cellid", id))
      return node;
  return NULL;
}

/*
 * preferred takes pages from elsewhere when its node has none, interleave too: there they wish for nodes.
 * placement='auto' has no node set before the start: any node will do.
 */
static gboolean
bind_need (const Count *count, int cell, VpPageNeed *need, GError **error)
{
  xmlNode *node = find_memnode (count->domain, cell);

  if (node == NULL)
    node = vp_xml_find (count->domain->doc, "numatune/memory");
  g_autofree char *nodeset = node != NULL ? vp_xml_dup_attr (node, "nodeset") : NULL;
  if (nodeset == NULL)
    return TRUE;
  g_autoptr (VpBitmap) nodes = vp_list_parse (nodeset);
  if (nodes == NULL || hwloc_bitmap_iszero (nodes)) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "<numatune>: '%s' is no set of nodes", nodeset);
    return FALSE;
  }
  need->nodes = g_steal_pointer (&nodes);
  need->strict = !vp_xml_attr_is (node, "mode", "preferred") && !vp_xml_attr_is (node, "mode", "interleave");
  return TRUE;
}

static gboolean
is_same (const VpPageNeed *a, const VpPageNeed *b)
{
  if (a->page_kib != b->page_kib || a->strict != b->strict || (a->nodes == NULL) != (b->nodes == NULL))
    return FALSE;
  return a->nodes == NULL || hwloc_bitmap_isequal (a->nodes, b->nodes);
}

/* Takes the node set over. */
static void
add_need (GArray *needs, VpPageNeed *need)
{
  for (guint i = 0; i < needs->len; i++) {
    VpPageNeed *other = &g_array_index (needs, VpPageNeed, i);
    if (is_same (other, need)) {
      other->pages += need->pages;
      vp_page_need_clear (need);
      return;
    }
  }
  g_array_append_val (needs, *need);
}

static gboolean
count_piece (Count *count, int cell, guint64 page_kib, guint64 kib, const char *nodes, GError **error)
{
  VpPageNeed need = { .page_kib = page_kib, .strict = nodes != NULL };

  if (page_kib == 0 || kib == 0)
    return TRUE;
  need.pages = kib / page_kib + (kib % page_kib != 0 ? 1 : 0);
  if (nodes == NULL) {
    if (!bind_need (count, cell, &need, error))
      return FALSE;
  } else if ((need.nodes = vp_list_parse (nodes)) == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "<memory> of a memory module: '%s' is no set of nodes", nodes);
    return FALSE;
  }
  add_need (count->needs, &need);
  return TRUE;
}

static gboolean
count_cell (Count *count, int cell, guint64 kib, GError **error)
{
  guint64 page_kib = 0;

  return find_page_kib (count, cell, &page_kib, error) && count_piece (count, cell, page_kib, kib, NULL, error);
}

static int
read_cell_id (const xmlNode *node, const char *name, int fallback)
{
  g_autofree char *text = node != NULL ? vp_xml_dup_attr (node, name) : NULL;
  guint64 id = 0;

  return vp_number_parse (text, 10, 65535, &id) ? (int) id : fallback;
}

static gboolean
count_cells (Count *count, GError **error)
{
  g_autoptr (GArray) cells = vp_domain_cells_kib (count->domain, error);
  xmlNode *numa = vp_xml_find (count->domain->doc, "cpu/numa");
  guint i = 0;

  if (cells == NULL)
    return FALSE;
  count->has_cells = cells->len > 0;
  for (xmlNode *node = numa != NULL ? vp_xml_first (numa) : NULL; node != NULL; node = vp_xml_next (node)) {
    if (!vp_xml_is (node, "cell"))
      continue;
    if (!count_cell (count, read_cell_id (node, "id", (int) i), g_array_index (cells, guint64, i), error))
      return FALSE;
    i++;
  }
  return TRUE;
}

/* A DIMM is there from the start; of virtio-mem, what is requested is. Others have no hugepages. */
static gboolean
count_module (Count *count, const xmlNode *module, GError **error)
{
  gboolean is_virtio = vp_xml_attr_is (module, "model", "virtio-mem");
  const xmlNode *target = vp_xml_child (module, "target");
  const xmlNode *source = vp_xml_child (module, "source");
  const xmlNode *size = target != NULL ? vp_xml_child (target, is_virtio ? "requested" : "size") : NULL;
  const xmlNode *own = source != NULL ? vp_xml_child (source, "pagesize") : NULL;
  const xmlNode *mask = source != NULL ? vp_xml_child (source, "nodemask") : NULL;
  const xmlNode *on = target != NULL ? vp_xml_child (target, "node") : NULL;
  g_autofree char *nodes = mask != NULL ? vp_xml_dup_content (mask) : NULL;
  g_autofree char *cell_text = on != NULL ? vp_xml_dup_content (on) : NULL;
  guint64 cell = 0;
  guint64 page_kib = 0;
  guint64 kib = 0;

  if (size == NULL || (!is_virtio && !vp_xml_attr_is (module, "model", "dimm")))
    return TRUE;
  gboolean has_cell = vp_number_parse (cell_text, 10, 65535, &cell);
  if (!read_size (size, NULL, "the size of a memory module", &kib, error))
    return FALSE;
  if (own != NULL ? !read_size (own, NULL, "the page size of a memory module", &page_kib, error)
                  : !find_page_kib (count, has_cell ? (int) cell : -1, &page_kib, error))
    return FALSE;
  if (page_kib == count->base_kib)
    page_kib = 0;
  return count_piece (count, has_cell ? (int) cell : -1, page_kib, kib, nodes, error);
}

static gboolean
count_modules (Count *count, GError **error)
{
  const xmlNode *devices = vp_xml_child (vp_domain_root (count->domain), "devices");

  for (const xmlNode *node = devices != NULL ? vp_xml_first (devices) : NULL; node != NULL; node = vp_xml_next (node))
    if (vp_xml_is (node, "memory") && !count_module (count, node, error))
      return FALSE;
  return TRUE;
}

/* QEMU takes no DIMM that is no multiple of the pages that it is made of, and no such block of virtio-mem. */
static gboolean
fits_module (const xmlNode *module, guint64 page_kib)
{
  gboolean is_virtio = vp_xml_attr_is (module, "model", "virtio-mem");
  const xmlNode *target = vp_xml_child (module, "target");
  const xmlNode *source = vp_xml_child (module, "source");
  const xmlNode *size = target != NULL ? vp_xml_child (target, is_virtio ? "block" : "size") : NULL;
  guint64 kib = 0;

  if (size == NULL || (!is_virtio && !vp_xml_attr_is (module, "model", "dimm")) ||
      (source != NULL && vp_xml_child (source, "pagesize") != NULL))
    return TRUE;
  return read_size (size, NULL, "the size of a memory module", &kib, NULL) && kib % page_kib == 0;
}

gboolean
vp_hugepages_fit_modules (const VpDomain *domain, guint64 page_kib)
{
  const xmlNode *devices = vp_xml_child (vp_domain_root (domain), "devices");

  for (const xmlNode *node = devices != NULL ? vp_xml_first (devices) : NULL; node != NULL; node = vp_xml_next (node))
    if (vp_xml_is (node, "memory") && !fits_module (node, page_kib))
      return FALSE;
  return TRUE;
}

/* What only one node can give is taken before what several can; strict before a wish. */
static gint
compare_needs (gconstpointer a, gconstpointer b)
{
  const VpPageNeed *left = a;
  const VpPageNeed *right = b;
  int left_nodes = left->nodes != NULL ? hwloc_bitmap_weight (left->nodes) : G_MAXINT;
  int right_nodes = right->nodes != NULL ? hwloc_bitmap_weight (right->nodes) : G_MAXINT;

  if (left->strict != right->strict)
    return left->strict ? -1 : 1;
  if (left_nodes != right_nodes)
    return left_nodes < right_nodes ? -1 : 1;
  return left->page_kib < right->page_kib ? -1 : left->page_kib > right->page_kib;
}

static GArray *
list_needs (const VpDomain *domain, const xmlNode *hugepages, guint64 default_kib, guint64 base_kib, GError **error)
{
  g_autoptr (GArray) needs = g_array_new (FALSE, TRUE, sizeof (VpPageNeed));
  Count count = { domain, hugepages, default_kib, base_kib, FALSE, needs };

  g_array_set_clear_func (needs, (GDestroyNotify) vp_page_need_clear);
  if (!count_cells (&count, error))
    return NULL;
  if (!count.has_cells && hugepages != NULL) {
    guint64 kib = vp_domain_memory_kib (domain, error);
    if (kib == 0 || !count_cell (&count, -1, kib, error))
      return NULL;
  }
  if (!count_modules (&count, error))
    return NULL;
  g_array_sort (needs, compare_needs);
  return g_steal_pointer (&needs);
}

GArray *
vp_hugepages_needs (const VpDomain *domain, guint64 default_kib, guint64 base_kib, GError **error)
{
  return list_needs (domain, vp_xml_find (domain->doc, "memoryBacking/hugepages"), default_kib, base_kib, error);
}

gboolean
vp_hugepages_count (const VpDomain *domain, guint64 page_kib, guint64 *pages)
{
  const xmlNode as_planned = { .type = XML_ELEMENT_NODE }; /* <hugepages/> */
  g_autoptr (GArray) needs = list_needs (domain, &as_planned, page_kib, 0, NULL);

  *pages = 0;
  for (guint i = 0; needs != NULL && i < needs->len; i++) {
    const VpPageNeed *need = &g_array_index (needs, VpPageNeed, i);
    *pages += need->page_kib == page_kib ? need->pages : 0;
  }
  return needs != NULL;
}

gboolean
vp_hugepages_need_mount (const VpDomain *domain)
{
  xmlNode *source = vp_xml_find (domain->doc, "memoryBacking/source");

  return source == NULL || !vp_xml_attr_is (source, "type", "memfd");
}
