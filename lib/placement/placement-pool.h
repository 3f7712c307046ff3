/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The best cores among those of one pool: a set of cores that are alike in all
 * that goes before nodes and L3s. Private to the placement files.
 */
#pragma once

#include "placement/placement-view.h"

G_BEGIN_DECLS

typedef enum {
  VP_SHAPE_SPREAD, /* one vCPU a core */
  VP_SHAPE_PAIRED, /* a guest core's threads on one host core */
  VP_SHAPE_FILLED, /* as many vCPUs as a core has CPUs */
} VpCoreShape;

typedef struct {
  const VpPlacementView *view;
  gboolean large_only;
  gboolean isolated_only;
  gboolean avoid_planned;
  guint home;     /* cores that stay out of it, by VpCoreView.keep */
  guint leave;    /* cores that must be left to the host, whichever */
  guint used;     /* of those that it could live on, what the guest has from other pools */
  guint kind;     /* one kind, or VP_ANY_KIND */
  gboolean whole; /* VP_SHAPE_PAIRED alone, where the guest has threads */
  gboolean dense; /* no VP_SHAPE_SPREAD */
  VpCoreShape shape;
} VpCorePool;

#define VP_ANY_KIND G_MAXUINT

typedef struct {
  GArray *cores; /* of guint, positions; ascending */
  gboolean memoryless;
  guint n_nodes;
  guint n_short; /* units that one node fewer would lack; only of several nodes with memory */
  gboolean memory_short;
  guint device_rank;
} VpCorePick;

/* Units of vCPUs that a core takes in this shape, whoever holds it: guest cores where PAIRED, else vCPUs. */
guint vp_core_pool_count_units (const VpPlacementView *view, VpCoreShape shape, guint core);
/* In these units what so many vCPUs need. */
guint vp_core_pool_count_demand (const VpPlacementView *view, VpCoreShape shape, guint n_vcpus);

/* All vCPUs that the pool could take. */
guint vp_core_pool_count_room (const VpCorePool *pool);

/*
 * FALSE where the pool is too small, or would leave too little to the host. The cores are in the pick's array,
 * which the caller gives.
 */
gboolean vp_core_pool_pick (const VpCorePool *pool, guint n_vcpus, VpCorePick *pick);

/* The nodes with memory that so many vCPUs need; G_MAXUINT: all of them are too small. */
guint vp_core_pool_count_nodes (const VpCorePool *pool, guint n_vcpus);

/* Of these cores such as the host could live on. */
guint vp_core_pool_count_host (const VpCorePool *pool, const GArray *cores);

G_END_DECLS
