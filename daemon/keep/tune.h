/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can still be applied to a guest that runs: pins of one that started stale, and of vCPUs before they are plugged. */
#pragma once

#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

/* Waits for libvirt. FALSE: it is not or only partly pinned. `neighbours` NULL: it has the host for itself. */
gboolean vp_tune_live (virDomainPtr domain, const VpHost *host, const VpProfiles *profiles,
                       const VpNeighbours *neighbours, GError **error);

/*
 * Pins vCPUs that are offline to what is left now beside `neighbours`, so that libvirt finds it when it plugs them,
 * and this daemon need not be there. `live`: as the guest runs; read. Waits for libvirt. FALSE: not all are pinned so.
 */
gboolean vp_tune_offline (virDomainPtr domain, const VpDomain *live, const VpHost *host, const VpProfiles *profiles,
                          const VpNeighbours *neighbours, GError **error);

G_END_DECLS
