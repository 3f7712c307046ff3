/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and resizes hugepage pools; decides nothing. */
#include "daemon/hold/kernel-pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/page-words.h"

#define NODES "sys/devices/system/node"
#define POOLS "sys/kernel/mm/hugepages"
#define STABLE_READS 8

static char *
dup_pool_path (int node, guint64 page_kib, const char *file)
{
  if (node < 0)
    return g_strdup_printf (POOLS "/hugepages-%" G_GUINT64_FORMAT "kB/%s", page_kib, file);
  return g_strdup_printf (NODES "/node%d/hugepages/hugepages-%" G_GUINT64_FORMAT "kB/%s", node, page_kib, file);
}

static gboolean
read_pool (const VpRoot *root, int node, guint64 page_kib, const char *file, guint64 *number)
{
  g_autofree char *path = dup_pool_path (node, page_kib, file);

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
  g_autofree char *path = dup_pool_path (node, page_kib, "nr_hugepages");
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read the hugepage pool at /%s and the files beside it", path);
  return FALSE;
}

gboolean
vp_kernel_pages_write (const VpRoot *root, int node, guint64 page_kib, guint64 persistent, int *number, GError **error)
{
  g_autofree char *path = dup_pool_path (node, page_kib, "nr_hugepages");
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, persistent);

  return vp_root_write_text (root, path, text, number, error);
}

/* A node's own is enough where it is there: the other does the same for every node, and takes as much longer. */
void
vp_kernel_pages_compact (const VpRoot *root, int node)
{
  g_autofree char *path = g_strdup_printf (NODES "/node%d/compact", node);

  if (node < 0 || !vp_root_write_text (root, path, "1", NULL, NULL))
    (void) vp_root_write_text (root, "proc/sys/vm/compact_memory", "1", NULL, NULL);
}

static gint
compare_nodes (gconstpointer a, gconstpointer b)
{
  int left = *(const int *) a;
  int right = *(const int *) b;

  return left < right ? -1 : left > right;
}

GArray *
vp_kernel_pages_nodes (const VpRoot *root, guint64 page_kib)
{
  GArray *found = g_array_new (FALSE, FALSE, sizeof (int));
  g_auto (GStrv) names = vp_root_list (root, NODES);
  gboolean has_nodes = FALSE;
  guint64 unused = 0;

  for (guint i = 0; names[i] != NULL; i++) {
    if (!g_regex_match_simple ("^node[0-9]{1,6}\\z", names[i], 0, 0))
      continue;
    int node = atoi (names[i] + strlen ("node"));
    has_nodes = TRUE;
    if (read_pool (root, node, page_kib, "nr_hugepages", &unused))
      g_array_append_val (found, node);
  }
  g_array_sort (found, compare_nodes);
  if (!has_nodes && read_pool (root, -1, page_kib, "nr_hugepages", &unused)) {
    int host = -1;
    g_array_append_val (found, host);
  }
  return found;
}

static gint
compare_sizes (gconstpointer a, gconstpointer b)
{
  guint64 left = *(const guint64 *) a;
  guint64 right = *(const guint64 *) b;

  return left < right ? -1 : left > right;
}

char *
vp_kernel_pages_dup_sizes (const VpRoot *root)
{
  g_auto (GStrv) names = vp_root_list (root, POOLS);
  g_autoptr (GArray) sizes = g_array_new (FALSE, FALSE, sizeof (guint64));
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; names[i] != NULL; i++) {
    guint64 kib = g_str_has_prefix (names[i], "hugepages-") ? g_ascii_strtoull (names[i] + 10, NULL, 10) : 0;
    if (kib != 0)
      g_array_append_val (sizes, kib);
  }
  g_array_sort (sizes, compare_sizes);
  for (guint i = 0; i < sizes->len; i++) {
    g_autofree char *size = vp_hugepages_dup_size (g_array_index (sizes, guint64, i));
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", size);
  }
  return g_strdup (sizes->len > 0 ? text->str : "none");
}

guint64
vp_kernel_pages_memory_kib (const VpRoot *root, int node)
{
  g_autofree char *path =
    node < 0 ? g_strdup ("proc/meminfo") : g_strdup_printf (NODES "/node%d/meminfo", node);
  g_autofree char *text = vp_root_dup_text (root, path);
  const char *line = text != NULL ? strstr (text, "MemTotal:") : NULL;

  return line != NULL ? g_ascii_strtoull (line + strlen ("MemTotal:"), NULL, 10) : 0;
}
