/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of what guests hold: its locks, its journal, and what needs no kernel. */
#include "daemon/hold/book-private.h"

#include <string.h>

#include "base/error.h"

#define RECONCILE_WAIT G_TIME_SPAN_SECOND

gboolean
vp_book_begin_work (VpBook *book, const char *name, gint64 deadline, GError **error)
{
  gboolean in_time = TRUE;

  g_mutex_lock (&book->mutex);
  while (book->working && in_time)
    in_time = g_cond_wait_until (&book->idle, &book->mutex, deadline);
  gboolean begun = !book->working;
  if (begun) {
    book->working = TRUE;
    book->working_for = g_strdup (name);
  } else {
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "the host is still being made ready for domain '%s': start it again in a moment", book->working_for);
  }
  g_mutex_unlock (&book->mutex);
  return begun;
}

void
vp_book_end_work (VpBook *book)
{
  g_mutex_lock (&book->mutex);
  book->working = FALSE;
  g_clear_pointer (&book->working_for, g_free);
  g_cond_broadcast (&book->idle);
  g_mutex_unlock (&book->mutex);
}

/* A new start of one that still holds something goes on with it: those pages are free, and still its to give back. */
VpHolding *
vp_book_ensure (VpBook *book, const char *uuid, const char *name)
{
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);

  if (holding == NULL) {
    holding = vp_holding_new (uuid, name);
    holding->state = VP_HOLDING_STARTING;
    g_hash_table_insert (book->table, holding->uuid, holding);
  }
  if (strcmp (holding->name, name) != 0) {
    g_free (holding->name);
    holding->name = g_strdup (name);
  }
  if (holding->state == VP_HOLDING_RUNNING || holding->state == VP_HOLDING_RELEASING) {
    holding->state = VP_HOLDING_STARTING;
    g_array_set_size (holding->uses, 0);
  }
  holding->unconfirmed = FALSE;
  holding->reported = FALSE;
  return holding;
}

gboolean
vp_book_save (VpBook *book, const char *uuid, GError **error)
{
  /* The text is taken with the journal's lock, so that an older one never comes after a newer one. */
  g_mutex_lock (&book->saving);
  g_mutex_lock (&book->mutex);
  const VpHolding *holding = g_hash_table_lookup (book->table, uuid);
  g_autofree char *text = holding != NULL ? vp_holding_dup_text (holding) : NULL;
  g_mutex_unlock (&book->mutex);
  gboolean saved = vp_journal_write (book->journal, uuid, text, error);
  g_mutex_unlock (&book->saving);
  return saved;
}

void
vp_book_save_or_warn (VpBook *book, const char *uuid)
{
  g_autoptr (GError) error = NULL;

  if (!vp_book_save (book, uuid, &error))
    g_warning ("%s; a daemon that takes over now would not know what changed", error->message);
}

VpPoolClaims
vp_book_sum_pool (VpBook *book, int node, guint64 page_kib, const VpHolding *but)
{
  VpPoolClaims claims = { 0, 0 };
  GHashTableIter iter;
  gpointer value = NULL;

  g_mutex_lock (&book->mutex);
  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHolding *holding = value;
    const VpHoldingRecord *record = holding != but ? vp_holding_find_pages (holding, node, page_kib) : NULL;
    gboolean is_starting = holding->state == VP_HOLDING_TAKING || holding->state == VP_HOLDING_STARTING;
    claims.held += record != NULL ? record->pages.count : 0;
    for (guint i = 0; holding != but && is_starting && i < holding->uses->len; i++) {
      const VpHoldingUse *use = &g_array_index (holding->uses, VpHoldingUse, i);
      if (use->node == node && use->page_kib == page_kib)
        claims.promised += use->pages;
    }
  }
  g_mutex_unlock (&book->mutex);
  return claims;
}

static void
load_file (VpBook *book, const char *uuid)
{
  g_autoptr (GError) error = NULL;
  VpHolding *holding = vp_journal_read (book->journal, uuid, &error);

  if (holding == NULL) {
    g_autofree char *aside = vp_journal_set_aside (book->journal, uuid);
    g_warning ("the journal of a guest is damaged, so what it held is not known: %s; %s%s; compare nr_hugepages, the "
               "CPU governor and the interrupts' CPUs with what they should be",
               error->message, aside != NULL ? "it was set aside as " : "it could not be set aside",
               aside != NULL ? aside : "");
    return;
  }
  if (holding->state == VP_HOLDING_TAKING)
    holding->state = VP_HOLDING_STARTING; /* whoever took is gone; libvirt will say whether it runs */
  holding->unconfirmed = TRUE;
  g_hash_table_insert (book->table, holding->uuid, holding);
}

/* What the last daemon died in: nobody else changes anything yet, so what the kernel shows is what it did. */
static void
settle_all (VpBook *book)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHolding *holding = value;
    for (guint i = 0; i < holding->records->len; i++) {
      VpHoldingRecord *record = holding->records->pdata[i];
      g_autoptr (GError) error = NULL;
      if (record->kind != VP_HOLDING_PAGES || !record->pending)
        continue;
      if (!vp_book_settle (book, holding, record, &error))
        g_warning ("domain '%s': %s", holding->name, error->message);
    }
  }
}

