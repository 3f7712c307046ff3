/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the last daemon left in the journal. Nobody else has the book yet: no locks. */
#include "base/error.h"
#include "daemon/hold/book-private.h"

static void
set_aside (const VpBook *book, const char *uuid, const GError *error)
{
  g_autofree char *aside = vp_journal_set_aside (book->journal, uuid);

  g_warning ("the journal of a guest is damaged, so what it held is not known: %s; %s%s; compare nr_hugepages, the "
             "CPU governor and the interrupts' CPUs with what they should be",
             error->message, aside != NULL ? "it was set aside as " : "it could not be set aside",
             aside != NULL ? aside : "");
}

/* FALSE: it cannot be read now, and may be as good as ever: whoever goes on without it gives nothing of it back. */
static gboolean
load_file (VpBook *book, const char *uuid, GError **error)
{
  g_autoptr (GError) problem = NULL;
  VpHolding *holding = vp_journal_read (book->journal, uuid, &problem);

  if (holding == NULL && g_error_matches (problem, VP_ERROR, VP_ERROR_HOST)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (holding == NULL) {
    set_aside (book, uuid, problem);
    return TRUE;
  }
  if (holding->state == VP_HOLDING_TAKING)
    holding->state = VP_HOLDING_STARTING; /* whoever took is gone; libvirt will say whether it runs */
  holding->unconfirmed = TRUE;
  holding->claimed = holding->cpus != NULL ? VP_BOOK_CLAIMED_BEFORE : 0;
  g_hash_table_insert (book->table, holding->uuid, holding);
  return TRUE;
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
      if (!vp_book_settle_pages (book, holding, record, &error))
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
  g_auto (GStrv) uuids = vp_journal_list (journal, error);
  if (uuids == NULL)
    return NULL;
  g_autoptr (VpBook) book = g_new0 (VpBook, 1);
  book->root = root;
  g_mutex_init (&book->saving);
  g_mutex_init (&book->mutex);
  g_cond_init (&book->idle);
  book->table = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) vp_holding_free);
  book->released = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  book->journal = g_steal_pointer (&journal);
  for (guint i = 0; uuids[i] != NULL; i++)
    if (!load_file (book, uuids[i], error))
      return NULL;
  settle_all (book);
  return g_steal_pointer (&book);
}

void
vp_book_free (VpBook *book)
{
  if (book == NULL)
    return;
  g_hash_table_unref (book->table);
  g_hash_table_unref (book->released);
  g_free (book->working_for);
  vp_journal_free (book->journal);
  g_cond_clear (&book->idle);
  g_mutex_clear (&book->mutex);
  g_mutex_clear (&book->saving);
  g_free (book);
}
