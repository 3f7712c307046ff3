/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a domain's PCI devices can be given to it at this moment: reads what
 * device-check.h judges, and has it judged. The gate and the doctor ask the same.
 */
#pragma once

#include "devices/device-check.h"
#include "profile/profile.h"

G_BEGIN_DECLS

/*
 * Of VpDeviceFinding *. `settings`: NULL where no profile says anything; `held`, `names`, `sessions`: as
 * in VpDeviceQuestion; `limit_ms`: for the processes that have a device open.
 */
GPtrArray *vp_device_check_now (const VpRoot *root, const VpDomain *domain, const VpSettings *settings,
                                const GArray *held, const GPtrArray *sessions, VpDeviceNames *names, guint limit_ms,
                                GError **error);

G_END_DECLS
