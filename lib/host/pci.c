/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads sys/bus/pci/devices, and names the kinds; what may be done with one is decided elsewhere. */
#include "host/pci.h"

#include <stdlib.h>
#include <string.h>

#include "host/console.h"

#define CLASS_DISPLAY 0x03 /* class_code >> 16 */
#define CLASS_BRIDGE 0x06
#define CLASS_USB 0x0c03        /* class_code >> 8 */
#define CLASS_SERIAL_BUS 0x0c80 /* what USB-C controllers (UCSI) of graphics cards say they are */
#define HEADER_TYPE 0x0e        /* in the configuration space, PCI 3.0 section 6.1; bit 7: has several functions */

static guint64
read_attribute (const VpRoot *root, const char *folder, const char *name, int base, guint64 fallback)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  guint64 value = fallback;

  (void) vp_root_read_number (root, path, base, &value);
  return value;
}

static int
read_group (const VpRoot *root, const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "iommu_group", NULL);
  g_autofree char *name = vp_root_dup_link_name (root, path);

  return name != NULL && g_regex_match_simple ("^[0-9]{1,8}$", name, 0, 0) ? atoi (name) : -1;
}

/* An ISA bridge has the header of an endpoint, and the kernel takes it for one. */
static gboolean
read_is_bridge (const VpRoot *root, const char *folder, guint32 class_code)
{
  g_autofree char *path = g_build_filename (folder, "config", NULL);
  gsize length = 0;
  g_autofree char *config = vp_root_dup_bytes (root, path, HEADER_TYPE + 1, &length);
  guint32 class = class_code >> 8;

  if (config != NULL && length > HEADER_TYPE && (guchar) config[HEADER_TYPE] != 0xff)
    return ((guchar) config[HEADER_TYPE] & 0x7f) != 0;
  return class == 0x0604 || class == 0x0607 || class == 0x0609; /* to PCI, CardBus, and semi-transparent */
}

/* Kernels of 2026 say it of the card's DRM device, and no longer guess boot_vga where the firmware says nothing. */
static gboolean
read_is_boot_display (const VpRoot *root, const char *folder)
{
  g_autofree char *drm = g_build_filename (folder, "drm", NULL);
  g_auto (GStrv) nodes = vp_root_list (root, drm);

  if (read_attribute (root, folder, "boot_vga", 10, 0) == 1 ||
      read_attribute (root, folder, "boot_display", 10, 0) == 1)
    return TRUE;
  for (guint i = 0; nodes[i] != NULL; i++) {
    g_autofree char *file = g_build_filename (nodes[i], "boot_display", NULL);
    if (read_attribute (root, drm, file, 10, 0) == 1)
      return TRUE;
  }
  return FALSE;
}

static void
clear_device (gpointer data)
{
  g_free (((VpPciDevice *) data)->driver);
}

GArray *
vp_pci_devices_new (void)
{
  GArray *devices = g_array_new (FALSE, TRUE, sizeof (VpPciDevice));

  g_array_set_clear_func (devices, clear_device);
  return devices;
}

const VpPciDevice *
vp_pci_find (const GArray *devices, const VpPciAddress *address)
{
  for (guint i = 0; i < devices->len; i++) {
    const VpPciDevice *device = &g_array_index (devices, VpPciDevice, i);
    if (vp_pci_address_equal (&device->address, address))
      return device;
  }
  return NULL;
}

gboolean
vp_pci_is_display (const VpPciDevice *device)
{
  return device->class_code >> 16 == CLASS_DISPLAY;
}

/* Where none is marked it is the one on which the host shows its text console. */
static void
mark_console (const VpRoot *root, GArray *devices)
{
  g_autofree char *console = vp_console_dup_framebuffer (root);
  VpPciAddress address = { 0 };

  for (guint i = 0; i < devices->len; i++)
    if (g_array_index (devices, VpPciDevice, i).boot_vga)
      return;
  if (console == NULL || !vp_console_find_device (root, "fb0", &address))
    return;
  VpPciDevice *device = (VpPciDevice *) vp_pci_find (devices, &address);
  if (device != NULL)
    device->boot_vga = TRUE;
}

GArray *
vp_pci_read_devices (const VpRoot *root)
{
  GArray *devices = vp_pci_devices_new ();
  g_auto (GStrv) names = vp_root_list (root, "sys/bus/pci/devices");

  for (guint i = 0; names[i] != NULL; i++) {
    VpPciDevice device = { .node = -1 };
    if (!vp_pci_address_parse (names[i], &device.address))
      continue;
    g_autofree char *folder = g_strdup_printf ("sys/bus/pci/devices/%s", names[i]);
    g_autofree char *driver = g_build_filename (folder, "driver", NULL);

    device.class_code = (guint32) read_attribute (root, folder, "class", 16, 0);
    device.vendor = (guint16) read_attribute (root, folder, "vendor", 16, 0);
    device.device = (guint16) read_attribute (root, folder, "device", 16, 0);
    device.boot_vga = vp_pci_is_display (&device) && read_is_boot_display (root, folder);
    device.node = (int) read_attribute (root, folder, "numa_node", 10, G_MAXUINT64); /* "-1" is no number: unknown */
    device.iommu_group = read_group (root, folder);
    device.is_bridge = read_is_bridge (root, folder, device.class_code);
    device.driver = vp_root_dup_link_name (root, driver);
    g_array_append_val (devices, device);
  }
  mark_console (root, devices);
  return devices;
}

const char *
vp_pci_card_part (const VpPciDevice *device)
{
  switch (device->class_code >> 8) {
    case VP_PCI_CLASS_AUDIO:
      return "the card's audio";
    case CLASS_USB:
      return "the card's USB controller";
    case CLASS_SERIAL_BUS:
      return "the card's USB-C controller";
    default:
      return NULL;
  }
}

/* vfio-pci, and those that came of it: mlx5_vfio_pci, nvgrace_gpu_vfio_pci and more. */
gboolean
vp_pci_is_on_vfio (const VpPciDevice *device)
{
  return device->driver != NULL &&
         (strcmp (device->driver, "vfio-pci") == 0 || g_str_has_suffix (device->driver, "_vfio_pci") ||
          g_str_has_suffix (device->driver, "-vfio-pci"));
}

gboolean
vp_pci_has_host_driver (const VpPciDevice *device)
{
  return device->driver != NULL && !vp_pci_is_on_vfio (device) && strcmp (device->driver, "pci-stub") != 0;
}

/* The driver tells where the header cannot be read. */
gboolean
vp_pci_is_port (const VpPciDevice *device)
{
  return device->is_bridge || g_strcmp0 (device->driver, "pcieport") == 0;
}

gboolean
vp_pci_is_board_part (const VpPciDevice *device)
{
  return !vp_pci_is_port (device) && device->class_code >> 16 == CLASS_BRIDGE;
}

gboolean
vp_pci_is_endpoint (const VpPciDevice *device)
{
  return !vp_pci_is_port (device) && !vp_pci_is_board_part (device);
}

gboolean
vp_pci_spoils_group (const VpPciDevice *device)
{
  return !vp_pci_is_port (device) && vp_pci_has_host_driver (device);
}
