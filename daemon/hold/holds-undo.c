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
#include "daemon/hold/holds-private.h"

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
vp_holds_settle (VpHolds *holds, const VpHold *hold, VpHoldRecord *record, GError **error)
{
  VpHoldPages *pages = &record->pages;
  VpPages now;

  if (!record->pending)
    return TRUE;
  if (!vp_pages_read (holds->root, pages->node, pages->page_kib, &now, error))
    return FALSE;
  g_mutex_lock (&holds->mutex);
  if (pages->to > pages->from)
    pages->count += clamp_difference (now.persistent, pages->from, pages->to - pages->from);
  else
    pages->count -= MIN (pages->count, clamp_difference (pages->from, now.persistent, pages->from - pages->to));
  record->pending = FALSE;
  g_mutex_unlock (&holds->mutex);
  vp_holds_save_or_warn (holds, hold->uuid);
  return TRUE;
}

/* How much smaller the pool may get now; *count is cut to what is the guest's to give at all. */
static guint64
count_spare (VpHolds *holds, const VpHold *hold, const VpPages *now, const VpHoldPages *pages, guint64 *count)
{
  VpPoolClaims others = vp_holds_sum_pool (holds, now->node, now->page_kib, hold);
  guint64 taken = now->reserved + others.promised;
  guint64 least = pages->base + others.held;

  *count = clamp_difference (now->persistent, least, pages->count);
  return others.promised == 0 ? *count : clamp_difference (now->free, taken, *count);
}

static gboolean
shrink_pool (VpHolds *holds, const VpHold *hold, VpHoldRecord *record, const VpPages *now, guint64 by, GError **error)
{
  g_mutex_lock (&holds->mutex);
  record->pages.from = now->persistent;
  record->pages.to = now->persistent - by;
  record->pending = TRUE;
  g_mutex_unlock (&holds->mutex);
  /* A journal that cannot be written does not keep the pages: `base` guards the pool when they are given twice. */
  vp_holds_save_or_warn (holds, hold->uuid);
  gboolean written = vp_pages_write (holds->root, now->node, now->page_kib, record->pages.to, NULL, error);
  return vp_holds_settle (holds, hold, record, written ? error : NULL) && written;
}

static void
report_in_use (const VpHold *hold, const VpPages *before, const VpPages *after)
{
  g_autofree char *size = vp_hugepages_dup_size (after->page_kib);
  g_autofree char *place = vp_pages_dup_place (after->node);

  if (after->surplus > before->surplus)
    g_message ("domain '%s': %" G_GUINT64_FORMAT " of its hugepages of %s on %s are still in use; the kernel frees "
               "them as they are let go", hold->name, after->surplus - before->surplus, size, place);
}

/* TRUE: nothing of it is left. */
static gboolean
undo_pages (VpHolds *holds, const VpHold *hold, VpHoldRecord *record, GError **error)
{
  g_autofree char *size = vp_hugepages_dup_size (record->pages.page_kib);
  g_autofree char *place = vp_pages_dup_place (record->pages.node);
  guint64 count = 0;
  VpPages now;
  VpPages after;

  if (!vp_holds_settle (holds, hold, record, error) ||
      !vp_pages_read (holds->root, record->pages.node, record->pages.page_kib, &now, error))
    return FALSE;
  guint64 spare = count_spare (holds, hold, &now, &record->pages, &count);
  if (count < record->pages.count)
    g_message ("domain '%s': the pool of %s pages on %s was made smaller by somebody else: %" G_GUINT64_FORMAT
               " of the %" G_GUINT64_FORMAT " pages allocated for it are there to give back",
               hold->name, size, place, count, record->pages.count);
  g_mutex_lock (&holds->mutex);
  record->pages.count = count;
  g_mutex_unlock (&holds->mutex);
  if (spare > 0 && !shrink_pool (holds, hold, record, &now, spare, error))
    return FALSE;
  if (vp_pages_read (holds->root, now.node, now.page_kib, &after, NULL))
    report_in_use (hold, &now, &after);
  if (record->pages.count == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST,
               "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " hugepages of %s on %s are not given back yet: %s",
               record->pages.count, count, size, place,
               spare < count ? "a guest that is starting was promised them" : "the kernel keeps them");
  return FALSE;
}

static gboolean
undo_record (VpHolds *holds, const VpHold *hold, VpHoldRecord *record, GError **error)
{
  return record->kind == VP_HOLD_PAGES ? undo_pages (holds, hold, record, error)
                                       : vp_holds_undo_change (holds, hold, record, error);
}

/* One that was started anew meanwhile, past the hook, stays, and is known to be so. */
static gboolean
remove_guest (VpHolds *holds, VpHold *hold)
{
  g_autofree char *uuid = g_strdup (hold->uuid);

  g_mutex_lock (&holds->mutex);
  if (hold->silent != NULL)
    hold->state = VP_HOLD_RUNNING;
  else
    g_hash_table_remove (holds->table, uuid);
  g_mutex_unlock (&holds->mutex);
  vp_holds_save_or_warn (holds, uuid);
  return TRUE;
}

/* Last done, first undone. */
gboolean
vp_holds_undo_all (VpHolds *holds, VpHold *hold)
{
  g_mutex_lock (&holds->mutex);
  g_array_set_size (hold->uses, 0);
  g_mutex_unlock (&holds->mutex);
  for (guint i = hold->records->len; i > 0; i--) {
    g_autoptr (GError) error = NULL;
    if (!undo_record (holds, hold, hold->records->pdata[i - 1], &error)) {
      if (!hold->reported)
        g_warning ("domain '%s': %s; it is tried again", hold->name, error->message);
      continue;
    }
    g_mutex_lock (&holds->mutex);
    g_ptr_array_remove_index (hold->records, i - 1);
    g_mutex_unlock (&holds->mutex);
  }
  if (hold->records->len == 0)
    return remove_guest (holds, hold);
  hold->reported = TRUE;
  vp_holds_save_or_warn (holds, hold->uuid);
  return FALSE;
}
