/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hwloc's lists with a bound, and with "^". */
#include "base/list.h"

#include "base/pattern.h"

/* "2" or "4-7", in decimal digits: hwloc's own reader takes those behind a 0 for octal ones. */
static void
set_part (hwloc_bitmap_t part, const char *text)
{
  char *end = NULL;
  unsigned first = (unsigned) g_ascii_strtoull (text, &end, 10);
  int last = *end == '-' ? (int) g_ascii_strtoull (end + 1, NULL, 10) : (int) first;

  hwloc_bitmap_zero (part);
  hwloc_bitmap_set_range (part, first, last);
}

hwloc_bitmap_t
vp_list_parse (const char *text)
{
  /* Numbers are bounded, or a hostile range would take the memory of a bitmap as long. */
  if (text == NULL || !vp_pattern_fits ("\\^?[0-9]{1,5}(?:-[0-9]{1,5})?(?:,\\^?[0-9]{1,5}(?:-[0-9]{1,5})?)*", text))
    return NULL;
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);
  hwloc_bitmap_t set = hwloc_bitmap_alloc ();
  hwloc_bitmap_t part = hwloc_bitmap_alloc ();
  for (guint i = 0; parts[i] != NULL; i++) {
    gboolean is_out = parts[i][0] == '^';
    set_part (part, parts[i] + (is_out ? 1 : 0));
    if (is_out)
      hwloc_bitmap_andnot (set, set, part);
    else
      hwloc_bitmap_or (set, set, part);
  }
  hwloc_bitmap_free (part);
  return set;
}

char *
vp_list_dup (hwloc_const_bitmap_t set)
{
  char *text = NULL;

  if (hwloc_bitmap_list_asprintf (&text, set) < 0)
    g_error ("out of memory");
  return text; /* from malloc, which is what g_free frees */
}

char *
vp_list_dup_words (const GPtrArray *words)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < words->len; i++)
    g_string_append_printf (text, "%s%s",
                            i == 0                ? ""
                            : i + 1 == words->len ? " and "
                                                  : ", ",
                            (const char *) words->pdata[i]);
  return g_strdup (text->str);
}
