/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads pools, meminfo and the mounts of hugetlbfs. */
#include "host/page-pools.h"

#include <stdlib.h>
#include <string.h>

#include "host/mount.h"

#define NODES "sys/devices/system/node"
#define POOLS "sys/kernel/mm/hugepages"

static char *
dup_folder (int node)
{
  return node < 0 ? g_strdup (POOLS) : g_strdup_printf (NODES "/node%d/hugepages", node);
}

char *
vp_page_pool_dup_path (int node, guint64 page_kib, const char *file)
{
  g_autofree char *folder = dup_folder (node);

  return g_strdup_printf ("%s/hugepages-%" G_GUINT64_FORMAT "kB/%s", folder, page_kib, file);
}

static gboolean
read_pool (const VpRoot *root, VpPagePool *pool)
{
  g_autofree char *total = vp_page_pool_dup_path (pool->node, pool->page_kib, "nr_hugepages");
  g_autofree char *free_pages = vp_page_pool_dup_path (pool->node, pool->page_kib, "free_hugepages");

  (void) vp_root_read_number (root, free_pages, 10, &pool->free);
  return vp_root_read_number (root, total, 10, &pool->total);
}

static void
add_pools (const VpRoot *root, int node, GArray *pools)
{
  g_autofree char *folder = dup_folder (node);
  g_auto (GStrv) sizes = vp_root_list (root, folder);

  for (guint i = 0; sizes[i] != NULL; i++) {
    VpPagePool pool = { .node = node };
    if (!g_regex_match_simple ("^hugepages-[1-9][0-9]{0,17}kB\\z", sizes[i], 0, 0))
      continue;
    pool.page_kib = g_ascii_strtoull (sizes[i] + strlen ("hugepages-"), NULL, 10);
    if (read_pool (root, &pool) || node < 0) /* a size that the kernel has, if nothing else */
      g_array_append_val (pools, pool);
  }
}

static gint
compare_pools (gconstpointer a, gconstpointer b)
{
  const VpPagePool *left = a;
  const VpPagePool *right = b;

  if (left->node != right->node)
    return left->node < right->node ? -1 : 1;
  return left->page_kib < right->page_kib ? -1 : left->page_kib > right->page_kib;
}

GArray *
vp_page_pools_read_host (const VpRoot *root)
{
  GArray *pools = g_array_new (FALSE, TRUE, sizeof (VpPagePool));

  add_pools (root, -1, pools);
  g_array_sort (pools, compare_pools);
  return pools;
}

GArray *
vp_page_pools_read (const VpRoot *root)
{
  g_autoptr (GArray) pools = g_array_new (FALSE, TRUE, sizeof (VpPagePool));
  g_auto (GStrv) names = vp_root_list (root, NODES);

  for (guint i = 0; names[i] != NULL; i++)
    if (g_regex_match_simple ("^node[0-9]{1,6}\\z", names[i], 0, 0))
      add_pools (root, atoi (names[i] + strlen ("node")), pools);
  g_array_sort (pools, compare_pools);
  return pools->len > 0 ? g_steal_pointer (&pools) : vp_page_pools_read_host (root);
}

guint64
vp_meminfo_read_kib (const VpRoot *root, int node, const char *key)
{
  g_autofree char *path = node < 0 ? g_strdup ("proc/meminfo") : g_strdup_printf (NODES "/node%d/meminfo", node);
  g_autofree char *text = vp_root_dup_text (root, path);
  g_autofree char *start = g_strconcat (key, ":", NULL);
  const char *line = text != NULL ? strstr (text, start) : NULL;

  return line != NULL ? g_ascii_strtoull (line + strlen (start), NULL, 10) : 0;
}

guint64
vp_hugepages_default_kib (const VpRoot *root)
{
  return vp_meminfo_read_kib (root, -1, "Hugepagesize");
}

/* "pagesize=2M", "pagesize=1024M"; a mount without it has the default size. */
static guint64
mount_page_kib (struct libmnt_fs *mount, guint64 default_kib)
{
  char *size = NULL;
  char *unit = NULL;

  if (mnt_fs_get_option (mount, "pagesize", &size, NULL) != 0 || size == NULL)
    return default_kib;
  guint64 number = g_ascii_strtoull (size, &unit, 10);
  switch (g_ascii_toupper (*unit)) {
    case 'G':
      return number * 1024 * 1024;
    case 'M':
      return number * 1024;
    case 'K':
      return number;
    default:
      return number / 1024;
  }
}

/* libvirt makes its folder in each mount that it finds when it starts. */
static gboolean
has_libvirt_folder (const VpRoot *root, const char *mount)
{
  g_autofree char *folder = g_build_filename (mount + 1, "libvirt", NULL);
  g_auto (GStrv) names = vp_root_list (root, folder);

  return g_strv_contains ((const char *const *) names, "qemu");
}

char *
vp_hugepages_dup_mount (const VpRoot *root, guint64 page_kib, gboolean *known)
{
  g_autoptr (VpMounts) mounts = vp_mounts_read (root, "self");
  g_autoptr (VpMountIter) at = mnt_new_iter (MNT_ITER_FORWARD);
  guint64 default_kib = vp_hugepages_default_kib (root);
  struct libmnt_fs *mount = NULL;
  const char *found = NULL;

  *known = FALSE;
  while (!*known && mnt_table_next_fs (mounts, at, &mount) == 0) {
    const char *target = mnt_fs_get_target (mount);
    if (g_strcmp0 (mnt_fs_get_fstype (mount), "hugetlbfs") != 0 || target == NULL || target[0] != '/' ||
        mount_page_kib (mount, default_kib) != page_kib)
      continue;
    found = target;
    *known = has_libvirt_folder (root, target);
  }
  return g_strdup (found);
}
