/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vendor and device ids are called, from this machine's own list; never from the network. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpDeviceNames VpDeviceNames;

/* `file`: a pci.ids of one's own and nothing else; NULL: this system's. Read when first asked. The caller's. */
VpDeviceNames *vp_device_names_new (const char *file);
void vp_device_names_free (VpDeviceNames *names);
/* "NVIDIA Corporation GM107 [GeForce GTX 750]"; the caller's. NULL: not even the vendor is known. */
char *vp_device_names_dup (VpDeviceNames *names, guint16 vendor, guint16 device);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpDeviceNames, vp_device_names_free)

G_END_DECLS
