/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the facts about a domain's devices, all at once. */
#pragma once

#include "devices/device-facts.h"

G_BEGIN_DECLS

/*
 * `hostdevs` (of VpHostdev) are the domain's. Processes are looked at only for those that
 * libvirt will take from a host driver, and for `limit_ms` at most. The caller's; NULL and an error where
 * sysfs lists no PCI device at all.
 */
VpDeviceFacts *vp_devices_read (const VpRoot *root, const GArray *hostdevs, guint limit_ms, GError **error);

G_END_DECLS
