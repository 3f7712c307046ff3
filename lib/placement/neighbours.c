/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record with a reference count; who fills it is plan/fleet.c's and the gate's matter. */
#include "placement/neighbours.h"

#include <string.h>

static void
neighbour_clear (gpointer data)
{
  VpNeighbour *neighbour = data;

  g_free (neighbour->name);
  hwloc_bitmap_free (neighbour->cpus);
}

VpNeighbour *
vp_neighbour_new (const char *name, gboolean running)
{
  VpNeighbour *neighbour = g_atomic_rc_box_new0 (VpNeighbour);

  neighbour->name = g_strdup (name);
  neighbour->running = running;
  neighbour->cpus = hwloc_bitmap_alloc ();
  return neighbour;
}

void
vp_neighbour_unref (VpNeighbour *neighbour)
{
  if (neighbour != NULL)
    g_atomic_rc_box_release_full (neighbour, neighbour_clear);
}

VpNeighbours *
vp_neighbours_new (void)
{
  VpNeighbours *neighbours = g_new0 (VpNeighbours, 1);

  g_atomic_ref_count_init (&neighbours->references);
  neighbours->taken = hwloc_bitmap_alloc ();
  neighbours->planned = hwloc_bitmap_alloc ();
  neighbours->others = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_neighbour_unref);
  return neighbours;
}

VpNeighbours *
vp_neighbours_new_bare (const VpNeighbours *neighbours)
{
  VpNeighbours *bare = vp_neighbours_new ();

  hwloc_bitmap_copy (bare->taken, neighbours->taken);
  hwloc_bitmap_copy (bare->planned, neighbours->planned);
  bare->n_vcpus = neighbours->n_vcpus;
  bare->vcpus = g_memdup2 (neighbours->vcpus, neighbours->n_vcpus * sizeof *neighbours->vcpus);
  return bare;
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
vp_neighbours_add (VpNeighbours *neighbours, VpNeighbour *other)
{
  g_ptr_array_add (neighbours->others, g_atomic_rc_box_acquire (other));
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
