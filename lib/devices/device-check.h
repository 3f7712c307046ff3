/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a domain's PCI devices can be given to it now. Pure: facts in, findings
 * out. What is refused here would fail, hang or harm the host a moment later.
 */
#pragma once

#include "devices/device-judge.h"

G_BEGIN_DECLS

/* Of VpDeviceFinding *, in the order of the hostdevs, then those about x-vga and about what was not looked at. */
GPtrArray *vp_device_check (const VpDeviceQuestion *question);
/* All refusals in one line, the caller's; NULL: there is none. */
char *vp_device_findings_dup_refusal (const GPtrArray *findings);

G_END_DECLS
