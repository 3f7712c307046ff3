/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest that is planned must know of the others. Immutable, shared between
 * threads by reference count. The same document with the same neighbours gives the
 * same plan, whatever the others did since: that is how the gate tells a definition
 * that was edited from one whose neighbours came or went.
 */
#pragma once

#include <glib.h>
#include <hwloc.h>

G_BEGIN_DECLS

/* Immutable and shared, too. */
typedef struct {
  char *name;
  gboolean running;
  hwloc_bitmap_t cpus; /* that it holds, or is planned on */
} VpNeighbour;

typedef struct {
  gatomicrefcount references;
  hwloc_bitmap_t taken;   /* CPUs of guests that run */
  hwloc_bitmap_t planned; /* CPUs of guests that do not */
  guint n_vcpus;          /* of `vcpus`; 0: nothing was settled */
  int *vcpus;             /* where this guest's vCPUs are when all are settled */
  GPtrArray *others;      /* of VpNeighbour, by name */
} VpNeighbours;

VpNeighbours *vp_neighbours_new (void); /* with empty sets */
/* The same but for `others`, which change what is said of a plan, and never the plan; the caller's. */
VpNeighbours *vp_neighbours_new_bare (const VpNeighbours *neighbours);
/* A reference more, given back with unref; unref of NULL does nothing. */
VpNeighbours *vp_neighbours_ref (VpNeighbours *neighbours);
void vp_neighbours_unref (VpNeighbours *neighbours);
/* One that holds nothing yet; the name is copied. A reference, given back with unref; unref of NULL does nothing. */
VpNeighbour *vp_neighbour_new (const char *name, gboolean running);
void vp_neighbour_unref (VpNeighbour *neighbour);
/* A reference more. Only before `neighbours` is shared. */
void vp_neighbours_add (VpNeighbours *neighbours, VpNeighbour *other);
/* Either may be NULL. */
gboolean vp_neighbours_equal (const VpNeighbours *a, const VpNeighbours *b);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpNeighbour, vp_neighbour_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpNeighbours, vp_neighbours_unref)

G_END_DECLS
