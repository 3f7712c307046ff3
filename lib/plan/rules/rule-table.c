/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of rules, and what they let a slot hold. The only file that knows them all. */
#include "plan/rules/rule-table.h"

#include <string.h>

#include "base/pattern.h"

static const VpRule *const rules[] = {
  &vp_rule_cpu,  &vp_rule_topology, /* needs what cpu placed, as do the next three */
  &vp_rule_numa, &vp_rule_memory,   &vp_rule_hypervisor, &vp_rule_hyperv,
  &vp_rule_vga,  &vp_rule_trim,     &vp_rule_arguments,  NULL,
};

static const VpRule *
find_rule (const char *name)
{
  for (guint i = 0; rules[i] != NULL; i++)
    if (strcmp (rules[i]->name, name) == 0)
      return rules[i];
  return NULL;
}

static const VpRulePlace *
find_place (const VpRule *rule, const char *place)
{
  for (const VpRulePlace *one = rule->places; one->place != NULL; one++)
    if (vp_pattern_fits (one->place, place))
      return one;
  return NULL;
}

/* Freed by the caller, as all problems here; NULL: that side is fine. */
static char *
dup_side_problem (const char *side, const char *pattern, const xmlNode *element, const char *value)
{
  g_autofree char *stranger = NULL;

  if (element == NULL && value == NULL)
    return NULL;
  if (pattern == NULL)
    return g_strdup_printf ("it can have no <%s>", side);
  if (element != NULL)
    stranger = vp_content_dup_stranger (element, pattern);
  else if (!vp_pattern_fits (pattern, value))
    stranger = g_strdup (value);
  return stranger != NULL ? g_strdup_printf ("<%s> cannot hold %s", side, stranger) : NULL;
}

static char *
dup_content_problem (const VpSlot *slot, const VpRule *rule, const VpRulePlace *place)
{
  char *problem = dup_side_problem ("was", place->was, slot->was, slot->was_value);

  if (problem == NULL)
    problem = dup_side_problem ("set", place->set, slot->set, slot->set_value);
  if (problem == NULL && rule->find_problem != NULL)
    problem = g_strdup (rule->find_problem (slot));
  return problem;
}

static char *
dup_problem (const VpSlot *slot)
{
  const VpRule *rule = find_rule (slot->rule);
  const VpRulePlace *place = rule != NULL ? find_place (rule, slot->place) : NULL;
  gboolean has_was = slot->was != NULL || slot->was_value != NULL;
  gboolean has_set = slot->set != NULL || slot->set_value != NULL;

  if (place == NULL)
    return g_strdup ("that rule does not own that place");
  if (slot->guest_visible != (place->visibility == VP_GUEST_VISIBLE))
    return g_strdup ("guest-visible is not as it is for that place");
  if (slot->follows && !place->is_renamed)
    return g_strdup ("nothing names what stands there");
  if (!has_set && (!has_was || (place->set != NULL && !place->takes_out)))
    return g_strdup ("it does not say what was put there");
  if ((slot->was != NULL && !vp_xml_is_at (slot->was, slot->place, !place->is_renamed)) ||
      (slot->set != NULL && !vp_xml_is_at (slot->set, slot->place, TRUE)))
    return g_strdup ("its element is not one of that place");
  return dup_content_problem (slot, rule, place);
}

static gboolean
knows_change (const char *name, const xmlNode *set, const xmlNode *present)
{
  const VpRule *rule = find_rule (name);

  return rule != NULL && rule->is_ours != NULL && rule->is_ours (set, present);
}

const VpSlotOwners vp_rules_owners = { .dup_problem = dup_problem, .knows_change = knows_change };

const VpRule *const *
vp_rules_get (void)
{
  return rules;
}
