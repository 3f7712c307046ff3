/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small files of the system's that a command writes and takes away again: each begins with
 * a line that says whose it is, and one that does not is never touched.
 */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

/* Where they are: links in there lead nowhere else. `folder` is how the root is called, "/". All is borrowed. */
typedef struct {
  const VpRoot *root;
  const char *folder;
} VpOwnPlace;

/* `path`s are below the root. The caller's. NULL without an error: no such file. One without `mark` is an error. */
char *vp_own_file_load (const VpOwnPlace *place, const char *path, const char *mark, GError **error);
/*
 * The old text or the new one is on the disk, whatever happens. `wrote` (of char *) gets the
 * path, with the root's folder, where the text is another one than before.
 */
gboolean vp_own_file_store (const VpOwnPlace *place, const char *path, const char *mark, const char *text,
                            GPtrArray *wrote, GError **error);
/* One that is not there is no error; `removed` gets the path of one that was. */
gboolean vp_own_file_remove (const VpOwnPlace *place, const char *path, const char *mark, GPtrArray *removed,
                             GError **error);
/* A line for each path: "wrote /etc/…". */
void vp_own_files_say (const GPtrArray *paths, const char *verb);

G_END_DECLS
