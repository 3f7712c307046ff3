/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A map as a picture. It has no script, no link and no font of its own, so that
 * it can be attached to a report and opened anywhere. Names are escaped by the
 * writer and by nobody else.
 */
#include <string.h>

#include "base/error.h"
#include "cli/map/map-boxes.h"
#include "cli/map/map-view.h"
#include "cli/map/svg.h"

#define WIDTH 1180 /* of the boxes, at most */
#define LEAST_WIDTH 760
#define MARGIN 20
#define HEAD 56
#define LINE 18
#define SWATCH 54
#define LEGEND_LEFT 66
#define LEGEND_GAP 6
#define LETTER 6.6 /* an average one of 12 pixels */
#define MOST_MARK 7

#define INK "#1c2733"
#define FAINT "#5b6875"
#define LINE_OF_CPU "#93a0ac"
#define IDLE "#e6eaee"
#define SERVICE "#c9d2da"
#define HATCH "url(#hatch)"
#define BAD "#c62828"
#define ISOLATED "#6a3fb5"

typedef struct {
  const VpMap *map;
  xmlTextWriter *out;
} Picture;

/* Black text is readable on each; the second is for guests that are stopped. */
static const char *const fills[][2] = {
  { "#8ab8ec", "#d6e6f8" }, { "#f6b56b", "#fce3c6" }, { "#8fd191", "#d8f0d9" }, { "#c3a4e6", "#e8dcf6" },
  { "#f2d65c", "#faf1c3" }, { "#6fd0cf", "#cdeeee" }, { "#f0a2c9", "#fadced" }, { "#c8b08f", "#eae0d3" },
};

static const VpBoxMetrics metrics = {
  .width = WIDTH,
  .cpu_width = 50,
  .cpu_height = 34,
  .letter = 8,
  .margin = 28,
  .space = {
    [VP_BOX_HOST] = { .gap_x = 14, .gap_y = 14 },
    [VP_BOX_PACKAGE] = { .left = 12, .top = 32, .right = 12, .bottom = 12, .gap_x = 12, .gap_y = 12 },
    [VP_BOX_NODE] = { .left = 12, .top = 30, .right = 12, .bottom = 12, .gap_x = 12, .gap_y = 12 },
    [VP_BOX_L3] = { .left = 8, .top = 28, .right = 8, .bottom = 8, .title = 20, .gap_x = 6, .gap_y = 6 },
    [VP_BOX_CORE] = { .left = 4, .top = 16, .right = 4, .bottom = 4, .gap_y = 3, .most_columns = 1 },
  },
};

static const struct {
  const char *fill;
  const char *stroke;
} frames[VP_N_BOXES] = {
  [VP_BOX_PACKAGE] = { "#f5f7f9", "#9aa7b3" },
  [VP_BOX_NODE] = { "#fbfcfd", "#b4bfc9" },
  [VP_BOX_L3] = { "#ffffff", "#c3ccd5" },
  [VP_BOX_CORE] = { "#f1f4f6", "#d5dce2" },
};

static const char *
fill_of_guest (const VpMap *map, guint guest)
{
  gboolean pale = vp_map_guest (map, guest)->state == VP_MAP_STOPPED;

  return fills[guest % G_N_ELEMENTS (fills)][pale ? 1 : 0];
}

/* What stands under the number: "A 3" for vCPU 3 of guest A, "AB", "emul.", "host". */
static char *
dup_caption (const VpMap *map, const VpMapCpu *cpu)
{
  if (cpu->holds->len == 1 && !cpu->service) {
    const VpMapHold *hold = &g_array_index (cpu->holds, VpMapHold, 0);
    return g_strdup_printf ("%s %u", vp_map_guest (map, hold->guest)->label, hold->vcpu);
  }
  if (cpu->holds->len > 0) {
    g_autofree char *mark = vp_map_dup_mark (map, cpu);
    return vp_map_dup_short_mark (mark, MOST_MARK);
  }
  return g_strdup (cpu->pu == NULL ? "offline" : !cpu->pu->usable ? "denied" : cpu->service ? "emul." : "host");
}

