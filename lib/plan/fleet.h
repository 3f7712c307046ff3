/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All domains of a host, to place those that are tagged beside each other. Pure:
 * definitions in, what each guest must know of the others out.
 *
 * A guest that runs holds the CPUs of its live pins, whoever made them. One that
 * does not is planned on the CPUs that it will get, if we place it, or that its
 * definition names. The order in which domains are added makes no difference.
 */
#pragma once

#include "domain/domain.h"
#include "host/host.h"
#include "placement/neighbours.h"
#include "profile/profile.h"

G_BEGIN_DECLS

typedef struct VpFleet VpFleet;

/* The caller's; host and profiles must outlive it. */
VpFleet *vp_fleet_new (const VpHost *host, const VpProfiles *profiles);
void vp_fleet_free (VpFleet *fleet); /* may be NULL */

/*
 * Read, not kept; takes the place of the domain of that UUID. `stored` NULL: a transient domain; `live` NULL: it does
 * not run. One of them is there.
 */
void vp_fleet_set (VpFleet *fleet, const VpDomain *stored, const VpDomain *live);
/* The domain of that name is gone. One that is not there, or is called otherwise by now, is no harm. */
void vp_fleet_remove (VpFleet *fleet, const char *uuid, const char *name);
/* Places them; after the last set or remove. Again after another, it costs little more than what that changes. */
void vp_fleet_settle (VpFleet *fleet);

/* The caller's; NULL: no domain with that UUID, or one that no profile pins. After the settling. */
VpNeighbours *vp_fleet_new_neighbours (const VpFleet *fleet, const char *uuid);
/* The same, borrowed until the next settling. */
VpNeighbours *vp_fleet_find (const VpFleet *fleet, const char *uuid);
/* Names of those that the last settling placed otherwise than the one before, the new ones too; the fleet's own. */
const GPtrArray *vp_fleet_get_moved (const VpFleet *fleet);
/* A guest that runs, for whoever must know what it holds; all of it is the fleet's. */
typedef struct {
  const char *uuid;
  const char *name;
  hwloc_const_bitmap_t cpus;
  const GArray *devices; /* of VpPciAddress */
} VpRunning;

/* In the order of their names. */
void vp_fleet_foreach_running (const VpFleet *fleet, void (*visit) (const VpRunning *running, gpointer data),
                               gpointer data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpFleet, vp_fleet_free)

G_END_DECLS
