/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts the facts about a domain's devices together; decides nothing. */
#include "devices/devices.h"

#include "base/error.h"
#include "devices/device-kernel.h"
#include "devices/device-nodes.h"
#include "devices/device-storage.h"
#include "devices/device-users.h"

/* Those that libvirt itself would take from the host. */
static GArray *
select_taken (const GArray *devices, const GArray *hostdevs)
{
  GArray *taken = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_pci_find (devices, &hostdev->address);
    if (hostdev->managed && device != NULL && vp_pci_has_host_driver (device))
      g_array_append_val (taken, hostdev->address);
  }
  return taken;
}

VpDeviceFacts *
vp_devices_read (const VpRoot *root, const GArray *hostdevs, guint limit_ms, GError **error)
{
  g_autoptr (VpDeviceFacts) facts = g_new0 (VpDeviceFacts, 1);

  facts->devices = vp_pci_read_devices (root);
  if (facts->devices->len == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "/sys/bus/pci/devices lists no PCI device, so none can be assigned: "
                 "mount sysfs on /sys");
    return NULL;
  }
  facts->has_iommu = vp_kernel_read_has_iommu (root);
  facts->has_iommu_table = vp_kernel_read_has_iommu_table (root);
  facts->iommu_off = vp_kernel_find_iommu_off (root);
  facts->cpu = vp_kernel_read_cpu (root);
  facts->vga = vp_kernel_read_vga (root);
  facts->nodes = vp_device_nodes_read (root, hostdevs);
  facts->uses = vp_device_uses_new ();

  g_autoptr (GArray) taken = select_taken (facts->devices, hostdevs);
  g_autoptr (GArray) layers = vp_device_layers_read (root, facts->nodes);
  vp_device_users_read_console (root, facts->devices, facts->nodes, facts->uses);
  vp_device_layers_read_uses (root, layers, facts->uses);
  vp_device_users_read_routes (root, facts->nodes, facts->uses);
  facts->cut_short = !vp_device_users_read_processes (root, taken, facts->nodes, layers, limit_ms, facts->uses);
  return g_steal_pointer (&facts);
}
