/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines, tables and JSON on stdout, warnings on stderr. Decides nothing. */
#include "cli/base/output.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"

/* clang-format off */
static const char *const codes[] = {
  [VP_STYLE_PLAIN] = "",
  [VP_STYLE_HEAD] = "\033[1m",
  [VP_STYLE_DIM] = "\033[2m",
  [VP_STYLE_GOOD] = "\033[32m",
  [VP_STYLE_WARN] = "\033[33m",
  [VP_STYLE_BAD] = "\033[31m",
  [VP_STYLE_PLACE] = "\033[36m",
};
/* clang-format on */

gboolean
vp_output_is_terminal (void)
{
  return isatty (STDOUT_FILENO) != 0;
}

gboolean
vp_output_has_colour (void)
{
  static int has_colour = -1; /* not asked yet */
  const char *refused = g_getenv ("NO_COLOR");

  if (has_colour < 0)
    has_colour =
      vp_output_is_terminal () && (refused == NULL || refused[0] == '\0') && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
  return has_colour;
}

/* In one go: GLib writes each out at once. */
static void
print_styled (VpStyle style, const char *text, const char *end)
{
  gboolean styled = style != VP_STYLE_PLAIN && vp_output_has_colour ();

  g_print ("%s%s%s%s", styled ? codes[style] : "", text, styled ? "\033[0m" : "", end);
}

char *
vp_output_dup_clean (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_autoptr (GString) clean = g_string_new (NULL);

  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    if (c == '\n' || c == '\t')
      g_string_append_c (clean, ' ');
    else if (g_ascii_isprint (*at))
      g_string_append_c (clean, *at);
    else
      g_string_append_unichar (clean, g_unichar_iscntrl (c) ? '?' : c);
  }
  return g_strchomp (g_string_free (g_steal_pointer (&clean), FALSE));
}

void
vp_output_line (VpStyle style, const char *format, ...)
{
  va_list values;

  va_start (values, format);
  g_autofree char *text = g_strdup_vprintf (format, values);
  va_end (values);
  g_autofree char *clean = vp_output_dup_clean (text);
  print_styled (style, clean, "\n");
}

void
vp_output_warn (const char *format, ...)
{
  va_list values;

  va_start (values, format);
  g_autofree char *text = g_strdup_vprintf (format, values);
  va_end (values);
  g_autofree char *clean = vp_output_dup_clean (text);
  g_printerr ("vfio-profile: warning: %s\n", clean);
}

gboolean
vp_output_write (const char *text, GError **error)
{
  if (fputs (text, stdout) != EOF && fflush (stdout) == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot write the output: %s", g_strerror (errno));
  return FALSE;
}

gboolean
vp_output_json (json_object *object, GError **error)
{
  const char *text = json_object_to_json_string_ext (object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                               JSON_C_TO_STRING_NOSLASHESCAPE);
  gboolean ok = vp_output_write (text, error) && vp_output_write ("\n", error);

  json_object_put (object);
  return ok;
}

json_object *
vp_output_json_string (const char *text)
{
  g_autofree char *valid = text != NULL ? g_utf8_make_valid (text, -1) : NULL;

  return valid != NULL ? json_object_new_string (valid) : NULL;
}

json_object *
vp_output_json_strings (const GPtrArray *texts)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; texts != NULL && i < texts->len; i++)
    json_object_array_add (array, vp_output_json_string (texts->pdata[i]));
  return array;
}

json_object *
vp_output_json_strv (char *const *texts)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; texts != NULL && texts[i] != NULL; i++)
    json_object_array_add (array, vp_output_json_string (texts[i]));
  return array;
}

typedef struct {
  GStrv cells;
  guint styled;
  VpStyle style;
  GPtrArray *notes; /* of char * */
} Row;

struct VpTable {
  guint n_columns;
  GPtrArray *rows; /* of Row; the first holds the heads */
};

static void
row_free (gpointer data)
{
  Row *row = data;

  g_strfreev (row->cells);
  g_ptr_array_unref (row->notes);
  g_free (row);
}

VpTable *
vp_table_new (const char *const *heads)
{
  VpTable *table = g_new0 (VpTable, 1);

  table->n_columns = g_strv_length ((GStrv) heads);
  table->rows = g_ptr_array_new_with_free_func (row_free);
  vp_table_add (table, 0, VP_STYLE_PLAIN, heads);
  return table;
}

void
vp_table_free (VpTable *table)
{
  if (table == NULL)
    return;
  g_ptr_array_unref (table->rows);
  g_free (table);
}

void
vp_table_add (VpTable *table, guint styled, VpStyle style, const char *const *cells)
{
  Row *row = g_new0 (Row, 1);

  row->cells = g_new0 (char *, table->n_columns + 1);
  for (guint i = 0; i < table->n_columns; i++)
    row->cells[i] = vp_output_dup_clean (cells[i] != NULL ? cells[i] : "-");
  row->styled = styled;
  row->style = style;
  row->notes = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (table->rows, row);
}

void
vp_table_note (VpTable *table, const char *text)
{
  Row *row = table->rows->pdata[table->rows->len - 1];

  g_ptr_array_add (row->notes, vp_output_dup_clean (text));
}

static guint *
measure_columns (const VpTable *table)
{
  guint *widths = g_new0 (guint, table->n_columns);

  for (guint i = 0; i < table->rows->len; i++) {
    const Row *row = table->rows->pdata[i];
    for (guint j = 0; j < table->n_columns; j++)
      widths[j] = MAX (widths[j], (guint) g_utf8_strlen (row->cells[j], -1));
  }
  return widths;
}

static void
print_row (const VpTable *table, const Row *row, const guint *widths, gboolean is_head)
{
  for (guint j = 0; j < table->n_columns; j++) {
    gboolean is_last = j + 1 == table->n_columns;
    guint pad = is_last ? 0 : widths[j] - (guint) g_utf8_strlen (row->cells[j], -1) + 2;
    g_autofree char *end = is_last ? g_strdup ("\n") : g_strnfill (pad, ' ');
    print_styled (is_head ? VP_STYLE_HEAD : j == row->styled ? row->style : VP_STYLE_PLAIN, row->cells[j], end);
  }
  for (guint i = 0; i < row->notes->len; i++) {
    g_print ("    ");
    vp_output_line (VP_STYLE_DIM, "%s", (const char *) row->notes->pdata[i]);
  }
}

void
vp_table_print (const VpTable *table)
{
  g_autofree guint *widths = measure_columns (table);

  for (guint i = 0; i < table->rows->len; i++)
    print_row (table, table->rows->pdata[i], widths, i == 0);
}
