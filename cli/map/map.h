/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which guest holds which CPU of the host: the model behind the map's text, its
 * picture and its JSON. It reads a topology and definitions, and asks nobody.
 */
#pragma once

#include "domain/pins.h"
#include "host/topology.h"

G_BEGIN_DECLS

typedef enum {
  VP_MAP_FILE, /* a definition out of a file: whether it runs is not known */
  VP_MAP_STOPPED,
  VP_MAP_RUNNING,
} VpMapState;

typedef struct {
  char *name;  /* as the definition has it: clean it before a terminal sees it */
  char *label; /* "A", "B", … "Z", "AA", … */
  VpMapState state;
  VpPins *pins;
  GArray *cpus;   /* of int: the one CPU of each vCPU; -1: it is offline, or may run on several, or anywhere */
  guint n_online; /* vCPUs that are not offline: the others hold nothing */
  guint n_pinned;
  char *missing; /* CPUs of those that this host does not have, as a list; NULL: none */
} VpMapGuest;

typedef struct {
  guint guest; /* position in guests */
  guint vcpu;
} VpMapHold;

typedef struct {
  unsigned os_index;
  const VpPu *pu;   /* borrowed from the topology; NULL: the CPU is offline */
  GArray *holds;    /* of VpMapHold, by guest and vCPU */
  gboolean service; /* emulator threads or iothreads of a guest are pinned here */
} VpMapCpu;

/* CPUs that each have several vCPUs, all of the same guests. */
typedef struct {
  char *mark;     /* "AB"; "A" where one guest has two vCPUs on a CPU */
  GArray *guests; /* of guint, positions in guests */
  VpBitmap *cpus;
  guint n_running; /* of those guests */
} VpMapConflict;

typedef struct {
  const VpTopology *topology; /* borrowed */
  GPtrArray *guests;          /* of VpMapGuest, by name */
  GArray *cpus;               /* of VpMapCpu: those of the topology at their positions, then the offline ones */
  GPtrArray *conflicts;       /* of VpMapConflict, by their first CPU in the topology */
} VpMap;

/* `guests` are made with the function below; the map takes them over and labels them. */
VpMap *vp_map_new (const VpTopology *topology, GPtrArray *guests);
void vp_map_free (VpMap *map);

/* With the pins that the definition has; the CPUs of <vcpu cpuset='…'> are those of what has none. The caller's. */
VpMapGuest *vp_map_guest_new (const VpDomain *domain, VpMapState state);
void vp_map_guest_free (VpMapGuest *guest);

/* By their positions in the tables above; borrowed. */
const VpMapCpu *vp_map_cpu (const VpMap *map, guint position);
const VpMapGuest *vp_map_guest (const VpMap *map, guint position);
/*
 * The guests on a CPU, "A" or "AB", with "e" for emulator threads; "": no guest has anything here.
 * Where there are more guests than letters it is "A+AB+e".
 */
char *vp_map_dup_mark (const VpMap *map, const VpMapCpu *cpu);
/* The host's share: a CPU that it may use and that no vCPU is pinned on. */
gboolean vp_map_is_host_share (const VpMapCpu *cpu);
/* "definition", "stopped", "running". */
const char *vp_map_state_name (VpMapState state);
/* "P", "M", "E" for up to three kinds of core, else "K0", "K1" …; NULL: all are of one kind. */
char *vp_map_dup_kind (const VpTopology *topology, const VpCore *core);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpMap, vp_map_free)

G_END_DECLS
