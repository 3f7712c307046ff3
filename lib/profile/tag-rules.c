/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads rule files. Knows no domain, and no profile but by name. */
#include "profile/tag-rules.h"

#include <string.h>

#include "base/conf.h"
#include "base/error.h"

#define MAX_SWITCH_BYTES 16

/* What people say instead of numbers. Classes as in lspci -n: base class and sub class. */
typedef struct {
  const char *word;
  const char *pattern;
} Word;

static const Word class_words[] = {
  { "display", "03??" }, { "audio", "0403" }, { "network", "02??" },
  { "storage", "01??" }, { "usb", "0c03" },   { NULL, NULL },
};
static const Word vendor_words[] = { { "nvidia", "10de" }, { "amd", "1002" }, { "intel", "8086" }, { NULL, NULL } };
static const Word firmware_words[] = { { "bios", "bios" }, { "efi", "efi" }, { NULL, NULL } };

static const struct {
  const char *name;
  const Word *words;   /* NULL: any text */
  const char *pattern; /* what else it takes; NULL: nothing */
  const char *takes;   /* all of it for people */
} match_keys[VP_N_MATCHES] = {
  [VP_MATCH_DEVICE_CLASS] = { "device-class", class_words, "^[0-9a-f?*]{1,8}\\z",
                              "display, audio, network, storage, usb, a class in hexadecimal such as 0300" },
  [VP_MATCH_DEVICE_VENDOR] = { "device-vendor", vendor_words, "^[0-9a-f?*]{1,8}\\z",
                               "nvidia, amd, intel, an id in hexadecimal such as 10de" },
  [VP_MATCH_NAME] = { "name", NULL, NULL, NULL },
  [VP_MATCH_TITLE] = { "title", NULL, NULL, NULL },
  [VP_MATCH_DESCRIPTION] = { "description", NULL, NULL, NULL },
  [VP_MATCH_FIRMWARE] = { "firmware", firmware_words, NULL, "bios, efi" },
};

const char *
vp_match_key_name (VpMatchKey key)
{
  return match_keys[key].name;
}

/* NULL and an error: the key does not take it. */
static char *
dup_pattern (VpMatchKey key, const char *text, const char *path, GError **error)
{
  const Word *words = match_keys[key].words;

  if (words == NULL)
    return g_strdup (text);
  g_autofree char *lower = g_ascii_strdown (text, -1);
  for (guint i = 0; words[i].word != NULL; i++)
    if (strcmp (words[i].word, lower) == 0)
      return g_strdup (words[i].pattern);
  if (match_keys[key].pattern != NULL && g_regex_match_simple (match_keys[key].pattern, lower, 0, 0))
    return g_steal_pointer (&lower);
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: match.%s cannot be '%s'; allowed: %s", path,
               match_keys[key].name, text, match_keys[key].takes);
  return NULL;
}

/* "win*;game*": alternatives. */
static GStrv
dup_patterns (VpMatchKey key, const char *value, const char *path, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (value, ";", -1);
  g_autoptr (GPtrArray) patterns = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; parts[i] != NULL; i++) {
    const char *part = g_strstrip (parts[i]);
    if (part[0] == '\0')
      continue;
    char *pattern = dup_pattern (key, part, path, error);
    if (pattern == NULL)
      return NULL;
    g_ptr_array_add (patterns, pattern);
  }
  if (patterns->len == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: match.%s is empty", path, match_keys[key].name);
    return NULL;
  }
  g_ptr_array_add (patterns, NULL);
  g_ptr_array_set_free_func (patterns, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&patterns), FALSE);
}

