/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PCI functions of the host as sysfs lists them, and what kind of thing each is. */
#pragma once

#include "base/pci-address.h"
#include "base/root.h"

G_BEGIN_DECLS

typedef struct {
  VpPciAddress address;
  guint32 class_code; /* 24 bits: 0x030000 is a VGA display */
  guint16 vendor;
  guint16 device;
  char *driver;       /* NULL: bound to none */
  int iommu_group;    /* -1: none */
  int node;           /* OS index of its NUMA node; -1: not known */
  gboolean boot_vga;  /* the host's display: boot_vga or boot_display says so, or, of none, it has the text console */
  gboolean is_bridge; /* by its header: a bridge or port, not an endpoint */
} VpPciDevice;

#define VP_PCI_CLASS_VGA 0x0300 /* class_code >> 8 */
#define VP_PCI_CLASS_AUDIO 0x0403
#define VP_PCI_VENDOR_NVIDIA 0x10de
#define VP_PCI_VENDOR_AMD 0x1002
#define VP_PCI_VENDOR_INTEL 0x8086

/* Of VpPciDevice, by address; empty where the root has no PCI devices. The caller's. */
GArray *vp_pci_read_devices (const VpRoot *root);
GArray *vp_pci_devices_new (void); /* the same, empty */
/* Borrowed from `devices`; NULL: there is none. */
const VpPciDevice *vp_pci_find (const GArray *devices, const VpPciAddress *address);

/* By its class: VGA, 3D or another display controller. */
gboolean vp_pci_is_display (const VpPciDevice *device);
/* What such a function in the slot of a graphics card is to it, "the card's audio"; NULL: nothing. Static. */
const char *vp_pci_card_part (const VpPciDevice *device);
/* Bound to vfio-pci, or to a driver that came of it ("mlx5_vfio_pci"). */
gboolean vp_pci_is_on_vfio (const VpPciDevice *device);
/* Bound to a driver of the host's: neither to none nor to one that hands devices to guests. */
gboolean vp_pci_has_host_driver (const VpPciDevice *device);

/*
 * Each function is one of three. A port (or bridge) carries others: VFIO lets it keep its
 * driver, in whatever group. A part of the board (host bridge, ISA bridge) has the header of an
 * endpoint, and none can be given away. An endpoint can.
 */
gboolean vp_pci_is_port (const VpPciDevice *device);
gboolean vp_pci_is_board_part (const VpPciDevice *device);
gboolean vp_pci_is_endpoint (const VpPciDevice *device);
/*
 * VFIO opens no group in which the host drives something but a port. So a host bridge without a
 * driver, which many boards have beside each slot, is in nobody's way, and an ISA bridge with one is.
 */
gboolean vp_pci_spoils_group (const VpPciDevice *device);

G_END_DECLS
