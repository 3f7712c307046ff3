/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who uses a device's nodes: processes, the text console, the default route. Reads; decides nothing. */
#pragma once

#include "devices/device-storage.h"

G_BEGIN_DECLS

/* Append what they find to `uses`. */
void vp_device_users_read_console (const VpRoot *root, const GArray *devices, const GArray *nodes, GArray *uses);
void vp_device_users_read_routes (const VpRoot *root, const GArray *nodes, GArray *uses);
/* Who has a node or layer of the `wanted` (of VpPciAddress) open; FALSE: not all could be looked at in time. */
gboolean vp_device_users_read_processes (const VpRoot *root, const GArray *wanted, const GArray *nodes,
                                         const GArray *layers, guint limit_ms, GArray *uses);

G_END_DECLS
