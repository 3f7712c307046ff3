/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cards that an ordinary user may give to guests of a libvirt of his own, and who may
 * have an IOMMU group for that. Texts in, texts out.
 *
 *   /etc/vfio-profile/grants    a function a line: "1000 alice 0000:01:00.0 10de:1381 sequestered"
 *
 * A user who has a group's node in /dev/vfio has every device in it that is on vfio-pci.
 * So he has it only when all of them are his.
 */
#pragma once

#include "devices/device-ids.h"
#include "host/pci.h"

G_BEGIN_DECLS

#define VP_GRANT_MARK "# Written by 'vfio-profile grant'; it also takes this away, with --undo.\n"

typedef struct {
  guint uid;
  char *user;
  VpDeviceIds ids;
  gboolean sequestered; /* by the grant; else it was before, and stays so */
} VpGrant;

/* Of VpGrant *; an error names the line. */
GPtrArray *vp_grants_parse (const char *text, GError **error);
/* Where there is no file, it is empty. */
GPtrArray *vp_grants_load (const VpRoot *root, GError **error);
GPtrArray *vp_grants_new (void);
void vp_grants_add (GPtrArray *grants, guint uid, const char *user, const VpDeviceIds *ids, gboolean sequestered);
char *vp_grants_dup_text (const GPtrArray *grants);
const VpGrant *vp_grants_find (const GPtrArray *grants, const VpPciAddress *address); /* NULL: nobody's */

/* The one user whose are all devices of the group but ports and what of the board has no driver;
 * FALSE, and *uid undefined: there is none. */
gboolean vp_grants_find_owner (const GPtrArray *grants, const GArray *devices, int group, guint *uid);

G_END_DECLS
