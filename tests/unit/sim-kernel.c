/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim-kernel.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define NODES "sys/devices/system/node"
#define HOST "sys/kernel/mm/hugepages"

static const guint64 sizes[] = { SIM_2M, SIM_1G };

static void
step (const char *what, const char *path, gpointer data)
{
  Sim *sim = data;

  (void) what;
  (void) path;
  g_rec_mutex_lock (&sim->mutex);
  sim->steps++;
  gboolean is_last = sim->exit_at != 0 && sim->steps == sim->exit_at;
  g_rec_mutex_unlock (&sim->mutex);
  if (is_last)
    _exit (77);
}

void
sim_write_file (Sim *sim, const char *path, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *full = g_build_filename (sim->path, path, NULL);
  g_autofree char *folder = g_path_get_dirname (full);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  g_file_set_contents_full (full, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0644, &error);
  g_assert_no_error (error);
}

char *
sim_read_file (Sim *sim, const char *path)
{
  g_autofree char *full = g_build_filename (sim->path, path, NULL);
  char *text = NULL;

  return g_file_get_contents (full, &text, NULL, NULL) ? g_strchomp (text) : NULL;
}

static void
write_number (Sim *sim, const char *path, guint64 number)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", number);

  sim_write_file (sim, path, text);
}

static guint64
read_number (Sim *sim, const char *path)
{
  g_autofree char *text = sim_read_file (sim, path);

  return text != NULL ? g_ascii_strtoull (text, NULL, 10) : 0;
}

void
sim_set_knob (Sim *sim, const char *name, guint64 value)
{
  g_autofree char *path = g_build_filename ("sim", name, NULL);

  write_number (sim, path, value);
}

guint64
sim_get_knob (Sim *sim, const char *name)
{
  g_autofree char *path = g_build_filename ("sim", name, NULL);

  return read_number (sim, path);
}

static char *
dup_pool_path (int node, guint64 kib, const char *file)
{
  return node < 0 ? g_strdup_printf (HOST "/hugepages-%" G_GUINT64_FORMAT "kB/%s", kib, file)
                  : g_strdup_printf (NODES "/node%d/hugepages/hugepages-%" G_GUINT64_FORMAT "kB/%s", node, kib, file);
}

typedef struct {
  guint64 nr;
  guint64 free;
  guint64 surplus;
  guint64 room; /* pages that the kernel could still make */
} Pool;

static const struct {
  const char *file;
  gsize offset;
} pool_files[] = {
  { "nr_hugepages", G_STRUCT_OFFSET (Pool, nr) },
  { "free_hugepages", G_STRUCT_OFFSET (Pool, free) },
  { "surplus_hugepages", G_STRUCT_OFFSET (Pool, surplus) },
  { "sim_room", G_STRUCT_OFFSET (Pool, room) },
};

static Pool
read_pool (Sim *sim, int node, guint64 kib)
{
  Pool pool;

  for (gsize i = 0; i < G_N_ELEMENTS (pool_files); i++) {
    g_autofree char *path = dup_pool_path (node, kib, pool_files[i].file);
    G_STRUCT_MEMBER (guint64, &pool, pool_files[i].offset) = read_number (sim, path);
  }
  return pool;
}

static void
write_pool (Sim *sim, int node, guint64 kib, const Pool *pool)
{
  for (gsize i = 0; i < G_N_ELEMENTS (pool_files); i++) {
    g_autofree char *path = dup_pool_path (node, kib, pool_files[i].file);
    write_number (sim, path, G_STRUCT_MEMBER (guint64, pool, pool_files[i].offset));
  }
}

/* Like set_max_huge_pages(): surplus pages become persistent before any is made. */
static void
grow (Sim *sim, int node, guint64 kib, Pool *pool, guint64 by)
{
  guint64 turned = MIN (pool->surplus, by);

  pool->surplus -= turned;
  by = MIN (by - turned, pool->room);
  for (guint64 part = by / 2; by > 0; part = by) {
    pool->nr += part;
    pool->free += part;
    pool->room -= part;
    by -= part;
    write_pool (sim, node, kib, pool);
    step ("amid growth", "", sim);
  }
}

