/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The profile files (GKeyFile). Nothing here knows a domain. */
#include "profile/profile.h"

#include <string.h>

#include "base/conf.h"
#include "base/error.h"

struct VpProfiles {
  gatomicrefcount references;
  GHashTable *by_name; /* char * -> VpProfile *, both owned by the profile */
  GPtrArray *rules;    /* of VpTagRule; NULL: not loaded */
  VpLimits *limits;
};

static void
profile_free (VpProfile *profile)
{
  g_free (profile->name);
  g_free (profile->path);
  g_free (profile->description);
  vp_settings_free (profile->settings);
  g_clear_error (&profile->error);
  g_free (profile);
}

static gboolean
read_section (GKeyFile *file, const char *section, const char *path, VpProfile *profile, VpSettings *settings,
              GError **error)
{
  g_auto (GStrv) names = g_key_file_get_keys (file, section, NULL, NULL);

  for (guint i = 0; names != NULL && names[i] != NULL; i++) {
    g_autofree char *value = g_key_file_get_string (file, section, names[i], error);
    VpKey key = VP_N_KEYS;

    if (value == NULL)
      return FALSE;
    if (strcmp (section, "profile") == 0) {
      if (strcmp (names[i], "description") != 0) {
        g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: profile has no key '%s'; it has: description", path,
                     names[i]);
        return FALSE;
      }
      g_free (profile->description);
      profile->description = g_steal_pointer (&value);
      continue;
    }
    if (!vp_key_find (section, names[i], path, &key, error) || !vp_key_check (key, value, path, error))
      return FALSE;
    g_free (settings->values[key]);
    settings->values[key] = g_steal_pointer (&value);
  }
  return TRUE;
}

static VpSettings *
read_file (const char *path, VpProfile *profile, GError **error)
{
  g_autoptr (GKeyFile) file = vp_conf_load (path, error);
  g_autoptr (VpSettings) settings = vp_settings_new ();

  if (file == NULL)
    return NULL;
  g_auto (GStrv) sections = g_key_file_get_groups (file, NULL);
  for (guint i = 0; sections[i] != NULL; i++) {
    VpKey key = VP_N_KEYS;
    if (strcmp (sections[i], "profile") != 0 && !vp_key_find (sections[i], NULL, path, &key, error))
      return NULL;
    if (!read_section (file, sections[i], path, profile, settings, error))
      return NULL;
  }
  return g_steal_pointer (&settings);
}

static VpProfile *
load_profile (const char *name, const char *path)
{
  VpProfile *profile = g_new0 (VpProfile, 1);

  profile->name = g_strdup (name);
  profile->path = g_strdup (path);
  profile->description = g_strdup ("");
  profile->settings = read_file (profile->path, profile, &profile->error);
  vp_conf_clean_error (profile->error);
  if (profile->error != NULL && profile->error->domain != VP_ERROR) {
    g_autofree char *reason = g_strdup (profile->error->message);
    g_clear_error (&profile->error);
    g_set_error (&profile->error, VP_ERROR, VP_ERROR_PROFILE, "%s: %s", path, reason);
  }
  return profile;
}

VpProfiles *
vp_profiles_load (const char *const *folders, GError **error)
{
  g_autoptr (GHashTable) files = vp_conf_find (folders, "profiles", error);
  GHashTableIter iter;
  gpointer name = NULL;
  gpointer path = NULL;

  if (files == NULL)
    return NULL;
  VpProfiles *profiles = g_new0 (VpProfiles, 1);
  g_atomic_ref_count_init (&profiles->references);
  profiles->by_name = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) profile_free);
  profiles->limits = vp_limits_new ();
  g_hash_table_iter_init (&iter, files);
  while (g_hash_table_iter_next (&iter, &name, &path)) {
    VpProfile *profile = load_profile (name, path);
    g_hash_table_replace (profiles->by_name, profile->name, profile);
  }
  return profiles;
}

VpProfiles *
vp_profiles_ref (VpProfiles *profiles)
{
  g_atomic_ref_count_inc (&profiles->references);
  return profiles;
}

