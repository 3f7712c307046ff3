/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a person sees: colour where there is a terminal, tables, warnings. Texts
 * from definitions and files pass through here, so that none of their control
 * characters reaches a terminal.
 */
#pragma once

#include <glib.h>
#include <json-c/json.h>

G_BEGIN_DECLS

typedef enum {
  VP_STYLE_PLAIN,
  VP_STYLE_HEAD,
  VP_STYLE_DIM,
  VP_STYLE_GOOD,
  VP_STYLE_WARN,
  VP_STYLE_BAD,
  VP_STYLE_PLACE,
} VpStyle;

/* Whether stdout is one. */
gboolean vp_output_is_terminal (void);
/* Only on a terminal, and not with NO_COLOR (no-color.org) or TERM=dumb. */
gboolean vp_output_has_colour (void);
/* One line in that style on stdout, with its line end. */
void vp_output_line (VpStyle style, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* "vfio-profile: warning: …" on stderr. */
void vp_output_warn (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* The caller's. In one line: control characters become '?', line ends a space. */
char *vp_output_dup_clean (const char *text);
/* Byte for byte on stdout: XML, JSON. */
gboolean vp_output_write (const char *text, GError **error);
/* Prints it and drops the reference. */
gboolean vp_output_json (json_object *object, GError **error);
/* The caller's. NULL becomes null; what is no UTF-8 is made valid. */
json_object *vp_output_json_string (const char *text);
json_object *vp_output_json_strings (const GPtrArray *texts); /* of char *; NULL: an empty array */
json_object *vp_output_json_strv (char *const *texts);        /* the same */

typedef struct VpTable VpTable;

/* `heads` is NULL-ended and gives the number of columns. */
VpTable *vp_table_new (const char *const *heads);
void vp_table_free (VpTable *table);
/* As many cells as columns; NULL shows as "-". `styled` is the column in that style. */
void vp_table_add (VpTable *table, guint styled, VpStyle style, const char *const *cells);
/* A line under the last row. */
void vp_table_note (VpTable *table, const char *text);
void vp_table_print (const VpTable *table);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpTable, vp_table_free)

G_END_DECLS
