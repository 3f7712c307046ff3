/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Characters and walls in rows. A wall is kept as the directions it leads to. */
#include "cli/map/map-canvas.h"

enum { NORTH = 1, EAST = 2, SOUTH = 4, WEST = 8 };

typedef struct {
  gunichar character; /* 0: none, the walls show */
  guint walls;
  const char *colour; /* borrowed */
} Cell;

struct VpCanvas {
  int width, height;
  Cell *cells;
};

VpCanvas *
vp_canvas_new (int width, int height)
{
  VpCanvas *canvas = g_new0 (VpCanvas, 1);

  canvas->width = width;
  canvas->height = height;
  canvas->cells = g_new0 (Cell, (gsize) width * (gsize) height);
  return canvas;
}

void
vp_canvas_free (VpCanvas *canvas)
{
  if (canvas == NULL)
    return;
  g_free (canvas->cells);
  g_free (canvas);
}

/* NULL: outside. */
static Cell *
cell_at (const VpCanvas *canvas, int x, int y)
{
  return x >= 0 && y >= 0 && x < canvas->width && y < canvas->height
           ? &canvas->cells[(gsize) y * (gsize) canvas->width + (gsize) x]
           : NULL;
}

static void
add_walls (VpCanvas *canvas, int x, int y, guint walls)
{
  Cell *cell = cell_at (canvas, x, y);

  if (cell != NULL)
    cell->walls |= walls;
}

void
vp_canvas_box (VpCanvas *canvas, int x, int y, int width, int height)
{
  int right = x + width - 1;
  int bottom = y + height - 1;

  add_walls (canvas, x, y, EAST | SOUTH);
  add_walls (canvas, right, y, WEST | SOUTH);
  add_walls (canvas, x, bottom, NORTH | EAST);
  add_walls (canvas, right, bottom, NORTH | WEST);
  for (int i = x + 1; i < right; i++) {
    add_walls (canvas, i, y, EAST | WEST);
    add_walls (canvas, i, bottom, EAST | WEST);
  }
  for (int i = y + 1; i < bottom; i++) {
    add_walls (canvas, x, i, NORTH | SOUTH);
    add_walls (canvas, right, i, NORTH | SOUTH);
  }
}

void
vp_canvas_text (VpCanvas *canvas, int x, int y, const char *text, const char *colour)
{
  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at)) {
    Cell *cell = cell_at (canvas, x++, y);
    if (cell != NULL) {
      cell->character = g_utf8_get_char (at);
      cell->colour = colour;
    }
  }
}

static gunichar
character_of (const Cell *cell, gboolean ascii)
{
  static const gunichar unicode[] = { ' ',    0x2575, 0x2576, 0x2514, 0x2577, 0x2502, 0x250c, 0x251c,
                                      0x2574, 0x2518, 0x2500, 0x2534, 0x2510, 0x2524, 0x252c, 0x253c };
  static const char plain[] = { ' ', '|', '-', '+', '|', '|', '+', '+', '-', '+', '-', '+', '+', '+', '+', '+' };

  if (cell->character != 0)
    return cell->character;
  return ascii ? (gunichar) plain[cell->walls] : unicode[cell->walls];
}

static void
append_row (const VpCanvas *canvas, int y, gboolean ascii, gboolean colours, GString *text)
{
  const char *colour = NULL;
  int end = canvas->width;

  while (end > 0 && character_of (cell_at (canvas, end - 1, y), ascii) == ' ')
    end--;
  for (int x = 0; x < end; x++) {
    const Cell *cell = cell_at (canvas, x, y);
    if (colours && cell->colour != colour) {
      colour = cell->colour;
      g_string_append_printf (text, "\033[0%s%sm", colour != NULL ? ";" : "", colour != NULL ? colour : "");
    }
    g_string_append_unichar (text, character_of (cell, ascii));
  }
  g_string_append (text, colour != NULL ? "\033[0m\n" : "\n");
}

char *
vp_canvas_dup_text (const VpCanvas *canvas, gboolean ascii, gboolean colours)
{
  GString *text = g_string_new (NULL);

  for (int y = 0; y < canvas->height; y++)
    append_row (canvas, y, ascii, colours, text);
  return g_string_free (text, FALSE);
}
