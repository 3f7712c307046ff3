/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/number.h"

#include <errno.h>

gboolean
vp_number_parse (const char *text, guint base, guint64 most, guint64 *number)
{
  char *end = NULL;

  if (text == NULL || !g_ascii_isxdigit (text[0]))
    return FALSE;
  errno = 0;
  guint64 value = g_ascii_strtoull (text, &end, base);
  if (end == text || *end != '\0' || errno != 0 || value > most)
    return FALSE;
  *number = value;
  return TRUE;
}
