/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/page-words.h"

char *
vp_hugepages_dup_size (guint64 kib)
{
  if (kib % (1024 * 1024) == 0)
    return g_strdup_printf ("%" G_GUINT64_FORMAT "G", kib / (1024 * 1024));
  return kib % 1024 == 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT "M", kib / 1024)
                         : g_strdup_printf ("%" G_GUINT64_FORMAT "K", kib);
}

char *
vp_hugepages_dup_place (int node)
{
  return node < 0 ? g_strdup ("this host") : g_strdup_printf ("node %d", node);
}
