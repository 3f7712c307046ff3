/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record with a reference count; who fills it is plan/fleet.c's and the gate's matter. */
#include "placement/neighbours.h"

#include <string.h>

static void
neighbour_free (gpointer data)
{
  VpNeighbour *neighbour = data;

  g_free (neighbour->name);
  hwloc_bitmap_free (neighbour->cpus);
  g_free (neighbour);
}

VpNeighbours *
vp_neighbours_new (void)
{
  VpNeighbours *neighbours = g_new0 (VpNeighbours, 1);

  g_atomic_ref_count_init (&neighbours->references);
  neighbours->taken = hwloc_bitmap_alloc ();
  neighbours->planned = hwloc_bitmap_alloc ();
  neighbours->others = g_ptr_array_new_with_free_func (neighbour_free);
  return neighbours;
}

VpNeighbours *
vp_neighbours_ref (VpNeighbours *neighbours)
{
  g_atomic_ref_count_inc (&neighbours->references);
  return neighbours;
}

void
vp_neighbours_unref (VpNeighbours *neighbours)
{
  if (neighbours == NULL || !g_atomic_ref_count_dec (&neighbours->references))
    return;
  hwloc_bitmap_free (neighbours->taken);
  hwloc_bitmap_free (neighbours->planned);
  g_ptr_array_unref (neighbours->others);
  g_free (neighbours->vcpus);
  g_free (neighbours);
}

void
vp_neighbours_add (VpNeighbours *neighbours, const char *name, gboolean running, hwloc_const_bitmap_t cpus)
{
  VpNeighbour *other = g_new0 (VpNeighbour, 1);

  other->name = g_strdup (name);
  other->running = running;
  other->cpus = hwloc_bitmap_dup (cpus);
  g_ptr_array_add (neighbours->others, other);
}

static gboolean
is_equal (const VpNeighbour *a, const VpNeighbour *b)
{
  return strcmp (a->name, b->name) == 0 && a->running == b->running && hwloc_bitmap_isequal (a->cpus, b->cpus);
}

gboolean
vp_neighbours_equal (const VpNeighbours *a, const VpNeighbours *b)
{
  if (a == NULL || b == NULL || a == b)
    return a == b;
  if (!hwloc_bitmap_isequal (a->taken, b->taken) || !hwloc_bitmap_isequal (a->planned, b->planned) ||
      a->n_vcpus != b->n_vcpus || a->others->len != b->others->len)
    return FALSE;
  if (a->n_vcpus > 0 && memcmp (a->vcpus, b->vcpus, a->n_vcpus * sizeof *a->vcpus) != 0)
    return FALSE;
  for (guint i = 0; i < a->others->len; i++)
    if (!is_equal (a->others->pdata[i], b->others->pdata[i]))
      return FALSE;
  return TRUE;
}
