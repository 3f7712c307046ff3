/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands on a block device: its partitions, and the LVM, dm-crypt, md or bcache
 * devices that hold them, up to the file systems and swap areas. Reads; decides nothing.
 */
#pragma once

#include "devices/device-facts.h"

G_BEGIN_DECLS

/* One block device that stands on a domain's own. */
typedef struct {
  VpPciAddress device;
  char *name;   /* "dm-0" */
  char *path;   /* "/dev/dm-0"; NULL: sysfs does not say */
  char *mapped; /* "/dev/mapper/vg-root"; NULL: it is not the device mapper's */
  char *bottom; /* the disk or partition of the domain's that it stands on, or itself */
  char *words;  /* for people: "dm-0 (vg-root) on nvme0n1p3" */
  dev_t number; /* 0: sysfs does not say */
} VpDeviceLayer;

/* Of VpDeviceLayer: the block nodes themselves and all above, each once. The caller's. */
GArray *vp_device_layers_read (const VpRoot *root, const GArray *nodes);
/* Appends the mounts and swap areas on them to `uses`. */
void vp_device_layers_read_uses (const VpRoot *root, const GArray *layers, GArray *uses);

G_END_DECLS
