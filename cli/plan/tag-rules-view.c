/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is shown of rules. Asks nobody; matching is the library's. */
#include "cli/plan/tag-rules-view.h"

#include <string.h>

static void
fit_free (gpointer data)
{
  VpTagRuleFit *fit = data;

  g_free (fit->domain);
  g_free (fit->reason);
  g_free (fit->names);
  g_free (fit->instead);
  g_free (fit);
}

VpTagRuleReport *
vp_tag_rule_report_new (const VpTagRule *rule)
{
  VpTagRuleReport *report = g_new0 (VpTagRuleReport, 1);

  report->rule = rule;
  return report;
}

void
vp_tag_rule_report_free (VpTagRuleReport *report)
{
  if (report == NULL)
    return;
  g_clear_pointer (&report->fits, g_ptr_array_unref);
  g_free (report);
}

void
vp_tag_rule_reports_begin (const GPtrArray *reports)
{
  for (guint i = 0; i < reports->len; i++)
    ((VpTagRuleReport *) reports->pdata[i])->fits = g_ptr_array_new_with_free_func (fit_free);
}

static gint
compare_fits (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(VpTagRuleFit *const *) a)->domain, (*(VpTagRuleFit *const *) b)->domain);
}

/* NULL: it does not fit. */
static VpTagRuleFit *
fit_new (const VpTagRule *rule, const VpTagMatch *match, const VpDomain *domain, const VpHost *host)
{
  g_autofree char *reason = NULL;
  gboolean chosen = match != NULL && g_strcmp0 (match->rule, rule->name) == 0;

  if (vp_tag_rule_fits (rule, domain, host, &reason) != VP_TAG_VERDICT_YES && !chosen)
    return NULL;
  VpTagRuleFit *fit = g_new0 (VpTagRuleFit, 1);
  fit->domain = vp_domain_dup_name (domain);
  fit->reason = g_strdup (chosen ? match->reason : reason);
  if (chosen)
    fit->names = g_strdup (match->names);
  if (chosen && match->names == NULL)
    fit->instead = g_strdup (match->warning != NULL ? match->warning : "its text says " VP_HASHTAG VP_HASHTAG_NONE);
  else if (match == NULL)
    fit->instead = g_strdup ("it has a tag of its own");
  else if (!chosen && rule->enabled && match->rule != NULL)
    fit->instead = g_strdup_printf ("rule '%s' comes first", match->rule);
  return fit;
}

void
vp_tag_rule_reports_add (const GPtrArray *reports, const VpDomain *domain, const VpHost *host,
                         const VpProfiles *profiles)
{
  g_autoptr (VpTagMatch) match = vp_tag_match_new (profiles, domain, host);

  for (guint i = 0; i < reports->len; i++) {
    VpTagRuleReport *report = reports->pdata[i];
    VpTagRuleFit *fit = fit_new (report->rule, match, domain, host);
    if (fit == NULL)
      continue;
    g_ptr_array_add (report->fits, fit);
    g_ptr_array_sort (report->fits, compare_fits);
  }
}

static const char *
get_state (const VpTagRule *rule)
{
  return rule->error != NULL ? "broken" : rule->enabled ? "on" : "off";
}

static VpStyle
get_style (const VpTagRule *rule)
{
  return rule->error != NULL ? VP_STYLE_BAD : rule->enabled ? VP_STYLE_GOOD : VP_STYLE_DIM;
}

/* "gaming, with BIOS also vga" */
static char *
dup_profiles (const VpTagRule *rule)
{
  if (rule->profiles == NULL)
    return g_strdup (rule->hashtag ? "as " VP_HASHTAG "… says" : "-");
  g_autofree char *names = g_strjoinv (" ", rule->profiles);
  if (rule->profiles_bios == NULL)
    return g_steal_pointer (&names);
  g_autofree char *more = g_strjoinv (" ", rule->profiles_bios);
  return g_strdup_printf ("%s, with BIOS also %s", names, more);
}

/* "a, b (it has a tag of its own)"; "?": not known */
static char *
dup_domains (const VpTagRuleReport *report)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; report->fits != NULL && i < report->fits->len; i++) {
    const VpTagRuleFit *fit = report->fits->pdata[i];
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", fit->domain);
    if (fit->instead != NULL)
      g_string_append_printf (text, " (%s)", fit->instead);
  }
  if (text->len > 0)
    return g_string_free (g_steal_pointer (&text), FALSE);
  return g_strdup (report->fits != NULL ? "-" : "?");
}