/* What a viewer shows under the pointer. */
static void
write_tip (const Picture *picture, const VpMapCpu *cpu)
{
  const VpTopology *topology = picture->map->topology;
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "CPU %u", cpu->os_index);
  if (cpu->pu != NULL)
    g_string_append_printf (text, ", core %u, L3 %u", topology->cores[cpu->pu->core].os_index,
                            topology->cores[cpu->pu->core].l3);
  for (guint i = 0; i < cpu->holds->len; i++) {
    const VpMapHold *hold = &g_array_index (cpu->holds, VpMapHold, i);
    g_autofree char *name = vp_map_dup_clean (vp_map_guest (picture->map, hold->guest)->name);
    g_string_append_printf (text, "; vCPU %u of %s", hold->vcpu, name);
  }
  if (cpu->service)
    g_string_append (text, "; emulator threads or iothreads");
  (void) xmlTextWriterWriteElement (picture->out, BAD_CAST "title", BAD_CAST text->str);
}

/* A CPU of several guests has a stripe of each; those behind the fourth are in the legend. */
static void
draw_fill (const Picture *picture, const VpMapCpu *cpu, const VpBox *box)
{
  guint n = MIN (cpu->holds->len, 4);
  double width = (double) box->width / MAX (n, 1);

  for (guint i = 0; i < n; i++) {
    guint guest = g_array_index (cpu->holds, VpMapHold, i).guest;
    vp_svg_start_rect (picture->out, box->x + i * width, box->y, width, box->height,
                       fill_of_guest (picture->map, guest), NULL);
    vp_svg_end (picture->out);
  }
  if (n > 0)
    return;
  vp_svg_start_rect (picture->out, box->x, box->y, box->width, box->height,
                     cpu->pu == NULL    ? "#ffffff"
                     : !cpu->pu->usable ? HATCH
                     : cpu->service     ? SERVICE
                                        : IDLE,
                     NULL);
  vp_svg_end (picture->out);
}

static void
draw_outline (const Picture *picture, const VpMapCpu *cpu, const VpBox *box)
{
  gboolean conflict = cpu->holds->len > 1;
  gboolean isolated = cpu->pu != NULL && cpu->pu->isolated;

  vp_svg_start_rect (picture->out, box->x, box->y, box->width, box->height, "none",
                     conflict   ? BAD
                     : isolated ? ISOLATED
                                : LINE_OF_CPU);
  if (conflict || isolated)
    vp_svg_set (picture->out, "stroke-width", "2.5");
  if (cpu->pu == NULL)
    vp_svg_set (picture->out, "stroke-dasharray", "4 3");
  vp_svg_end (picture->out);
}

static void
draw_cpu (const Picture *picture, const VpBox *box)
{
  const VpMapCpu *cpu = vp_map_cpu (picture->map, box->position);
  g_autofree char *number = g_strdup_printf ("%u", cpu->os_index);
  g_autofree char *caption = dup_caption (picture->map, cpu);
  const char *ink = cpu->holds->len > 0 ? INK : FAINT;
  double middle = box->x + box->width / 2.0;

  vp_svg_start (picture->out, "g");
  write_tip (picture, cpu);
  draw_fill (picture, cpu, box);
  draw_outline (picture, cpu, box);
  vp_svg_text (picture->out, middle, box->y + 15, 13, ink, VP_SVG_BOLD | VP_SVG_MIDDLE, number);
  vp_svg_text (picture->out, middle, box->y + 28, 11, ink, VP_SVG_MIDDLE, caption);
  vp_svg_end (picture->out);
}

static void
draw_core_name (const Picture *picture, const VpBox *box)
{
  const VpTopology *topology = picture->map->topology;
  const VpCore *core = box->position < topology->n_cores ? &topology->cores[box->position] : NULL;
  g_autofree char *kind = core != NULL ? vp_map_dup_kind (topology, core) : NULL;
  g_autofree char *name =
    core == NULL ? NULL
                 : g_strdup_printf ("core %u%s%s", core->os_index, kind != NULL ? " " : "", kind != NULL ? kind : "");

  if (name != NULL)
    vp_svg_text (picture->out, box->x + box->width / 2.0, box->y + 12, 10, FAINT, VP_SVG_MIDDLE, name);
}

