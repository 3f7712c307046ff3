/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's CPUs as flat tables: what placement decides on. Read once from
 * hwloc (live, an XML file or a synthetic string), immutable afterwards.
 *
 * Every number that leaves this project is an operating-system index (hwloc's
 * P#), because that is what libvirt and the kernel call a CPU or a node. The
 * indexes below that are *not* called os_index are positions in these tables.
 */
#pragma once

#include <glib.h>
#include <hwloc.h>

G_BEGIN_DECLS

typedef struct {
  unsigned os_index; /* the CPU's number for the kernel and libvirt */
  unsigned core;     /* position in cores */
  unsigned thread;   /* 0 for the first PU of its core, in os_index order */
  gboolean usable;   /* online and allowed (cgroup) for us */
  gboolean isolated; /* named by isolcpus */
} VpPu;

typedef struct {
  unsigned os_index; /* core id: unique only within its package; where none is known, counted up */
  unsigned package;  /* dense package number */
  unsigned l3;       /* position in l3s */
  unsigned node;     /* position in nodes */
  unsigned kind;     /* rank of the core's kind, 0 = least performance; 0 everywhere when the host has one kind */
  unsigned first_pu; /* position in pus: a core's PUs stand together */
  unsigned n_pus;
} VpCore;

typedef struct {
  guint64 size;        /* bytes; 0 when not known */
  unsigned first_core; /* position in cores: the cores of an L3 stand together */
  unsigned n_cores;
} VpL3; /* never spans nodes: where the cache does, each node's share is an entry; cores of a
         * package and node that have no L3 share an entry of size 0 */

/* The way between two nodes (OS indexes), as firmware rates it. */
typedef struct {
  unsigned from;
  unsigned to;
  guint value; /* 10: the node itself */
} VpDistance;

#define VP_NODE_NONE G_MAXUINT

typedef struct {
  unsigned os_index;   /* VP_NODE_NONE: the entry of cores that have no node of their own (it is offline) */
  guint64 memory_kib;  /* 0: a node without memory, or a description that does not say */
  gboolean usable;     /* has memory or nothing is known of memory, and is allowed */
  unsigned first_core; /* position in cores: the cores of a node stand together */
  unsigned n_cores;    /* 0: memory only */
} VpNode;

typedef struct {
  guint n_pus;
  VpPu *pus; /* by node, L3, core, thread */
  guint n_cores;
  VpCore *cores;
  guint n_l3s;
  VpL3 *l3s;
  guint n_nodes;
  VpNode *nodes;
  guint n_kinds; /* at least 1, after kinds that differ too little were merged */
  guint n_packages;
  gboolean amd;       /* CPUVendor AuthenticAMD or HygonGenuine */
  gboolean intel;     /* CPUVendor GenuineIntel; neither: not known, or another one */
  guint *by_os_index; /* positions in pus, by os_index */
  guint n_distances;  /* 0: not known */
  VpDistance *distances;
  guint n_offline;
  unsigned *offline; /* os_index of CPUs that the machine has and that are not online, ascending; in no table */
} VpTopology;

/* Flattens a loaded hwloc topology; `isolated` may be NULL. The hwloc topology stays the caller's. */
VpTopology *vp_topology_new_from_hwloc (hwloc_topology_t hwloc, hwloc_const_bitmap_t isolated, GError **error);

/*
 * `description` is the path of an hwloc XML file where such a file exists, else a synthetic string. What the
 * three give is the caller's; NULL and an error: hwloc does not read it, or it makes no sense.
 */
VpTopology *vp_topology_load_description (const char *description, GError **error);

/* For a description, which has no place for it: `isolated` as the kernel lists it ("4-7"); FALSE: it is no list. */
gboolean vp_topology_set_isolated (VpTopology *topology, const char *isolated, GError **error);

/*
 * Which CPUs guests may run on, in place of those that this process may; a list as the kernel writes it. What
 * is none, NULL too, changes nothing.
 */
void vp_topology_set_allowed (VpTopology *topology, const char *allowed);

/* This machine's own. `isolated` as the kernel lists it ("4-7"), or NULL. */
VpTopology *vp_topology_load_host (const char *isolated, GError **error);

/* May be NULL. */
void vp_topology_free (VpTopology *topology);

/* The position of the PU with that os_index, or -1. */
int vp_topology_find_pu (const VpTopology *topology, unsigned os_index);
/* Whether the node at that position is one of these, by their os_index; one that has none is in no set. */
gboolean vp_topology_is_node_in (const VpTopology *topology, guint node, hwloc_const_bitmap_t nodes);
/* Whether one of these CPUs is on one of these nodes, both by their os_index. */
gboolean vp_topology_has_cpu_on (const VpTopology *topology, hwloc_const_bitmap_t cpus, hwloc_const_bitmap_t nodes);
/* Between two nodes; 0: not known. */
guint vp_topology_find_distance (const VpTopology *topology, unsigned from, unsigned to);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpTopology, vp_topology_free)

G_END_DECLS
