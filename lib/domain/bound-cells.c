/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads cpu/numa beside numatune; knows nothing of the host. */
#include "domain/bound-cells.h"

#include "base/number.h"

#define MAX_CELLS 128 /* QEMU's */

static void
bound_cell_clear (gpointer data)
{
  VpBoundCell *cell = data;

  hwloc_bitmap_free (cell->vcpus);
  hwloc_bitmap_free (cell->nodes);
}

/* Binds the cell as this <memnode> or <memory> says. */
static void
bind_cell (VpBoundCell *cell, const xmlNode *node)
{
  g_autofree char *list = node != NULL ? vp_xml_dup_attr (node, "nodeset") : NULL;
  g_autofree char *mode = node != NULL ? vp_xml_dup_attr (node, "mode") : NULL;

  cell->nodes = vp_list_parse (list);
  cell->strict = cell->nodes != NULL && (mode == NULL || g_str_equal (mode, "strict"));
}

static void
add_cell (const VpDomain *domain, const xmlNode *node, hwloc_bitmap_t rest, GArray *cells)
{
  g_autofree char *cpus = vp_xml_dup_attr (node, "cpus");
  g_autofree char *id = vp_xml_dup_attr (node, "id");
  VpBoundCell cell = { .vcpus = vp_list_parse (cpus) };
  guint64 number = cells->len;

  vp_number_parse (id, 10, MAX_CELLS, &number);
  g_autofree char *place = g_strdup_printf ("numatune/memnode[@cellid='%u']", (guint) number);
  if (cell.vcpus == NULL)
    cell.vcpus = hwloc_bitmap_alloc ();
  const xmlNode *memnode = vp_xml_find (domain->doc, place);
  bind_cell (&cell, memnode != NULL ? memnode : vp_xml_find (domain->doc, "numatune/memory"));
  hwloc_bitmap_and (cell.vcpus, cell.vcpus, rest);
  hwloc_bitmap_andnot (rest, rest, cell.vcpus);
  g_array_append_val (cells, cell);
}

GArray *
vp_domain_bound_cells (const VpDomain *domain)
{
  GArray *cells = g_array_new (FALSE, FALSE, sizeof (VpBoundCell));
  const xmlNode *numa = vp_xml_find (domain->doc, "cpu/numa");
  g_autoptr (VpBitmap) rest = hwloc_bitmap_alloc ();
  guint n_vcpus = vp_domain_vcpus (domain, NULL);
  gboolean bound = FALSE;

  g_array_set_clear_func (cells, bound_cell_clear);
  if (numa == NULL || n_vcpus == 0)
    return cells;
  hwloc_bitmap_set_range (rest, 0, (int) n_vcpus - 1);
  for (const xmlNode *node = vp_xml_first (numa); node != NULL && cells->len <= MAX_CELLS; node = vp_xml_next (node)) {
    if (!vp_xml_is (node, "cell"))
      continue;
    add_cell (domain, node, rest, cells);
    bound |= g_array_index (cells, VpBoundCell, cells->len - 1).nodes != NULL;
  }
  if (!bound || cells->len > MAX_CELLS)
    g_array_set_size (cells, 0);
  else
    hwloc_bitmap_or (g_array_index (cells, VpBoundCell, 0).vcpus, g_array_index (cells, VpBoundCell, 0).vcpus, rest);
  return cells;
}