static void
draw (const Picture *picture, const VpBox *box)
{
  if (box->kind == VP_BOX_CPU) {
    draw_cpu (picture, box);
    return;
  }
  if (frames[box->kind].fill != NULL) {
    vp_svg_start_rect (picture->out, box->x, box->y, box->width, box->height, frames[box->kind].fill,
                       frames[box->kind].stroke);
    vp_svg_set (picture->out, "rx", "4");
    vp_svg_end (picture->out);
  }
  if (box->title != NULL)
    vp_svg_text (picture->out, box->x + 10, box->y + 20, box->kind == VP_BOX_PACKAGE ? 14 : 12, INK,
                 box->kind == VP_BOX_L3 ? VP_SVG_PLAIN : VP_SVG_BOLD, box->title);
  if (box->kind == VP_BOX_CORE)
    draw_core_name (picture, box);
  for (guint i = 0; i < box->children->len; i++)
    draw (picture, box->children->pdata[i]);
}

/* The text of each legend line, broken to the width of the picture. */
static GStrv
wrap_entry (const VpMapEntry *entry, double width)
{
  g_autofree char *text = g_strjoin ("; ", entry->text, entry->note, NULL); /* a NULL note ends the list */

  return vp_map_wrap (text, (guint) (width / LETTER));
}

/* The signs look as they do in the boxes. */
static const struct {
  const char *mark;
  const char *shown;
  const char *fill;
  const char *stroke;
} signs[] = {
  { VP_MAP_HOST_MARK, "host", IDLE, LINE_OF_CPU },
  { "e", "emul.", SERVICE, LINE_OF_CPU },
  { "i", "", "#ffffff", ISOLATED },
  { "x", "denied", HATCH, LINE_OF_CPU },
  { "o", "offline", "#ffffff", LINE_OF_CPU },
  { "!", "!", "#ffffff", BAD },
};

static void
draw_swatch (const Picture *picture, const VpMapEntry *entry, int y)
{
  const char *fill = entry->guest >= 0 ? fill_of_guest (picture->map, (guint) entry->guest) : "#ffffff";
  const char *stroke = LINE_OF_CPU;
  const char *shown = entry->mark;

  for (gsize i = 0; entry->guest < 0 && i < G_N_ELEMENTS (signs); i++) {
    if (strcmp (signs[i].mark, entry->mark) != 0)
      continue;
    fill = signs[i].fill;
    stroke = signs[i].stroke;
    shown = signs[i].shown;
  }
  vp_svg_start_rect (picture->out, 0, y, SWATCH, LINE, fill, stroke);
  if (strcmp (stroke, LINE_OF_CPU) != 0)
    vp_svg_set (picture->out, "stroke-width", "2.5");
  vp_svg_end (picture->out);
  vp_svg_text (picture->out, SWATCH / 2.0, y + 13, strlen (shown) > 3 ? 11 : 12, INK,
               entry->guest >= 0 ? VP_SVG_BOLD | VP_SVG_MIDDLE : VP_SVG_MIDDLE, shown);
}

static void
draw_legend (const Picture *picture, const GPtrArray *entries, double width)
{
  int y = 0;

  for (guint i = 0; i < entries->len; i++) {
    const VpMapEntry *entry = entries->pdata[i];
    g_auto (GStrv) lines = wrap_entry (entry, width - LEGEND_LEFT);
    draw_swatch (picture, entry, y);
    for (guint j = 0; lines[j] != NULL; j++, y += LINE)
      vp_svg_text (picture->out, LEGEND_LEFT, y + 13, 12, INK, VP_SVG_PLAIN, lines[j]);
    y += LEGEND_GAP;
  }
}

