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
#include "daemon/hold/book-private.h"

static gboolean
read_value (const VpBook *book, VpHoldingKind kind, const char *key, char **value, GError **error)
{
  *value = NULL;
  if (kind == VP_HOLDING_FILE)
    return vp_root_read_text (book->root, key, value, error);
  if (book->access[kind].read != NULL)
    return book->access[kind].read (key, value, book->access[kind].data, error);
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "nothing here can read '%s' yet", key);
  return FALSE;
}

static gboolean
write_value (const VpBook *book, VpHoldingKind kind, const char *key, const char *value, GError **error)
{
  return kind == VP_HOLDING_FILE ? vp_root_write_text (book->root, key, value, NULL, error)
                                 : book->access[kind].write (key, value, book->access[kind].data, error);
}

void
vp_book_set_access (VpBook *book, VpHoldingKind kind, const VpBookAccess *access)
{
  book->access[kind] = *access;
}

/* As lists of CPUs they may differ in their text and be the same. */
static gboolean
is_same_value (const char *a, const char *b)
{
  if (strcmp (a, b) == 0)
    return TRUE;
  g_autoptr (VpBitmap) left = vp_list_parse (a);
  g_autoptr (VpBitmap) right = vp_list_parse (b);
  return left != NULL && right != NULL && hwloc_bitmap_isequal (left, right);
}

/*
 * The record of another guest that found what this one had left. One that left it as it was comes first: whoever
 * changed it found the same, but behind that one. With the mutex.
 */
static VpHoldingRecord *
find_heir (const VpBook *book, const VpHolding *holding, const VpHoldingRecord *record, const VpHolding **owner)
{
  VpHoldingRecord *heir = NULL;
  GHashTableIter iter;
  gpointer other = NULL;

  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &other)) {
    VpHoldingRecord *found = other != holding ? vp_holding_find_record (other, record->kind, record->key) : NULL;
    if (found == NULL || !is_same_value (found->before, record->after) ||
        (heir != NULL && !is_same_value (found->before, found->after)))
      continue;
    *owner = other;
    heir = found;
  }
  return heir;
}

static void
replace_text (char **text, const char *with)
{
  char *old = *text;

  *text = g_strdup (with);
  g_free (old);
}

/* What was there before us is what the other guest shall find back, when it ends. Its UUID; NULL: there is none. */
static char *
pass_to_heir (VpBook *book, const VpHolding *holding, const VpHoldingRecord *record)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  const VpHolding *owner = NULL;
  VpHoldingRecord *heir = find_heir (book, holding, record, &owner);

  if (heir == NULL)
    return NULL;
  replace_text (&heir->before, record->before);
  return g_strdup (owner->uuid);
}

/*
 * The daemon of that guest died amid the change. What is there now says whether it was made; one that was not changed
 * nothing. TRUE: it is known now.
 */
static gboolean
settle_record (VpBook *book, const char *uuid, VpHoldingKind kind, const char *key, const char *now)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  const VpHolding *holding = vp_book_find (book, uuid);
  VpHoldingRecord *record = holding != NULL ? vp_holding_find_record (holding, kind, key) : NULL;

  if (record == NULL || !record->pending)
    return FALSE;
  gboolean is_before = is_same_value (now, record->before);
  if (!is_before && !is_same_value (now, record->after))
    return FALSE;
  record->pending = FALSE;
  if (is_before)
    replace_text (&record->after, record->before);
  return TRUE;
}

/* Of all guests, before anybody concludes something from what is there. */
static void
settle_all (VpBook *book, VpHoldingKind kind, const char *key, const char *now)
{
  g_auto (GStrv) uuids = vp_book_list (book);

  for (guint i = 0; uuids[i] != NULL; i++)
    if (settle_record (book, uuids[i], kind, key, now))
      vp_book_save_or_warn (book, uuids[i]);
}

