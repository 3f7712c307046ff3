/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose the pages of the kernel's pools are. */
#include "daemon/hold/book-private.h"
#include "host/page-pools.h"

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

static guint64
sum_held_kib (const VpBook *book)
{
  GHashTableIter iter;
  gpointer value = NULL;
  guint64 kib = 0;

  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHolding *holding = value;
    for (guint i = 0; i < holding->records->len; i++) {
      const VpHoldingRecord *record = holding->records->pdata[i];
      kib += record->kind == VP_HOLDING_PAGES ? record->pages.count * record->pages.page_kib : 0;
    }
  }
  return kib;
}

/* Of what guests hold the share stays as it was before them; the host's own pools were never there to be had. */
VpRoom
vp_book_read_room (VpBook *book)
{
  guint64 total = vp_meminfo_read_kib (book->root, -1, "MemTotal");
  guint64 available = vp_meminfo_read_kib (book->root, -1, "MemAvailable");
  guint64 hugepages = vp_meminfo_read_kib (book->root, -1, "Hugetlb");
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  guint64 own_pools = hugepages - MIN (hugepages, sum_held_kib (book));
  guint64 all = total - MIN (total, own_pools);

  if (total == 0)
    return (VpRoom){ book->keep, 0, 0 };
  return (VpRoom){ book->keep, available, book->keep.kib + all / 100 * book->keep.percent };
}

void
vp_book_set_keep (VpBook *book, VpMemoryKeep keep)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);

  book->keep = keep;
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
