/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the placement is asked, and what it answers. */
#pragma once

#include "domain/bound-cells.h"
#include "host/topology.h"

G_BEGIN_DECLS

typedef enum { VP_PIN_NO, VP_PIN_YES, VP_PIN_REQUIRED } VpPin;
typedef enum { VP_KIND_PERFORMANCE, VP_KIND_EFFICIENCY, VP_KIND_ANY } VpCoreKind;
typedef enum { VP_CACHE_ANY, VP_CACHE_LARGEST } VpCache;

/*
 * The rules, in the order in which one gives way to the next (the first that
 * differs decides; see placement-view.h for the same list as numbers):
 *   no CPU of another guest, as many cores left as the host reserves, vCPUs on
 *   the nodes that the memory of their cells comes from (bound), a guest core's
 *   threads on one host core (unless efficiency is asked for), no CPU that a
 *   stopped guest is planned on (nor the last that the host would have beside
 *   it), the large cache where asked, isolated CPUs, one kind of core, a guest
 *   core's threads on one kind, as many guest cores as can be on one host core
 *   each, nodes with memory, the fewest nodes, CPU 0's core left to the host
 *   (which keeps others where one of the rules before asks for that), memory
 *   that fits the nodes, the devices' node, one vCPU a core (threads = 1), the
 *   fewest cores, the fewest L3s, these in the order of their sizes (match);
 *   then whole L3s, the fewest fragments left, and the highest-numbered cores.
 * A guest with threads = 1 that has more vCPUs than there are cores is put on as
 * few whole cores as hold it, two a core: no half cores, and all vCPUs alike.
 * `current` stays as long as all of these but those after "then" are as good
 * as in a fresh answer: a rule that counts moves a guest, tidiness does not.
 * Whatever the request points to is only read; placement-request.h makes one that owns it.
 */
typedef struct {
  /* the guest */
  guint n_vcpus;   /* those that run, at least 1 */
  guint n_beside;  /* of these are offline, but their guest core runs in part: the place is theirs */
  guint n_offline; /* those that may be plugged: they get what is left, and nothing makes way for them */
  /* The number of each, n_vcpus that run in the order of their places, then n_offline; NULL: 0, 1, 2 … */
  const guint *ids;
  guint threads; /* of a guest core; the vCPU of place i is thread i % threads; 1 when the domain has no topology */
  guint core_threads; /* the same with those that are offline: vCPU i is of core i / core_threads; 0: as `threads` */
  guint n_iothreads;
  guint64 memory_kib;      /* 0: not known */
  const int *device_nodes; /* OS indexes of the nodes of its devices, most important first; -1 unknown */
  guint n_device_nodes;
  const VpBoundCell
    *bound;                /* the cells that the user made, by the places of vCPUs, and where their memory comes from */
  guint n_bound;           /* 0: none, or none of them is bound */
  const char *device_name; /* what the first of them is called in texts, "0000:41:00.0"; NULL: "the device" */
  guint64 page_kib;        /* size of the pages that its memory is made of; 0: 2 MiB; only the cells need it */
  /* the profile */
  VpPin pin;           /* VP_PIN_YES or VP_PIN_REQUIRED here */
  guint reserve_cores; /* whole cores that the host keeps, the one of CPU 0 first where that costs the guest nothing */
  VpCoreKind kind;
  VpCache cache;
  gboolean match;  /* the guest's topology follows the host's: `threads` is chosen here */
  gboolean expose; /* a guest on several nodes gets cells */
  gboolean dense;  /* two vCPUs a core also where threads is 1: leaves room for other guests */
  /* the rest of the host */
  hwloc_const_bitmap_t taken;   /* CPUs (OS indexes) that other guests hold; NULL: none */
  hwloc_const_bitmap_t planned; /* CPUs of guests that do not run now: avoided where possible; NULL: none */
  const int *current; /* n_vcpus OS indexes as pinned now, -1 where not pinned to exactly one CPU; NULL: none */
  gboolean fixed;     /* it runs there: whatever the rules say, `current` stays if it is an assignment at all */
} VpPlacementRequest;

/* How far down the ladder the answer stands. */
typedef enum {
  VP_LEVEL_WHOLE_L3, /* every L3 that the guest touches is its own */
  VP_LEVEL_WHOLE_CORES,
  VP_LEVEL_RESERVE, /* it took the host's reserved cores too */
  VP_LEVEL_SHARED,  /* it shares CPUs with other guests */
  VP_LEVEL_UNPINNED,
} VpPlacementLevel;

/* The guest's own NUMA node: vCPUs and memory that come from one host node. */
typedef struct {
  unsigned node; /* OS index of the host's */
  hwloc_bitmap_t vcpus;
  guint64 memory_kib;
} VpPlacementCell;

typedef struct {
  VpPlacementLevel level;
  guint n_vcpus;           /* those that run */
  guint n_offline;         /* those that may be plugged, behind them in these three; */
  guint *ids;              /* the number of each vCPU; NULL when level is VP_LEVEL_UNPINNED */
  int *vcpus;              /* OS index for each; -1: offline, and none is left for it; NULL when unpinned */
  char **reasons;          /* for each, and NULL, "CPU 6: core 2, L3 0, node 0, second thread of vCPU 0's core";
                          * NULL when unpinned */
  hwloc_bitmap_t emulator; /* the host's CPUs nearest to the guest, see placement-host.c; NULL: not pinned */
  guint n_iothreads;
  hwloc_bitmap_t *iothreads; /* one for each iothread, in order; NULL: not pinned */
  hwloc_bitmap_t nodes;      /* OS indexes of the NUMA nodes that the memory comes from; NULL: not bound */
  guint sockets;             /* the topology to show to the guest: 1 to 4 numbers whose product is all vCPUs; */
  guint dies;                /*   all 0 unless the request says match */
  guint cores;
  guint threads;
  guint l3_run;  /* match: a guest that sees the host's caches takes runs of so many vCPUs for those of one L3,
                  * wrongly; 0: it is right about them */
  guint n_cells; /* 0: nothing to expose */
  VpPlacementCell *cells;
  char *summary;       /* one line, "4 vCPUs on 2 whole cores of L3 0, node 0; host keeps CPUs 0-1,4-5" */
  GPtrArray *warnings; /* of char *, what was missing */
} VpPlacement;

G_END_DECLS