/* Free pages go, those in use become surplus. */
static void
shrink (Sim *sim, Pool *pool, guint64 by)
{
  guint64 slow = sim_get_knob (sim, "slow");

  by = slow > 0 ? MIN (by, slow) : by;
  guint64 gone = MIN (by, pool->free);
  pool->nr -= gone;
  pool->free -= gone;
  pool->room += gone;
  pool->surplus += by - gone;
}

static int
write_pages (Sim *sim, int node, guint64 kib, guint64 wanted)
{
  guint64 refuse = sim_get_knob (sim, "refuse");
  Pool pool = read_pool (sim, node, kib);
  guint64 persistent = pool.nr - pool.surplus;

  if (refuse > 0) {
    sim_set_knob (sim, "refuse", refuse - 1);
    return EBUSY;
  }
  if (wanted > persistent)
    grow (sim, node, kib, &pool, wanted - persistent);
  else
    shrink (sim, &pool, persistent - wanted);
  write_pool (sim, node, kib, &pool);
  return 0;
}

static void
each_pool (Sim *sim, void (*func) (Sim *sim, int node, guint64 kib, gpointer data), gpointer data)
{
  guint64 nodes = sim_get_knob (sim, "nodes");

  for (int node = nodes > 0 ? 0 : -1; node < (int) nodes; node++)
    for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
      func (sim, node, sizes[i], data);
}

static void
gain_room (Sim *sim, int node, guint64 kib, gpointer data)
{
  Pool pool = read_pool (sim, node, kib);

  (void) data;
  pool.room += sim_get_knob (sim, "compact-gain");
  write_pool (sim, node, kib, &pool);
}

static int
compact (Sim *sim)
{
  guint64 done = sim_get_knob (sim, "compacted") + 1;

  sim_set_knob (sim, "compacted", done);
  if (done == sim_get_knob (sim, "compact-at"))
    each_pool (sim, gain_room, NULL);
  return 0;
}

static int
write_attribute (const char *path, const char *text, gpointer data)
{
  Sim *sim = data;
  unsigned node = 0;
  unsigned long kib = 0;
  int number = 0;

  g_rec_mutex_lock (&sim->mutex);
  if (sscanf (path, NODES "/node%u/hugepages/hugepages-%lukB/nr_", &node, &kib) == 2)
    number = write_pages (sim, (int) node, kib, g_ascii_strtoull (text, NULL, 10));
  else if (sscanf (path, HOST "/hugepages-%lukB/nr_", &kib) == 1)
    number = write_pages (sim, -1, kib, g_ascii_strtoull (text, NULL, 10));
  else if (g_str_has_suffix (path, "/compact") || g_str_has_suffix (path, "/compact_memory"))
    number = compact (sim);
  else
    sim_write_file (sim, path, text);
  g_rec_mutex_unlock (&sim->mutex);
  return number;
}

Sim *
sim_new_at (const char *path)
{
  g_autoptr (GError) error = NULL;
  Sim *sim = g_new0 (Sim, 1);
  VpRootShim shim = { .step = step, .write = write_attribute, .data = sim };

  sim->path = g_strdup (path);
  g_rec_mutex_init (&sim->mutex);
  sim->root = vp_root_open (path, &error);
  g_assert_no_error (error);
  vp_root_set_shim (sim->root, &shim);
  return sim;
}

static void
make_pool (Sim *sim, int node, guint64 kib, gpointer data)
{
  const Pool empty = { 0, 0, 0, 0 };
  g_autofree char *resv = dup_pool_path (-1, kib, "resv_hugepages");

  (void) data;
  write_pool (sim, node, kib, &empty);
  write_number (sim, resv, 0);
}

