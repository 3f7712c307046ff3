/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which PCI devices the guest was given, beside the slots in the definition's state:
 *
 *   <state:device address="0000:01:00.0" vendor="10de" device="13c2"/>
 *
 * A card that is moved, or a firmware that numbers the bus anew, puts another device
 * at the address, and libvirt would hand over that one: the system's disk, say.
 */
#pragma once

#include "domain/domain.h"
#include "host/host.h"

G_BEGIN_DECLS

typedef struct {
  VpPciAddress address;
  guint16 vendor;
  guint16 device;
} VpDeviceIds;

/* Of VpDeviceIds, as they are saved; NULL and an error where the state is damaged. The caller's. */
GArray *vp_device_ids_read (const VpDomain *domain, GError **error);
/* Beside what is in the state already. */
void vp_device_ids_write (VpDomain *domain, const GArray *ids);
/* What shall be saved for the domain's hostdevs: what is, else what the host has there now. The caller's. */
GArray *vp_device_ids_plan (const GArray *saved, const VpDomain *domain, const VpHost *host);
/* Whatever is at the addresses when it is planned next is right. */
void vp_device_ids_forget (VpDomain *domain);

/* Borrowed from the array; NULL: nothing is known of that address. */
const VpDeviceIds *vp_device_ids_find (const GArray *ids, const VpPciAddress *address);
char *vp_device_ids_dup_text (const VpDeviceIds *ids); /* "10de:13c2" */

G_END_DECLS
