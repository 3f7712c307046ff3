/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hugepages of a start. One start at a time: what is free and promised to
 * nobody is promised first, then the pools are enlarged by what is missing, on the
 * nodes that the guest wishes for, then on others where it may have those. As long
 * as something is missing and there is time, memory is compacted and all of it
 * counted again: other guests end meanwhile, or have got what they were promised.
 *
 * A page that a guest was promised counts twice while QEMU maps it and has not said
 * that it started: as promised, and as used. That errs on the safe side.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "daemon/hold/book-private.h"

#define CHUNK_KIB G_GUINT64_CONSTANT (1048576) /* asked for in one write, which nothing interrupts: 0.1 s or so */
#define FIRST_PAUSE (20 * G_TIME_SPAN_MILLISECOND)
#define LONGEST_PAUSE (500 * G_TIME_SPAN_MILLISECOND)
#define GRACE (2 * G_TIME_SPAN_SECOND) /* a start that waited for another one's failure has a try of its own */

typedef struct {
  VpBook *book;
  VpHolding *holding;
  gint64 claimed; /* when this start was admitted; 0: it was not */
  gboolean allocate;
  gint64 deadline;
  guint tries;
  int number;           /* errno of the last write that failed */
  gboolean is_too_much; /* more than there is memory: nothing would come of it but that the host swaps */
  gboolean is_no_room;  /* it would leave less than the administrator wants to stay available */
  VpRoom room;
} Take;

/* Of int: the nodes of the need, or those beside them, which a strict one does not have. */
static GArray *
list_nodes (const Take *take, const VpPageNeed *need, gboolean wished)
{
  GArray *nodes = vp_kernel_pages_nodes (take->book->root, need->page_kib);

  for (guint i = nodes->len; i > 0; i--) {
    gboolean is = vp_page_need_wishes (need, g_array_index (nodes, int, i - 1));
    if (wished ? !is : is || need->strict)
      g_array_remove_index (nodes, i - 1);
  }
  return nodes;
}

/* Of one pool: what is in use, reserved or promised to anybody, this guest too, is not free. */
static gboolean
count_available (const Take *take, int node, guint64 page_kib, guint64 *available, GError **error)
{
  VpKernelPages now;

  if (!vp_kernel_pages_read (take->book->root, node, page_kib, &now, error))
    return FALSE;
  VpPoolClaims all = vp_book_sum_pool (take->book, node, page_kib, NULL);
  guint64 taken = now.reserved + all.promised;
  *available = now.free > taken ? now.free - taken : 0;
  return TRUE;
}

static void
promise (const Take *take, int node, guint64 page_kib, guint64 pages)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&take->book->mutex);
  VpHoldingUse use = { node, page_kib, pages };

  for (guint i = 0; i < take->holding->uses->len; i++) {
    VpHoldingUse *old = &g_array_index (take->holding->uses, VpHoldingUse, i);
    if (old->node == node && old->page_kib == page_kib) {
      old->pages += pages;
      return;
    }
  }
  g_array_append_val (take->holding->uses, use);
}

/* Promises what the node has, *left at most. */
static gboolean
grab (const Take *take, int node, guint64 page_kib, guint64 *left, GError **error)
{
  guint64 available = 0;

  if (!count_available (take, node, page_kib, &available, error))
    return FALSE;
  guint64 pages = MIN (available, *left);
  if (pages > 0)
    promise (take, node, page_kib, pages);
  *left -= pages;
  return TRUE;
}

/* The note of what is about to be done. */
static VpHoldingRecord *
note_growth (const Take *take, const VpKernelPages *now, guint64 to)
{
  VpPoolClaims others = vp_book_sum_pool (take->book, now->node, now->page_kib, take->holding);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&take->book->mutex);
  VpHoldingRecord *record = vp_holding_find_pages (take->holding, now->node, now->page_kib);

  if (record == NULL) {
    record = vp_holding_add_record (take->holding, VP_HOLDING_PAGES, NULL, NULL, NULL);
    record->pages.node = now->node;
    record->pages.page_kib = now->page_kib;
  }
  if (record->pages.count == 0)
    record->pages.base = now->persistent - MIN (now->persistent, others.held);
  record->pages.from = now->persistent;
  record->pages.to = to;
  record->pending = TRUE;
  return record;
}

