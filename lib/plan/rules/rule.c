/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of rules, and the calls with which they say what they want. */
#include "plan/rules/rule.h"

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

const VpRule *const *
vp_rules_get (void)
{
  return rules;
}

gboolean
vp_rules_own (const char *rule, const char *place)
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

gboolean
vp_rules_know_change (const char *rule, const xmlNode *set, const xmlNode *present)
{
  for (guint i = 0; rules[i] != NULL; i++)
    if (strcmp (rules[i]->name, rule) == 0)
      return rules[i]->is_ours != NULL && rules[i]->is_ours (set, present);
  return FALSE;
}

static VpWant *
add_want (VpRuleContext *context, const VpRule *rule, VpVisibility visibility, char *place, char *reason)
{
  VpWant *want = g_new0 (VpWant, 1);

  want->rule = rule->name;
  want->guest_visible = visibility == VP_GUEST_VISIBLE;
  want->place = place;
  want->reason = reason;
  g_ptr_array_add (context->wants, want);
  return want;
}

VpWant *
vp_rule_want (VpRuleContext *context, const VpRule *rule, VpVisibility visibility, char *place, xmlNode *element,
              const char *reason, ...)
{
  va_list values;

  va_start (values, reason);
  VpWant *want = add_want (context, rule, visibility, place, g_strdup_vprintf (reason, values));
  va_end (values);
  want->element = element;
  return want;
}

void
vp_rule_want_attribute (VpRuleContext *context, const VpRule *rule, VpVisibility visibility, const char *place,
                        const char *value, const char *reason)
{
  VpWant *want = add_want (context, rule, visibility, g_strdup (place), g_strdup (reason));

  want->value = g_strdup (value);
}

void
vp_rule_warn (VpRuleContext *context, const char *format, ...)
{
  va_list values;

  va_start (values, format);
  g_ptr_array_add (context->plan->warnings, g_strdup_vprintf (format, values));
  va_end (values);
}