static int
legend_height (const GPtrArray *entries, double width)
{
  int height = 0;

  for (guint i = 0; i < entries->len; i++) {
    g_auto (GStrv) lines = wrap_entry (entries->pdata[i], width - LEGEND_LEFT);
    height += (int) g_strv_length (lines) * LINE + LEGEND_GAP;
  }
  return height;
}

static void
write_hatch (xmlTextWriter *out)
{
  vp_svg_start (out, "defs");
  vp_svg_start (out, "pattern");
  vp_svg_set (out, "id", "hatch");
  vp_svg_set (out, "width", "8");
  vp_svg_set (out, "height", "8");
  vp_svg_set (out, "patternUnits", "userSpaceOnUse");
  vp_svg_start_rect (out, 0, 0, 8, 8, "#ffffff", NULL);
  vp_svg_end (out);
  vp_svg_start (out, "path");
  vp_svg_set (out, "d", "M0 8L8 0");
  vp_svg_set (out, "stroke", "#c3ccd5");
  vp_svg_end (out);
  vp_svg_end (out);
  vp_svg_end (out);
}

static void
start_picture (xmlTextWriter *out, int width, int height, const char *title)
{
  g_autofree char *box = g_strdup_printf ("0 0 %d %d", width, height);

  vp_svg_start (out, "svg");
  vp_svg_set (out, "xmlns", "http://www.w3.org/2000/svg");
  vp_svg_set_number (out, "width", width);
  vp_svg_set_number (out, "height", height);
  vp_svg_set (out, "viewBox", box);
  vp_svg_set (out, "font-family", "DejaVu Sans, Liberation Sans, Arial, sans-serif");
  (void) xmlTextWriterWriteElement (out, BAD_CAST "title", BAD_CAST title);
  write_hatch (out);
  vp_svg_start_rect (out, 0, 0, width, height, "#ffffff", NULL);
  vp_svg_end (out);
}

static void
start_group (xmlTextWriter *out, int x, int y)
{
  g_autofree char *where = g_strdup_printf ("translate(%d %d)", x, y);

  vp_svg_start (out, "g");
  vp_svg_set (out, "transform", where);
}

static void
write_picture (const Picture *picture)
{
  const VpMap *map = picture->map;
  xmlTextWriter *out = picture->out;
  g_autoptr (VpBox) host = vp_boxes_new (map->topology, &metrics);
  g_autoptr (GPtrArray) entries = vp_map_legend (map);
  g_autofree char *title = vp_map_dup_title (map);
  g_autofree char *heading = g_strdup_printf ("Host: %s", title);
  int width = MAX (host->width, LEAST_WIDTH);
  int height = HEAD + host->height + LINE + legend_height (entries, width) + MARGIN;

  start_picture (out, width + 2 * MARGIN, height, heading);
  vp_svg_text (out, MARGIN, 34, 17, INK, VP_SVG_BOLD, heading);
  start_group (out, MARGIN, HEAD);
  draw (picture, host);
  vp_svg_end (out);
  start_group (out, MARGIN, HEAD + host->height + LINE);
  draw_legend (picture, entries, width);
  vp_svg_end (out);
  vp_svg_end (out);
}

/* The writer keeps what goes wrong (it can only be a lack of memory) and says so at the end. */
char *
vp_map_dup_svg (const VpMap *map, GError **error)
{
  xmlBuffer *buffer = xmlBufferCreate ();
  Picture picture = { .map = map, .out = xmlNewTextWriterMemory (buffer, 0) };
  char *text = NULL;

  (void) xmlTextWriterSetIndent (picture.out, 1);
  (void) xmlTextWriterStartDocument (picture.out, NULL, "UTF-8", NULL);
  write_picture (&picture);
  if (xmlTextWriterEndDocument (picture.out) >= 0)
    text = g_strdup ((const char *) xmlBufferContent (buffer));
  else
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot make the picture: libxml2's writer failed");
  xmlFreeTextWriter (picture.out);
  xmlBufferFree (buffer);
  return text;
}
