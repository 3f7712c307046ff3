/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/self/mountinfo; see proc(5). */
#include "host/mount.h"

#include <string.h>

#define MAX_BYTES (1024u * 1024)

static gboolean
is_below (const char *path, const char *mount)
{
  gsize length = strlen (mount);

  return strcmp (mount, "/") == 0 ||
         (strncmp (path, mount, length) == 0 && (path[length] == '/' || path[length] == '\0'));
}

GStrv
vp_mount_dup_options (const VpRoot *root, const char *path)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, "proc/self/mountinfo", MAX_BYTES, &length);
  g_auto (GStrv) lines = g_strsplit (text != NULL ? text : "", "\n", -1);
  g_autofree char *options = NULL;
  gsize best = 0;

  for (guint i = 0; lines[i] != NULL; i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", 7);
    g_autofree char *mount = g_strv_length (words) == 7 ? g_strcompress (words[4]) : NULL;
    /* Of two at one place the later is on top. */
    if (mount == NULL || !is_below (path, mount) || strlen (mount) < best)
      continue;
    best = strlen (mount);
    g_free (options);
    options = g_strdup (words[5]);
  }
  return options != NULL ? g_strsplit (options, ",", -1) : NULL;
}
