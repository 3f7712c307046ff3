/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table of seats, by the bytes of their requests. Places nothing itself. */
#include "placement/placement-memo.h"

#include <string.h>

#define MOST_SEATS 4096 /* more are placed, and not kept */

typedef struct {
  GBytes *asked;
  VpPlacementSeat *seat;
  guint age; /* when it was asked for last */
} Kept;

struct VpPlacementMemo {
  GHashTable *table; /* GBytes -> Kept, which owns its key */
  GByteArray *asked; /* the request that is looked up */
  guint age;
};

static void
seat_clear (gpointer data)
{
  VpPlacementSeat *seat = data;

  vp_placement_free (seat->answer);
  g_clear_error (&seat->error);
  hwloc_bitmap_free (seat->taken);
  hwloc_bitmap_free (seat->planned);
}

VpPlacementSeat *
vp_placement_seat_ref (VpPlacementSeat *seat)
{
  return g_rc_box_acquire (seat);
}

void
vp_placement_seat_unref (VpPlacementSeat *seat)
{
  if (seat != NULL)
    g_rc_box_release_full (seat, seat_clear);
}

static gboolean
is_same_set (hwloc_const_bitmap_t a, hwloc_const_bitmap_t b)
{
  return a == NULL || b == NULL ? a == b : hwloc_bitmap_isequal (a, b) != 0;
}

static gboolean
is_same_row (const int *a, const int *b, guint n)
{
  return a == NULL || b == NULL ? a == b : memcmp (a, b, n * sizeof *a) == 0;
}

static gboolean
has_same_cells (const VpPlacement *a, const VpPlacement *b)
{
  if (a->n_cells != b->n_cells)
    return FALSE;
  for (guint i = 0; i < a->n_cells; i++)
    if (a->cells[i].node != b->cells[i].node || a->cells[i].memory_kib != b->cells[i].memory_kib ||
        !is_same_set (a->cells[i].vcpus, b->cells[i].vcpus))
      return FALSE;
  return TRUE;
}

static gboolean
has_same_iothreads (const VpPlacement *a, const VpPlacement *b)
{
  if (a->n_iothreads != b->n_iothreads || (a->iothreads == NULL) != (b->iothreads == NULL))
    return FALSE;
  for (guint i = 0; i < a->n_iothreads && a->iothreads != NULL; i++)
    if (!is_same_set (a->iothreads[i], b->iothreads[i]))
      return FALSE;
  return TRUE;
}

static gboolean
is_same_answer (const VpPlacement *a, const VpPlacement *b)
{
  return a->n_vcpus == b->n_vcpus && a->n_offline == b->n_offline &&
         is_same_row (a->vcpus, b->vcpus, a->n_vcpus + a->n_offline) &&
         is_same_row ((const int *) a->ids, (const int *) b->ids, a->n_vcpus + a->n_offline) &&
         is_same_set (a->emulator, b->emulator) && is_same_set (a->nodes, b->nodes) && a->sockets == b->sockets &&
         a->dies == b->dies && a->cores == b->cores && a->threads == b->threads && a->l3_run == b->l3_run &&
         has_same_cells (a, b) && has_same_iothreads (a, b);
}

gboolean
vp_placement_seat_equal (const VpPlacementSeat *a, const VpPlacementSeat *b)
{
  if (a == NULL || b == NULL || a == b)
    return a == b;
  if (a->answer == NULL || b->answer == NULL)
    return a->answer == b->answer;
  return is_same_answer (a->answer, b->answer);
}

/* FNV-1a, eight bytes at a time: there are whole ones only. */
static guint
hash_bytes (gconstpointer key)
{
  gsize length = 0;
  const guint8 *data = g_bytes_get_data ((GBytes *) key, &length);
  guint64 hash = G_GUINT64_CONSTANT (14695981039346656037);

  for (gsize i = 0; i + sizeof hash <= length; i += sizeof hash) {
    guint64 word = 0;
    memcpy (&word, data + i, sizeof word);
    hash = (hash ^ word) * G_GUINT64_CONSTANT (1099511628211);
    hash ^= hash >> 29;
  }
  return (guint) (hash ^ (hash >> 32));
}

static void
kept_free (gpointer data)
{
  Kept *kept = data;

  g_bytes_unref (kept->asked);
  vp_placement_seat_unref (kept->seat);
  g_free (kept);
}

VpPlacementMemo *
vp_placement_memo_new (void)
{
  VpPlacementMemo *memo = g_new0 (VpPlacementMemo, 1);

  memo->table = g_hash_table_new_full (hash_bytes, g_bytes_equal, NULL, kept_free);
  memo->asked = g_byte_array_new ();
  return memo;
}

void
vp_placement_memo_free (VpPlacementMemo *memo)
{
  if (memo == NULL)
    return;
  g_hash_table_unref (memo->table);
  g_byte_array_unref (memo->asked);
  g_free (memo);
}

