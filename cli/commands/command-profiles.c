/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* profiles: which there are, and what one of them says. */
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/source.h"
#include "cli/plan/profiles-view.h"

static gboolean
show_list (const VpProfiles *profiles, gboolean json, GError **error)
{
  g_autoptr (GPtrArray) list = vp_profiles_list (profiles);

  if (!json) {
    vp_profiles_print (list);
    return TRUE;
  }
  json_object *array = json_object_new_array ();
  for (guint i = 0; i < list->len; i++)
    json_object_array_add (array, vp_profile_to_json (list->pdata[i], NULL));
  return vp_output_json (array, error);
}

static gboolean
show_profile (const VpProfiles *profiles, const char *name, gboolean json, GError **error)
{
  const VpProfile *profile = vp_profiles_get (profiles, name, error);

  if (profile == NULL)
    return FALSE;
  if (json)
    return vp_output_json (vp_profile_to_json (profile, vp_profiles_get_limits (profiles)), error);
  vp_profile_print (profile, vp_profiles_get_limits (profiles));
  return TRUE;
}

static gboolean
run_profiles (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  gboolean json = FALSE;
  const GOptionEntry entries[] = { { "json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
                                   VP_SOURCE_ENTRY_CONNECT (&source),
                                   VP_SOURCE_ENTRY_PROFILES (&source),
                                   G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  g_autoptr (VpProfiles) profiles = vp_source_load_profiles (&source, vp_source_is_session (&source), error);
  if (profiles == NULL)
    return FALSE;
  return argc > 1 ? show_profile (profiles, argv[1], json, error) : show_list (profiles, json, error);
}

const VpCommand vp_command_profiles = {
  "profiles",
  "[NAME]",
  "List the profiles, or show one profile's keys",
  "It asks no libvirt; with --connect it takes the folders of that one.",
  0,
  1,
  run_profiles,
};
