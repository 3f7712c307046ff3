/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's IOMMU groups, and whether a guest can have what is in them. A group goes
 * to one guest or to none; what only carries others (bridges, ports) stays the host's.
 * Reads sysfs; the verdicts are pure.
 */
#pragma once

#include <json-c/json.h>

#include "devices/device-names.h"
#include "host/pci.h"

G_BEGIN_DECLS

typedef enum {
  VP_GROUP_YES,  /* its endpoints can go to a guest */
  VP_GROUP_HOST, /* they can, but the display that the host started on is among them */
  VP_GROUP_NO,
} VpGroupVerdict;

typedef struct {
  const VpPciDevice *device; /* borrowed from the groups */
  const VpPciDevice *parent; /* the bridge or port right above it; NULL: it is on the root */
  guint depth;               /* below others of the same group */
} VpGroupMember;

typedef struct {
  int number;
  GArray *members; /* of VpGroupMember, each below its bridge where that is in the group */
  VpGroupVerdict verdict;
  gboolean ready; /* no host driver has an endpoint */
  char *reason;   /* one line */
} VpGroup;

typedef struct {
  GArray *devices;   /* of VpPciDevice */
  GPtrArray *groups; /* of VpGroup, by number */
  guint n_alone;     /* devices in no group */
} VpGroups;

/* All of what the root has; the caller's. */
VpGroups *vp_groups_read (const VpRoot *root);
void vp_groups_free (VpGroups *groups);
const VpGroup *vp_groups_find (const VpGroups *groups, int number); /* borrowed; NULL: none */
/* The bridges and ports above a device, the nearest first; of const VpPciDevice *. The array is the caller's. */
GPtrArray *vp_groups_above (const VpGroups *groups, const VpRoot *root, const VpPciDevice *device);

/* "yes", "host", "no". */
const char *vp_group_verdict_word (VpGroupVerdict verdict);

/* "0000:01:00.0 VGA display, NVIDIA Corporation GM107 [GeForce GTX 750] [10de:1381]". The caller's. */
char *vp_pci_dup_title (const VpPciDevice *device, VpDeviceNames *names);

/* As a tree, and the array of `vfio-profile groups --json`, which is the caller's. */
void vp_groups_print (const VpGroups *groups, VpDeviceNames *names);
json_object *vp_groups_to_json (const VpGroups *groups, VpDeviceNames *names);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpGroups, vp_groups_free)

G_END_DECLS
