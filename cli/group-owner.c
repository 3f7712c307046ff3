/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vfio-profile-group-owner NUMBER | vfioNUMBER: prints the uid of the user who was granted all
 * that is in the IOMMU group, for udev's rules about /dev/vfio/NUMBER, and about the nodes of its
 * devices for iommufd, /dev/vfio/devices/vfioNUMBER; exit 1 where it is nobody. Both have other
 * numbers at each boot, and nothing of a group's node leads to its devices.
 *
 * It reads files by plain means: udev's sandbox has no openat2, which VpRoot needs.
 */
#include <stdlib.h>

#include "config.h"
#include "devices/grant.h"

#define HEADER_TYPE 0x0e /* in the configuration space; bit 7: has several functions */

static guint32
read_number (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? (guint32) g_ascii_strtoull (text, NULL, 16) : 0;
}

/* One that cannot be looked at is none: then it must be granted. */
static gboolean
read_is_bridge (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "config", NULL);
  g_autofree char *config = NULL;
  gsize length = 0;

  return g_file_get_contents (path, &config, &length, NULL) && length > HEADER_TYPE &&
         (guchar) config[HEADER_TYPE] != 0xff && ((guchar) config[HEADER_TYPE] & 0x7f) != 0;
}

static char *
dup_driver (const char *folder)
{
  g_autofree char *path = g_build_filename (folder, "driver", NULL);
  g_autofree char *target = g_file_read_link (path, NULL);

  return target != NULL ? g_path_get_basename (target) : NULL;
}

static GArray *
read_group (const char *number)
{
  GArray *devices = vp_pci_devices_new ();
  g_autofree char *path = g_strdup_printf ("/sys/kernel/iommu_groups/%s/devices", number);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *folder = g_build_filename (path, name, NULL);
    VpPciDevice device = { .iommu_group = atoi (number), .node = -1 };
    /* What is no PCI device is nobody's. */
    (void) vp_pci_address_parse (name, &device.address);
    device.class_code = read_number (folder, "class");
    device.vendor = (guint16) read_number (folder, "vendor");
    device.device = (guint16) read_number (folder, "device");
    device.is_bridge = read_is_bridge (folder);
    device.driver = dup_driver (folder);
    g_array_append_val (devices, device);
  }
  return devices;
}

/* The group of what a node is of; NULL: it has none, or is gone. */
static char *
dup_group (const char *node)
{
  g_autofree char *path = g_strdup_printf ("/sys/class/vfio-dev/%s/device/iommu_group", node);
  g_autofree char *target = g_file_read_link (path, NULL);

  if (g_ascii_isdigit (node[0]))
    return g_strdup (node);
  return target != NULL ? g_path_get_basename (target) : NULL;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  guint uid = 0;

  if (argc != 2 || !g_regex_match_simple ("^(?:vfio)?[0-9]{1,8}$", argv[1], 0, 0)) {
    g_printerr ("Usage: vfio-profile-group-owner NUMBER | vfioNUMBER\n");
    return 2;
  }
  g_autofree char *group = dup_group (argv[1]);
  g_autoptr (GPtrArray) grants =
    g_file_get_contents (VP_GRANTS_FILE, &text, NULL, &error) ? vp_grants_parse (text, &error) : NULL;
  if (grants == NULL) {
    g_printerr ("vfio-profile-group-owner: %s\n", error->message);
    return 1;
  }
  g_autoptr (GArray) devices = group != NULL ? read_group (group) : NULL;
  if (devices == NULL || !vp_grants_find_owner (grants, devices, atoi (group), &uid))
    return 1;
  g_print ("%u\n", uid);
  return 0;
}
