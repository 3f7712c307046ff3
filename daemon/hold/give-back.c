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
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
    record->pages.from = now->persistent;
    record->pages.to = now->persistent - by;
    record->pending = TRUE;
  }
  /* A journal that cannot be written does not keep the pages: `base` guards the pool when they are given twice. */
  vp_book_save_or_warn (book, holding->uuid);
  gboolean written = vp_kernel_pages_write (book->root, now->node, now->page_kib, record->pages.to, NULL, error);
  return vp_book_settle_pages (book, holding, record, written ? error : NULL) && written;
}

static void
report_in_use (const VpHolding *holding, const VpKernelPages *before, const VpKernelPages *after)
{
  g_autofree char *size = vp_hugepages_dup_size (after->page_kib);
  g_autofree char *place = vp_hugepages_dup_place (after->node);

  if (after->surplus > before->surplus)
    g_message ("domain '%s': %" G_GUINT64_FORMAT " of its hugepages of %s on %s are still in use; the kernel frees "
               "them as they are let go",
               holding->name, after->surplus - before->surplus, size, place);
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

  if (!vp_book_settle_pages (book, holding, record, error) ||
      !vp_kernel_pages_read (book->root, record->pages.node, record->pages.page_kib, &now, error))
    return FALSE;
  guint64 spare = count_spare (book, holding, &now, &record->pages, &count);
  if (count < record->pages.count)
    g_message ("domain '%s': the pool of %s pages on %s was made smaller by somebody else: %" G_GUINT64_FORMAT
               " of the %" G_GUINT64_FORMAT " pages allocated for it are there to give back",
               holding->name, size, place, count, record->pages.count);
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
    record->pages.count = count;
  }
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

/*
 * One that was admitted anew meanwhile has its place; one that was started anew past the hook stays, and is known to
 * be so; one that libvirt lists, though nothing was taken for it, is known to run. With the mutex.
 */
static void
remove_guest (VpBook *book, VpHolding *holding)
{
  if (holding->state != VP_HOLDING_RELEASING)
    return;
  if (holding->silent == NULL && holding->live_cpus == NULL)
    g_hash_table_remove (book->table, holding->uuid);
  else
    holding->state = holding->silent != NULL ? VP_HOLDING_RUNNING : VP_HOLDING_SEEN;
}

static void
drop_record (VpBook *book, VpHolding *holding, guint i)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);

  g_ptr_array_remove_index (holding->records, i);
}

/* TRUE: nothing of it is left but steps of a handover, which are undone elsewhere. */
static gboolean
end_undo (VpBook *book, VpHolding *holding)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  gboolean done = TRUE;

  for (guint i = 0; i < holding->records->len; i++)
    done = done && ((const VpHoldingRecord *) holding->records->pdata[i])->kind == VP_HOLDING_HANDOVER;
  g_array_set_size (holding->uses, 0);
  holding->reported = !done;
  if (holding->records->len == 0)
    remove_guest (book, holding);
  return done;
}

/* Its file stays where it cannot be written or removed now, and would tell the next daemon of what is given back. */
static gboolean
save_undone (VpBook *book, const char *uuid, const char *name, gboolean reported)
{
  g_autoptr (GError) error = NULL;

  if (vp_book_save (book, uuid, &error))
    return TRUE;
  if (!reported)
    g_warning ("%s; it is tried again", error->message);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_enter (book, uuid, name);
  if (holding->state == VP_HOLDING_SEEN)
    holding->state = VP_HOLDING_RELEASING;
  holding->reported = TRUE;
  return FALSE;
}

/* Last done, first undone. */
gboolean
vp_book_undo_all (VpBook *book, VpHolding *holding)
{
  g_autofree char *uuid = g_strdup (holding->uuid);
  g_autofree char *name = g_strdup (holding->name);
  gboolean reported = holding->reported;

  for (guint i = holding->records->len; i > 0; i--) {
    VpHoldingRecord *record = holding->records->pdata[i - 1];
    g_autoptr (GError) error = NULL;
    if (record->kind == VP_HOLDING_HANDOVER)
      continue;
    if (undo_record (book, holding, record, &error))
      drop_record (book, holding, i - 1);
    else if (!holding->reported)
      g_warning ("domain '%s': %s; it is tried again", holding->name, error->message);
  }
  gboolean done = end_undo (book, holding);
  return save_undone (book, uuid, name, reported) && done;
}

/* With the work lock, which keeps it there. */
static VpHolding *
find_releasing (VpBook *book, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_find (book, uuid);

  return holding != NULL && holding->state == VP_HOLDING_RELEASING ? holding : NULL;
}

gboolean
vp_book_undo_releasing (VpBook *book, const VpHolding *but)
{
  g_auto (GStrv) uuids = vp_book_list (book);
  gboolean all = TRUE;

  for (guint i = 0; uuids[i] != NULL; i++) {
    VpHolding *holding = find_releasing (book, uuids[i]);
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

static void
drop_step (VpBook *book, const char *uuid, const char *key)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_find (book, uuid);
  VpHoldingRecord *record = holding != NULL ? vp_holding_find_record (holding, VP_HOLDING_HANDOVER, key) : NULL;

  if (record == NULL)
    return;
  (void) g_ptr_array_remove (holding->records, record);
  if (holding->records->len == 0)
    remove_guest (book, holding);
}

gboolean
vp_book_drop_step (VpBook *book, const char *uuid, const char *key, gint64 deadline)
{
  if (!vp_book_begin_work (book, uuid, deadline, NULL))
    return FALSE;
  drop_step (book, uuid, key);
  vp_book_save_or_warn (book, uuid);
  vp_book_end_work (book);
  return TRUE;
}

/* FALSE: nothing was taken for it. */
static gboolean
begin_release (VpBook *book, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpHolding *holding = vp_book_find (book, uuid);

  if (holding != NULL)
    vp_book_end_guest (holding);
  else
    g_hash_table_remove (book->table, uuid);
  return holding != NULL;
}

gboolean
vp_book_give_back (VpBook *book, const char *uuid, gint64 deadline)
{
  g_autoptr (GError) error = NULL;

  if (!begin_release (book, uuid))
    return TRUE;
  vp_book_save_or_warn (book, uuid);
  if (!vp_book_begin_work (book, uuid, deadline, &error)) {
    g_message ("domain %s: what it held is given back later: %s", uuid, error->message);
    return FALSE;
  }
  VpHolding *holding = find_releasing (book, uuid);
  gboolean done = holding == NULL || vp_book_undo_all (book, holding);
  vp_book_end_work (book);
  return done;
}

gboolean
vp_book_release (VpBook *book, const char *uuid, gint64 deadline)
{
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
    g_hash_table_add (book->released, g_strdup (uuid));
  }
  return vp_book_give_back (book, uuid, deadline);
}
