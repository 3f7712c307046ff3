/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of NAME.conf files (profiles, rules) and one such file. Knows no keys. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Name without ".conf" -> path, both char *; the caller's. Later folders (NULL-ended) hide files of the same name in
 * earlier ones, one that is missing is empty, and names that no tag could carry are left out. `what` for errors:
 * "profiles". NULL with VP_ERROR_IO: a folder cannot be read.
 */
GHashTable *vp_conf_find (const char *const *folders, const char *what, GError **error);
/* Names of the table (const char *), sorted; they are the table's, the array is the caller's. */
GPtrArray *vp_conf_list_names (GHashTable *files);

/* The caller's. NULL with VP_ERROR_PROFILE, which names the file: it cannot be read, is no such file or over 64 KiB. */
GKeyFile *vp_conf_load (const char *path, GError **error);

/* An error that quotes a file may quote bytes that are no UTF-8: they are replaced. NULL: nothing is. */
void vp_conf_clean_error (GError *error);

/* Begins with a letter or digit, then also _ + . -, 64 at most. */
gboolean vp_conf_name_is_valid (const char *name);

G_END_DECLS
