/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Puts the facts about a domain's devices together; decides nothing. */
#include "devices/devices.h"

#include <sys/sysmacros.h>

#include "base/error.h"
#include "devices/device-kernel.h"
#include "devices/device-nodes.h"
#include "devices/device-storage.h"
#include "devices/device-users.h"

static gboolean
has_node (const GArray *nodes, const VpPciAddress *address)
{
  for (guint i = 0; i < nodes->len; i++)
    if (vp_pci_address_equal (&g_array_index (nodes, VpDeviceNode, i).device, address))
      return TRUE;
  return FALSE;
}

/* Those that libvirt itself would take from the host; without a driver of its own a card may be the firmware's. */
static GArray *
select_taken (const VpDeviceFacts *facts, const GArray *hostdevs)
{
  GArray *taken = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_pci_find (facts->devices, &hostdev->address);
    if (hostdev->managed && device != NULL &&
        (vp_pci_has_host_driver (device) || (device->driver == NULL && has_node (facts->nodes, &hostdev->address))))
      g_array_append_val (taken, hostdev->address);
  }
  return taken;
}

/* In the order to unload: each keeps the next one, and the driver, busy. */
static GStrv
read_modules (const VpRoot *root)
{
  static const char *const names[] = { "nvidia_drm", "nvidia_modeset", "nvidia_uvm" };
  g_autoptr (GStrvBuilder) loaded = g_strv_builder_new ();

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *file = g_strdup_printf ("sys/module/%s/refcnt", names[i]);
    guint64 count = 0;
    if (vp_root_read_number (root, file, 10, &count))
      g_strv_builder_add (loaded, names[i]);
  }
  return g_strv_builder_end (loaded);
}

/* As udev notes it of the node: E:ID_SEAT=seat1; what it notes nothing of is the first seat's. */
static char *
read_seat (const VpRoot *root, const GArray *nodes)
{
  g_autoptr (GRegex) form = g_regex_new ("^E:ID_SEAT=([a-zA-Z0-9_-]{1,64})$", G_REGEX_MULTILINE | G_REGEX_RAW, 0, NULL);

  for (guint i = 0; i < nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (nodes, VpDeviceNode, i);
    g_autofree char *file = g_strdup_printf ("run/udev/data/c%u:%u", major (node->number), minor (node->number));
    g_autofree char *text = node->kind == VP_NODE_DRM ? vp_root_dup_text (root, file) : NULL;
    g_autoptr (GMatchInfo) match = NULL;
    if (text != NULL && g_regex_match (form, text, 0, &match))
      return g_match_info_fetch (match, 1);
  }
  return g_strdup ("seat0");
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
  facts->modules = read_modules (root);
  facts->seat = read_seat (root, facts->nodes);
  facts->uses = vp_device_uses_new ();

  g_autoptr (GArray) taken = select_taken (facts, hostdevs);
  g_autoptr (GArray) layers = vp_device_layers_read (root, facts->nodes);
  vp_device_users_read_console (root, facts->devices, facts->nodes, facts->uses);
  vp_device_layers_read_uses (root, layers, facts->uses);
  vp_device_users_read_routes (root, facts->nodes, facts->uses);
  facts->cut_short = !vp_device_users_read_processes (root, taken, facts->nodes, layers, limit_ms, facts->uses);
  return g_steal_pointer (&facts);
}
