/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One text for each record: what is read is what would be written. */
#include "daemon/hold/isolate-record.h"

#include <string.h>

#define WITHOUT " without "
#define UNIT_CHARACTERS G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS ":-_.\\@" /* all that systemd allows */

static const char *const state_names[] = { [VP_UNIT_IN_FORCE] = "in force", [VP_UNIT_ALL] = "all" };

/* NULL for what vp_list_dup would write in another way, too. */
static VpBitmap *
parse_list (const char *text)
{
  g_autoptr (VpBitmap) cpus = vp_list_parse (text);
  g_autofree char *again = cpus != NULL ? vp_list_dup (cpus) : NULL;

  return g_strcmp0 (again, text) == 0 ? g_steal_pointer (&cpus) : NULL;
}

char *
vp_unit_key_dup_text (const char *unit, hwloc_const_bitmap_t without)
{
  g_autofree char *list = vp_list_dup (without);

  return g_strconcat (unit, WITHOUT, list, NULL);
}

gboolean
vp_unit_key_parse (const char *text, VpUnitKey *key)
{
  gsize length = strspn (text, UNIT_CHARACTERS);

  if (length == 0 || !g_str_has_prefix (text + length, WITHOUT))
    return FALSE;
  key->without = parse_list (text + length + strlen (WITHOUT));
  key->unit = key->without != NULL ? g_strndup (text, length) : NULL;
  return key->unit != NULL;
}

void
vp_unit_key_clear (VpUnitKey *key)
{
  g_clear_pointer (&key->unit, g_free);
  g_clear_pointer (&key->without, hwloc_bitmap_free);
}

char *
vp_unit_value_dup_text (const VpUnitValue *value)
{
  return value->state == VP_UNIT_SOME ? vp_list_dup (value->cpus) : g_strdup (state_names[value->state]);
}

gboolean
vp_unit_value_parse (const char *text, VpUnitValue *value)
{
  for (guint i = 0; i < G_N_ELEMENTS (state_names); i++)
    if (strcmp (text, state_names[i]) == 0) {
      value->state = i;
      return TRUE;
    }
  value->cpus = parse_list (text);
  value->state = value->cpus != NULL ? VP_UNIT_SOME : VP_UNIT_IN_FORCE;
  return value->cpus != NULL;
}

void
vp_unit_value_clear (VpUnitValue *value)
{
  g_clear_pointer (&value->cpus, hwloc_bitmap_free);
  value->state = VP_UNIT_IN_FORCE;
}
