/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can still be applied to a guest that started stale (on-stale = start): its pins. */
#pragma once

#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

/* Waits for libvirt. FALSE: it is not or only partly pinned. `neighbours` NULL: it has the host for itself. */
gboolean vp_tune_live (virDomainPtr domain, const VpHost *host, const VpProfiles *profiles,
                       const VpNeighbours *neighbours, GError **error);

G_END_DECLS
