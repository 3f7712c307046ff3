/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What domains libvirt has, as last read: their definitions, and the live XML of those
 * that run. Kept so that one that changes can be placed beside the others without
 * reading those again. Main thread only.
 */
#pragma once

#include "libvirt/libvirt-client.h"
#include "plan/fleet.h"

G_BEGIN_DECLS

typedef struct VpRoster VpRoster;

VpRoster *vp_roster_new (void); /* empty */
void vp_roster_free (VpRoster *roster);

/* Reads one domain again, from libvirt; one that is gone, or cannot be read, is forgotten. */
void vp_roster_refresh (VpRoster *roster, virConnectPtr connection, const char *name);
void vp_roster_refresh_all (VpRoster *roster,
                            const GPtrArray *domains); /* these (virDomainPtr) are all that there are */

/* All of them, settled; borrowed, until something is read that differs or the host or the profiles are others. */
const VpFleet *vp_roster_settle (VpRoster *roster, VpHost *host, VpProfiles *profiles);

/* Borrowed until it is read again; NULL: not known, or not stored. */
const VpDomain *vp_roster_find_stored (const VpRoster *roster, const char *name);
/* The same, of the live XML; NULL too while its start has not ended, or it is paused. */
const VpDomain *vp_roster_find_running (const VpRoster *roster, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpRoster, vp_roster_free)

G_END_DECLS
