/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and resizes hugepage pools; decides nothing. */
#include "daemon/hold/kernel-pages.h"

#include "base/error.h"
#include "host/page-pools.h"
#include "host/page-words.h"

#define STABLE_READS 8

static gboolean
read_pool (const VpRoot *root, int node, guint64 page_kib, const char *file, guint64 *number)
{
  g_autofree char *path = vp_page_pool_dup_path (node, page_kib, file);

  return vp_root_read_number (root, path, 10, number);
}

/* Two files that belong together: a page freed in between would count as a persistent one. */
static gboolean
read_persistent (const VpRoot *root, VpKernelPages *pages)
{
  guint64 all = 0;
  guint64 again = 0;

  for (int i = 0; i < STABLE_READS; i++) {
    if (!read_pool (root, pages->node, pages->page_kib, "nr_hugepages", &all) ||
        !read_pool (root, pages->node, pages->page_kib, "surplus_hugepages", &pages->surplus) ||
        !read_pool (root, pages->node, pages->page_kib, "nr_hugepages", &again))
      return FALSE;
    if (all == again)
      break;
  }
  pages->persistent = again - MIN (again, pages->surplus);
  return TRUE;
}

gboolean
vp_kernel_pages_read (const VpRoot *root, int node, guint64 page_kib, VpKernelPages *pages, GError **error)
{
  *pages = (VpKernelPages){ .node = node, .page_kib = page_kib };
  if (read_persistent (root, pages) && read_pool (root, node, page_kib, "free_hugepages", &pages->free) &&
      read_pool (root, -1, page_kib, "resv_hugepages", &pages->reserved))
    return TRUE;
  g_autofree char *path = vp_page_pool_dup_path (node, page_kib, "nr_hugepages");
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read the hugepage pool at /%s and the files beside it", path);
  return FALSE;
}

gboolean
vp_kernel_pages_write (const VpRoot *root, int node, guint64 page_kib, guint64 persistent, int *number, GError **error)
{
  g_autofree char *path = vp_page_pool_dup_path (node, page_kib, "nr_hugepages");
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, persistent);

  return vp_root_write_text (root, path, text, number, error);
}

/* A node's own is enough where it is there: the other does the same for every node, and takes as much longer. */
void
vp_kernel_pages_compact (const VpRoot *root, int node)
{
  g_autofree char *path = g_strdup_printf ("sys/devices/system/node/node%d/compact", node);

  if (node < 0 || !vp_root_write_text (root, path, "1", NULL, NULL))
    (void) vp_root_write_text (root, "proc/sys/vm/compact_memory", "1", NULL, NULL);
}

GArray *
vp_kernel_pages_nodes (const VpRoot *root, guint64 page_kib)
{
  GArray *found = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr (GArray) pools = vp_page_pools_read (root);

  for (guint i = 0; i < pools->len; i++) {
    const VpPagePool *pool = &g_array_index (pools, VpPagePool, i);
    if (pool->page_kib == page_kib)
      g_array_append_val (found, pool->node);
  }
  return found;
}

char *
vp_kernel_pages_dup_sizes (const VpRoot *root)
{
  g_autoptr (GArray) pools = vp_page_pools_read_host (root);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < pools->len; i++) {
    g_autofree char *size = vp_hugepages_dup_size (g_array_index (pools, VpPagePool, i).page_kib);
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", size);
  }
  return g_strdup (pools->len > 0 ? text->str : "none");
}