void
vp_tag_rule_reports_print (const GPtrArray *reports)
{
  static const char *const heads[] = { "RULE", "STATE", "PROFILES", "FITS", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);

  for (guint i = 0; i < reports->len; i++) {
    const VpTagRuleReport *report = reports->pdata[i];
    const VpTagRule *rule = report->rule;
    g_autofree char *profiles = dup_profiles (rule);
    g_autofree char *domains = dup_domains (report);
    g_autofree char *source =
      g_strdup_printf ("%s%s%s", rule->description, rule->description[0] != '\0' ? ": " : "", rule->path);
    const char *cells[] = { rule->name, get_state (rule), profiles, domains, NULL };
    vp_table_add (table, 1, get_style (rule), cells);
    vp_table_note (table, rule->error != NULL ? rule->error->message : source);
  }
  vp_table_print (table);
}

static void
print_patterns (const VpTagRule *rule)
{
  if (rule->hashtag)
    vp_output_line (VP_STYLE_PLAIN, "  hashtag: yes");
  for (guint i = 0; i < VP_N_MATCHES; i++) {
    g_autofree char *text = rule->patterns[i] != NULL ? g_strjoinv ("; ", rule->patterns[i]) : NULL;
    if (text != NULL)
      vp_output_line (VP_STYLE_PLAIN, "  %s: %s", vp_match_key_name ((VpMatchKey) i), text);
  }
}

void
vp_tag_rule_report_print (const VpTagRuleReport *report)
{
  const VpTagRule *rule = report->rule;
  g_autofree char *profiles = dup_profiles (rule);

  vp_output_line (VP_STYLE_HEAD, "%s: %s", rule->name, rule->description);
  vp_output_line (VP_STYLE_PLAIN, "%s", rule->path);
  vp_output_line (get_style (rule), "%s%s%s", get_state (rule), rule->switch_path != NULL ? ", as says " : "",
                  rule->switch_path != NULL ? rule->switch_path : "");
  if (rule->error != NULL) {
    vp_output_line (VP_STYLE_BAD, "%s", rule->error->message);
    return;
  }
  vp_output_line (VP_STYLE_PLAIN, "profiles: %s", profiles);
  vp_output_line (VP_STYLE_PLAIN, "fits domains with");
  print_patterns (rule);
  for (guint i = 0; report->fits != NULL && i < report->fits->len; i++) {
    const VpTagRuleFit *fit = report->fits->pdata[i];
    const char *outcome = fit->instead != NULL ? fit->instead
                          : fit->names != NULL ? fit->names
                                               : "while it is off, nothing";
    vp_output_line (VP_STYLE_PLAIN, "%s'%s' → %s: %s", i == 0 ? "\n" : "", fit->domain, outcome, fit->reason);
  }
}

static json_object *
fit_to_json (const VpTagRuleFit *fit)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "domain", vp_output_json_string (fit->domain));
  json_object_object_add (object, "profile", vp_output_json_string (fit->names));
  json_object_object_add (object, "reason", vp_output_json_string (fit->reason));
  json_object_object_add (object, "instead", vp_output_json_string (fit->instead));
  return object;
}

static json_object *
match_to_json (const VpTagRule *rule)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "hashtag", json_object_new_boolean (rule->hashtag));
  for (guint i = 0; i < VP_N_MATCHES; i++)
    if (rule->patterns[i] != NULL)
      json_object_object_add (object, vp_match_key_name ((VpMatchKey) i), vp_output_json_strv (rule->patterns[i]));
  return object;
}

json_object *
vp_tag_rule_report_to_json (const VpTagRuleReport *report)
{
  const VpTagRule *rule = report->rule;
  json_object *object = json_object_new_object ();
  json_object *domains = report->fits != NULL ? json_object_new_array () : NULL;

  for (guint i = 0; report->fits != NULL && i < report->fits->len; i++)
    json_object_array_add (domains, fit_to_json (report->fits->pdata[i]));
  json_object_object_add (object, "name", vp_output_json_string (rule->name));
  json_object_object_add (object, "description", vp_output_json_string (rule->description));
  json_object_object_add (object, "file", vp_output_json_string (rule->path));
  json_object_object_add (object, "enabled", json_object_new_boolean (rule->enabled));
  json_object_object_add (object, "switch", vp_output_json_string (rule->switch_path));
  json_object_object_add (object, "error", vp_output_json_string (rule->error != NULL ? rule->error->message : NULL));
  json_object_object_add (object, "profiles", vp_output_json_strv (rule->profiles));
  json_object_object_add (object, "profiles_bios", vp_output_json_strv (rule->profiles_bios));
  json_object_object_add (object, "match", match_to_json (rule));
  json_object_object_add (object, "domains", domains);
  return object;
}