gboolean
vp_book_undo_change (VpBook *book, const VpHolding *holding, const VpHoldingRecord *record, GError **error)
{
  const char *slash = record->kind == VP_HOLDING_FILE ? "/" : "";
  g_autofree char *now = NULL;

  if (!read_value (book, record->kind, record->key, &now, error))
    return FALSE;
  if (now == NULL) {
    g_message ("domain '%s': %s%s is not there any more to get '%s' back", holding->name, slash, record->key,
               record->before);
    return TRUE;
  }
  settle_all (book, record->kind, record->key, now);
  g_autofree char *heir = pass_to_heir (book, holding, record);
  if (heir != NULL)
    vp_book_save_or_warn (book, heir);
  if (heir != NULL || is_same_value (now, record->before))
    return TRUE;
  if (is_same_value (now, record->after))
    return write_value (book, record->kind, record->key, record->before, error);
  g_message ("domain '%s': %s%s was '%s' before it, but somebody made it '%s' meanwhile: it stays", holding->name,
             slash, record->key, record->before, now);
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
static void
note_pending (VpBook *book, const char *uuid, const char *name, const VpHoldingRecord *wanted)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_ensure (book, uuid, name);
  VpHoldingRecord *record = vp_holding_find_record (holding, wanted->kind, wanted->key);

  if (record == NULL)
    record = vp_holding_add_record (holding, wanted->kind, wanted->key, wanted->before, wanted->after);
  else
    replace_text (&record->after, wanted->after);
  record->pending = TRUE;
}

/*
 * What is there after the change. One that the kernel refused leaves no record; one that made no difference
 * does, for the guest that was there before may go first.
 */
static void
note_done (VpBook *book, const char *uuid, const VpHoldingRecord *wanted, const char *now, gboolean written)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  const VpHolding *holding = vp_book_find (book, uuid);
  VpHoldingRecord *record = vp_holding_find_record (holding, wanted->kind, wanted->key);

  replace_text (&record->after, now);
  record->pending = FALSE;
  if (!written && strcmp (record->before, now) == 0)
    (void) g_ptr_array_remove (holding->records, record);
}

static gboolean
change (VpBook *book, const char *uuid, const char *name, VpHoldingKind kind, const char *key, const char *value,
        GError **error)
{
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;
  g_autoptr (GError) problem = NULL;

  if (!read_value (book, kind, key, &before, error))
    return FALSE;
  if (before == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read %s%s to change it to '%s'",
                 kind == VP_HOLDING_FILE ? "/" : "", key, value);
    return FALSE;
  }
  settle_all (book, kind, key, before);
  const VpHoldingRecord wanted = { .kind = kind, .key = (char *) key, .before = before, .after = (char *) value };
  if (!check_text (key, before, error))
    return FALSE;
  note_pending (book, uuid, name, &wanted);
  if (!vp_book_save (book, uuid, error)) {
    note_done (book, uuid, &wanted, before, FALSE); /* nothing was: what is there now has to be known as ours still */
    return FALSE;
  }
  gboolean written = write_value (book, kind, key, value, error);
  /* The kernel may say it in other words: those have to be there to be undone. */
  if (!read_value (book, kind, key, &after, &problem) || after == NULL || !g_utf8_validate (after, -1, NULL))
    replace_text (&after, written ? value : before);
  note_done (book, uuid, &wanted, after, written);
  return vp_book_save (book, uuid, written ? error : NULL) && written;
}

static gboolean
note_step (VpBook *book, const char *uuid, const char *name, const VpHoldingRecord *step, GError **error)
{
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
    VpHolding *holding = vp_book_ensure (book, uuid, name);
    if (vp_holding_find_record (holding, step->kind, step->key) == NULL)
      vp_holding_add_record (holding, step->kind, step->key, step->before, step->after);
  }
  return vp_book_save (book, uuid, error);
}

gboolean
vp_book_note_step (VpBook *book, const char *uuid, const char *name, const char *key, const char *before,
                   gint64 deadline, GError **error)
{
  const VpHoldingRecord step = {
    .kind = VP_HOLDING_HANDOVER, .key = (char *) key, .before = (char *) before, .after = (char *) ""
  };

  if (!check_text (key, key, error) || !vp_book_begin_work (book, name, deadline, error))
    return FALSE;
  gboolean noted = note_step (book, uuid, name, &step, error);
  vp_book_end_work (book);
  return noted;
}

gboolean
vp_book_change (VpBook *book, const char *uuid, const char *name, VpHoldingKind kind, const char *key,
                const char *value, gint64 deadline, GError **error)
{
  if (!check_text (key, value, error) || !vp_book_begin_work (book, name, deadline, error))
    return FALSE;
  gboolean changed = change (book, uuid, name, kind, key, value, error);
  vp_book_end_work (book);
  return changed;
}
