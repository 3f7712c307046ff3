/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host as one request sees it, and how good an assignment is. Private to
 * the placement files.
 */
#pragma once

#include "placement/assignment.h"

G_BEGIN_DECLS

typedef struct {
  guint width;       /* CPUs of the core that are usable; 0: none */
  guint taken;       /* CPUs of the core that other guests hold */
  guint planned;     /* CPUs of the core that stopped guests are planned on */
  guint keep;        /* the host keeps cores in this order if it may, 0 first; G_MAXUINT: not usable */
  gboolean isolated; /* all its usable CPUs are */
  gboolean large;    /* behind an L3 that is larger than others by VP_LARGE_CACHE or more */
} VpCoreView;

#define VP_LARGE_CACHE ((guint64) 64 << 20)

typedef struct {
  const VpTopology *topology;
  const VpPlacementRequest *request;
  guint threads;        /* of a guest core, at least 1 */
  guint reserve;        /* cores that the host keeps while it can: these in number, and by keep where it may choose */
  VpCoreView *cores;    /* one for each of the topology's */
  guint *by_keep;       /* positions of the usable cores, in the order of keep */
  guint n_cores;        /* usable ones */
  guint n_cpus;         /* usable ones */
  guint width;          /* CPUs of the widest core */
  guint n_host;         /* cores that the host can live on */
  guint n_host_clear;   /* of these such as no stopped guest is planned on */
  guint n_isolated;     /* usable cores that are isolated */
  guint n_nodes;        /* usable nodes */
  gboolean has_planned; /* other guests' plans are to be avoided */
  gboolean has_large;   /* asked for, and there is a difference */
  guint *device_rank;   /* for each node the position of its first device in the request; n_device_nodes: none */
  gboolean *within;     /* for each node whether vCPUs may go there; NULL: everywhere */
  /* For each vCPU the nodes that its cell's memory comes from, borrowed, equal sets by one pointer, NULL for any; */
  hwloc_const_bitmap_t *homes; /* NULL: no cell is bound to nodes with CPUs */
  guint best_device;           /* the lowest of these; n_device_nodes: no device is near any usable node */
} VpPlacementView;

/* How good an assignment is: the first number that differs decides, less is better. */
typedef enum {
  VP_PART_RUNG,       /* 0 clean, 1 on the host's reserve, 2 shared */
  VP_PART_OVERLAP,    /* CPUs that it shares with guests that run */
  VP_PART_RESERVE,    /* cores that the host is left short of its reserve */
  VP_PART_AWAY,       /* vCPUs that are not on the nodes of their cell's memory */
  VP_PART_WHOLE,      /* 1: a guest core has threads on several host cores, and efficiency is not asked for */
  VP_PART_PLANNED,    /* 1: it cannot run beside the guests that do not run now, as those are planned */
  VP_PART_CACHE,      /* 1: not all behind the large cache */
  VP_PART_ISOLATED,   /* 1: not all isolated */
  VP_PART_KIND,       /* place of its kind in the order asked for; n_kinds or more: several, the best ones
                      * in part */
  VP_PART_MIXED,      /* guest cores with threads on several kinds of core */
  VP_PART_SPLIT,      /* guest cores with threads on several host cores, or (threads == 1) 1: the vCPUs of a
                      * host core do not stand together */
  VP_PART_MEMORYLESS, /* 1: some core has no usable node */
  VP_PART_NODES,
  VP_PART_HOME,   /* cores in it that the host would keep if it may choose */
  VP_PART_MEMORY, /* 1: its nodes have less memory than the guest */
  VP_PART_DEVICE, /* place of the first device that is near it */
  VP_PART_PAIRS,  /* threads == 1: 1 where two vCPUs share a core (planned: 0) */
  VP_PART_CORES,
  VP_PART_L3S,
  VP_PART_ORDER, /* match: 1 where an L3 is come back to, or has more vCPUs than the one before */
  VP_PART_N,
} VpPlacementKeyPart;

typedef struct {
  guint part[VP_PART_N];
  guint n_planned; /* how many of its CPUs are planned for others; not compared, or guests would make way for
                    * each other for ever */
} VpPlacementKey;

/* `threads` as the guest has them or will have them. The caller's; it points to the other two. */
VpPlacementView *vp_placement_view_new (const VpTopology *topology, const VpPlacementRequest *request, guint threads);
void vp_placement_view_free (VpPlacementView *view);

/* Whether the host could live on a core: nobody holds it, and it is not isolated. */
gboolean vp_placement_view_is_host (const VpPlacementView *view, guint core);

/* The place of a kind in the order that the request asks for, 0 first. */
guint vp_placement_view_rank_kind (const VpPlacementView *view, guint kind);

/* Whether a guest core, of threads that stand together in `vcpus`, is on several host cores. */
gboolean vp_placement_view_has_split_core (const VpPlacementView *view, const int *vcpus, guint n_vcpus);

/* FALSE where vcpus is no assignment at all: a CPU unknown, not usable or twice. */
gboolean vp_placement_view_rate (const VpPlacementView *view, const int *vcpus, VpPlacementKey *key);

/* Below 0: a is the better one; 0: neither. */
int vp_placement_key_compare (const VpPlacementKey *a, const VpPlacementKey *b);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPlacementView, vp_placement_view_free)

G_END_DECLS
