/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is changed for a guest while it runs and is no pool of pages: attributes of
 * the kernel's, and other things that are read and written as text. Each change is
 * in the journal before it is made, and what came of it afterwards.
 *
 * Guests that change the same thing make a chain: each found what the one before it
 * had left. Who goes from the middle of it hands what it found to the next.
 */
#include <string.h>

#include "base/error.h"
#include "daemon/hold/holds-private.h"

static gboolean
read_value (const VpHolds *holds, VpHoldKind kind, const char *key, char **value, GError **error)
{
  *value = NULL;
  if (kind == VP_HOLD_FILE) {
    *value = vp_root_dup_text (holds->root, key);
    return TRUE;
  }
  if (holds->access[kind].read != NULL)
    return holds->access[kind].read (key, value, holds->access[kind].data, error);
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "nothing here can read '%s' yet", key);
  return FALSE;
}

static gboolean
write_value (const VpHolds *holds, VpHoldKind kind, const char *key, const char *value, GError **error)
{
  return kind == VP_HOLD_FILE ? vp_root_write_text (holds->root, key, value, NULL, error)
                              : holds->access[kind].write (key, value, holds->access[kind].data, error);
}

void
vp_holds_set_access (VpHolds *holds, VpHoldKind kind, const VpHoldAccess *access)
{
  holds->access[kind] = *access;
}

/* As lists of CPUs they may differ in their text and be the same. */
static gboolean
is_same_value (const char *a, const char *b)
{
  if (strcmp (a, b) == 0)
    return TRUE;
  hwloc_bitmap_t left = vp_list_parse (a);
  hwloc_bitmap_t right = vp_list_parse (b);
  gboolean is_same = left != NULL && right != NULL && hwloc_bitmap_isequal (left, right);
  hwloc_bitmap_free (left);
  hwloc_bitmap_free (right);
  return is_same;
}

/*
 * The record of another guest that found what this one had left. One that left it as it was comes first: whoever
 * changed it found the same, but behind that one. With the mutex.
 */
static VpHoldRecord *
find_heir (const VpHolds *holds, const VpHold *hold, const VpHoldRecord *record, const VpHold **owner)
{
  VpHoldRecord *heir = NULL;
  GHashTableIter iter;
  gpointer other = NULL;

  g_hash_table_iter_init (&iter, holds->table);
  while (g_hash_table_iter_next (&iter, NULL, &other)) {
    VpHoldRecord *found = other != hold ? vp_hold_find_record (other, record->kind, record->key) : NULL;
    if (found == NULL || !is_same_value (found->before, record->after) ||
        (heir != NULL && !is_same_value (found->before, found->after)))
      continue;
    *owner = other;
    heir = found;
  }
  return heir;
}

/* What was there before us is what the other guest shall find back, when it ends. */
static gboolean
pass_to_heir (VpHolds *holds, const VpHold *hold, const VpHoldRecord *record)
{
  const VpHold *owner = NULL;

  g_mutex_lock (&holds->mutex);
  VpHoldRecord *heir = find_heir (holds, hold, record, &owner);
  if (heir != NULL) {
    g_free (heir->before);
    heir->before = g_strdup (record->before);
  }
  g_mutex_unlock (&holds->mutex);
  if (heir != NULL)
    vp_holds_save_or_warn (holds, owner->uuid);
  return heir != NULL;
}

static void
replace_text (char **text, const char *with)
{
  char *old = *text;

  *text = g_strdup (with);
  g_free (old);
}

/* Its daemon died amid the change. What is there now says whether it was made; one that was not changed nothing. */
static gboolean
settle_record (VpHolds *holds, VpHoldRecord *record, const char *now)
{
  gboolean is_before = is_same_value (now, record->before);

  if (!record->pending || (!is_before && !is_same_value (now, record->after)))
    return FALSE;
  g_mutex_lock (&holds->mutex);
  record->pending = FALSE;
  if (is_before)
    replace_text (&record->after, record->before);
  g_mutex_unlock (&holds->mutex);
  return TRUE;
}

/* Of all guests, before anybody concludes something from what is there. */
static void
settle_all (VpHolds *holds, VpHoldKind kind, const char *key, const char *now)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, holds->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHold *hold = value;
    VpHoldRecord *record = vp_hold_find_record (hold, kind, key);
    if (record != NULL && settle_record (holds, record, now))
      vp_holds_save_or_warn (holds, hold->uuid);
  }
}

