/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the host's CPUs, and changes one thing of the host for a guest that starts. */
#include "daemon/hold/isolate-ground.h"

#include "base/error.h"

#define CPUS "sys/devices/system/cpu"

VpBitmap *
vp_isolate_read_list (const VpRoot *root, const char *path)
{
  g_autofree char *text = vp_root_dup_text (root, path);

  return vp_list_parse (text);
}

VpBitmap *
vp_isolate_read_online (const VpRoot *root)
{
  VpBitmap *online = vp_isolate_read_list (root, CPUS "/online");

  return online != NULL ? online : hwloc_bitmap_alloc ();
}

VpBitmap *
vp_isolate_read_present (const VpRoot *root)
{
  VpBitmap *present = vp_isolate_read_list (root, CPUS "/present");

  return present != NULL ? present : vp_isolate_read_online (root);
}

void
vp_isolate_warn (const VpIsolateTask *task, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_ptr_array_add (task->warnings, g_strdup_vprintf (format, arguments));
  va_end (arguments);
}

gboolean
vp_isolate_change (const VpIsolateTask *task, VpHoldingKind kind, const char *key, const char *value, char **reason,
                   GError **error)
{
  g_autoptr (GError) problem = NULL;

  *reason = NULL;
  if (vp_book_change (task->ground->book, task->uuid, task->name, kind, key, value, task->deadline, &problem))
    return TRUE;
  if (g_error_matches (problem, VP_ERROR, VP_ERROR_BUSY)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  *reason = g_strdup (problem->message);
  return TRUE;
}

GHashTable *
vp_isolate_list_changed (const VpIsolateTask *task, VpHoldingKind kind)
{
  VpBook *book = task->ground->book;
  g_auto (GStrv) uuids = vp_book_list (book);
  GHashTable *keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; uuids[i] != NULL; i++) {
    g_autoptr (VpHolding) holding = g_str_equal (uuids[i], task->uuid) ? NULL : vp_book_dup (book, uuids[i]);
    for (guint j = 0; holding != NULL && j < holding->records->len; j++) {
      const VpHoldingRecord *record = holding->records->pdata[j];
      if (record->kind == kind)
        g_hash_table_add (keys, g_strdup (record->key));
    }
  }
  return keys;
}
