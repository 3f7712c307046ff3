/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles as tables and as JSON. Decides nothing. */
#include "cli/plan/profiles-view.h"

#include "cli/base/output.h"

void
vp_profiles_print (const GPtrArray *list)
{
  static const char *const heads[] = { "PROFILE", "DESCRIPTION", "FILE", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);

  for (guint i = 0; i < list->len; i++) {
    const VpProfile *profile = list->pdata[i];
    const char *cells[] = { profile->name, profile->error != NULL ? "broken" : profile->description, profile->path,
                            NULL };
    vp_table_add (table, profile->error != NULL ? 1 : 0, profile->error != NULL ? VP_STYLE_BAD : VP_STYLE_PLACE, cells);
    if (profile->error != NULL)
      vp_table_note (table, profile->error->message);
  }
  vp_table_print (table);
}

void
vp_profile_print (const VpProfile *profile, const VpLimits *limits)
{
  static const char *const heads[] = { "KEY", "VALUE", "BY A TAG", "ALLOWED", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);

  vp_output_line (VP_STYLE_HEAD, "%s: %s", profile->name, profile->description);
  vp_output_line (VP_STYLE_PLAIN, "%s", profile->path);
  g_print ("\n");
  for (guint i = 0; i < VP_N_KEYS; i++) {
    const VpKeyInfo *info = vp_key_info ((VpKey) i);
    gboolean is_default = profile->settings->values[i] == NULL;
    g_autofree char *key = g_strdup_printf ("%s.%s", info->section, info->name);
    g_autofree char *value =
      g_strconcat (vp_settings_get (profile->settings, (VpKey) i), is_default ? " (default)" : "", NULL);
    g_autofree char *allowed = vp_key_dup_allowed ((VpKey) i);
    vp_table_add (table, 1, is_default ? VP_STYLE_DIM : VP_STYLE_GOOD,
                  (const char *[]){ key, value, vp_limits_get (limits, (VpKey) i), allowed, NULL });
  }
  vp_table_print (table);
  g_print ("\n");
  vp_output_line (VP_STYLE_DIM, "What a tag may say beside its profiles is from %s.", vp_limits_get_source (limits));
}

static json_object *
keys_to_json (const VpSettings *settings, const VpLimits *limits)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < VP_N_KEYS; i++) {
    const VpKeyInfo *info = vp_key_info ((VpKey) i);
    g_autofree char *key = g_strdup_printf ("%s.%s", info->section, info->name);
    g_autofree char *allowed = vp_key_dup_allowed ((VpKey) i);
    json_object *object = json_object_new_object ();
    json_object_object_add (object, "key", vp_output_json_string (key));
    json_object_object_add (object, "value", vp_output_json_string (vp_settings_get (settings, (VpKey) i)));
    json_object_object_add (object, "default", vp_output_json_string (info->fallback));
    json_object_object_add (object, "is_default", json_object_new_boolean (settings->values[i] == NULL));
    json_object_object_add (object, "allowed", vp_output_json_string (allowed));
    json_object_object_add (object, "by_tag", vp_output_json_string (vp_limits_get (limits, (VpKey) i)));
    json_object_array_add (array, object);
  }
  return array;
}

json_object *
vp_profile_to_json (const VpProfile *profile, const VpLimits *limits)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "name", vp_output_json_string (profile->name));
  json_object_object_add (object, "description", vp_output_json_string (profile->description));
  json_object_object_add (object, "file", vp_output_json_string (profile->path));
  json_object_object_add (object, "error",
                          vp_output_json_string (profile->error != NULL ? profile->error->message : NULL));
  if (limits != NULL)
    json_object_object_add (object, "keys", keys_to_json (profile->settings, limits));
  return object;
}