gboolean
vp_holds_undo_change (VpHolds *holds, const VpHold *hold, const VpHoldRecord *record, GError **error)
{
  const char *slash = record->kind == VP_HOLD_FILE ? "/" : "";
  g_autofree char *now = NULL;

  if (!read_value (holds, record->kind, record->key, &now, error))
    return FALSE;
  if (now == NULL) {
    g_message ("domain '%s': %s%s is not there any more to get '%s' back", hold->name, slash, record->key,
               record->before);
    return TRUE;
  }
  settle_all (holds, record->kind, record->key, now);
  if (pass_to_heir (holds, hold, record) || is_same_value (now, record->before))
    return TRUE;
  if (is_same_value (now, record->after))
    return write_value (holds, record->kind, record->key, record->before, error);
  g_message ("domain '%s': %s%s was '%s' before it, but somebody made it '%s' meanwhile: it stays", hold->name, slash,
             record->key, record->before, now);
  return TRUE;
}

static gboolean
check_text (const char *key, const char *text, GError **error)
{
  if (g_utf8_validate (text, -1, NULL))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "%s holds something that is no text: it is left alone", key);
  return FALSE;
}

/* A second change of the same thing keeps what was there before the first. */
static gboolean
note_pending (VpHolds *holds, const char *uuid, const char *name, const VpHoldRecord *wanted, GError **error)
{
  g_mutex_lock (&holds->mutex);
  VpHold *hold = vp_holds_ensure (holds, uuid, name);
  VpHoldRecord *record = vp_hold_find_record (hold, wanted->kind, wanted->key);
  if (record == NULL)
    record = vp_hold_add_record (hold, wanted->kind, wanted->key, wanted->before, wanted->after);
  else
    replace_text (&record->after, wanted->after);
  record->pending = TRUE;
  g_mutex_unlock (&holds->mutex);
  return vp_holds_save (holds, uuid, error);
}

/*
 * What is there after the change. One that the kernel refused leaves no record; one that made no difference
 * does, for the guest that was there before may go first.
 */
static gboolean
note_done (VpHolds *holds, const char *uuid, const VpHoldRecord *wanted, const char *now, gboolean written,
           GError **error)
{
  g_mutex_lock (&holds->mutex);
  const VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  VpHoldRecord *record = vp_hold_find_record (hold, wanted->kind, wanted->key);
  replace_text (&record->after, now);
  record->pending = FALSE;
  if (!written && strcmp (record->before, now) == 0)
    (void) g_ptr_array_remove (hold->records, record);
  g_mutex_unlock (&holds->mutex);
  return vp_holds_save (holds, uuid, error);
}

static gboolean
change (VpHolds *holds, const char *uuid, const char *name, VpHoldKind kind, const char *key, const char *value,
        GError **error)
{
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;
  g_autoptr (GError) problem = NULL;

  if (!read_value (holds, kind, key, &before, error))
    return FALSE;
  if (before == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read %s%s to change it to '%s'",
                 kind == VP_HOLD_FILE ? "/" : "", key, value);
    return FALSE;
  }
  settle_all (holds, kind, key, before);
  const VpHoldRecord wanted = { .kind = kind, .key = (char *) key, .before = before, .after = (char *) value };
  if (!check_text (key, before, error) || !note_pending (holds, uuid, name, &wanted, error))
    return FALSE;
  gboolean written = write_value (holds, kind, key, value, error);
  /* The kernel may say it in other words: those have to be there to be undone. */
  if (!read_value (holds, kind, key, &after, &problem) || after == NULL || !g_utf8_validate (after, -1, NULL))
    replace_text (&after, written ? value : before);
  return note_done (holds, uuid, &wanted, after, written, written ? error : NULL) && written;
}

gboolean
vp_holds_change (VpHolds *holds, const char *uuid, const char *name, VpHoldKind kind, const char *key,
                 const char *value, gint64 deadline, GError **error)
{
  if (!check_text (key, value, error) || !vp_holds_begin_work (holds, name, deadline, error))
    return FALSE;
  gboolean changed = change (holds, uuid, name, kind, key, value, error);
  vp_holds_end_work (holds);
  return changed;
}
