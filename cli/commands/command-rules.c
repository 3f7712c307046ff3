/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rules: which there are and whom they fit; turns them on and off, which is a file
 * NAME.enabled in the administrator's folder. Edits no definition: that is the daemon's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/error.h"
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/source.h"
#include "cli/plan/tag-rules-view.h"

typedef struct {
  char *check; /* a file */
  char **enable;
  char **disable;
  gboolean json;
} Options;

static void
options_clear (Options *options)
{
  g_clear_pointer (&options->check, g_free);
  g_clear_pointer (&options->enable, g_strfreev);
  g_clear_pointer (&options->disable, g_strfreev);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static const VpTagRule *
find_rule (const VpProfiles *profiles, const char *name, GError **error)
{
  const GPtrArray *rules = vp_profiles_get_rules (profiles);
  g_autoptr (GString) known = g_string_new (NULL);

  for (guint i = 0; i < rules->len; i++) {
    const VpTagRule *rule = rules->pdata[i];
    if (strcmp (rule->name, name) == 0)
      return rule;
    g_string_append_printf (known, "%s%s", known->len > 0 ? ", " : "", rule->name);
  }
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "there is no rule '%s'; there are: %s", name,
               known->len > 0 ? known->str : "(none)");
  return NULL;
}

/* For a rule's file that is not in its folder yet, or that is about to be changed. */
static gboolean
check_file (const char *path, const VpProfiles *profiles, GError **error)
{
  g_autofree char *base = g_path_get_basename (path);
  g_autofree char *name = g_strndup (base, strlen (base) - (g_str_has_suffix (base, ".conf") ? strlen (".conf") : 0));
  g_autoptr (VpTagRule) rule = vp_tag_rule_load (name, path);

  vp_profiles_check_rule (profiles, rule);
  if (rule->error != NULL) {
    g_propagate_error (error, g_error_copy (rule->error));
    return FALSE;
  }
  if (!g_str_has_suffix (base, ".conf") || !vp_conf_name_is_valid (name))
    vp_output_warn ("%s: the rule itself is right, but in a folder rules.d only a file NAME.conf is read", path);
  vp_output_line (VP_STYLE_PLAIN, "%s: right", path);
  return TRUE;
}

static gboolean
write_switch (const char *folder, const VpTagRule *rule, gboolean on, GError **error)
{
  g_autofree char *path = vp_tag_rule_dup_switch (folder, rule->name);
  const char *word = on ? "yes\n" : "no\n";
  g_autoptr (GError) problem = NULL;

  if (g_mkdir_with_parents (folder, 0755) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot make the rules' folder %s: %s", folder, g_strerror (errno));
    return FALSE;
  }
  if (!g_file_set_contents_full (path, word, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0644,
                                 &problem)) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot turn rule '%s' %s: %s", rule->name, on ? "on" : "off",
                 problem->message);
    return FALSE;
  }
  vp_output_line (VP_STYLE_PLAIN, "rule '%s' is %s: %s says so", rule->name, on ? "on" : "off", path);
  return TRUE;
}

static gboolean
turn (const VpProfiles *profiles, const char *folder, char *const *names, gboolean on, GError **error)
{
  for (guint i = 0; names != NULL && names[i] != NULL; i++) {
    const VpTagRule *rule = find_rule (profiles, names[i], error);
    if (rule == NULL)
      return FALSE;
    if (on && rule->error != NULL && rule->switch_path == NULL) {
      g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "rule '%s' is broken, so it stays as it is: %s", rule->name,
                   rule->error->message);
      return FALSE;
    }
    if (rule->enabled == on && rule->error == NULL)
      vp_output_line (VP_STYLE_PLAIN, "rule '%s' is %s already", rule->name, on ? "on" : "off");
    else if (!write_switch (folder, rule, on, error))
      return FALSE;
  }
  return TRUE;
}

/* Those that are gone since they were listed, and those that nothing can prepare, are nobody's. */
static void
add_domain (virDomainPtr handle, const GPtrArray *reports, const VpHost *host, const VpProfiles *profiles)
{
  g_autoptr (VpDomain) domain = virDomainIsPersistent (handle) == 1 ? vp_libvirt_read (handle, NULL) : NULL;

  if (domain != NULL)
    vp_tag_rule_reports_add (reports, domain, host, profiles);
}

