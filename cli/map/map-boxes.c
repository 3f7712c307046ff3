/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the topology's tables to boxes with titles, and their places. Knows no guests and draws nothing. */
#include "cli/map/map-boxes.h"

#include <string.h>

static void
free_child (gpointer box)
{
  vp_box_free (box);
}

void
vp_box_free (VpBox *box)
{
  if (box == NULL)
    return;
  g_ptr_array_unref (box->children);
  g_free (box->title);
  g_free (box);
}

/* Takes over the title. */
static VpBox *
add_box (VpBox *parent, VpBoxKind kind, guint position, char *title)
{
  VpBox *box = g_new0 (VpBox, 1);

  box->kind = kind;
  box->position = position;
  box->title = title;
  box->children = g_ptr_array_new_with_free_func (free_child);
  if (parent != NULL)
    g_ptr_array_add (parent->children, box);
  return box;
}

/* "32 MiB", "1.5 GiB". */
static char *
dup_size (guint64 bytes)
{
  static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
  double number = (double) bytes;
  guint unit = 0;
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  for (; number >= 1024 && unit + 1 < G_N_ELEMENTS (units); unit++)
    number /= 1024;
  g_ascii_formatd (digits, sizeof digits, "%.1f", number);
  if (g_str_has_suffix (digits, ".0"))
    digits[strlen (digits) - 2] = '\0';
  return g_strdup_printf ("%s %s", digits, units[unit]);
}

static gboolean
knows_memory (const VpTopology *topology)
{
  for (guint i = 0; i < topology->n_nodes; i++)
    if (topology->nodes[i].memory_kib > 0)
      return TRUE;
  return FALSE;
}

/* "Node 0, 16 GiB"; `word` is "Node" or "node". */
static char *
dup_node_title (const VpTopology *topology, const VpNode *node, const char *word)
{
  if (node->os_index == VP_NODE_NONE)
    return g_strdup ("no node");
  g_autofree char *size = dup_size (node->memory_kib * 1024);
  const char *memory = node->memory_kib > 0 ? size : "no memory";
  return g_strdup_printf ("%s %u%s%s%s", word, node->os_index, knows_memory (topology) ? ", " : "",
                          knows_memory (topology) ? memory : "",
                          node->memory_kib > 0 && !node->usable ? ", not allowed" : "");
}

static char *
dup_l3_title (const VpTopology *topology, guint position)
{
  const VpL3 *l3 = &topology->l3s[position];
  g_autofree char *size = dup_size (l3->size);

  return g_strdup_printf ("L3 %u, %s", position, l3->size > 0 ? size : "size unknown");
}

/* The position behind the cores that stand together in the same package. */
static guint
find_package_end (const VpTopology *topology, guint first)
{
  guint end = first + 1;

  while (end < topology->n_cores && topology->cores[end].package == topology->cores[first].package)
    end++;
  return end;
}

static void
add_core (const VpTopology *topology, VpBox *l3, guint position)
{
  const VpCore *core = &topology->cores[position];
  VpBox *box = add_box (l3, VP_BOX_CORE, position, NULL);

  for (guint i = 0; i < core->n_pus; i++)
    add_box (box, VP_BOX_CPU, core->first_pu + i, NULL);
}

static void
add_package (const VpTopology *topology, VpBox *host, guint first, guint end)
{
  const VpCore *cores = topology->cores;
  gboolean has_one_node = cores[first].node == cores[end - 1].node;
  g_autofree char *only = dup_node_title (topology, &topology->nodes[cores[first].node], "node");
  VpBox *package = add_box (host, VP_BOX_PACKAGE, cores[first].package,
                            g_strdup_printf ("Package %u%s%s", cores[first].package, has_one_node ? ", " : "",
                                             has_one_node ? only : ""));
  VpBox *node = package;
  VpBox *l3 = NULL;

  for (guint i = first; i < end; i++) {
    gboolean new_node = i == first || cores[i].node != cores[i - 1].node;
    if (new_node && !has_one_node)
      node = add_box (package, VP_BOX_NODE, cores[i].node,
                      dup_node_title (topology, &topology->nodes[cores[i].node], "Node"));
    if (new_node || cores[i].l3 != cores[i - 1].l3)
      l3 = add_box (node, VP_BOX_L3, cores[i].l3, dup_l3_title (topology, cores[i].l3));
    add_core (topology, l3, i);
  }
}