/* Names separated by spaces, as in the tag. */
static GStrv
dup_names (const char *key, const char *value, const char *path, GError **error)
{
  g_auto (GStrv) words = g_strsplit_set (value, " \t", -1);
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  gboolean any = FALSE;

  for (guint i = 0; words[i] != NULL; i++) {
    if (words[i][0] == '\0')
      continue;
    if (!vp_conf_name_is_valid (words[i])) {
      g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: rule.%s: '%s' is no name of a profile", path, key, words[i]);
      return NULL;
    }
    g_strv_builder_add (names, words[i]);
    any = TRUE;
  }
  if (any)
    return g_strv_builder_end (names);
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: rule.%s is empty", path, key);
  return NULL;
}

static gboolean
read_switch (const char *value, const char *section, const char *key, const char *path, gboolean *on, GError **error)
{
  *on = strcmp (value, "yes") == 0;
  if (*on || strcmp (value, "no") == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: %s.%s cannot be '%s'; allowed: yes, no", path, section, key,
               value);
  return FALSE;
}

static gboolean
read_rule_key (VpTagRule *rule, const char *key, const char *value, GError **error)
{
  if (strcmp (key, "description") == 0) {
    g_free (rule->description);
    rule->description = g_strdup (value);
    return TRUE;
  }
  if (strcmp (key, "enabled") == 0)
    return read_switch (value, "rule", key, rule->path, &rule->shipped_enabled, error);
  if (strcmp (key, "profiles") == 0) {
    g_strfreev (rule->profiles);
    rule->profiles = dup_names (key, value, rule->path, error);
    return rule->profiles != NULL;
  }
  if (strcmp (key, "profiles-bios") == 0) {
    g_strfreev (rule->profiles_bios);
    rule->profiles_bios = dup_names (key, value, rule->path, error);
    return rule->profiles_bios != NULL;
  }
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE,
               "%s: rule has no key '%s'; it has: description, enabled, profiles, profiles-bios", rule->path, key);
  return FALSE;
}

static gboolean
read_match_key (VpTagRule *rule, const char *key, const char *value, GError **error)
{
  g_autoptr (GString) known = g_string_new ("hashtag");

  if (strcmp (key, "hashtag") == 0)
    return read_switch (value, "match", key, rule->path, &rule->hashtag, error);
  for (guint i = 0; i < VP_N_MATCHES; i++) {
    g_string_append_printf (known, ", %s", match_keys[i].name);
    if (strcmp (key, match_keys[i].name) != 0)
      continue;
    g_strfreev (rule->patterns[i]);
    rule->patterns[i] = dup_patterns ((VpMatchKey) i, value, rule->path, error);
    return rule->patterns[i] != NULL;
  }
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: match has no key '%s'; it has: %s", rule->path, key, known->str);
  return FALSE;
}

static gboolean
read_section (VpTagRule *rule, GKeyFile *file, const char *section, GError **error)
{
  g_auto (GStrv) keys = g_key_file_get_keys (file, section, NULL, NULL);
  gboolean is_rule = strcmp (section, "rule") == 0;

  if (!is_rule && strcmp (section, "match") != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: there is no section '%s'; there are: rule, match", rule->path,
                 section);
    return FALSE;
  }
  for (guint i = 0; keys != NULL && keys[i] != NULL; i++) {
    g_autoptr (GError) problem = NULL;
    g_autofree char *value = g_key_file_get_string (file, section, keys[i], &problem);
    if (value == NULL) {
      g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: %s.%s: %s", rule->path, section, keys[i], problem->message);
      return FALSE;
    }
    if (!(is_rule ? read_rule_key : read_match_key) (rule, keys[i], value, error))
      return FALSE;
  }
  return TRUE;
}

/* A rule that says nothing of whom it means would tag every domain. */
static gboolean
check_sense (const VpTagRule *rule, GError **error)
{
  gboolean asks = rule->hashtag;

  for (guint i = 0; i < VP_N_MATCHES; i++)
    asks = asks || rule->patterns[i] != NULL;
  if (!asks)
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE,
                 "%s: it has no [match], so it would fit every domain; write name=* where that is meant", rule->path);
  else if (rule->hashtag && (rule->profiles != NULL || rule->profiles_bios != NULL))
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE,
                 "%s: with match.hashtag the domain's text names the profiles, so rule.profiles must not", rule->path);
  else if (!rule->hashtag && rule->profiles == NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: rule.profiles is missing: what shall a domain get?",
                 rule->path);
  else
    return TRUE;
  return FALSE;
}

