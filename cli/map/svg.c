/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes elements. What the writer returns is not looked at here: its buffer
 * keeps an error, and whoever ends the document hears of it.
 */
#include "cli/map/svg.h"

void
vp_svg_set (xmlTextWriter *out, const char *name, const char *value)
{
  (void) xmlTextWriterWriteAttribute (out, BAD_CAST name, BAD_CAST value);
}

void
vp_svg_set_number (xmlTextWriter *out, const char *name, double value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  vp_svg_set (out, name, g_ascii_formatd (digits, sizeof digits, "%.6g", value));
}

void
vp_svg_start (xmlTextWriter *out, const char *name)
{
  (void) xmlTextWriterStartElement (out, BAD_CAST name);
}

void
vp_svg_end (xmlTextWriter *out)
{
  (void) xmlTextWriterEndElement (out);
}

void
vp_svg_start_rect (xmlTextWriter *out, double x, double y, double width, double height, const char *fill,
                   const char *stroke)
{
  vp_svg_start (out, "rect");
  vp_svg_set_number (out, "x", x);
  vp_svg_set_number (out, "y", y);
  vp_svg_set_number (out, "width", width);
  vp_svg_set_number (out, "height", height);
  vp_svg_set (out, "fill", fill);
  if (stroke != NULL)
    vp_svg_set (out, "stroke", stroke);
}

void
vp_svg_text (xmlTextWriter *out, double x, double y, int size, const char *fill, VpSvgText style, const char *text)
{
  vp_svg_start (out, "text");
  vp_svg_set_number (out, "x", x);
  vp_svg_set_number (out, "y", y);
  vp_svg_set_number (out, "font-size", size);
  vp_svg_set (out, "fill", fill);
  if ((style & VP_SVG_BOLD) != 0)
    vp_svg_set (out, "font-weight", "bold");
  if ((style & VP_SVG_MIDDLE) != 0)
    vp_svg_set (out, "text-anchor", "middle");
  (void) xmlTextWriterWriteString (out, BAD_CAST text);
  vp_svg_end (out);
}