static gboolean
add_domains (const VpSource *source, const GPtrArray *reports, const VpProfiles *profiles, GError **error)
{
  g_autoptr (VpInput) input = vp_input_new (source, TRUE, error);
  g_autoptr (GPtrArray) handles =
    input != NULL && vp_input_load_host (input, error) ? vp_libvirt_list (input->connection, 0, error) : NULL;

  if (handles == NULL)
    return FALSE;
  vp_tag_rule_reports_begin (reports);
  for (guint i = 0; i < handles->len; i++)
    add_domain (handles->pdata[i], reports, input->host, profiles);
  return TRUE;
}

static gboolean
show_list (const GPtrArray *reports, gboolean json, GError **error)
{
  if (!json) {
    vp_tag_rule_reports_print (reports);
    return TRUE;
  }
  json_object *array = json_object_new_array ();
  for (guint i = 0; i < reports->len; i++)
    json_object_array_add (array, vp_tag_rule_report_to_json (reports->pdata[i]));
  return vp_output_json (array, error);
}

static gboolean
show_one (const VpTagRuleReport *report, gboolean json, GError **error)
{
  if (json)
    return vp_output_json (vp_tag_rule_report_to_json (report), error);
  vp_tag_rule_report_print (report);
  return TRUE;
}

/* Rules can be looked at without a libvirt, too; only whom they fit is not known then. */
static gboolean
show (const VpSource *source, const VpProfiles *profiles, const char *name, gboolean json, GError **error)
{
  const GPtrArray *rules = vp_profiles_get_rules (profiles);
  g_autoptr (GPtrArray) reports = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_tag_rule_report_free);
  const VpTagRule *one = name != NULL ? find_rule (profiles, name, error) : NULL;
  g_autoptr (GError) problem = NULL;

  if (name != NULL && one == NULL)
    return FALSE;
  for (guint i = 0; i < rules->len; i++)
    if (one == NULL || one == rules->pdata[i])
      g_ptr_array_add (reports, vp_tag_rule_report_new (rules->pdata[i]));
  if (!add_domains (source, reports, profiles, &problem))
    vp_output_warn ("which domains they fit is not known: %s", problem->message);
  return one != NULL ? show_one (reports->pdata[0], json, error) : show_list (reports, json, error);
}

static gboolean
check_usage (const VpCommand *command, const Options *options, int argc, GError **error)
{
  gboolean turns = options->enable != NULL || options->disable != NULL;
  int n = (options->check != NULL) + turns + (argc > 1 || options->json);

  if (n <= 1)
    return TRUE;
  vp_command_set_usage (command, error, "rules shows rules, checks a FILE, or turns rules on or off, one at a time");
  return FALSE;
}

static gboolean
run_rules (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  g_auto (Options) options = { 0 };
  const GOptionEntry entries[] = {
    { "enable", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.enable, "Turn a rule on (repeatable)", "NAME" },
    { "disable", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.disable, "Turn a rule off (repeatable)", "NAME" },
    { "check", 0, 0, G_OPTION_ARG_FILENAME, &options.check, "Say whether FILE is a rule without faults", "FILE" },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "Print JSON", NULL },
    VP_SOURCE_ENTRY_CONNECT (&source),
    VP_SOURCE_ENTRY_PROFILES (&source),
    VP_SOURCE_ENTRY_RULES (&source),
    G_OPTION_ENTRY_NULL
  };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (!check_usage (command, &options, argc, error))
    return FALSE;
  gboolean session = vp_source_is_session (&source);
  g_autoptr (VpProfiles) profiles = vp_source_load_profiles (&source, session, error);
  g_auto (GStrv) folders = vp_source_list_rule_folders (&source, session);
  if (profiles == NULL || !vp_profiles_load_rules (profiles, (const char *const *) folders, error))
    return FALSE;
  const char *last = folders[g_strv_length (folders) - 1];
  if (options.check != NULL)
    return check_file (options.check, profiles, error);
  if (options.enable != NULL || options.disable != NULL)
    return turn (profiles, last, options.enable, TRUE, error) && turn (profiles, last, options.disable, FALSE, error);
  return show (&source, profiles, argc > 1 ? argv[1] : NULL, options.json, error);
}

const VpCommand vp_command_rules = {
  "rules",
  "[NAME]",
  "Show rules that give domains their profiles, and whom they fit; turn them on and off",
  "A rule counts for domains without a tag of their own. The daemon carries it out.",
  0,
  1,
  run_rules,
};
