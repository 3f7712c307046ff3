/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of what guests hold: its locks, its file for each guest, and copies of what is in it. */
#include "daemon/hold/book-private.h"

#include <string.h>

#include "base/error.h"

gboolean
vp_book_begin_work (VpBook *book, const char *name, gint64 deadline, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  gboolean in_time = TRUE;

  while (book->working && in_time)
    in_time = g_cond_wait_until (&book->idle, &book->mutex, deadline);
  if (book->working) {
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "the host is still being made ready for domain '%s': start it again in a moment", book->working_for);
    return FALSE;
  }
  book->working = TRUE;
  book->working_for = g_strdup (name);
  return TRUE;
}

void
vp_book_end_work (VpBook *book)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);

  book->working = FALSE;
  g_clear_pointer (&book->working_for, g_free);
  g_cond_broadcast (&book->idle);
}

VpHolding *
vp_book_find (const VpBook *book, const char *uuid)
{
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);

  return holding != NULL && holding->state != VP_HOLDING_SEEN ? holding : NULL;
}

VpHolding *
vp_book_enter (VpBook *book, const char *uuid, const char *name)
{
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);

  if (holding == NULL) {
    holding = vp_holding_new (uuid, name);
    holding->state = VP_HOLDING_SEEN;
    g_hash_table_insert (book->table, holding->uuid, holding);
  }
  if (strcmp (holding->name, name) != 0) {
    g_free (holding->name);
    holding->name = g_strdup (name);
  }
  return holding;
}

/* A new start of one that still holds something goes on with it: those pages are free, and still its to give back. */
VpHolding *
vp_book_ensure (VpBook *book, const char *uuid, const char *name)
{
  VpHolding *holding = vp_book_enter (book, uuid, name);

  if (holding->state != VP_HOLDING_TAKING && holding->state != VP_HOLDING_STARTING) {
    holding->state = VP_HOLDING_STARTING;
    g_array_set_size (holding->uses, 0);
  }
  holding->unconfirmed = FALSE;
  holding->reported = FALSE;
  return holding;
}

void
vp_book_end_guest (VpHolding *holding)
{
  holding->state = VP_HOLDING_RELEASING;
  holding->unconfirmed = FALSE;
  holding->claimed = 0;
  g_clear_pointer (&holding->silent, g_free);
  g_array_set_size (holding->devices, 0);
  g_clear_pointer (&holding->cpus, hwloc_bitmap_free);
  g_clear_pointer (&holding->live_cpus, hwloc_bitmap_free);
  g_clear_pointer (&holding->live_devices, g_array_unref);
}

static char *
dup_text (VpBook *book, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  const VpHolding *holding = vp_book_find (book, uuid);

  return holding != NULL ? vp_holding_dup_text (holding) : NULL;
}

/* The text is taken with the lock of the writing, so that an older one never comes after a newer one. */
gboolean
vp_book_save (VpBook *book, const char *uuid, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->saving);
  g_autofree char *text = dup_text (book, uuid);

  return vp_journal_write (book->journal, uuid, text, error);
}

void
vp_book_save_or_warn (VpBook *book, const char *uuid)
{
  g_autoptr (GError) error = NULL;

  if (!vp_book_save (book, uuid, &error))
    g_warning ("%s; a daemon that takes over now would not know what changed", error->message);
}

GStrv
vp_book_list (VpBook *book)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (book->table), (GCompareFunc) g_strcmp0);
  g_autoptr (GStrvBuilder) uuids = g_strv_builder_new ();

  for (const GList *key = keys; key != NULL; key = key->next)
    if (vp_book_find (book, key->data) != NULL)
      g_strv_builder_add (uuids, key->data);
  return g_strv_builder_end (uuids);
}

VpHolding *
vp_book_dup (VpBook *book, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  const VpHolding *holding = vp_book_find (book, uuid);

  return holding != NULL ? vp_holding_copy (holding) : NULL;
}

char *
vp_book_dup_cpus (VpBook *book, const char *but_uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  g_autoptr (VpBitmap) all = hwloc_bitmap_alloc ();
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHolding *holding = value;
    if (holding->cpus != NULL && g_strcmp0 (holding->uuid, but_uuid) != 0)
      hwloc_bitmap_or (all, all, holding->cpus);
  }
  return vp_list_dup (all);
}
