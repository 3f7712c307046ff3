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

/*
 * Of VpGrant *, each card once; NULL and an error that names the line where one is no grant, or the second
 * of its card. The caller's, as are those below.
 */
GPtrArray *vp_grants_parse (const char *text, GError **error);
/* The same of the file below the root; empty where there is none, or none that can be read. */
GPtrArray *vp_grants_load (const VpRoot *root, GError **error);
GPtrArray *vp_grants_new (void);
/* Copies what it is given; that the card is nobody's yet is the caller's matter. */
void vp_grants_add (GPtrArray *grants, guint uid, const char *user, const VpDeviceIds *ids, gboolean sequestered);
/* The whole file, its first line included; the caller's. */
char *vp_grants_dup_text (const GPtrArray *grants);
/* Borrowed from the array; NULL: the card is nobody's. */
const VpGrant *vp_grants_find (const GPtrArray *grants, const VpPciAddress *address);

/*
 * The one user whose are all devices of the group but ports and what of the board has no driver; a card
 * with other ids than were granted is nobody's. FALSE, and *uid undefined: there is none.
 */
gboolean vp_grants_find_owner (const GPtrArray *grants, const GArray *devices, int group, guint *uid);

G_END_DECLS