static gboolean
read_file (VpTagRule *rule, GError **error)
{
  g_autoptr (GKeyFile) file = vp_conf_load (rule->path, error);

  if (file == NULL)
    return FALSE;
  g_auto (GStrv) sections = g_key_file_get_groups (file, NULL);
  for (guint i = 0; sections[i] != NULL; i++)
    if (!read_section (rule, file, sections[i], error))
      return FALSE;
  return check_sense (rule, error);
}

VpTagRule *
vp_tag_rule_load (const char *name, const char *path)
{
  VpTagRule *rule = g_new0 (VpTagRule, 1);

  rule->name = g_strdup (name);
  rule->path = g_strdup (path);
  rule->description = g_strdup ("");
  rule->shipped_enabled = TRUE;
  (void) read_file (rule, &rule->error);
  vp_conf_clean_error (rule->error);
  rule->enabled = rule->shipped_enabled;
  return rule;
}

void
vp_tag_rule_free (VpTagRule *rule)
{
  if (rule == NULL)
    return;
  g_free (rule->name);
  g_free (rule->path);
  g_free (rule->description);
  g_free (rule->switch_path);
  g_strfreev (rule->profiles);
  g_strfreev (rule->profiles_bios);
  for (guint i = 0; i < VP_N_MATCHES; i++)
    g_strfreev (rule->patterns[i]);
  g_clear_error (&rule->error);
  g_free (rule);
}

char *
vp_tag_rule_dup_switch (const char *folder, const char *name)
{
  g_autofree char *file = g_strconcat (name, ".enabled", NULL);

  return g_build_filename (folder, file, NULL);
}

/* The last folder with a switch for the rule counts. A broken switch breaks the rule: which did its writer mean? */
static void
turn_switch (VpTagRule *rule, const char *folder)
{
  g_autofree char *path = vp_tag_rule_dup_switch (folder, rule->name);
  g_autoptr (GError) problem = NULL;
  g_autoptr (GMappedFile) map = g_mapped_file_new (path, FALSE, &problem);

  if (map == NULL && g_error_matches (problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return;
  g_free (rule->switch_path);
  rule->switch_path = g_strdup (path);
  gsize length = map != NULL ? g_mapped_file_get_length (map) : 0;
  g_autofree char *text =
    g_strndup (length > 0 ? g_mapped_file_get_contents (map) : "", MIN (length, MAX_SWITCH_BYTES));
  g_strstrip (text);
  if (strcmp (text, "yes") == 0 || strcmp (text, "no") == 0) {
    rule->enabled = strcmp (text, "yes") == 0;
    return;
  }
  if (rule->error == NULL)
    g_set_error (&rule->error, VP_ERROR, VP_ERROR_PROFILE, "%s: %s", path,
                 map == NULL ? problem->message : "it holds neither yes nor no");
}

GPtrArray *
vp_tag_rules_load (const char *const *folders, GError **error)
{
  g_autoptr (GHashTable) files = vp_conf_find (folders, "rules", error);

  if (files == NULL)
    return NULL;
  GPtrArray *rules = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_tag_rule_free);
  g_autoptr (GPtrArray) names = vp_conf_list_names (files);
  for (guint i = 0; i < names->len; i++) {
    VpTagRule *rule = vp_tag_rule_load (names->pdata[i], g_hash_table_lookup (files, names->pdata[i]));
    for (guint j = 0; folders[j] != NULL; j++)
      turn_switch (rule, folders[j]);
    g_ptr_array_add (rules, rule);
  }
  return rules;
}
