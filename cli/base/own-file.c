/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes and removes files with a mark. Knows none of them. */
#include "cli/base/own-file.h"

#include "base/error.h"
#include "cli/base/output.h"

#define MAX_BYTES (1024 * 1024)

char *
vp_own_file_load (const VpOwnPlace *place, const char *path, const char *mark, GError **error)
{
  gsize length = 0;
  g_autofree char *text = NULL;

  if (!vp_root_read_bytes (place->root, path, MAX_BYTES, &text, &length, error) || text == NULL)
    return NULL;
  if (g_str_has_prefix (text, mark))
    return g_steal_pointer (&text);
  g_autofree char *whole = g_build_filename (place->folder, path, NULL);
  g_set_error (error, VP_ERROR, VP_ERROR_IO,
               "%s does not begin with the line that vfio-profile writes there, so it is somebody else's: move it away",
               whole);
  return NULL;
}

/* Readable by all, whatever the umask: modprobe and --list of a user read them. */
gboolean
vp_own_file_store (const VpOwnPlace *place, const char *path, const char *mark, const char *text, GPtrArray *wrote,
                   GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (GError) problem = NULL;
  g_autofree char *old = vp_own_file_load (place, path, mark, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (g_strcmp0 (old, text) == 0)
    return TRUE;
  if (!vp_root_make_public_folders (place->root, folder, error) ||
      !vp_root_store_public (place->root, path, text, error))
    return FALSE;
  g_ptr_array_add (wrote, g_build_filename (place->folder, path, NULL));
  return TRUE;
}

gboolean
vp_own_file_remove (const VpOwnPlace *place, const char *path, const char *mark, GPtrArray *removed, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *text = vp_own_file_load (place, path, mark, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (text == NULL)
    return TRUE;
  if (!vp_root_remove (place->root, path, error))
    return FALSE;
  g_ptr_array_add (removed, g_build_filename (place->folder, path, NULL));
  return TRUE;
}

void
vp_own_files_say (const GPtrArray *files, const char *verb)
{
  for (guint i = 0; i < files->len; i++)
    vp_output_line (VP_STYLE_PLAIN, "%s %s", verb, (const char *) files->pdata[i]);
}
