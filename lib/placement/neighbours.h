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
/* A reference more, given back with unref; unref of NULL does nothing. */
VpNeighbours *vp_neighbours_ref (VpNeighbours *neighbours);
void vp_neighbours_unref (VpNeighbours *neighbours);
/* Copied. Only before it is shared. */
void vp_neighbours_add (VpNeighbours *neighbours, const char *name, gboolean running, hwloc_const_bitmap_t cpus);
/* Either may be NULL. */
gboolean vp_neighbours_equal (const VpNeighbours *a, const VpNeighbours *b);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpNeighbours, vp_neighbours_unref)

G_END_DECLS
