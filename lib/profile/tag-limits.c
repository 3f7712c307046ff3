/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the administrator's file (GKeyFile) over what is built in. */
#include "profile/tag-limits.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/error.h"
#include "vp-resources.h"

#define BUILT_IN "/vfio-profile/vfio-profile.conf"
#define OVERRIDES "overrides"
#define MEMORY "memory"
#define KEEP "keep-available"
#define LEAST "at least "
#define MOST "at most "

typedef struct {
  char *text;
  GStrv words; /* NULL: any, within the numbers */
  guint64 least;
  guint64 most;
} Limit;

struct VpLimits {
  Limit of[VP_N_KEYS];
  VpMemoryKeep keep;
  char *source;
  GError *error;
};

static gboolean
takes_number (const VpKeyInfo *info)
{
  return info->pattern != NULL && g_str_has_prefix (info->pattern, "[0-9]");
}

static void
clear_limit (Limit *limit)
{
  g_free (limit->text);
  g_strfreev (limit->words);
}

static gboolean
read_number (VpKey key, const char *text, const char *path, guint64 *number, GError **error)
{
  const VpKeyInfo *info = vp_key_info (key);

  if (!takes_number (info)) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: %s.%s takes words, no numbers: it cannot have a least or most",
                 path, info->section, info->name);
    return FALSE;
  }
  if (!vp_key_check (key, text, path, error))
    return FALSE;
  *number = g_ascii_strtoull (text, NULL, 10);
  return TRUE;
}

static gboolean
read_words (VpKey key, const char *text, const char *path, Limit *limit, GError **error)
{
  limit->words = g_strsplit (text, ",", -1);
  for (guint i = 0; limit->words[i] != NULL; i++)
    if (!vp_key_check (key, g_strstrip (limit->words[i]), path, error))
      return FALSE;
  return TRUE;
}

static gboolean
read_limit (VpKey key, const char *text, const char *path, Limit *limit, GError **error)
{
  limit->text = g_strdup (text);
  limit->most = G_MAXUINT64;
  if (strcmp (text, "any") == 0)
    return TRUE;
  if (strcmp (text, "none") == 0 || text[0] == '\0') {
    limit->words = g_new0 (char *, 1);
    return TRUE;
  }
  if (g_str_has_prefix (text, MOST))
    return read_number (key, text + strlen (MOST), path, &limit->most, error);
  if (g_str_has_prefix (text, LEAST))
    return read_number (key, text + strlen (LEAST), path, &limit->least, error);
  return read_words (key, text, path, limit, error);
}

static gboolean
lay_override (VpLimits *limits, const char *name, const char *text, const char *path, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (name, ".", 2);
  VpKey key = VP_N_KEYS;
  Limit limit = { 0 };

  if (g_strv_length (parts) != 2) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: [" OVERRIDES "] has no key '%s'; its keys are like cpu.pin",
                 path, name);
    return FALSE;
  }
  if (!vp_key_find (parts[0], parts[1], path, &key, error))
    return FALSE;
  if (!read_limit (key, text, path, &limit, error)) {
    clear_limit (&limit);
    return FALSE;
  }
  clear_limit (&limits->of[key]);
  limits->of[key] = limit;
  return TRUE;
}

static gboolean
lay_keep (VpLimits *limits, const char *text, const char *path, GError **error)
{
  char *unit = NULL;
  guint64 number = g_ascii_strtoull (text, &unit, 10);

  if (!g_regex_match_simple ("^(?:[0-9]{1,2}%|[0-9]{1,6}[KMG])\\z", text, 0, 0)) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE,
                 "%s: " MEMORY "." KEEP " cannot be '%s'; allowed: 0%% to 99%%, a size such as 512M or 2G", path, text);
    return FALSE;
  }
  limits->keep = *unit == '%' ? (VpMemoryKeep){ .percent = (guint) number }
                              : (VpMemoryKeep){ .kib = number << (*unit == 'G'   ? 20
                                                                  : *unit == 'M' ? 10
                                                                                 : 0) };
  return TRUE;
}

static gboolean
lay_key (VpLimits *limits, const char *section, const char *name, const char *text, const char *path, GError **error)
{
  if (strcmp (section, OVERRIDES) == 0)
    return lay_override (limits, name, text, path, error);
  if (strcmp (section, MEMORY) == 0 && strcmp (name, KEEP) == 0)
    return lay_keep (limits, text, path, error);
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE,
               "%s: there is no key '%s' in [%s]; there are: the keys of profiles in [" OVERRIDES "], " KEEP
               " in [" MEMORY "]",
               path, name, section);
  return FALSE;
}

