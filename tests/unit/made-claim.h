/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A claim of CPUs and devices, as the gate makes it for a start, and on disk. */
#pragma once

#include "base/list.h"
#include "daemon/hold/book.h"

/* NULL: no CPUs or devices, which are "0000:01:00.0 0000:01:00.1". The neighbours are the caller's; NULL: refused. */
static inline VpNeighbours *
made_claim (VpBook *book, const char *uuid, const char *name, const char *cpus, const char *devices, gboolean share)
{
  g_autoptr (VpBitmap) set = cpus != NULL ? vp_list_parse (cpus) : hwloc_bitmap_alloc ();
  g_autoptr (GArray) array = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  g_auto (GStrv) texts = g_strsplit (devices != NULL ? devices : "", " ", -1);
  const VpRunning claim = { uuid, name, set, array };
  gboolean claimed = FALSE;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; texts[i] != NULL; i++) {
    VpPciAddress address;
    g_assert_true (vp_pci_address_parse (texts[i], &address));
    g_array_append_val (array, address);
  }
  g_autoptr (VpNeighbours) neighbours = vp_book_claim (book, &claim, share, &claimed);
  vp_book_note_claim (book, uuid, &error);
  g_assert_no_error (error);
  return claimed ? g_steal_pointer (&neighbours) : NULL;
}

static inline void
made_claim_ok (VpBook *book, const char *uuid, const char *name, const char *cpus, const char *devices)
{
  g_autoptr (VpNeighbours) neighbours = made_claim (book, uuid, name, cpus, devices, TRUE);

  g_assert_nonnull (neighbours);
}
