/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A map for a terminal: boxes of characters, the legend below. */
#include <string.h>

#include "cli/map/map-boxes.h"
#include "cli/map/map-canvas.h"
#include "cli/map/map-view.h"

#define COLUMNS 80
#define MOST_MARK 8 /* the legend names those that are cut off */

static const char *const running_colours[] = { "1;34", "1;32", "1;35", "1;36", "1;33" };
static const char *const other_colours[] = { "34", "32", "35", "36", "33" };

typedef struct {
  const VpMap *map;
  VpCanvas *canvas;
  gboolean ascii;
  int digits;         /* of the largest CPU number */
  gboolean has_signs; /* some CPUs are isolated, not allowed or offline: a column for that */
} Sheet;

static const char *
sign_of (const VpMapCpu *cpu)
{
  return cpu->pu == NULL ? "o" : !cpu->pu->usable ? "x" : cpu->pu->isolated ? "i" : " ";
}

static const char *
colour_of_guest (const VpMapGuest *guest, guint position)
{
  return (guest->state == VP_MAP_STOPPED ? other_colours : running_colours)[position % G_N_ELEMENTS (other_colours)];
}

static const char *
colour_of_cpu (const VpMap *map, const VpMapCpu *cpu)
{
  if (cpu->holds->len == 0)
    return "2";
  if (cpu->holds->len > 1)
    return "1;31";
  guint guest = g_array_index (cpu->holds, VpMapHold, 0).guest;
  return colour_of_guest (vp_map_guest (map, guest), guest);
}

/* "12 A", "3x", "4i Be". */
static char *
dup_cell (const Sheet *sheet, const VpMapCpu *cpu)
{
  g_autofree char *mark = vp_map_dup_mark (sheet->map, cpu);
  g_autofree char *cut = vp_map_dup_short_mark (mark, MOST_MARK);
  const char *shown = cut[0] != '\0' || !vp_map_is_host_share (cpu) ? cut : sheet->ascii ? "." : VP_MAP_HOST_MARK;

  return g_strdup_printf ("%*u%s %s", sheet->digits, cpu->os_index, sheet->has_signs ? sign_of (cpu) : "", shown);
}

static VpBoxMetrics
metrics_of (Sheet *sheet)
{
  VpBoxMetrics metrics = { .width = COLUMNS, .cpu_height = 1, .letter = 1, .margin = 6 };

  for (guint i = 0; i < sheet->map->cpus->len; i++) {
    const VpMapCpu *cpu = vp_map_cpu (sheet->map, i);
    g_autofree char *number = g_strdup_printf ("%u", cpu->os_index);
    sheet->digits = MAX (sheet->digits, (int) strlen (number));
    sheet->has_signs = sheet->has_signs || sign_of (cpu)[0] != ' ';
  }
  for (guint i = 0; i < sheet->map->cpus->len; i++) {
    g_autofree char *cell = dup_cell (sheet, vp_map_cpu (sheet->map, i));
    metrics.cpu_width = MAX (metrics.cpu_width, (int) g_utf8_strlen (cell, -1));
  }
  /* Marks of several letters are rare, and leave blanks enough behind the others. */
  int right = metrics.cpu_width > sheet->digits + (sheet->has_signs ? 3 : 2) ? 1 : 2;
  metrics.space[VP_BOX_HOST] = (VpBoxSpace){ .gap_x = 1 };
  metrics.space[VP_BOX_PACKAGE] = (VpBoxSpace){ .left = 2, .top = 1, .right = 2, .bottom = 1, .gap_x = 2 };
  metrics.space[VP_BOX_NODE] = metrics.space[VP_BOX_PACKAGE];
  metrics.space[VP_BOX_L3] = (VpBoxSpace){ .top = 1, .title = 1, .gap_x = -1, .gap_y = -1 };
  metrics.space[VP_BOX_CORE] = (VpBoxSpace){ .left = 2, .top = 1, .right = right, .bottom = 1, .most_columns = 1 };
  return metrics;
}

static void
draw_cpu (const Sheet *sheet, const VpBox *box)
{
  const VpMapCpu *cpu = vp_map_cpu (sheet->map, box->position);
  g_autofree char *cell = dup_cell (sheet, cpu);

  vp_canvas_text (sheet->canvas, box->x, box->y, cell, colour_of_cpu (sheet->map, cpu));
}

