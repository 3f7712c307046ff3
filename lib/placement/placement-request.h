/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain and its settings ask of placement. */
#pragma once

#include "domain/domain.h"
#include "host/host.h"
#include "placement/placement.h"
#include "profile/profile.h"

G_BEGIN_DECLS

/*
 * `original`: what the user wrote; `present`: as it stands now, with the pins that it has.
 * Only for settings that pin. The caller's, and it owns its ids, device_nodes, device_name,
 * bound and current; `taken` and `planned` are NULL until the caller lends it sets. NULL and an error
 * where the definition names no vCPUs or no memory.
 */
VpPlacementRequest *vp_placement_request_new (const VpDomain *original, const VpDomain *present, const VpHost *host,
                                              const VpSettings *settings, GError **error);
/* Only for one made by vp_placement_request_new; may be NULL. */
void vp_placement_request_free (VpPlacementRequest *request);

/* Whether the settings ask for pins at all. */
gboolean vp_settings_pin (const VpSettings *settings);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPlacementRequest, vp_placement_request_free)

G_END_DECLS