/* In steps, each from what is there: somebody else may enlarge the pool at the same time. */
static void
write_growth (Take *take, const VpKernelPages *now, guint64 to)
{
  guint64 chunk = MAX (CHUNK_KIB / now->page_kib, 1);
  VpKernelPages seen = *now;
  guint64 next = 0;

  do {
    next = MIN (seen.persistent + chunk, to);
    if (!vp_kernel_pages_write (take->book->root, now->node, now->page_kib, next, &take->number, NULL) ||
        !vp_kernel_pages_read (take->book->root, now->node, now->page_kib, &seen, NULL))
      return;
  } while (seen.persistent >= next && seen.persistent < to && g_get_monotonic_time () < take->deadline);
}

/* A pool that gets larger turns its surplus into persistent pages before it makes new ones. */
static gboolean
grow (Take *take, int node, guint64 page_kib, guint64 by, GError **error)
{
  VpHoldingRecord *record = vp_holding_find_pages (take->holding, node, page_kib);
  VpKernelPages now;

  if (record != NULL && !vp_book_settle_pages (take->book, take->holding, record, error))
    return FALSE;
  if (!vp_kernel_pages_read (take->book->root, node, page_kib, &now, error))
    return FALSE;
  record = note_growth (take, &now, now.persistent + now.surplus + by);
  if (!vp_book_save (take->book, take->holding->uuid, error))
    return FALSE;
  write_growth (take, &now, record->pages.to);
  return vp_book_settle_pages (take->book, take->holding, record, error);
}

static gboolean
grow_and_grab (Take *take, int node, guint64 page_kib, guint64 by, guint64 *left, GError **error)
{
  if (by == 0 || take->is_too_much)
    return TRUE;
  return grow (take, node, page_kib, by, error) && grab (take, node, page_kib, left, error);
}

/* It may be there later, when another guest ended. */
static gboolean
has_room (Take *take, guint64 kib)
{
  take->room = vp_book_read_room (take->book);
  take->is_no_room = take->room.kept > 0 && kib + take->room.kept > take->room.available;
  return !take->is_no_room;
}

/* What is there, then the same share from each node, then from whichever still gives. */
static gboolean
satisfy_from (Take *take, const GArray *nodes, guint64 page_kib, guint64 *left, GError **error)
{
  for (guint i = 0; i < nodes->len; i++)
    if (!grab (take, g_array_index (nodes, int, i), page_kib, left, error))
      return FALSE;
  if (!take->allocate || *left == 0 || !has_room (take, *left * page_kib))
    return TRUE;
  for (guint i = 0; i < nodes->len; i++) {
    guint64 share = (*left + nodes->len - i - 1) / (nodes->len - i);
    if (!grow_and_grab (take, g_array_index (nodes, int, i), page_kib, share, left, error))
      return FALSE;
  }
  for (guint i = 0; nodes->len > 1 && i < nodes->len; i++)
    if (!grow_and_grab (take, g_array_index (nodes, int, i), page_kib, *left, left, error))
      return FALSE;
  return TRUE;
}

static gboolean
satisfy (Take *take, const VpPageNeed *need, guint64 *left, GError **error)
{
  g_autoptr (GArray) wished = list_nodes (take, need, TRUE);
  g_autoptr (GArray) others = list_nodes (take, need, FALSE);

  *left = need->pages;
  return satisfy_from (take, wished, need->page_kib, left, error) &&
         satisfy_from (take, others, need->page_kib, left, error);
}

static guint64
sum_memory (const Take *take, const GArray *nodes)
{
  guint64 kib = 0;

  for (guint i = 0; i < nodes->len; i++)
    kib += vp_meminfo_read_kib (take->book->root, g_array_index (nodes, int, i), "MemTotal");
  return kib;
}

static gboolean
check_need (Take *take, const VpPageNeed *need, GError **error)
{
  g_autoptr (GArray) wished = list_nodes (take, need, TRUE);
  g_autoptr (GArray) others = list_nodes (take, need, FALSE);
  guint64 memory = sum_memory (take, wished) + sum_memory (take, others);

  if (wished->len + others->len == 0)
    vp_book_set_no_pool (take->book, need, error);
  take->is_too_much = memory > 0 && need->pages > memory / need->page_kib;
  return wished->len + others->len > 0;
}

static void
forget_promises (const Take *take)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&take->book->mutex);

  g_array_set_size (take->holding->uses, 0);
}

