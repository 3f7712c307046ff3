/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key table and the profile files (GKeyFile). Nothing here knows a domain. */
#include "profile/profile.h"

#include <string.h>

#include "base/conf.h"
#include "base/error.h"

static const VpKeyInfo keys[VP_N_KEYS] = {
  [VP_KEY_CPU_PIN] = { "cpu", "pin", "no", { "no", "yes", "required" }, NULL, NULL },
  [VP_KEY_CPU_RESERVE_CORES] = { "cpu", "reserve-cores", "1", { NULL }, "[0-9]{1,4}", "a number from 0 to 9999" },
  [VP_KEY_CPU_KIND] = { "cpu", "kind", "performance", { "performance", "efficiency", "any" }, NULL, NULL },
  [VP_KEY_CPU_CACHE] = { "cpu", "cache", "any", { "any", "largest" }, NULL, NULL },
  [VP_KEY_CPU_TOPOLOGY] = { "cpu", "topology", "keep", { "keep", "match" }, NULL, NULL },
  [VP_KEY_CPU_NUMA] = { "cpu", "numa", "strict", { "strict", "preferred", "expose" }, NULL, NULL },
  [VP_KEY_CPU_CONFLICT] = { "cpu", "conflict", "share", { "share", "refuse" }, NULL, NULL },
  [VP_KEY_CPU_ISOLATE] = { "cpu", "isolate", "no", { "no", "yes" }, NULL, NULL },
  [VP_KEY_CPU_IRQS] = { "cpu", "irqs", "keep", { "keep", "move" }, NULL, NULL },
  [VP_KEY_CPU_GOVERNOR] = { "cpu", "governor", "keep", { "keep", "performance" }, NULL, NULL },
  [VP_KEY_MEMORY_PAGE_SIZE] = { "memory", "page-size", "off", { "off", "auto" }, "[1-9][0-9]{0,5}[KMG]",
                                "a size such as 2M or 1G" },
  [VP_KEY_MEMORY_ALLOCATE] = { "memory", "allocate", "yes", { "no", "yes" }, NULL, NULL },
  [VP_KEY_MEMORY_DEADLINE] = { "memory", "deadline", "10", { NULL }, "[0-9]{1,3}",
                               "a number of seconds from 0 to 999" },
  [VP_KEY_MEMORY_NOSHAREPAGES] = { "memory", "nosharepages", "no", { "no", "yes" }, NULL, NULL },
  [VP_KEY_HYPERVISOR_KVM_HIDDEN] = { "hypervisor", "kvm-hidden", "keep", { "keep", "on", "auto" }, NULL, NULL },
  [VP_KEY_HYPERVISOR_HYPERV] = { "hypervisor", "hyperv", "keep", { "keep", "remove", "spoof" }, NULL, NULL },
  /* CPUID has room for 12 bytes; a comma would end QEMU's -cpu property. */
  [VP_KEY_HYPERVISOR_VENDOR_ID] = { "hypervisor", "vendor-id", "0123456789ab", { NULL }, "[!-+.-~\\-]{1,12}",
                                    "1 to 12 printable characters without space and comma" },
  [VP_KEY_VGA_X_VGA] = { "vga", "x-vga", "off", { "off", "on", "auto" }, NULL, NULL },
  [VP_KEY_VGA_METHOD] = { "vga", "method", "wrapper", { "wrapper", "override" }, NULL, NULL },
  [VP_KEY_DEVICES_BOOT_VGA] = { "devices", "boot-vga", "allow", { "allow", "refuse" }, NULL, NULL },
  [VP_KEY_DEVICES_TRIM] = { "devices", "trim", "no", { "no", "yes" }, NULL, NULL },
  [VP_KEY_START_ON_STALE] = { "start", "on-stale", "refuse", { "refuse", "start", "retry" }, NULL, NULL },
};

const VpKeyInfo *
vp_key_info (VpKey key)
{
  return &keys[key];
}

static char *
dup_known_keys (const char *section)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < VP_N_KEYS; i++) {
    if (section != NULL && strcmp (keys[i].section, section) != 0)
      continue;
    if (section == NULL && i > 0 && strcmp (keys[i].section, keys[i - 1].section) == 0)
      continue;
    g_string_append_printf (text, "%s%s", text->len > 0 ? ", " : "", section != NULL ? keys[i].name : keys[i].section);
  }
  return g_strdup (text->str);
}

gboolean
vp_key_find (const char *section, const char *name, const char *where, VpKey *key, GError **error)
{
  gboolean section_known = FALSE;

  for (guint i = 0; i < VP_N_KEYS; i++) {
    if (strcmp (keys[i].section, section) != 0)
      continue;
    section_known = TRUE;
    if (name != NULL && strcmp (keys[i].name, name) == 0) {
      *key = (VpKey) i;
      return TRUE;
    }
  }
  if (section_known && name == NULL)
    return TRUE;
  g_autofree char *known = dup_known_keys (section_known ? section : NULL);
  if (section_known)
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, "%s: %s has no key '%s'; it has: %s", where, section, name, known);
  else
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, "%s: there is no section '%s'; there are: %s", where, section, known);
  return FALSE;
}

char *
vp_key_dup_allowed (VpKey key)
{
  g_autofree char *words = g_strjoinv (", ", (char **) keys[key].choices);

  if (keys[key].pattern == NULL)
    return g_steal_pointer (&words);
  return g_strdup_printf ("%s%s%s", words, words[0] != '\0' ? ", " : "", keys[key].pattern_words);
}

gboolean
vp_key_check (VpKey key, const char *value, const char *where, GError **error)
{
  const VpKeyInfo *info = &keys[key];

  if (g_strv_contains (info->choices, value))
    return TRUE;
  if (info->pattern != NULL) {
    g_autofree char *whole = g_strdup_printf ("^(?:%s)\\z", info->pattern);
    if (g_regex_match_simple (whole, value, 0, 0))
      return TRUE;
  }
  g_autofree char *allowed = vp_key_dup_allowed (key);
  g_set_error (error, VP_ERROR, VP_ERROR_TAG, "%s: %s.%s cannot be '%s'; allowed: %s", where, info->section, info->name,
               value, allowed);
  return FALSE;
}

VpSettings *
vp_settings_new (void)
{
  return g_new0 (VpSettings, 1);
}

void
vp_settings_free (VpSettings *settings)
{
  if (settings == NULL)
    return;
  for (guint i = 0; i < VP_N_KEYS; i++)
    g_free (settings->values[i]);
  g_free (settings);
}

void
vp_settings_overlay (VpSettings *settings, const VpSettings *over)
{
  for (guint i = 0; i < VP_N_KEYS; i++) {
    if (over->values[i] == NULL)
      continue;
    g_free (settings->values[i]);
    settings->values[i] = g_strdup (over->values[i]);
  }
}

const char *
vp_settings_get (const VpSettings *settings, VpKey key)
{
  return settings->values[key] != NULL ? settings->values[key] : keys[key].fallback;
}

int
vp_settings_choice (const VpSettings *settings, VpKey key)
{
  const char *value = vp_settings_get (settings, key);

  for (int i = 0; keys[key].choices[i] != NULL; i++)
    if (strcmp (keys[key].choices[i], value) == 0)
      return i;
  return -1;
}

struct VpProfiles {
  gatomicrefcount references;
  GHashTable *by_name; /* char * -> VpProfile *, both owned by the profile */
  GPtrArray *rules;    /* of VpTagRule; NULL: not loaded */
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
