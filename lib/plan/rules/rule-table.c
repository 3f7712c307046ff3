/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of rules. The only file that knows them all. */
#include "plan/rules/rule-table.h"

#include <string.h>

static const VpRule *const rules[] = {
  &vp_rule_cpu,
  &vp_rule_topology, /* needs what cpu placed, as do the next two */
  &vp_rule_numa,
  &vp_rule_memory,
  &vp_rule_hypervisor,
  &vp_rule_vga,
  &vp_rule_trim,
  NULL,
};

static gboolean
owns (const char *rule, const char *place)
{
  for (guint i = 0; rules[i] != NULL; i++) {
    if (strcmp (rules[i]->name, rule) != 0)
      continue;
    for (guint j = 0; rules[i]->places[j] != NULL; j++) {
      g_autofree char *whole = g_strdup_printf ("^(?:%s)\\z", rules[i]->places[j]);
      if (g_regex_match_simple (whole, place, 0, 0))
        return TRUE;
    }
  }
  return FALSE;
}

static gboolean
knows_change (const char *rule, const xmlNode *set, const xmlNode *present)
{
  for (guint i = 0; rules[i] != NULL; i++)
    if (strcmp (rules[i]->name, rule) == 0)
      return rules[i]->is_ours != NULL && rules[i]->is_ours (set, present);
  return FALSE;
}

const VpSlotOwners vp_rules_owners = { .owns = owns, .knows_change = knows_change };

const VpRule *const *
vp_rules_get (void)
{
  return rules;
}
