/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes and removes files with a mark. Knows none of them. */
#include "cli/base/own-file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/base/output.h"

char *
vp_own_file_load (const char *path, const char *mark, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) problem = NULL;

  if (!g_file_get_contents (path, &text, NULL, &problem)) {
    if (!g_error_matches (problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot read %s: %s", path, problem->message);
    return NULL;
  }
  if (g_str_has_prefix (text, mark))
    return g_steal_pointer (&text);
  g_set_error (error, VP_ERROR, VP_ERROR_IO,
               "%s does not begin with the line that vfio-profile writes there, so it is somebody else's: move it away",
               path);
  return NULL;
}

/* Readable by all, whatever the umask: modprobe and --list of a user read them. */
gboolean
vp_own_file_store (const char *path, const char *mark, const char *text, GPtrArray *wrote, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (GError) problem = NULL;
  g_autofree char *old = vp_own_file_load (path, mark, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (g_strcmp0 (old, text) == 0)
    return TRUE;
  if (g_mkdir_with_parents (folder, 0755) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot make the folder %s: %s", folder, g_strerror (errno));
    return FALSE;
  }
  if (!g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0644,
                                 &problem)) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot write %s: %s", path, problem->message);
    return FALSE;
  }
  if (chmod (path, 0644) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot make %s readable: %s", path, g_strerror (errno));
    return FALSE;
  }
  g_ptr_array_add (wrote, g_strdup (path));
  return TRUE;
}

gboolean
vp_own_file_remove (const char *path, const char *mark, GPtrArray *removed, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *text = vp_own_file_load (path, mark, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (text == NULL)
    return TRUE;
  if (unlink (path) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot remove %s: %s", path, g_strerror (errno));
    return FALSE;
  }
  g_ptr_array_add (removed, g_strdup (path));
  return TRUE;
}

void
vp_own_files_say (const GPtrArray *files, const char *verb)
{
  for (guint i = 0; i < files->len; i++)
    vp_output_line (VP_STYLE_PLAIN, "%s %s", verb, (const char *) files->pdata[i]);
}
