/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The few elements of SVG that a picture here is made of. Texts are escaped by libxml2's writer. */
#pragma once

#include <glib.h>
#include <libxml/xmlwriter.h>

G_BEGIN_DECLS

typedef enum {
  VP_SVG_PLAIN = 0,
  VP_SVG_BOLD = 1,
  VP_SVG_MIDDLE = 2, /* `x` is its middle, not its beginning */
} VpSvgText;

/* Lengths are pixels; `out` is borrowed, and keeps what goes wrong for whoever ends the document. */
void vp_svg_start (xmlTextWriter *out, const char *name);
void vp_svg_end (xmlTextWriter *out);
void vp_svg_set (xmlTextWriter *out, const char *name, const char *value);
void vp_svg_set_number (xmlTextWriter *out, const char *name, double value);
/* Left open for more attributes; `stroke` NULL: none. */
void vp_svg_start_rect (xmlTextWriter *out, double x, double y, double width, double height, const char *fill,
                        const char *stroke);
/* A whole element; `size` of its letters. */
void vp_svg_text (xmlTextWriter *out, double x, double y, int size, const char *fill, VpSvgText style,
                  const char *text);

G_END_DECLS
