/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which grants there shall be, and how much memory goes with them. Writes nothing. */
#pragma once

#include "cli/cards/grant-files.h"
#include "cli/cards/sequester-choose.h"

G_BEGIN_DECLS

/* An error where a pick's group has what was not named, or where a pick is another user's. */
gboolean vp_grant_check (const VpGrantFiles *files, const VpGrantUser *user, const VpSequesterHost *host,
                         const GArray *picks, GError **error);
/*
 * What the user shall lock, in KiB; 0 and an error. `memory`: as --memory has it, checked; NULL: as his guests need,
 * and the host has: where that is less, a line says so.
 */
guint64 vp_grant_find_limit (const VpGrantFiles *files, const VpGrantUser *user, const char *memory, GError **error);
/* Into the list. `listed`, of VpDeviceIds, were sequestered before, and stay so when the grant goes. */
void vp_grant_add (const VpGrantFiles *files, const VpGrantUser *user, const GArray *picks, const GArray *listed);
/* Out of the list: of VpGrant *, the caller's. `name` NULL: any user's; no addresses: any card. */
GPtrArray *vp_grant_take (const VpGrantFiles *files, const char *name, const GArray *addresses);

G_END_DECLS
