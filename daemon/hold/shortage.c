/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a start did not get its hugepages: the numbers, and what helps. Changes nothing. */
#include <stdlib.h>

#include "base/error.h"
#include "config.h"
#include "daemon/hold/book-private.h"

gboolean
vp_page_need_wishes (const VpPageNeed *need, int node)
{
  return need->nodes == NULL || node < 0 || hwloc_bitmap_isset (need->nodes, (unsigned) node);
}

static char *
dup_places (const VpPageNeed *need)
{
  if (need->nodes == NULL)
    return g_strdup ("this host");
  g_autofree char *list = vp_list_dup (need->nodes);
  return g_strdup_printf ("node%s %s%s", hwloc_bitmap_weight (need->nodes) > 1 ? "s" : "", list,
                          need->strict ? "" : " and beside");
}

void
vp_book_set_no_pool (VpBook *book, const VpPageNeed *need, GError **error)
{
  g_autofree char *size = vp_hugepages_dup_size (need->page_kib);
  g_autofree char *places = dup_places (need);
  g_autofree char *sizes = vp_kernel_pages_dup_sizes (book->root);

  g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
               "it needs hugepages of %s on %s, and there is no pool of them; the kernel has sizes %s (see "
               "/sys/kernel/mm/hugepages and /sys/devices/system/node)",
               size, places, sizes);
}

/* What hugepages= on the kernel's command line would have to say. */
static char *
dup_boot_parameter (const VpPageNeed *need, const char *size)
{
  if (need->nodes != NULL && hwloc_bitmap_weight (need->nodes) == 1)
    return g_strdup_printf ("hugepagesz=%s hugepages=%d:%" G_GUINT64_FORMAT, size, hwloc_bitmap_first (need->nodes),
                            need->pages);
  return g_strdup_printf ("hugepagesz=%s hugepages=%" G_GUINT64_FORMAT, size, need->pages);
}

/* Over the pools of the need: what of it was allocated for this guest, and what is promised to others. */
static void
sum_need (VpBook *book, const VpShortage *shortage, guint64 *allocated, guint64 *promised)
{
  const VpPageNeed *need = shortage->need;
  g_autoptr (GArray) nodes = vp_kernel_pages_nodes (book->root, need->page_kib);

  for (guint i = 0; i < nodes->len; i++) {
    int node = g_array_index (nodes, int, i);
    const VpHoldingRecord *record = vp_holding_find_pages (shortage->holding, node, need->page_kib);
    if (need->strict && !vp_page_need_wishes (need, node))
      continue;
    *allocated += record != NULL ? record->pages.count : 0;
    *promised += vp_book_sum_pool (book, node, need->page_kib, shortage->holding).promised;
  }
}

static char *
dup_room (const VpShortage *shortage)
{
  const VpRoom *room = &shortage->room;
  g_autofree char *keep =
    room->keep.kib > 0 ? vp_hugepages_dup_size (room->keep.kib) : g_strdup_printf ("%u%%", room->keep.percent);

  return g_strdup_printf (": the missing %" G_GUINT64_FORMAT " take %" G_GUINT64_FORMAT " MiB, %" G_GUINT64_FORMAT
                          " MiB of memory are available, and %" G_GUINT64_FORMAT
                          " MiB have to stay so (keep-available=%s in " VP_LIMITS_FILE ")",
                          shortage->left, shortage->left * shortage->need->page_kib / 1024, room->available / 1024,
                          room->kept / 1024, keep);
}

static char *
dup_effort (const VpShortage *shortage)
{
  if (!shortage->allocate)
    return g_strdup (" (memory.allocate is no)");
  if (shortage->is_too_much)
    return g_strdup (", for that is more than there is memory");
  if (shortage->is_no_room)
    return dup_room (shortage);
  return g_strdup_printf (" in %u tr%s with memory compacted%s%s", shortage->tries, shortage->tries == 1 ? "y" : "ies",
                          shortage->number != 0 ? "; the kernel said: " : "",
                          shortage->number != 0 ? g_strerror (shortage->number) : "");
}

void
vp_book_set_shortage (VpBook *book, const VpShortage *shortage, GError **error)
{
  const VpPageNeed *need = shortage->need;
  guint64 got = need->pages - shortage->left;
  guint64 allocated = 0;
  guint64 promised = 0;
  g_autofree char *size = vp_hugepages_dup_size (need->page_kib);
  g_autofree char *places = dup_places (need);
  g_autofree char *boot = dup_boot_parameter (need, size);
  g_autofree char *effort = dup_effort (shortage);

  sum_need (book, shortage, &allocated, &promised);
  allocated = MIN (allocated, got);
  g_autofree char *others =
    promised > 0 ? g_strdup_printf (" (%" G_GUINT64_FORMAT " more are promised to guests that are starting)", promised)
                 : g_strdup ("");
  g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
               "too few hugepages of %s on %s: %" G_GUINT64_FORMAT " needed, %" G_GUINT64_FORMAT
               " free%s, %" G_GUINT64_FORMAT " allocated%s; give the guest less memory or another page size, end "
               "another guest, or reserve them at boot with the kernel parameters '%s'",
               size, places, need->pages, got - allocated, others, allocated, effort, boot);
}
