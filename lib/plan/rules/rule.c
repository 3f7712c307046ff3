/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls with which rules say what they want. */
#include "plan/rules/rule.h"

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
