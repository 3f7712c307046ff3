/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host is and does with the PCI devices of one domain, at this moment:
 * read at once, for device-check.h to judge. Unlike VpHost it is not shared or
 * kept; a driver may be another one a moment later.
 *
 *   sys/bus/pci/devices  every function            -> devices
 *   sys/class/…          what the host made of the domain's own -> nodes
 *   proc, dm, md, btrfs  who uses those            -> uses
 */
#pragma once

#include "domain/domain.h"
#include "host/pci.h"

G_BEGIN_DECLS

typedef enum {
  VP_NODE_DRM,
  VP_NODE_FRAMEBUFFER,
  VP_NODE_NVIDIA,
  VP_NODE_SOUND,
  VP_NODE_NET,
  VP_NODE_BLOCK,
} VpDeviceNodeKind;

typedef struct {
  VpPciAddress device;
  VpDeviceNodeKind kind;
  char *name;     /* as the kernel's class has it: "card0", "eth0", "nvme0n1p2" */
  char *path;     /* "/dev/dri/card0"; NULL: it has none */
  dev_t number;   /* 0: it has none */
  char *firmware; /* "efi-framebuffer.0": it is the frame buffer that the firmware left on it; NULL: it is a driver's */
} VpDeviceNode;

typedef enum {
  VP_USE_PROCESS,
  VP_USE_SOUND, /* a process, too */
  VP_USE_CONSOLE,
  VP_USE_MOUNT,
  VP_USE_SWAP,
  VP_USE_ROUTE,
} VpDeviceUseKind;

typedef struct {
  VpPciAddress device;
  VpDeviceUseKind kind;
  char *node; /* what is used: "/dev/dri/card0", "nvme0n1p2", "dm-0 (vg-root) on nvme0n1p2", "br0 over eth0" */
  char *user; /* the process's name, the mount point, the virtual console's folder; printable */
  int pid;    /* of a process */
  char *unit; /* systemd's, that it runs in: "lightdm.service", "session-3.scope"; NULL: it is not known */
} VpDeviceUse;

typedef enum { VP_CPU_OTHER, VP_CPU_INTEL, VP_CPU_AMD } VpCpuVendor;
typedef enum { VP_VGA_UNKNOWN, VP_VGA_YES, VP_VGA_NO, VP_VGA_DISABLED } VpVgaSupport;

typedef struct {
  GArray *devices; /* of VpPciDevice: all of the host, by address */
  GArray *nodes;   /* of VpDeviceNode: of the domain's devices, by device and name */
  GArray *uses;    /* of VpDeviceUse: of those nodes */
  gboolean has_iommu;
  gboolean has_iommu_table; /* the firmware has one on, whether the kernel uses it or not */
  const char *iommu_off;    /* what on the kernel's command line turns it off; NULL: nothing */
  VpCpuVendor cpu;          /* OTHER: not known, too */
  VpVgaSupport vga;         /* of the running kernel's vfio-pci; DISABLED: by its parameter disable_vga */
  GStrv modules;            /* loaded ones that keep a driver of the domain's devices busy, in the order to unload */
  char *seat;               /* whose display the domain's first graphics card is: "seat0" */
  gboolean cut_short;       /* not all processes could be looked at in time */
} VpDeviceFacts;

/* Of VpDeviceUse, the caller's. */
GArray *vp_device_uses_new (void);
/* Each use once; what is not printable in `user` is escaped. Borrowed until the next is added, for its unit. */
VpDeviceUse *vp_device_use_add (GArray *uses, const VpPciAddress *device, VpDeviceUseKind kind, const char *node,
                                const char *user, int pid);
void vp_device_facts_free (VpDeviceFacts *facts);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpDeviceFacts, vp_device_facts_free)

G_END_DECLS