static void
draw (const Sheet *sheet, const VpBox *box)
{
  const VpTopology *topology = sheet->map->topology;
  gboolean is_frame = box->kind == VP_BOX_PACKAGE || box->kind == VP_BOX_NODE;

  if (box->kind == VP_BOX_CPU)
    draw_cpu (sheet, box);
  if (is_frame || box->kind == VP_BOX_CORE)
    vp_canvas_box (sheet->canvas, box->x, box->y, box->width, box->height);
  if (box->title != NULL) {
    g_autofree char *title = is_frame ? g_strdup_printf (" %s ", box->title) : g_strdup (box->title);
    vp_canvas_text (sheet->canvas, box->x + (is_frame ? 2 : 0), box->y, title, is_frame ? "1" : NULL);
  }
  if (box->kind == VP_BOX_CORE && box->position < topology->n_cores) {
    g_autofree char *kind = vp_map_dup_kind (topology, &topology->cores[box->position]);
    vp_canvas_text (sheet->canvas, box->x + 2, box->y, kind != NULL ? kind : "", NULL);
  }
  for (guint i = 0; i < box->children->len; i++)
    draw (sheet, box->children->pdata[i]);
}

static char *
dup_boxes (const VpMap *map, gboolean ascii, gboolean colours)
{
  Sheet sheet = { .map = map, .ascii = ascii };
  const VpBoxMetrics metrics = metrics_of (&sheet);
  g_autoptr (VpBox) host = vp_boxes_new (map->topology, &metrics);
  g_autoptr (VpCanvas) canvas = vp_canvas_new (host->width, host->height);

  sheet.canvas = canvas;
  draw (&sheet, host);
  return vp_canvas_dup_text (canvas, ascii, colours);
}

static char *
dup_ascii (const char *text)
{
  GString *plain = g_string_new (NULL);

  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    if (c < 0x80)
      g_string_append_c (plain, (char) c);
    else
      g_string_append (plain, g_str_has_prefix (at, VP_MAP_HOST_MARK) ? "." : "?");
  }
  return g_string_free (plain, FALSE);
}

/* Indented lines, each in the width that is left. */
static void
append_wrapped (GString *text, guint indent, gboolean indent_first, const char *words)
{
  g_auto (GStrv) lines = vp_map_wrap (words, COLUMNS - indent);

  for (guint i = 0; lines[i] != NULL; i++)
    g_string_append_printf (text, "%*s%s\n", i > 0 || indent_first ? (int) indent : 0, "", lines[i]);
}

static void
append_entry (GString *text, const VpMap *map, const VpMapEntry *entry, guint indent, gboolean colours)
{
  guint guest = (guint) MAX (entry->guest, 0);
  const char *colour = entry->guest >= 0               ? colour_of_guest (vp_map_guest (map, guest), guest)
                       : entry->style == VP_STYLE_BAD  ? "1;31"
                       : entry->style == VP_STYLE_WARN ? "33"
                                                       : "2";
  int blanks = (int) indent - (int) g_utf8_strlen (entry->mark, -1);

  if (colours)
    g_string_append_printf (text, "\033[0;%sm%s\033[0m%*s", colour, entry->mark, blanks, "");
  else
    g_string_append_printf (text, "%s%*s", entry->mark, blanks, "");
  append_wrapped (text, indent, FALSE, entry->text);
  if (entry->note != NULL)
    append_wrapped (text, indent + 2, TRUE, entry->note);
}

static char *
dup_legend (const VpMap *map, gboolean colours)
{
  g_autoptr (GPtrArray) entries = vp_map_legend (map);
  GString *text = g_string_new (NULL);
  guint indent = 0;

  for (guint i = 0; i < entries->len; i++)
    indent = MAX (indent, (guint) g_utf8_strlen (((const VpMapEntry *) entries->pdata[i])->mark, -1) + 2);
  for (guint i = 0; i < entries->len; i++)
    append_entry (text, map, entries->pdata[i], indent, colours);
  return g_string_free (text, FALSE);
}

char *
vp_map_dup_text (const VpMap *map, gboolean ascii, gboolean colours)
{
  g_autofree char *title = vp_map_dup_title (map);
  g_autofree char *boxes = dup_boxes (map, ascii, colours);
  g_autofree char *legend = dup_legend (map, colours);
  g_autofree char *plain = ascii ? dup_ascii (legend) : NULL;

  return g_strdup_printf ("%sHost: %s%s\n%s\n%s", colours ? "\033[1m" : "", title, colours ? "\033[0m" : "", boxes,
                          ascii ? plain : legend);
}
