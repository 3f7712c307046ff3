/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is heard of the runs of a guest: of its hook, and of libvirt. */
#include "daemon/hold/book-private.h"

#define RECONCILE_WAIT G_TIME_SPAN_SECOND

/* TRUE: its file is to be written. */
static gboolean
set_started (VpBook *book, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_find (book, uuid);

  if (holding == NULL)
    return FALSE;
  holding->unconfirmed = FALSE;
  if (holding->state != VP_HOLDING_STARTING && holding->state != VP_HOLDING_TAKING)
    return FALSE;
  holding->state = VP_HOLDING_RUNNING;
  return TRUE;
}

void
vp_book_started (VpBook *book, const char *uuid)
{
  if (set_started (book, uuid))
    vp_book_save_or_warn (book, uuid);
}

void
vp_book_note_called (VpBook *book, const char *uuid, const char *name, int run)
{
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
    VpHolding *holding = vp_book_ensure (book, uuid, name);
    holding->run = run;
    g_clear_pointer (&holding->silent, g_free);
  }
  vp_book_save_or_warn (book, uuid);
}

/* What an earlier run left is still there to give back, now when this one ends. */
static gboolean
set_silent (VpBook *book, const char *uuid, const char *name, int run, const char *why)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_find (book, uuid);

  if (holding != NULL && (holding->run == run || holding->run == 0))
    return FALSE;
  if (holding == NULL) {
    holding = vp_book_ensure (book, uuid, name);
    holding->state = VP_HOLDING_RUNNING;
  }
  holding->run = run;
  holding->unconfirmed = FALSE;
  g_free (holding->silent);
  holding->silent = g_strdup (why);
  return TRUE;
}

gboolean
vp_book_note_silent (VpBook *book, const char *uuid, const char *name, int run, const char *why)
{
  gboolean noted = set_silent (book, uuid, name, run, why);

  if (noted)
    vp_book_save_or_warn (book, uuid);
  return noted;
}

void
vp_book_begin_reconcile (VpBook *book)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    VpHolding *holding = value;
    holding->unconfirmed = holding->state != VP_HOLDING_TAKING; /* that one is being heard of right now */
  }
}

/* TRUE: it has to be released. */
static gboolean
confirm (VpBook *book, const char *uuid, gboolean runs, gboolean *adopted)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_find (book, uuid);

  if (holding == NULL || !holding->unconfirmed)
    return FALSE;
  *adopted = runs && holding->state != VP_HOLDING_RUNNING;
  if (runs)
    holding->state = VP_HOLDING_RUNNING;
  holding->unconfirmed = FALSE;
  return !runs;
}

void
vp_book_reconcile (VpBook *book, const char *const *running)
{
  g_auto (GStrv) uuids = vp_book_list (book);

  for (guint i = 0; uuids[i] != NULL; i++) {
    gboolean adopted = FALSE;
    if (confirm (book, uuids[i], g_strv_contains (running, uuids[i]), &adopted)) {
      g_message ("domain %s runs no more: what it held is given back", uuids[i]);
      (void) vp_book_give_back (book, uuids[i], g_get_monotonic_time () + RECONCILE_WAIT);
    }
    if (adopted)
      vp_book_save_or_warn (book, uuids[i]);
  }
}
