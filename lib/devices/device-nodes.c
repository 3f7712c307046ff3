/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sys/class/CLASS/NAME is a link into sys/devices, and the last PCI address on its
 * way is the function that NAME belongs to, also through USB, SCSI, virtio or NVMe:
 *     ../../devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1
 * So one look at the class's links finds all nodes, and nothing is walked.
 *
 * The firmware's frame buffer (efifb, vesafb, simpledrm) is a platform device of its own. Newer kernels put it below the
 * card; for others proc/iomem tells in whose memory it lies, also where the addresses are hidden:
 *
 *     c0000000-c1ffffff : 0000:01:00.0
 *       c0000000-c02fffff : efifb
 */
#include "devices/device-nodes.h"

#include <string.h>
#include <sys/sysmacros.h>

#define MAX_DEVICE_NUMBER 0xfffff /* the kernel's minors have 20 bits, its majors 12 */
#define NVIDIA_MAJOR 195

#define MAX_IOMEM (1024 * 1024)

/* What proc/iomem calls it: of the drivers, and of the kernel before one has it. */
static const char *const firmware_memory[] = { "efifb",    "vesafb",    "BOOTFB",
                                               "simplefb", "simpledrm", "simple-framebuffer.0",
                                               NULL };

static const struct {
  const char *class;
  VpDeviceNodeKind kind;
} classes[] = {
  { "drm", VP_NODE_DRM }, { "graphics", VP_NODE_FRAMEBUFFER }, { "sound", VP_NODE_SOUND },
  { "net", VP_NODE_NET }, { "block", VP_NODE_BLOCK },
};

typedef struct {
  const VpRoot *root;
  const GArray *hostdevs;
  gsize class;              /* in classes */
  VpPciAddress firmware_on; /* the card that the firmware's frame buffer lies in */
  gboolean has_firmware;
  GArray *nodes;
} Search;

static const VpHostdev *
find_hostdev (const GArray *hostdevs, const VpPciAddress *address)
{
  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    if (vp_pci_address_equal (&hostdev->address, address))
      return hostdev;
  }
  return NULL;
}

static gboolean
find_owner (const char *target, VpPciAddress *owner)
{
  g_auto (GStrv) parts = g_strsplit (target, "/", -1);

  for (guint i = g_strv_length (parts); i > 0; i--)
    if (strchr (parts[i - 1], '.') != NULL && vp_pci_address_parse (parts[i - 1], owner))
      return TRUE;
  return FALSE;
}

/* "efi-framebuffer.0" on the way to the node; NULL: it is no frame buffer of the firmware's. */
static char *
dup_firmware (const char *target)
{
  g_autoptr (GMatchInfo) match = NULL;
  g_autoptr (GRegex) form = g_regex_new ("/((?:efi|vesa|simple)-framebuffer\\.[0-9]{1,3})/", G_REGEX_RAW, 0, NULL);

  return g_regex_match (form, target, 0, &match) ? g_match_info_fetch (match, 1) : NULL;
}

static gsize
count_indent (const char *line)
{
  return strspn (line, " ");
}

static void
find_firmware_card (Search *search)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (search->root, "proc/iomem", MAX_IOMEM, &length);
  g_auto (GStrv) lines = g_strsplit (text != NULL ? text : "", "\n", -1);
  gsize card_indent = G_MAXSIZE;

  for (guint i = 0; lines[i] != NULL && !search->has_firmware; i++) {
    const char *name = strstr (lines[i], " : ");
    gsize indent = count_indent (lines[i]);
    VpPciAddress address;
    if (name == NULL)
      continue;
    name += strlen (" : ");
    if (indent <= card_indent)
      card_indent = G_MAXSIZE;
    if (vp_pci_address_parse (name, &address)) {
      search->firmware_on = address;
      card_indent = indent;
    }
    search->has_firmware = card_indent != G_MAXSIZE && g_strv_contains (firmware_memory, name);
  }
}

static guint64
number_in (const char *text, const char *key)
{
  const char *line = strstr (text, key);

  return line != NULL ? g_ascii_strtoull (line + strlen (key), NULL, 10) : G_MAXUINT64;
}

