/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers in attributes and files: digits alone, where GLib's readers take white space before them, too. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* `base` as for strtoull. FALSE, and `number` as it was: no number, more than `most`, or NULL. */
gboolean vp_number_parse (const char *text, guint base, guint64 most, guint64 *number);

/* Like strcmp. */
static inline int
vp_number_compare (guint64 a, guint64 b)
{
  return a < b ? -1 : a > b;
}

/* For a sort of guint, ascending. */
static inline int
vp_number_compare_guint (const void *left, const void *right)
{
  return vp_number_compare (*(const guint *) left, *(const guint *) right);
}

G_END_DECLS
