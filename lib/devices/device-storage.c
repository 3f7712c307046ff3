/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Climbs from block devices to what holds them, and finds those among the mounts and swap areas. */
#include "devices/device-storage.h"

#include <string.h>

#include "devices/device-nodes.h"
#include "host/mount.h"

#define MAX_LAYERS 4096

static void
clear_layer (gpointer data)
{
  VpDeviceLayer *layer = data;

  g_free (layer->name);
  g_free (layer->path);
  g_free (layer->mapped);
  g_free (layer->bottom);
  g_free (layer->words);
}

static gboolean
has_layer (const GArray *layers, const VpPciAddress *device, const char *name)
{
  for (guint i = 0; i < layers->len; i++) {
    const VpDeviceLayer *layer = &g_array_index (layers, VpDeviceLayer, i);
    if (strcmp (layer->name, name) == 0 && vp_pci_address_equal (&layer->device, device))
      return TRUE;
  }
  return FALSE;
}

static char *
dup_mapped_name (const VpRoot *root, const char *name)
{
  g_autofree char *file = g_strdup_printf ("sys/class/block/%s/dm/name", name);

  return vp_root_dup_text (root, file);
}

static char *
dup_words (const char *name, const char *mapped, const char *bottom)
{
  g_autoptr (GString) words = g_string_new (name);

  if (mapped != NULL)
    g_string_append_printf (words, " (%s)", mapped);
  if (!g_str_has_prefix (name, bottom))
    g_string_append_printf (words, " on %s", bottom);
  return g_strescape (words->str, NULL);
}

static void
add_layer (const VpRoot *root, const VpPciAddress *device, const char *name, const char *bottom, GArray *layers)
{
  VpDeviceLayer layer = { .device = *device };

  if (layers->len >= MAX_LAYERS || has_layer (layers, device, name))
    return;
  g_autofree char *mapped = dup_mapped_name (root, name);
  (void) vp_device_node_read (root, "block", name, &layer.path, &layer.number);
  layer.name = g_strdup (name);
  layer.mapped = mapped != NULL ? g_strconcat ("/dev/mapper/", mapped, NULL) : NULL;
  layer.bottom = g_strdup (bottom);
  layer.words = dup_words (name, mapped, bottom);
  g_array_append_val (layers, layer);
}

/*
 * An NVMe disk that several controllers share shows nvme0c1n1 below this one, hidden,
 * and what is used is nvme0n1, which is below none.
 */
static char *
dup_multipath_head (const char *name)
{
  g_autoptr (GRegex) form = g_regex_new ("^(nvme[0-9]+)c[0-9]+(n[0-9]+)$", 0, 0, NULL);

  return g_regex_match (form, name, 0, NULL) ? g_regex_replace (form, name, -1, 0, "\\1\\2", 0, NULL) : NULL;
}

static void
add_above (const VpRoot *root, guint index, GArray *layers)
{
  VpPciAddress device = g_array_index (layers, VpDeviceLayer, index).device;
  g_autofree char *name = g_strdup (g_array_index (layers, VpDeviceLayer, index).name);
  g_autofree char *bottom = g_strdup (g_array_index (layers, VpDeviceLayer, index).bottom);
  g_autofree char *folder = g_strdup_printf ("sys/class/block/%s", name);
  g_autofree char *holders = g_build_filename (folder, "holders", NULL);
  g_autofree char *head = dup_multipath_head (name);
  g_auto (GStrv) parts = vp_root_list (root, folder);
  g_auto (GStrv) above = vp_root_list (root, holders);

  if (head != NULL)
    add_layer (root, &device, head, head, layers);
  for (guint i = 0; parts[i] != NULL; i++)
    if (g_str_has_prefix (parts[i], name)) /* md0p1 of md0 */
      add_layer (root, &device, parts[i], bottom, layers);
  for (guint i = 0; above[i] != NULL; i++)
    add_layer (root, &device, above[i], bottom, layers);
}

