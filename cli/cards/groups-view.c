/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IOMMU groups as a tree for people, and as JSON. Decides nothing. */
#include "cli/cards/groups.h"

#include "cli/base/output.h"

static const char *
class_word (guint32 class_code)
{
  static const struct {
    guint16 class; /* class_code >> 8, or >> 16 where it is below 0x100 */
    const char *word;
  } words[] = {
    { 0x0106, "SATA controller" },
    { 0x0108, "NVMe disk" },
    { 0x0200, "network card" },
    { 0x0280, "wireless card" },
    { 0x0300, "VGA display" },
    { 0x0302, "3D controller" },
    { 0x0380, "display" },
    { 0x0403, "audio" },
    { 0x0600, "host bridge" },
    { 0x0601, "ISA bridge" },
    { 0x0604, "PCI bridge" },
    { 0x0c03, "USB controller" },
    { 0x0c05, "SMBus" },
    { 0x0c80, "serial bus" },
    { 0x01, "storage" },
    { 0x02, "network card" },
    { 0x03, "display" },
    { 0x04, "multimedia" },
    { 0x05, "memory" },
    { 0x06, "bridge" },
    { 0x07, "communication" },
    { 0x08, "system" },
    { 0x09, "input" },
    { 0x0c, "serial bus" },
    { 0x0d, "wireless card" },
    { 0x10, "encryption" },
    { 0x11, "signal processing" },
    { 0x12, "accelerator" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (words[i].class == (words[i].class < 0x100 ? class_code >> 16 : class_code >> 8))
      return words[i].word;
  return "device";
}

char *
vp_pci_dup_title (const VpPciDevice *device, VpDeviceNames *names)
{
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *name = names != NULL ? vp_device_names_dup (names, device->vendor, device->device) : NULL;

  return g_strdup_printf ("%s %s%s%s [%04x:%04x]", address, class_word (device->class_code), name != NULL ? ", " : "",
                          name != NULL ? name : "", device->vendor, device->device);
}

static VpStyle
style_of (const VpGroup *group)
{
  static const VpStyle styles[] = {
    [VP_GROUP_YES] = VP_STYLE_GOOD, [VP_GROUP_HOST] = VP_STYLE_WARN, [VP_GROUP_NO] = VP_STYLE_BAD
  };

  return styles[group->verdict];
}

static gboolean
is_last_at (const VpGroup *group, guint index, guint depth)
{
  for (guint i = index + 1; i < group->members->len; i++) {
    guint other = g_array_index (group->members, VpGroupMember, i).depth;
    if (other <= depth)
      return other < depth;
  }
  return TRUE;
}

static void
print_member (const VpGroup *group, guint index, VpDeviceNames *names)
{
  gboolean plain = !g_get_charset (NULL);
  const VpGroupMember *member = &g_array_index (group->members, VpGroupMember, index);
  g_autofree char *title = vp_pci_dup_title (member->device, names);
  g_autoptr (GString) branch = g_string_new (NULL);

  for (guint depth = 0; depth < member->depth; depth++)
    g_string_append (branch, is_last_at (group, index, depth) ? "   " : plain ? "|  " : "│  ");
  g_string_append (branch, is_last_at (group, index, member->depth) ? (plain ? "`- " : "└─ ") : plain ? "|- " : "├─ ");
  vp_output_line (VP_STYLE_PLAIN, "%s%s, %s%s%s", branch->str, title,
                  member->device->driver != NULL ? "driver " : "no driver",
                  member->device->driver != NULL ? member->device->driver : "",
                  member->device->boot_vga ? ", boot display" : "");
}

void
vp_groups_print (const VpGroups *groups, VpDeviceNames *names)
{
  for (guint i = 0; i < groups->groups->len; i++) {
    const VpGroup *group = groups->groups->pdata[i];
    vp_output_line (style_of (group), "Group %d: %s: %s", group->number, vp_group_verdict_word (group->verdict),
                    group->reason);
    for (guint j = 0; j < group->members->len; j++)
      print_member (group, j, names);
  }
  if (groups->n_alone > 0)
    vp_output_line (VP_STYLE_DIM, "%u devices are in no group and cannot be assigned", groups->n_alone);
}

static json_object *
ids_to_json (guint16 id)
{
  g_autofree char *text = g_strdup_printf ("%04x", id);

  return vp_output_json_string (text);
}

static json_object *
member_to_json (const VpGroupMember *member, VpDeviceNames *names)
{
  const VpPciDevice *device = member->device;
  json_object *object = json_object_new_object ();
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *parent = member->parent != NULL ? vp_pci_address_dup_text (&member->parent->address) : NULL;
  g_autofree char *name = vp_device_names_dup (names, device->vendor, device->device);
  g_autofree char *class_code = g_strdup_printf ("%06x", device->class_code);

  json_object_object_add (object, "address", vp_output_json_string (address));
  json_object_object_add (object, "kind", vp_output_json_string (class_word (device->class_code)));
  json_object_object_add (object, "class", vp_output_json_string (class_code));
  json_object_object_add (object, "vendor", ids_to_json (device->vendor));
  json_object_object_add (object, "device", ids_to_json (device->device));
  json_object_object_add (object, "name", vp_output_json_string (name));
  json_object_object_add (object, "driver", vp_output_json_string (device->driver));
  json_object_object_add (object, "endpoint", json_object_new_boolean (vp_pci_is_endpoint (device)));
  json_object_object_add (object, "boot_vga", json_object_new_boolean (device->boot_vga));
  json_object_object_add (object, "parent", vp_output_json_string (parent));
  return object;
}

json_object *
vp_groups_to_json (const VpGroups *groups, VpDeviceNames *names)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < groups->groups->len; i++) {
    const VpGroup *group = groups->groups->pdata[i];
    json_object *object = json_object_new_object ();
    json_object *devices = json_object_new_array ();
    for (guint j = 0; j < group->members->len; j++)
      json_object_array_add (devices, member_to_json (&g_array_index (group->members, VpGroupMember, j), names));
    json_object_object_add (object, "group", json_object_new_int (group->number));
    json_object_object_add (object, "verdict", vp_output_json_string (vp_group_verdict_word (group->verdict)));
    json_object_object_add (object, "ready", json_object_new_boolean (group->ready));
    json_object_object_add (object, "reason", vp_output_json_string (group->reason));
    json_object_object_add (object, "devices", devices);
    json_object_array_add (array, object);
  }
  return array;
}
