/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts made to fit: into a terminal, into a box, into the width of a legend. Knows no map. */
#include <string.h>

#include "cli/map/map-view.h"

char *
vp_map_dup_clean (const char *text)
{
  g_autofree char *clean = vp_output_dup_clean (text);
  GString *safe = g_string_new (NULL);

  for (const char *at = clean; *at != '\0'; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    GUnicodeType type = g_unichar_type (c);
    gboolean hides = type == G_UNICODE_FORMAT || type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_UNASSIGNED ||
                     type == G_UNICODE_PARAGRAPH_SEPARATOR || type == G_UNICODE_PRIVATE_USE;
    g_string_append_unichar (safe, hides ? '?' : c);
  }
  return g_string_free (safe, FALSE);
}

char *
vp_map_dup_short_mark (const char *mark, guint most)
{
  g_autofree char *start = NULL;

  if (strlen (mark) <= most)
    return g_strdup (mark);
  start = g_strndup (mark, most - 1);
  /* Half a label would be another guest's. */
  while (strchr (mark, '+') != NULL && start[0] != '\0' && mark[strlen (start)] != '+')
    start[strlen (start) - 1] = '\0';
  return g_strconcat (start, "+", NULL);
}

static guint
width_of (gunichar c)
{
  return g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
}

/* The end of the first line of `text`. */
static const char *
find_break (const char *text, guint columns)
{
  const char *blank = NULL;
  const char *comma = NULL;
  const char *at = text;
  guint used = 0;

  for (; *at != '\0'; at = g_utf8_next_char (at)) {
    used += width_of (g_utf8_get_char (at));
    if (used > columns && *at == ' ')
      return at;
    /* A comma within a list of numbers is the worse place, but better than half a line. */
    if (used > columns)
      return blank != NULL && (comma == NULL || blank - text > (at - text) / 2) ? blank : comma != NULL ? comma : at;
    if (at > text && *at == ' ')
      blank = at;
    else if (*at == ',')
      comma = at + 1;
  }
  return at;
}

GStrv
vp_map_wrap (const char *text, guint columns)
{
  GPtrArray *lines = g_ptr_array_new ();

  do {
    const char *end = find_break (text, MAX (columns, 2));
    g_ptr_array_add (lines, g_strndup (text, (gsize) (end - text)));
    text = end + strspn (end, " ");
  } while (*text != '\0');
  g_ptr_array_add (lines, NULL);
  return (GStrv) g_ptr_array_free (lines, FALSE);
}