GArray *
vp_device_layers_read (const VpRoot *root, const GArray *nodes)
{
  GArray *layers = g_array_new (FALSE, TRUE, sizeof (VpDeviceLayer));

  g_array_set_clear_func (layers, clear_layer);
  for (guint i = 0; i < nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (nodes, VpDeviceNode, i);
    if (node->kind == VP_NODE_BLOCK)
      add_layer (root, &node->device, node->name, node->name, layers);
  }
  for (guint i = 0; i < layers->len; i++)
    add_above (root, i, layers);
  return layers;
}

static gboolean
layer_has_path (const VpDeviceLayer *layer, const char *path)
{
  return path != NULL && (g_strcmp0 (layer->path, path) == 0 || g_strcmp0 (layer->mapped, path) == 0);
}

/* By number, or by source: btrfs has a number of its own. */
static void
add_mount (struct libmnt_fs *mount, const GArray *layers, GArray *uses)
{
  const char *target = mnt_fs_get_target (mount);
  dev_t number = mnt_fs_get_devno (mount);

  for (guint i = 0; target != NULL && i < layers->len; i++) {
    const VpDeviceLayer *layer = &g_array_index (layers, VpDeviceLayer, i);
    if ((layer->number != 0 && layer->number == number) || layer_has_path (layer, mnt_fs_get_source (mount)))
      vp_device_use_add (uses, &layer->device, VP_USE_MOUNT, layer->words, target, 0);
  }
}

static void
add_swap (struct libmnt_fs *swap, const GArray *layers, GArray *uses)
{
  for (guint i = 0; i < layers->len; i++) {
    const VpDeviceLayer *layer = &g_array_index (layers, VpDeviceLayer, i);
    if (layer_has_path (layer, mnt_fs_get_source (swap)))
      vp_device_use_add (uses, &layer->device, VP_USE_SWAP, layer->words, "swap", 0);
  }
}

static gboolean
is_mounted (const VpDeviceLayer *layer, const GArray *uses)
{
  for (guint i = 0; i < uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (uses, VpDeviceUse, i);
    if (use->kind == VP_USE_MOUNT && strcmp (use->node, layer->words) == 0)
      return TRUE;
  }
  return FALSE;
}

/* A btrfs of several devices names one of them in mountinfo; here are all, and only while it is mounted. */
static void
read_btrfs (const VpRoot *root, const GArray *layers, GArray *uses)
{
  g_auto (GStrv) systems = vp_root_list (root, "sys/fs/btrfs");

  for (guint i = 0; systems[i] != NULL; i++) {
    g_autofree char *folder = g_strdup_printf ("sys/fs/btrfs/%s/devices", systems[i]);
    g_auto (GStrv) members = vp_root_list (root, folder);
    for (guint j = 0; j < layers->len; j++) {
      const VpDeviceLayer *layer = &g_array_index (layers, VpDeviceLayer, j);
      g_autofree char *point = g_strdup_printf ("btrfs %s", systems[i]);
      if (g_strv_contains ((const char *const *) members, layer->name) && !is_mounted (layer, uses))
        vp_device_use_add (uses, &layer->device, VP_USE_MOUNT, layer->words, point, 0);
    }
  }
}

static void
add_all (VpMounts *table, void (*add) (struct libmnt_fs *, const GArray *, GArray *), const GArray *layers,
         GArray *uses)
{
  g_autoptr (VpMountIter) at = mnt_new_iter (MNT_ITER_FORWARD);
  struct libmnt_fs *entry = NULL;

  while (mnt_table_next_fs (table, at, &entry) == 0)
    add (entry, layers, uses);
}

void
vp_device_layers_read_uses (const VpRoot *root, const GArray *layers, GArray *uses)
{
  if (layers->len == 0)
    return;
  /* A service may have a mount namespace of its own, so the host's is that of the first process. */
  g_autoptr (VpMounts) host = vp_mounts_read (root, "1");
  g_autoptr (VpMounts) own = vp_mounts_read (root, "self");
  g_autoptr (VpMounts) swaps = vp_swaps_read (root);
  add_all (host, add_mount, layers, uses);
  add_all (own, add_mount, layers, uses);
  add_all (swaps, add_swap, layers, uses);
  read_btrfs (root, layers, uses);
}
