/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds and reads files of keys, bounded in size. */
#include "base/conf.h"

#include <string.h>

#include "base/error.h"

#define MAX_FILE_BYTES (64 * 1024)
#define SUFFIX ".conf"

gboolean
vp_conf_name_is_valid (const char *name)
{
  return g_regex_match_simple ("^[A-Za-z0-9][A-Za-z0-9_+.-]{0,63}\\z", name, 0, 0);
}

static void
add_file (GHashTable *files, const char *folder, const char *file_name)
{
  g_autofree char *name =
    g_str_has_suffix (file_name, SUFFIX) ? g_strndup (file_name, strlen (file_name) - strlen (SUFFIX)) : NULL;

  if (name == NULL || !vp_conf_name_is_valid (name))
    return;
  char *path = g_build_filename (folder, file_name, NULL);
  g_hash_table_replace (files, g_steal_pointer (&name), path);
}

GHashTable *
vp_conf_find (const char *const *folders, const char *what, GError **error)
{
  g_autoptr (GHashTable) files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  for (guint i = 0; folders[i] != NULL; i++) {
    g_autoptr (GError) problem = NULL;
    g_autoptr (GDir) dir = g_dir_open (folders[i], 0, &problem);
    if (dir == NULL && !g_error_matches (problem, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
      g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot read the %s' folder %s: %s", what, folders[i],
                   problem->message);
      return NULL;
    }
    for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
      add_file (files, folders[i], name);
  }
  return g_steal_pointer (&files);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

GPtrArray *
vp_conf_list_names (GHashTable *files)
{
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name = NULL;

  g_hash_table_iter_init (&iter, files);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, name);
  g_ptr_array_sort (names, compare_names);
  return names;
}

void
vp_conf_clean_error (GError *error)
{
  char *quoted = error != NULL ? error->message : NULL;

  if (quoted == NULL)
    return;
  error->message = g_utf8_make_valid (quoted, -1);
  g_free (quoted);
}

GKeyFile *
vp_conf_load (const char *path, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) problem = NULL;
  g_autoptr (GMappedFile) map = g_mapped_file_new (path, FALSE, &problem);

  if (map == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s", problem->message);
    return NULL;
  }
  if (g_mapped_file_get_length (map) > MAX_FILE_BYTES) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s has %" G_GSIZE_FORMAT " bytes; at most %d are read", path,
                 g_mapped_file_get_length (map), MAX_FILE_BYTES);
    return NULL;
  }
  g_autoptr (GBytes) bytes = g_mapped_file_get_bytes (map);
  if (g_key_file_load_from_bytes (file, bytes, G_KEY_FILE_NONE, &problem))
    return g_steal_pointer (&file);
  g_set_error (error, VP_ERROR, VP_ERROR_PROFILE, "%s: %s", path, problem->message);
  return NULL;
}