gboolean
vp_device_node_read (const VpRoot *root, const char *class, const char *name, char **path, dev_t *number)
{
  g_autofree char *file = g_strdup_printf ("sys/class/%s/%s/uevent", class, name);
  g_autofree char *text = vp_root_dup_text (root, file);
  g_autofree char *whole = g_strconcat ("\n", text, NULL);
  guint64 major_number = number_in (whole, "\nMAJOR=");
  guint64 minor_number = number_in (whole, "\nMINOR=");
  const char *device = strstr (whole, "\nDEVNAME=");

  *path = NULL;
  *number = 0;
  if (device == NULL || major_number > MAX_DEVICE_NUMBER || minor_number > MAX_DEVICE_NUMBER)
    return FALSE;
  device += strlen ("\nDEVNAME=");
  g_autofree char *below = g_strndup (device, strcspn (device, "\n"));
  *path = g_strconcat ("/dev/", below, NULL);
  *number = makedev ((unsigned) major_number, (unsigned) minor_number);
  return TRUE;
}

static gboolean
on_class_link (const char *name, const char *target, const struct stat *unused, gpointer data)
{
  const Search *search = data;
  VpDeviceNode node = { .kind = classes[search->class].kind };
  g_autofree char *firmware = dup_firmware (target);

  (void) unused;
  if (!find_owner (target, &node.device)) {
    if (firmware == NULL || !search->has_firmware)
      return TRUE;
    node.device = search->firmware_on;
  }
  if (find_hostdev (search->hostdevs, &node.device) == NULL)
    return TRUE;
  node.firmware = g_steal_pointer (&firmware);
  (void) vp_device_node_read (search->root, classes[search->class].class, name, &node.path, &node.number);
  node.name = g_strdup (name);
  g_array_append_val (search->nodes, node);
  return TRUE;
}

/* NVIDIA's own nodes are in no class. nvidiactl, nvidia-uvm and nvidia-modeset belong to all cards at once. */
static void
add_nvidia (const VpRoot *root, const VpPciAddress *address, GArray *nodes)
{
  g_autofree char *text = vp_pci_address_dup_text (address);
  g_autofree char *file = g_strdup_printf ("proc/driver/nvidia/gpus/%s/information", text);
  g_autofree char *information = vp_root_dup_text (root, file);
  g_autoptr (GMatchInfo) match = NULL;
  g_autoptr (GRegex) line =
    g_regex_new ("^Device Minor:\\s*([0-9]{1,4})\\s*$", G_REGEX_MULTILINE | G_REGEX_RAW, 0, NULL);

  if (information == NULL || !g_regex_match (line, information, 0, &match))
    return;
  g_autofree char *number = g_match_info_fetch (match, 1);
  VpDeviceNode node = { .device = *address, .kind = VP_NODE_NVIDIA };
  node.name = g_strconcat ("nvidia", number, NULL);
  node.path = g_strconcat ("/dev/", node.name, NULL);
  node.number = makedev (NVIDIA_MAJOR, (unsigned) g_ascii_strtoull (number, NULL, 10));
  g_array_append_val (nodes, node);
}

static void
clear_node (gpointer data)
{
  VpDeviceNode *node = data;

  g_free (node->name);
  g_free (node->path);
  g_free (node->firmware);
}

static gint
compare_nodes (gconstpointer a, gconstpointer b)
{
  const VpDeviceNode *left = a;
  const VpDeviceNode *right = b;
  g_autofree char *left_address = vp_pci_address_dup_text (&left->device);
  g_autofree char *right_address = vp_pci_address_dup_text (&right->device);
  int order = strcmp (left_address, right_address);

  if (order == 0 && left->kind != right->kind)
    return left->kind < right->kind ? -1 : 1;
  return order != 0 ? order : strcmp (left->name, right->name);
}

GArray *
vp_device_nodes_read (const VpRoot *root, const GArray *hostdevs)
{
  Search search = { .root = root, .hostdevs = hostdevs, .nodes = g_array_new (FALSE, TRUE, sizeof (VpDeviceNode)) };

  g_array_set_clear_func (search.nodes, clear_node);
  if (hostdevs->len > 0)
    find_firmware_card (&search);
  for (search.class = 0; hostdevs->len > 0 && search.class < G_N_ELEMENTS (classes); search.class ++) {
    g_autofree char *folder = g_strdup_printf ("sys/class/%s", classes[search.class].class);
    vp_root_each_link (root, folder, on_class_link, &search);
  }
  for (guint i = 0; i < hostdevs->len; i++)
    add_nvidia (root, &g_array_index (hostdevs, VpHostdev, i).address, search.nodes);
  g_array_sort (search.nodes, compare_nodes);
  return search.nodes;
}
