/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a guest that runs is not what it was planned to be. Pure. */
#pragma once

#include "vp-host.h"

G_BEGIN_DECLS

/* Pins to CPUs that went offline or are no longer allowed, in one line; NULL: there are none. */
char *vp_drift_dup_lost_cpus (const VpDomain *live, const VpHost *host);

G_END_DECLS