static void
add_bytes (GByteArray *asked, gconstpointer data, gsize length)
{
  g_byte_array_append (asked, data, (guint) length);
}

/* With its length, so that two sets behind each other are no other two. */
static void
add_set (GByteArray *asked, hwloc_const_bitmap_t set)
{
  int n = set != NULL ? hwloc_bitmap_nr_ulongs (set) : -1;

  add_bytes (asked, &n, sizeof n);
  for (int i = 0; i < n; i++) {
    unsigned long word = hwloc_bitmap_to_ith_ulong (set, (unsigned) i);
    add_bytes (asked, &word, sizeof word);
  }
}

/* NULL is another row than an empty one. */
static void
add_row (GByteArray *asked, gconstpointer row, gsize length)
{
  const guint8 there = row != NULL ? 1 : 0;

  add_bytes (asked, &there, sizeof there);
  if (row != NULL)
    add_bytes (asked, row, length);
}

/* All of it: what is forgotten here would give one guest the answer of another. */
static void
set_asked (GByteArray *asked, const VpPlacementRequest *request, gboolean whole)
{
  const guint64 sizes[] = { request->memory_kib, request->page_kib };
  const guint32 numbers[] = {
    request->n_vcpus,         request->n_beside,         request->n_offline,       request->threads,
    request->core_threads,    request->n_iothreads,      request->n_device_nodes,  request->n_bound,
    request->reserve_cores,   (guint32) request->pin,    (guint32) request->kind,  (guint32) request->cache,
    (guint32) request->match, (guint32) request->expose, (guint32) request->dense, (guint32) request->fixed,
    (guint32) whole,
  };
  const guint8 rest[sizeof (guint64)] = { 0 };
  gsize n_places = (gsize) request->n_vcpus + request->n_offline;

  g_byte_array_set_size (asked, 0);
  add_bytes (asked, sizes, sizeof sizes);
  add_bytes (asked, numbers, sizeof numbers);
  add_row (asked, request->ids, n_places * sizeof *request->ids);
  add_row (asked, request->current, request->n_vcpus * sizeof *request->current);
  add_row (asked, request->device_nodes, request->n_device_nodes * sizeof *request->device_nodes);
  add_row (asked, request->device_name, request->device_name != NULL ? strlen (request->device_name) + 1 : 0);
  add_set (asked, request->taken);
  add_set (asked, request->planned);
  for (guint i = 0; i < request->n_bound; i++) {
    add_set (asked, request->bound[i].vcpus);
    add_set (asked, request->bound[i].nodes);
    add_bytes (asked, &request->bound[i].strict, sizeof request->bound[i].strict);
  }
  add_bytes (asked, rest, (sizeof rest - asked->len % sizeof rest) % sizeof rest);
}

static VpPlacementSeat *
seat_new (const VpTopology *topology, const VpPlacementRequest *request, gboolean whole)
{
  VpPlacementSeat *seat = g_rc_box_new0 (VpPlacementSeat);

  seat->answer = whole ? vp_placement_new (topology, request, &seat->error) : vp_placement_choose (topology, request);
  seat->taken = hwloc_bitmap_dup (request->taken);
  seat->planned = hwloc_bitmap_dup (request->planned);
  return seat;
}

static void
keep (VpPlacementMemo *memo, VpPlacementSeat *seat)
{
  Kept *kept = g_new0 (Kept, 1);

  kept->asked = g_bytes_new (memo->asked->data, memo->asked->len);
  kept->seat = vp_placement_seat_ref (seat);
  kept->age = memo->age;
  g_hash_table_insert (memo->table, kept->asked, kept);
}

VpPlacementSeat *
vp_placement_memo_place (VpPlacementMemo *memo, const VpTopology *topology, const VpPlacementRequest *request,
                         gboolean whole)
{
  set_asked (memo->asked, request, whole);
  g_autoptr (GBytes) asked = g_bytes_new_static (memo->asked->data, memo->asked->len);
  Kept *kept = g_hash_table_lookup (memo->table, asked);

  if (kept != NULL) {
    kept->age = memo->age;
    return vp_placement_seat_ref (kept->seat);
  }
  VpPlacementSeat *seat = seat_new (topology, request, whole);
  if (g_hash_table_size (memo->table) < MOST_SEATS)
    keep (memo, seat);
  return seat;
}

static gboolean
is_old (gpointer key, gpointer value, gpointer data)
{
  const VpPlacementMemo *memo = data;

  (void) key;
  return ((const Kept *) value)->age != memo->age;
}

void
vp_placement_memo_age (VpPlacementMemo *memo)
{
  g_hash_table_foreach_remove (memo->table, is_old, memo);
  memo->age++;
}
