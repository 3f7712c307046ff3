/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving back. A record stays in the journal until the kernel shows that it is
 * undone, so undoing may be tried as often as it takes, and by the next daemon.
 *
 * Pages: the pool gets smaller by what was allocated for the guest, but never than
 * the administrator's pages with those of the guests that are still there; and not
 * by pages that a guest which is starting was promised: those wait until it has them
 * in use. Then the kernel takes them as surplus, which goes when that guest ends.
 */
#include "base/error.h"
#include "daemon/hold/book-private.h"

static guint64
clamp_difference (guint64 more, guint64 less, guint64 most)
{
  return more > less ? MIN (more - less, most) : 0;
}

/*
 * Between the note and the write, or between the write and the next note, somebody died. The pool shows
 * which: as many pages as it moved from `from` towards `to` are what that write did.
 */
gboolean
vp_book_settle (VpBook *book, const VpHolding *holding, VpHoldingRecord *record, GError **error)
{
  VpHoldingPages *pages = &record->pages;
  VpKernelPages now;

  if (!record->pending)
    return TRUE;
  if (!vp_kernel_pages_read (book->root, pages->node, pages->page_kib, &now, error))
    return FALSE;
  g_mutex_lock (&book->mutex);
  if (pages->to > pages->from)
    pages->count += clamp_difference (now.persistent, pages->from, pages->to - pages->from);
  else
    pages->count -= MIN (pages->count, clamp_difference (pages->from, now.persistent, pages->from - pages->to));
  record->pending = FALSE;
  g_mutex_unlock (&book->mutex);
  vp_book_save_or_warn (book, holding->uuid);
  return TRUE;
}

/* How much smaller the pool may get now; *count is cut to what is the guest's to give at all. */
static guint64
count_spare (VpBook *book, const VpHolding *holding, const VpKernelPages *now, const VpHoldingPages *pages,
             guint64 *count)
{
  VpPoolClaims others = vp_book_sum_pool (book, now->node, now->page_kib, holding);
  guint64 taken = now->reserved + others.promised;
  guint64 least = pages->base + others.held;

  *count = clamp_difference (now->persistent, least, pages->count);
  return others.promised == 0 ? *count : clamp_difference (now->free, taken, *count);
}

static gboolean
shrink_pool (VpBook *book, const VpHolding *holding, VpHoldingRecord *record, const VpKernelPages *now, guint64 by,
             GError **error)
{
  g_mutex_lock (&book->mutex);
  record->pages.from = now->persistent;
  record->pages.to = now->persistent - by;
  record->pending = TRUE;
  g_mutex_unlock (&book->mutex);
  /* A journal that cannot be written does not keep the pages: `base` guards the pool when they are given twice. */
  vp_book_save_or_warn (book, holding->uuid);
  gboolean written = vp_kernel_pages_write (book->root, now->node, now->page_kib, record->pages.to, NULL, error);
  return vp_book_settle (book, holding, record, written ? error : NULL) && written;
}

static void
report_in_use (const VpHolding *holding, const VpKernelPages *before, const VpKernelPages *after)
{
  g_autofree char *size = vp_hugepages_dup_size (after->page_kib);
  g_autofree char *place = vp_hugepages_dup_place (after->node);

  if (after->surplus > before->surplus)
    g_message ("domain '%s': %" G_GUINT64_FORMAT " of its hugepages of %s on %s are still in use; the kernel frees "
               "them as they are let go", holding->name, after->surplus - before->surplus, size, place);
}

/* TRUE: nothing of it is left. */
static gboolean
undo_pages (VpBook *book, const VpHolding *holding, VpHoldingRecord *record, GError **error)
{
  g_autofree char *size = vp_hugepages_dup_size (record->pages.page_kib);
  g_autofree char *place = vp_hugepages_dup_place (record->pages.node);
  guint64 count = 0;
  VpKernelPages now;
  VpKernelPages after;

  if (!vp_book_settle (book, holding, record, error) ||
      !vp_kernel_pages_read (book->root, record->pages.node, record->pages.page_kib, &now, error))
    return FALSE;
  guint64 spare = count_spare (book, holding, &now, &record->pages, &count);
  if (count < record->pages.count)
    g_message ("domain '%s': the pool of %s pages on %s was made smaller by somebody else: %" G_GUINT64_FORMAT
               " of the %" G_GUINT64_FORMAT " pages allocated for it are there to give back",
               holding->name, size, place, count, record->pages.count);
  g_mutex_lock (&book->mutex);
  record->pages.count = count;
  g_mutex_unlock (&book->mutex);
  if (spare > 0 && !shrink_pool (book, holding, record, &now, spare, error))
    return FALSE;
  if (vp_kernel_pages_read (book->root, now.node, now.page_kib, &after, NULL))
    report_in_use (holding, &now, &after);
  if (record->pages.count == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST,
               "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " hugepages of %s on %s are not given back yet: %s",
               record->pages.count, count, size, place,
               spare < count ? "a guest that is starting was promised them" : "the kernel keeps them");
  return FALSE;
}

static gboolean
undo_record (VpBook *book, const VpHolding *holding, VpHoldingRecord *record, GError **error)
{
  return record->kind == VP_HOLDING_PAGES ? undo_pages (book, holding, record, error)
                                       : vp_book_undo_change (book, holding, record, error);
}

/* One that was started anew meanwhile, past the hook, stays, and is known to be so. */
static gboolean
remove_guest (VpBook *book, VpHolding *holding)
{
  g_autofree char *uuid = g_strdup (holding->uuid);

  g_mutex_lock (&book->mutex);
  if (holding->silent != NULL)
    holding->state = VP_HOLDING_RUNNING;
  else
    g_hash_table_remove (book->table, uuid);
  g_mutex_unlock (&book->mutex);
  vp_book_save_or_warn (book, uuid);
  return TRUE;
}

/* Last done, first undone. */
gboolean
vp_book_undo_all (VpBook *book, VpHolding *holding)
{
  g_mutex_lock (&book->mutex);
  g_array_set_size (holding->uses, 0);
  g_mutex_unlock (&book->mutex);
  for (guint i = holding->records->len; i > 0; i--) {
    g_autoptr (GError) error = NULL;
    if (!undo_record (book, holding, holding->records->pdata[i - 1], &error)) {
      if (!holding->reported)
        g_warning ("domain '%s': %s; it is tried again", holding->name, error->message);
      continue;
    }
    g_mutex_lock (&book->mutex);
    g_ptr_array_remove_index (holding->records, i - 1);
    g_mutex_unlock (&book->mutex);
  }
  if (holding->records->len == 0)
    return remove_guest (book, holding);
  holding->reported = TRUE;
  vp_book_save_or_warn (book, holding->uuid);
  return FALSE;
}