Sim *
sim_new (guint nodes)
{
  /* A run folder is a tmpfs; on a disk the journal's fsync would be most of the time. */
  g_autofree char *path = g_strdup ("/dev/shm/vp-sim-XXXXXX");

  if (g_mkdtemp (path) == NULL) {
    g_free (path);
    path = g_dir_make_tmp ("vp-sim-XXXXXX", NULL);
  }
  Sim *sim = sim_new_at (path);

  sim_set_knob (sim, "nodes", nodes);
  each_pool (sim, make_pool, NULL);
  sim_write_file (sim, "run/.keep", "");
  sim_write_file (sim, "proc/meminfo", "MemTotal: 67108864 kB\nHugepagesize: 2048 kB\n");
  for (guint i = 0; i < nodes; i++) {
    g_autofree char *meminfo = g_strdup_printf (NODES "/node%u/meminfo", i);
    g_autofree char *text = g_strdup_printf ("Node %u MemTotal:       33554432 kB\n", i);
    sim_write_file (sim, meminfo, text);
  }
  return sim;
}

void
sim_close (Sim *sim)
{
  vp_root_free (sim->root);
  g_rec_mutex_clear (&sim->mutex);
  g_free (sim->path);
  g_free (sim);
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_file_test (path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    remove_tree (child);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
}

void
sim_free (Sim *sim)
{
  remove_tree (sim->path);
  sim_close (sim);
}

void
sim_set_pool (Sim *sim, int node, guint64 kib, guint64 pages, guint64 room)
{
  const Pool pool = { pages, pages, 0, room };

  write_pool (sim, node, kib, &pool);
}

guint64
sim_read (Sim *sim, int node, guint64 kib, const char *file)
{
  g_autofree char *path = dup_pool_path (node, kib, file);

  return read_number (sim, path);
}

void
sim_admin (Sim *sim, int node, guint64 kib, guint64 pages)
{
  guint exit_at = sim->exit_at;

  g_rec_mutex_lock (&sim->mutex);
  sim->exit_at = 0;
  (void) write_pages (sim, node, kib, pages);
  sim->exit_at = exit_at;
  g_rec_mutex_unlock (&sim->mutex);
}

void
sim_use (Sim *sim, int node, guint64 kib, guint64 pages)
{
  Pool pool = read_pool (sim, node, kib);

  g_assert_cmpuint (pool.free, >=, pages);
  pool.free -= pages;
  write_pool (sim, node, kib, &pool);
}

void
sim_let_go (Sim *sim, int node, guint64 kib, guint64 pages)
{
  Pool pool = read_pool (sim, node, kib);
  guint64 gone = MIN (pool.surplus, pages);

  pool.surplus -= gone;
  pool.nr -= gone;
  pool.room += gone;
  pool.free += pages - gone;
  g_assert_cmpuint (pool.free, <=, pool.nr);
  write_pool (sim, node, kib, &pool);
}

static void
snapshot_pool (Sim *sim, int node, guint64 kib, gpointer data)
{
  const Pool pool = read_pool (sim, node, kib);
  guint64 compact_at = sim_get_knob (sim, "compact-at");
  gboolean gained = compact_at > 0 && sim_get_knob (sim, "compacted") >= compact_at;
  guint64 room = pool.room - (gained ? sim_get_knob (sim, "compact-gain") : 0);

  g_string_append_printf (data,
                          "node %d %" G_GUINT64_FORMAT "K: %" G_GUINT64_FORMAT " pages, %" G_GUINT64_FORMAT
                          " free, %" G_GUINT64_FORMAT " surplus, room for %" G_GUINT64_FORMAT "\n",
                          node, kib, pool.nr, pool.free, pool.surplus, room);
}

char *
sim_snapshot (Sim *sim)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_auto (GStrv) journal = vp_root_list (sim->root, SIM_HOLDS);
  g_auto (GStrv) files = vp_root_list (sim->root, "sys/sim");

  each_pool (sim, snapshot_pool, text);
  for (guint i = 0; journal[i] != NULL; i++)
    g_string_append_printf (text, "journal: %s\n", journal[i]);
  for (guint i = 0; files[i] != NULL; i++) {
    g_autofree char *path = g_build_filename ("sys/sim", files[i], NULL);
    g_autofree char *content = sim_read_file (sim, path);
    g_string_append_printf (text, "%s: %s\n", files[i], content);
  }
  return g_strdup (text->str);
}
