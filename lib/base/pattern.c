/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GLib's regular expressions, from end to end, and kept. */
#include "base/pattern.h"

G_LOCK_DEFINE_STATIC (compiled);
static GHashTable *compiled; /* of GRegex, by the pattern's address; for ever */

static GRegex *
get_regex (const char *pattern)
{
  G_LOCK (compiled);
  if (compiled == NULL)
    compiled = g_hash_table_new (NULL, NULL);
  GRegex *regex = g_hash_table_lookup (compiled, pattern);
  if (regex == NULL) {
    g_autofree char *whole = g_strdup_printf ("^(?:%s)\\z", pattern);
    regex = g_regex_new (whole, G_REGEX_OPTIMIZE | G_REGEX_DOLLAR_ENDONLY, 0, NULL);
    g_assert (regex != NULL); /* part of the program */
    g_hash_table_insert (compiled, (gpointer) pattern, regex);
  }
  G_UNLOCK (compiled);
  return regex;
}

gboolean
vp_pattern_fits (const char *pattern, const char *text)
{
  return g_regex_match (get_regex (pattern), text, 0, NULL);
}

/* Only the last "*" can have to take more: what those before it took is the least that they can. */
gboolean
vp_glob_fits (const char *glob, const char *text)
{
  const char *star = NULL;
  const char *taken = NULL; /* up to there by the star */

  while (*text != '\0') {
    if (*glob == '*') {
      star = ++glob;
      taken = text;
    } else if (*glob != '\0' && (*glob == '?' || g_utf8_get_char (glob) == g_utf8_get_char (text))) {
      glob = g_utf8_next_char (glob);
      text = g_utf8_next_char (text);
    } else if (star != NULL) {
      taken = g_utf8_next_char (taken);
      glob = star;
      text = taken;
    } else {
      return FALSE;
    }
  }
  while (*glob == '*')
    glob++;
  return *glob == '\0';
}
