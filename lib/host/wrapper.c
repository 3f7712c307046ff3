/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and files of the generated wrappers. Does not run them. */
#include "host/wrapper.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/label.h"
#include "base/pattern.h"
#include "config.h"

#define HASH_DIGITS 8
/* Of a path that anybody may choose: nobody finds another one with the same name. */
#define LONG_HASH_DIGITS 32

static gboolean
is_in_system_folder (const char *emulator)
{
  static const char *const folders[] = { "/usr/bin/", "/usr/libexec/" };

  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++)
    if (g_str_has_prefix (emulator, folders[i]) && strchr (emulator + strlen (folders[i]), '/') == NULL)
      return TRUE;
  return FALSE;
}

static char *
dup_name (const char *emulator)
{
  g_autofree char *base = g_path_get_basename (emulator);
  g_autofree char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, emulator, -1);

  /* Two emulators may have one base name; the hash keeps them apart. */
  hash[is_in_system_folder (emulator) ? HASH_DIGITS : LONG_HASH_DIGITS] = '\0';
  return g_strdup_printf ("%s-%s", base, hash);
}

char *
vp_wrapper_dup_path (const char *folder, const char *emulator)
{
  g_autofree char *name = dup_name (emulator);

  return g_build_filename (folder, name, NULL);
}

gboolean
vp_wrapper_has_name (const char *path)
{
  return vp_pattern_fits ("/.*/vfio-profile/emulators/[^/]+-[0-9a-f]{8}(?:[0-9a-f]{24})?", path);
}

gboolean
vp_wrapper_is_of (const char *path, const char *emulator)
{
  g_autofree char *base = g_path_get_basename (path);
  g_autofree char *name = dup_name (emulator);

  return vp_wrapper_has_name (path) && strcmp (base, name) == 0;
}

char *
vp_wrapper_dup_emulator (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", 16);

  if (lines[0] == NULL || !g_str_has_prefix (lines[0], "#!") || !g_str_has_suffix (lines[0], "vfio-profile-emulator"))
    return NULL;
  for (guint i = 1; lines[i] != NULL; i++)
    if (g_str_has_prefix (lines[i], "emulator=/"))
      return g_strdup (lines[i] + strlen ("emulator="));
  return NULL;
}

static char *
dup_content (const char *emulator, GError **error)
{
  struct stat info;

  if (strpbrk (emulator, "\r\n") != NULL || emulator[0] != '/') {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "the emulator's path must be absolute and in one line");
    return NULL;
  }
  if (stat (emulator, &info) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot wrap the emulator %s: %s", emulator, g_strerror (errno));
    return NULL;
  }
  return g_strdup_printf (
    "#!" VP_EMULATOR_PROGRAM "\n"
    "# Made by vfio-profiled for one QEMU. Do not edit: it is written anew when that QEMU changes.\n"
    "emulator=%s\n"
    "identity=%ju:%ju:%jd:%jd.%09ld\n",
    emulator, (uintmax_t) info.st_dev, (uintmax_t) info.st_ino, (intmax_t) info.st_size, (intmax_t) info.st_mtim.tv_sec,
    info.st_mtim.tv_nsec);
}

gboolean
vp_wrapper_refresh (const char *folder, const char *emulator, gboolean *changed, GError **error)
{
  g_autofree char *path = vp_wrapper_dup_path (folder, emulator);
  g_autofree char *content = dup_content (emulator, error);
  g_autofree char *existing = NULL;

  *changed = FALSE;
  if (content == NULL)
    return FALSE;
  vp_label_ensure (path); /* first: a wrong one may keep us from reading and replacing it */
  if (g_file_get_contents (path, &existing, NULL, NULL) && strcmp (existing, content) == 0)
    return TRUE;
  g_autoptr (GError) problem = NULL;
  if (!g_file_set_contents_full (path, content, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0755,
                                 &problem)) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot write the wrapper of %s: %s", emulator, problem->message);
    return FALSE;
  }
  vp_label_ensure (path);
  *changed = TRUE;
  return TRUE;
}
