/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sheet of characters on which boxes are drawn: where walls meet, they join.
 * Knows nothing of hosts.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpCanvas VpCanvas;

/* In characters, and empty. The caller's. */
VpCanvas *vp_canvas_new (int width, int height);
void vp_canvas_free (VpCanvas *canvas);
/* Whatever lies outside of the sheet is not drawn. The walls are within width and height. */
void vp_canvas_box (VpCanvas *canvas, int x, int y, int width, int height);
/* `colour` is the code of an ANSI sequence ("1;34"), static; NULL: none. */
void vp_canvas_text (VpCanvas *canvas, int x, int y, const char *text, const char *colour);
/* With line ends, and without blanks before them; `colours` puts sequences in. The caller's. */
char *vp_canvas_dup_text (const VpCanvas *canvas, gboolean ascii, gboolean colours);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpCanvas, vp_canvas_free)

G_END_DECLS