VpBook *
vp_book_new (const VpRoot *root, const char *run_folder, GError **error)
{
  g_autoptr (VpJournal) journal = vp_journal_new (root, run_folder);

  if (!vp_journal_open (journal, error))
    return NULL;
  VpBook *book = g_new0 (VpBook, 1);
  book->root = root;
  g_mutex_init (&book->saving);
  g_mutex_init (&book->mutex);
  g_cond_init (&book->idle);
  book->table = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) vp_holding_free);
  g_auto (GStrv) uuids = vp_journal_list (journal);
  book->journal = g_steal_pointer (&journal);
  for (guint i = 0; uuids[i] != NULL; i++)
    load_file (book, uuids[i]);
  settle_all (book);
  return book;
}

void
vp_book_free (VpBook *book)
{
  if (book == NULL)
    return;
  g_hash_table_unref (book->table);
  g_free (book->working_for);
  vp_journal_free (book->journal);
  g_cond_clear (&book->idle);
  g_mutex_clear (&book->mutex);
  g_mutex_clear (&book->saving);
  g_free (book);
}

void
vp_book_started (VpBook *book, const char *uuid)
{
  gboolean changed = FALSE;

  g_mutex_lock (&book->mutex);
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);
  if (holding != NULL) {
    changed = holding->state == VP_HOLDING_STARTING || holding->state == VP_HOLDING_TAKING;
    holding->state = changed ? VP_HOLDING_RUNNING : holding->state;
    holding->unconfirmed = FALSE;
  }
  g_mutex_unlock (&book->mutex);
  if (changed)
    vp_book_save_or_warn (book, uuid);
}

/* It ended: nothing is promised to it any more, and others may have its devices and CPUs. */
static gboolean
begin_release (VpBook *book, const char *uuid)
{
  g_mutex_lock (&book->mutex);
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);
  if (holding != NULL) {
    holding->state = VP_HOLDING_RELEASING;
    holding->unconfirmed = FALSE;
    g_clear_pointer (&holding->silent, g_free);
    g_ptr_array_set_size (holding->devices, 0);
    g_clear_pointer (&holding->cpus, g_free);
  }
  g_mutex_unlock (&book->mutex);
  if (holding != NULL)
    vp_book_save_or_warn (book, uuid);
  return holding != NULL;
}

static VpHolding *
lookup_releasing (VpBook *book, const char *uuid)
{
  g_mutex_lock (&book->mutex);
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);
  if (holding != NULL && holding->state != VP_HOLDING_RELEASING)
    holding = NULL;
  g_mutex_unlock (&book->mutex);
  return holding;
}

gboolean
vp_book_release (VpBook *book, const char *uuid, gint64 deadline)
{
  g_autoptr (GError) error = NULL;

  if (!begin_release (book, uuid))
    return TRUE;
  if (!vp_book_begin_work (book, uuid, deadline, &error)) {
    g_message ("domain %s: what it held is given back later: %s", uuid, error->message);
    return FALSE;
  }
  VpHolding *holding = lookup_releasing (book, uuid);
  gboolean done = holding == NULL || vp_book_undo_all (book, holding);
  vp_book_end_work (book);
  return done;
}

gboolean
vp_book_undo_releasing (VpBook *book, const VpHolding *but)
{
  g_auto (GStrv) uuids = vp_book_list (book);
  gboolean all = TRUE;

  for (guint i = 0; uuids[i] != NULL; i++) {
    VpHolding *holding = lookup_releasing (book, uuids[i]);
    if (holding != NULL && holding != but && !vp_book_undo_all (book, holding))
      all = FALSE;
  }
  return all;
}

gboolean
vp_book_retry (VpBook *book)
{
  if (!vp_book_begin_work (book, "another guest", 0, NULL))
    return TRUE;
  gboolean all = vp_book_undo_releasing (book, NULL);
  vp_book_end_work (book);
  return !all;
}

void
vp_book_begin_reconcile (VpBook *book)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_mutex_lock (&book->mutex);
  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    VpHolding *holding = value;
    holding->unconfirmed = holding->state != VP_HOLDING_TAKING; /* that one is being heard of right now */
  }
  g_mutex_unlock (&book->mutex);
}

/* TRUE: it has to be released. */
static gboolean
confirm (VpBook *book, const char *uuid, gboolean runs, gboolean *adopted)
{
  gboolean gone = FALSE;

  g_mutex_lock (&book->mutex);
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);
  if (holding != NULL && holding->unconfirmed) {
    gone = !runs;
    *adopted = runs && holding->state != VP_HOLDING_RUNNING;
    if (runs)
      holding->state = VP_HOLDING_RUNNING;
    holding->unconfirmed = FALSE;
  }
  g_mutex_unlock (&book->mutex);
  return gone;
}

void
vp_book_reconcile (VpBook *book, const char *const *running)
{
  g_auto (GStrv) uuids = vp_book_list (book);

  for (guint i = 0; uuids[i] != NULL; i++) {
    gboolean adopted = FALSE;
    if (confirm (book, uuids[i], g_strv_contains (running, uuids[i]), &adopted)) {
      g_message ("domain %s runs no more: what it held is given back", uuids[i]);
      (void) vp_book_release (book, uuids[i], g_get_monotonic_time () + RECONCILE_WAIT);
    }
    if (adopted)
      vp_book_save_or_warn (book, uuids[i]);
  }
}
