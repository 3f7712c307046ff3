/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is changed for a guest while it runs and is no pool of pages: attributes of
 * the kernel's, which are written here, and what others change and note. Each is in
 * the journal before it is changed, and what it became afterwards.
 */
#include "holds-private.h"
#include "vp-error.h"

static gboolean
check_text (const char *key, const char *text, GError **error)
{
  if (g_utf8_validate (text, -1, NULL))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "%s holds something that is no text: it is left alone", key);
  return FALSE;
}

/* A second change of the same thing keeps what was there before the first. With the work lock. */
static gboolean
note (VpHolds *holds, const char *uuid, const char *name, VpHoldKind kind, const char *key, const char *before,
      const char *after, GError **error)
{
  g_mutex_lock (&holds->mutex);
  VpHold *hold = vp_holds_ensure (holds, uuid, name);
  VpHoldRecord *record = vp_hold_find_record (hold, kind, key);
  if (record == NULL) {
    record = vp_hold_add_record (hold, kind, key, before, after);
  } else {
    g_free (record->after);
    record->after = g_strdup (after);
  }
  record->pending = TRUE;
  g_mutex_unlock (&holds->mutex);
  return vp_holds_save (holds, uuid, error);
}

gboolean
vp_holds_note_pending (VpHolds *holds, const char *uuid, const char *name, VpHoldKind kind, const char *key,
                       const char *before, const char *after, gint64 deadline, GError **error)
{
  if (!check_text (key, before, error) || !check_text (key, after, error) ||
      !vp_holds_begin_work (holds, name, deadline, error))
    return FALSE;
  gboolean noted = note (holds, uuid, name, kind, key, before, after, error);
  vp_holds_end_work (holds);
  return noted;
}

/* With the work lock. */
static gboolean
note_done (VpHolds *holds, const char *uuid, VpHoldKind kind, const char *key, const char *after, GError **error)
{
  if (!check_text (key, after, error))
    return FALSE;
  g_mutex_lock (&holds->mutex);
  const VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  VpHoldRecord *record = hold != NULL ? vp_hold_find_record (hold, kind, key) : NULL;
  if (record != NULL) {
    g_free (record->after);
    record->after = g_strdup (after);
    record->pending = FALSE;
  }
  g_mutex_unlock (&holds->mutex);
  return record == NULL || vp_holds_save (holds, uuid, error);
}

gboolean
vp_holds_note_done (VpHolds *holds, const char *uuid, VpHoldKind kind, const char *key, const char *after,
                    gint64 deadline, GError **error)
{
  if (!vp_holds_begin_work (holds, uuid, deadline, error))
    return FALSE;
  gboolean noted = note_done (holds, uuid, kind, key, after, error);
  vp_holds_end_work (holds);
  return noted;
}

void
vp_holds_set_undo (VpHolds *holds, VpHoldKind kind, VpHoldUndoFunc undo, gpointer data)
{
  holds->undo[kind].func = undo;
  holds->undo[kind].data = data;
}

/* It did not come about. A record that was there before stays, with what is there now. With the work lock. */
static void
drop (VpHolds *holds, const char *uuid, const char *path, const char *now)
{
  g_mutex_lock (&holds->mutex);
  const VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  VpHoldRecord *record = hold != NULL ? vp_hold_find_record (hold, VP_HOLD_FILE, path) : NULL;
  if (record != NULL && g_strcmp0 (record->before, now) == 0) {
    (void) g_ptr_array_remove (hold->records, record);
  } else if (record != NULL) {
    g_free (record->after);
    record->after = g_strdup (now);
    record->pending = FALSE;
  }
  g_mutex_unlock (&holds->mutex);
  vp_holds_save_or_warn (holds, uuid);
}

static gboolean
change (VpHolds *holds, const char *uuid, const char *name, const char *path, const char *text, GError **error)
{
  g_autofree char *before = vp_root_dup_text (holds->root, path);

  if (before == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read /%s to change it to '%s'", path, text);
    return FALSE;
  }
  if (!check_text (path, before, error) || !note (holds, uuid, name, VP_HOLD_FILE, path, before, text, error))
    return FALSE;
  if (!vp_root_write_text (holds->root, path, text, NULL, error)) {
    drop (holds, uuid, path, before);
    return FALSE;
  }
  /* The kernel may write it in another way: that is what has to be there to be undone. */
  g_autofree char *after = vp_root_dup_text (holds->root, path);
  return note_done (holds, uuid, VP_HOLD_FILE, path, after != NULL ? after : text, error);
}

gboolean
vp_holds_change_file (VpHolds *holds, const char *uuid, const char *name, const char *path, const char *text,
                      gint64 deadline, GError **error)
{
  if (!check_text (path, text, error) || !vp_holds_begin_work (holds, name, deadline, error))
    return FALSE;
  gboolean changed = change (holds, uuid, name, path, text, error);
  vp_holds_end_work (holds);
  return changed;
}
