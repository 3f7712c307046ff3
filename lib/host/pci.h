/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PCI functions of the host as sysfs lists them. Reads; decides nothing. */
#pragma once

#include "base/pci-address.h"
#include "base/root.h"

G_BEGIN_DECLS

typedef struct {
  VpPciAddress address;
  guint32 class_code; /* 24 bits: 0x030000 is a VGA display */
  guint16 vendor;
  guint16 device;
  char *driver;      /* NULL: bound to none */
  int iommu_group;   /* -1: none */
  int node;          /* OS index of its NUMA node; -1: not known */
  gboolean boot_vga; /* the display that firmware started on */
  gboolean is_bridge; /* by its header: a bridge or port, not an endpoint */
} VpPciDevice;

#define VP_PCI_CLASS_DISPLAY 0x03      /* class_code >> 16 */
#define VP_PCI_CLASS_VGA 0x0300        /* class_code >> 8 */
#define VP_PCI_VENDOR_NVIDIA 0x10de
#define VP_PCI_VENDOR_AMD 0x1002

/* Of VpPciDevice, by address. */
GArray *vp_pci_read_devices (const VpRoot *root);
GArray *vp_pci_devices_new (void);
const VpPciDevice *vp_pci_find (const GArray *devices, const VpPciAddress *address);

G_END_DECLS
