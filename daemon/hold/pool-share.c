/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose the pages of the kernel's pools are. */
#include "daemon/hold/book-private.h"

VpPoolClaims
vp_book_sum_pool (VpBook *book, int node, guint64 page_kib, const VpHolding *but)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpPoolClaims claims = { 0, 0 };
  GHashTableIter iter;
  gpointer value = NULL;

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
  return claims;
}

/*
 * Between the note and the write, or between the write and the next note, somebody died. The pool shows
 * which: as many pages as it moved from `from` towards `to` are what that write did.
 */
static void
count_settled (VpBook *book, VpHoldingRecord *record, guint64 persistent)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHoldingPages *pages = &record->pages;
  guint64 reached = CLAMP (persistent, MIN (pages->from, pages->to), MAX (pages->from, pages->to));

  if (reached > pages->from)
    pages->count += reached - pages->from;
  else
    pages->count -= MIN (pages->count, pages->from - reached);
  record->pending = FALSE;
}

gboolean
vp_book_settle_pages (VpBook *book, const VpHolding *holding, VpHoldingRecord *record, GError **error)
{
  VpKernelPages now;

  if (!record->pending)
    return TRUE;
  if (!vp_kernel_pages_read (book->root, record->pages.node, record->pages.page_kib, &now, error))
    return FALSE;
  count_settled (book, record, now.persistent);
  vp_book_save_or_warn (book, holding->uuid);
  return TRUE;
}