static void
add_offline (const VpTopology *topology, VpBox *host)
{
  VpBox *frame = add_box (host, VP_BOX_PACKAGE, 0, g_strdup ("Offline"));
  VpBox *cores = add_box (frame, VP_BOX_L3, 0, NULL);

  for (guint i = 0; i < topology->n_offline; i++) {
    VpBox *core = add_box (cores, VP_BOX_CORE, topology->n_cores, NULL);
    add_box (core, VP_BOX_CPU, topology->n_pus + i, NULL);
  }
}

static VpBox *
build (const VpTopology *topology)
{
  VpBox *host = add_box (NULL, VP_BOX_HOST, 0, NULL);

  for (guint i = 0; i < topology->n_cores; i = find_package_end (topology, i))
    add_package (topology, host, i, find_package_end (topology, i));
  for (guint i = 0; i < topology->n_nodes; i++) {
    const VpNode *node = &topology->nodes[i];
    g_autofree char *title = node->n_cores == 0 ? dup_node_title (topology, node, "node") : NULL;
    if (title != NULL)
      add_box (host, VP_BOX_PACKAGE, i, g_strdup_printf ("No CPUs: %s", title));
  }
  if (topology->n_offline > 0)
    add_offline (topology, host);
  return host;
}

/* Places the children within the box; each has its own size already. */
static void
arrange_children (VpBox *box, const VpBoxSpace *space, guint columns, int width)
{
  int y = space->top - (box->title == NULL ? space->title : 0);

  for (guint first = 0; first < box->children->len; first += columns) {
    guint end = MIN (first + columns, box->children->len);
    int height = 0;
    for (guint i = first; i < end; i++)
      height = MAX (height, ((const VpBox *) box->children->pdata[i])->height);
    for (guint i = first; i < end; i++) {
      VpBox *child = box->children->pdata[i];
      child->x = space->left + (int) (i - first) * (width + space->gap_x);
      child->y = y;
      child->width = width;
      child->height = height;
    }
    y += height + space->gap_y;
  }
  box->height = y - (box->children->len > 0 ? space->gap_y : 0) + space->bottom;
  box->width = space->left + (int) columns * (width + space->gap_x) - (columns > 0 ? space->gap_x : 0) + space->right;
}

static void
measure (VpBox *box, const VpBoxMetrics *metrics, int most)
{
  const VpBoxSpace *space = &metrics->space[box->kind];
  int inner = most - space->left - space->right;
  guint n = box->children->len;
  int width = 0;

  if (box->kind == VP_BOX_CPU) {
    box->width = metrics->cpu_width;
    box->height = metrics->cpu_height;
    return;
  }
  for (guint i = 0; i < n; i++) {
    VpBox *child = box->children->pdata[i];
    measure (child, metrics, inner);
    width = MAX (width, child->width);
  }
  guint columns = n > 0 ? (guint) MAX (1, (inner + space->gap_x) / (width + space->gap_x)) : 0;
  columns = MIN (columns, space->most_columns > 0 ? MIN (n, space->most_columns) : n);
  guint rows = n > 0 ? (n + columns - 1) / columns : 0;
  arrange_children (box, space, rows > 0 ? (n + rows - 1) / rows : 0, width);
  if (box->title != NULL)
    box->width = MAX (box->width, (int) g_utf8_strlen (box->title, -1) * metrics->letter + metrics->margin);
}

static void
move (VpBox *box, int x, int y)
{
  box->x += x;
  box->y += y;
  for (guint i = 0; i < box->children->len; i++)
    move (box->children->pdata[i], box->x, box->y);
}

VpBox *
vp_boxes_new (const VpTopology *topology, const VpBoxMetrics *metrics)
{
  VpBox *host = build (topology);

  measure (host, metrics, metrics->width);
  move (host, 0, 0);
  return host;
}