/* All needs once; *missing is the first that was not satisfied, NULL: none. */
static gboolean
try_once (Take *take, const GArray *needs, const VpPageNeed **missing, guint64 *left, GError **error)
{
  *missing = NULL;
  take->tries++;
  take->number = 0;
  take->is_no_room = FALSE;
  forget_promises (take);
  for (guint i = 0; *missing == NULL && i < needs->len; i++) {
    const VpPageNeed *need = &g_array_index (needs, VpPageNeed, i);
    if (!check_need (take, need, error) || !satisfy (take, need, left, error))
      return FALSE;
    if (*left > 0)
      *missing = need;
  }
  return TRUE;
}

/* With these the kernel says that no second try will do. */
static gboolean
is_final (int number)
{
  return number == EINVAL || number == EACCES || number == EPERM || number == EROFS || number == ENOENT;
}

static void
compact (const Take *take, const VpPageNeed *need)
{
  g_autoptr (GArray) nodes = list_nodes (take, need, TRUE);

  for (guint i = 0; i < nodes->len && g_get_monotonic_time () < take->deadline; i++)
    vp_kernel_pages_compact (take->book->root, g_array_index (nodes, int, i));
}

/* FALSE: it was released while we were at it, because libvirt did not wait. */
static gboolean
is_wanted (const Take *take)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&take->book->mutex);

  return take->holding->state == VP_HOLDING_TAKING;
}

static gboolean
take_all (Take *take, const GArray *needs, GError **error)
{
  gint64 pause = FIRST_PAUSE;
  const VpPageNeed *missing = NULL;
  guint64 left = 0;

  for (;;) {
    if (!try_once (take, needs, &missing, &left, error))
      return FALSE;
    if (missing == NULL || !is_wanted (take))
      return TRUE; /* finish says which */
    gint64 time = take->deadline - g_get_monotonic_time ();
    if (!take->allocate || time <= 0 || take->is_too_much || is_final (take->number)) {
      const VpShortage shortage = { take->holding,    missing,    left,        take->allocate, take->is_too_much,
                                    take->is_no_room, take->room, take->tries, take->number };
      vp_book_set_shortage (take->book, &shortage, error);
      return FALSE;
    }
    if (!take->is_no_room)
      compact (take, missing);
    g_usleep ((gulong) MIN (pause, time));
    (void) vp_book_undo_releasing (take->book, take->holding); /* what they held may be memory for us */
    pause = MIN (pause * 2, LONGEST_PAUSE);
  }
}

static void
report_growth (const VpHolding *holding)
{
  for (guint i = 0; i < holding->records->len; i++) {
    const VpHoldingRecord *record = holding->records->pdata[i];
    g_autofree char *size = vp_hugepages_dup_size (record->pages.page_kib);
    g_autofree char *place = vp_hugepages_dup_place (record->pages.node);
    if (record->kind == VP_HOLDING_PAGES && record->pages.count > 0)
      g_message ("domain '%s': %" G_GUINT64_FORMAT " hugepages of %s allocated on %s", holding->name,
                 record->pages.count, size, place);
  }
}

static gboolean
finish (const Take *take, GError **error)
{
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&take->book->mutex);
    if (take->holding->state != VP_HOLDING_TAKING) {
      g_set_error (error, VP_ERROR, VP_ERROR_UNFIT, "the start was given up while its hugepages were allocated");
      return FALSE;
    }
    take->holding->state = VP_HOLDING_STARTING;
  }
  return vp_book_save (take->book, take->holding->uuid, error);
}

static void
begin (Take *take, const char *uuid, const char *name)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&take->book->mutex);

  take->holding = vp_book_ensure (take->book, uuid, name);
  take->holding->state = VP_HOLDING_TAKING;
  take->claimed = take->holding->claimed;
}

/* One that was admitted anew meanwhile has another start to come. */
static void
give_up (const Take *take)
{
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&take->book->mutex);
    if (take->holding->claimed == 0 || take->holding->claimed == take->claimed)
      vp_book_end_guest (take->holding);
  }
  (void) vp_book_undo_all (take->book, take->holding); /* what stays is tried again, and was reported */
}

gboolean
vp_book_take_pages (VpBook *book, const char *uuid, const char *name, const GArray *needs, gboolean allocate,
                    gint64 deadline, GError **error)
{
  Take take = { .book = book, .allocate = allocate, .deadline = deadline };

  if (needs->len == 0)
    return TRUE;
  if (!vp_book_begin_work (book, name, deadline + GRACE, error))
    return FALSE;
  begin (&take, uuid, name);
  gboolean taken = take_all (&take, needs, error) && finish (&take, error);
  if (taken)
    report_growth (take.holding);
  else
    give_up (&take);
  vp_book_end_work (book);
  return taken;
}