void
vp_profiles_unref (VpProfiles *profiles)
{
  if (profiles == NULL || !g_atomic_ref_count_dec (&profiles->references))
    return;
  g_hash_table_unref (profiles->by_name);
  g_clear_pointer (&profiles->rules, g_ptr_array_unref);
  vp_limits_free (profiles->limits);
  g_free (profiles);
}

static gint
compare_profiles (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(VpProfile *const *) a)->name, (*(VpProfile *const *) b)->name);
}

GPtrArray *
vp_profiles_list (const VpProfiles *profiles)
{
  GPtrArray *list = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer profile = NULL;

  g_hash_table_iter_init (&iter, profiles->by_name);
  while (g_hash_table_iter_next (&iter, NULL, &profile))
    g_ptr_array_add (list, profile);
  g_ptr_array_sort (list, compare_profiles);
  return list;
}

static char *
dup_names (const VpProfiles *profiles)
{
  g_autoptr (GPtrArray) list = vp_profiles_list (profiles);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < list->len; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", ((const VpProfile *) list->pdata[i])->name);
  return g_strdup (list->len > 0 ? text->str : "(none)");
}

const VpProfile *
vp_profiles_get (const VpProfiles *profiles, const char *name, GError **error)
{
  const VpProfile *profile = g_hash_table_lookup (profiles->by_name, name);

  if (profile == NULL) {
    g_autofree char *known = dup_names (profiles);
    g_autofree char *shown = g_strescape (name, NULL);
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, "there is no profile '%s'; there are: %s", shown, known);
    return NULL;
  }
  if (profile->error != NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "profile '%s' is broken: %s", name, profile->error->message);
    return NULL;
  }
  return profile;
}

void
vp_profiles_set_limits (VpProfiles *profiles, VpLimits *limits)
{
  vp_limits_free (profiles->limits);
  profiles->limits = limits;
}

const VpLimits *
vp_profiles_get_limits (const VpProfiles *profiles)
{
  return profiles->limits;
}

static void
limit_profile (const VpLimits *limits, VpProfile *profile)
{
  for (VpKey key = 0; profile->error == NULL && key < VP_N_KEYS; key++)
    if (profile->settings->values[key] != NULL)
      (void) vp_limits_check (limits, key, profile->settings->values[key], profile->path, &profile->error);
  if (profile->error != NULL)
    g_clear_pointer (&profile->settings, vp_settings_free);
}

void
vp_profiles_limit_folder (VpProfiles *profiles, const char *folder)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, profiles->by_name);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    VpProfile *profile = value;
    g_autofree char *in = g_path_get_dirname (profile->path);
    if (strcmp (in, folder) == 0)
      limit_profile (profiles->limits, profile);
  }
}

const GPtrArray *
vp_profiles_get_rules (const VpProfiles *profiles)
{
  return profiles->rules;
}

/* A profile that is there and broken is no fault of the rule. */
static gboolean
check_names (const VpProfiles *profiles, GStrv names, const char *path, GError **error)
{
  for (guint i = 0; names != NULL && names[i] != NULL; i++) {
    if (g_hash_table_contains (profiles->by_name, names[i]))
      continue;
    (void) vp_profiles_get (profiles, names[i], error);
    g_prefix_error (error, "%s: ", path);
    return FALSE;
  }
  return TRUE;
}

void
vp_profiles_check_rule (const VpProfiles *profiles, VpTagRule *rule)
{
  if (rule->error == NULL && check_names (profiles, rule->profiles, rule->path, &rule->error))
    (void) check_names (profiles, rule->profiles_bios, rule->path, &rule->error);
}

gboolean
vp_profiles_load_rules (VpProfiles *profiles, const char *const *folders, GError **error)
{
  GPtrArray *rules = vp_tag_rules_load (folders, error);

  if (rules == NULL)
    return FALSE;
  for (guint i = 0; i < rules->len; i++)
    vp_profiles_check_rule (profiles, rules->pdata[i]);
  g_clear_pointer (&profiles->rules, g_ptr_array_unref);
  profiles->rules = rules;
  return TRUE;
}