static gboolean
lay_file (VpLimits *limits, GKeyFile *file, const char *path, GError **error)
{
  g_auto (GStrv) sections = g_key_file_get_groups (file, NULL);

  for (guint i = 0; sections[i] != NULL; i++) {
    g_auto (GStrv) names = g_key_file_get_keys (file, sections[i], NULL, NULL);
    for (guint k = 0; names != NULL && names[k] != NULL; k++) {
      g_autofree char *text = g_key_file_get_string (file, sections[i], names[k], error);
      if (text == NULL || !lay_key (limits, sections[i], names[k], g_strstrip (text), path, error))
        return FALSE;
    }
  }
  return TRUE;
}

VpLimits *
vp_limits_new (void)
{
  g_autoptr (GBytes) bytes = g_resource_lookup_data (vp_resources_get_resource (), BUILT_IN, 0, NULL);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  VpLimits *limits = g_new0 (VpLimits, 1);

  for (VpKey key = 0; key < VP_N_KEYS; key++)
    limits->of[key] = (Limit){ g_strdup ("none"), g_new0 (char *, 1), 0, 0 };
  limits->source = g_strdup ("the built-in limits");
  if (bytes == NULL || !g_key_file_load_from_bytes (file, bytes, G_KEY_FILE_NONE, NULL) ||
      !lay_file (limits, file, limits->source, NULL))
    g_assert_not_reached (); /* part of the program */
  return limits;
}

/* A code of the tag's or of GKeyFile is none that a caller could act on: it is the file that is wrong. */
static void
set_damaged (VpLimits *limits, const char *path, const GError *problem)
{
  const char *before = strstr (problem->message, path) != NULL ? "" : path;

  g_set_error (&limits->error, VP_ERROR, VP_ERROR_PROFILE, "%s%s%s", before, *before != '\0' ? ": " : "",
               problem->message);
  vp_conf_clean_error (limits->error);
  g_free (limits->source);
  limits->source = g_strdup_printf ("the built-in limits (%s is damaged)", path);
}

VpLimits *
vp_limits_load (const char *path)
{
  g_autoptr (VpLimits) limits = vp_limits_new ();
  g_autoptr (GError) problem = NULL;

  g_free (limits->source);
  limits->source = g_strdup_printf ("the built-in limits (there is no %s)", path);
  if (access (path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
    return g_steal_pointer (&limits);
  g_autoptr (GKeyFile) file = vp_conf_load (path, &problem);
  if (file == NULL || !lay_file (limits, file, path, &problem)) {
    VpLimits *built_in = vp_limits_new ();
    set_damaged (built_in, path, problem);
    return built_in;
  }
  g_free (limits->source);
  limits->source = g_strdup (path);
  return g_steal_pointer (&limits);
}

void
vp_limits_free (VpLimits *limits)
{
  if (limits == NULL)
    return;
  for (VpKey key = 0; key < VP_N_KEYS; key++)
    clear_limit (&limits->of[key]);
  g_free (limits->source);
  g_clear_error (&limits->error);
  g_free (limits);
}

gboolean
vp_limits_check (const VpLimits *limits, VpKey key, const char *value, const char *where, GError **error)
{
  const VpKeyInfo *info = vp_key_info (key);
  const Limit *limit = &limits->of[key];
  guint64 number = takes_number (info) ? g_ascii_strtoull (value, NULL, 10) : 0;

  if (limit->words != NULL ? g_strv_contains ((const char *const *) limit->words, value)
                           : !takes_number (info) || (number >= limit->least && number <= limit->most))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_TAG,
               "%s: %s.%s='%s' is beyond the limit '%s' of %s; the administrator can give the domain a profile in "
               "/etc/vfio-profile/profiles.d that says it, or raise the limit",
               where, info->section, info->name, value, limit->text, limits->source);
  return FALSE;
}

const char *
vp_limits_get (const VpLimits *limits, VpKey key)
{
  return limits->of[key].text;
}

const char *
vp_limits_get_source (const VpLimits *limits)
{
  return limits->source;
}

const GError *
vp_limits_get_error (const VpLimits *limits)
{
  return limits->error;
}

VpMemoryKeep
vp_limits_get_keep (const VpLimits *limits)
{
  return limits->keep;
}
