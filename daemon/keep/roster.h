/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What domains libvirt has, as last read, as the fleet that they make. Kept so that one that changes
 * can be placed beside the others without reading those again. Of each there is only what that needs;
 * the definition itself is the caller's for one look. Main thread only.
 */
#pragma once

#include "edits/prepare-context.h"
#include "plan/fleet.h"

G_BEGIN_DECLS

typedef struct VpRoster VpRoster;

VpRoster *vp_roster_new (VpVersions *versions); /* empty; `versions` stays the caller's */
void vp_roster_free (VpRoster *roster);

/* All that there are, as of that host and those profiles. FALSE: libvirt does not list them, and all is as it was. */
gboolean vp_roster_read_all (VpRoster *roster, virConnectPtr connection, VpHost *host, VpProfiles *profiles,
                             GError **error);
/* Borrowed: the names of those that are stored. */
GPtrArray *vp_roster_list (const VpRoster *roster);
/* It is gone, as far as libvirt said: the others are placed without it from the next settling on. */
void vp_roster_forget (VpRoster *roster, const char *name);
/* What was read of it (NULL: of any) is old: it was edited, or the connection is another one. */
void vp_roster_expire (VpRoster *roster, const char *name);
/*
 * One domain as it is now, read from libvirt if nobody knows it to be what was read last; one that is gone, or cannot
 * be read, is forgotten. Where the host or the profiles are others than before, all are read. Then all are settled.
 * What was seen is the caller's to clear (prepare-context.h).
 */
void vp_roster_look (VpRoster *roster, virConnectPtr connection, const char *name, VpHost *host, VpProfiles *profiles,
                     VpSeen *seen);
/* Borrowed, NULL before the first look. */
const VpFleet *vp_roster_get_fleet (const VpRoster *roster);
/* Names (char *) of those that were placed otherwise since this was asked last; the caller's. */
GPtrArray *vp_roster_take_moved (VpRoster *roster);
/* The caller's; NULL: nobody that we place. */
VpNeighbours *vp_roster_new_neighbours (const VpRoster *roster, const char *name);
/* vCPUs that run, of a guest to which others can be plugged; borrowed until it is read again. NULL: it is none. */
hwloc_const_bitmap_t vp_roster_get_online (const VpRoster *roster, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpRoster, vp_roster_free)

G_END_DECLS
