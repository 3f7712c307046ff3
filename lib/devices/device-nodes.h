/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host's drivers made of a PCI function: displays, disks, network interfaces. Reads; decides nothing. */
#pragma once

#include "devices/device-facts.h"

G_BEGIN_DECLS

/* Of VpDeviceNode, by device and name; the caller's. */
GArray *vp_device_nodes_read (const VpRoot *root, const GArray *hostdevs);
/* Of a block device or another class's: "/dev/nvme0n1", the caller's, and its number; FALSE: sysfs does not say. */
gboolean vp_device_node_read (const VpRoot *root, const char *class, const char *name, char **path, dev_t *number);

G_END_DECLS
