/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a person is told of sequestered cards: what becomes of them, and what became. Changes nothing. */
#pragma once

#include "cli/cards/sequester-choose.h"
#include "devices/device-ids.h"

G_BEGIN_DECLS

typedef enum {
  VP_SEQUESTER_READY,   /* on vfio-pci */
  VP_SEQUESTER_WAITING, /* listed since the boot */
  VP_SEQUESTER_MISSED,  /* listed at boot, and not on vfio-pci */
  VP_SEQUESTER_MOVED,   /* another device is there */
  VP_SEQUESTER_GONE,    /* none is there */
} VpSequesterState;

/* `devices`: of VpPciDevice, the host's. */
VpSequesterState vp_sequester_get_state (const VpRoot *root, const GArray *devices, const VpDeviceIds *ids);
const char *vp_sequester_state_word (VpSequesterState state);

/* Of VpDeviceIds, those listed. The array of `vfio-profile sequester --list --json` is the caller's. */
void vp_sequester_print (const VpRoot *root, const GArray *ids);
json_object *vp_sequester_to_json (const VpRoot *root, const GArray *ids);

/* Drivers that cannot be kept off, and what stays on a boot display. */
void vp_sequester_warn (const VpSequesterHost *host, const GArray *picks);
/* A line for each of them. */
void vp_sequester_say (const VpSequesterHost *host, const GArray *picks);

G_END_DECLS
