/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sorts the host's devices into their groups and judges each. Prints nothing. */
#include "cli/cards/groups.h"

#include <string.h>

#include "base/list.h"

static void
group_free (gpointer data)
{
  VpGroup *group = data;

  g_array_unref (group->members);
  g_free (group->reason);
  g_free (group);
}

void
vp_groups_free (VpGroups *groups)
{
  if (groups == NULL)
    return;
  g_ptr_array_unref (groups->groups);
  g_array_unref (groups->devices);
  g_free (groups);
}

const char *
vp_group_verdict_word (VpGroupVerdict verdict)
{
  static const char *const words[] = { [VP_GROUP_YES] = "yes", [VP_GROUP_HOST] = "host", [VP_GROUP_NO] = "no" };

  return words[verdict];
}

typedef struct {
  const char *address;
  char *path;
} Search;

static gboolean
match_link (const char *name, const char *target, const struct stat *open, gpointer data)
{
  Search *search = data;

  (void) open;
  if (strcmp (name, search->address) != 0)
    return TRUE;
  search->path = g_strdup (target);
  return FALSE;
}

/* "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0": each folder is the bridge above the next. */
GPtrArray *
vp_groups_above (const VpGroups *groups, const VpRoot *root, const VpPciDevice *device)
{
  GPtrArray *above = g_ptr_array_new ();
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  Search search = { address, NULL };

  vp_root_each_link (root, "sys/bus/pci/devices", match_link, &search);
  g_autofree char *path = search.path;
  g_auto (GStrv) parts = g_strsplit (path != NULL ? path : "", "/", -1);
  for (guint i = g_strv_length (parts); i > 0; i--) {
    VpPciAddress one;
    const VpPciDevice *bridge = vp_pci_address_parse (parts[i - 1], &one) ? vp_pci_find (groups->devices, &one) : NULL;
    if (bridge != NULL && bridge != device)
      g_ptr_array_add (above, (gpointer) bridge);
  }
  return above;
}

static VpGroup *
ensure_group (VpGroups *groups, int number)
{
  VpGroup *group = (VpGroup *) vp_groups_find (groups, number);

  if (group != NULL)
    return group;
  group = g_new0 (VpGroup, 1);
  group->number = number;
  group->members = g_array_new (FALSE, TRUE, sizeof (VpGroupMember));
  g_ptr_array_add (groups->groups, group);
  return group;
}

static const VpGroupMember *
find_member (const VpGroup *group, const VpPciDevice *device)
{
  for (guint i = 0; i < group->members->len; i++) {
    const VpGroupMember *member = &g_array_index (group->members, VpGroupMember, i);
    if (member->device == device)
      return member;
  }
  return NULL;
}

/* Devices come by address; the buses below a bridge have higher numbers than its own. */
static void
insert_member (VpGroup *group, const VpPciDevice *device, const VpPciDevice *parent)
{
  VpGroupMember member = { device, parent, 0 };
  const VpGroupMember *above = parent != NULL ? find_member (group, parent) : NULL;
  guint at = group->members->len;

  if (above != NULL) {
    member.depth = above->depth + 1;
    at = (guint) (above - &g_array_index (group->members, VpGroupMember, 0)) + 1;
    while (at < group->members->len && g_array_index (group->members, VpGroupMember, at).depth >= member.depth)
      at++;
  }
  g_array_insert_val (group->members, at, member);
}

static char *
dup_addresses (const GPtrArray *devices)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < devices->len; i++)
    g_ptr_array_add (words, vp_pci_address_dup_text (&((const VpPciDevice *) devices->pdata[i])->address));
  return vp_list_dup_words (words);
}

/* What a group consists of, for the verdict. */
typedef struct {
  GPtrArray *endpoints;     /* of const VpPciDevice * */
  GPtrArray *ports;         /* that have an endpoint of the group below them */
  GPtrArray *held;          /* endpoints with a host driver */
  const VpPciDevice *board; /* the last part of the board */
  const VpPciDevice *boot;
  gboolean is_spoilt; /* the host drives a part of the board in it */
} Parts;

static void
parts_clear (Parts *parts)
{
  g_ptr_array_unref (parts->endpoints);
  g_ptr_array_unref (parts->ports);
  g_ptr_array_unref (parts->held);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Parts, parts_clear)

static Parts
take_apart (const VpGroup *group)
{
  Parts parts = { g_ptr_array_new (), g_ptr_array_new (), g_ptr_array_new (), NULL, NULL, FALSE };

  for (guint i = 0; i < group->members->len; i++) {
    const VpGroupMember *member = &g_array_index (group->members, VpGroupMember, i);
    const VpPciDevice *device = member->device;
    if (vp_pci_is_board_part (device)) {
      parts.board = device;
      parts.is_spoilt |= vp_pci_spoils_group (device);
    }
    if (!vp_pci_is_endpoint (device))
      continue;
    g_ptr_array_add (parts.endpoints, (gpointer) device);
    if (vp_pci_spoils_group (device))
      g_ptr_array_add (parts.held, (gpointer) device);
    if (device->boot_vga)
      parts.boot = device;
    if (member->depth > 0 && !g_ptr_array_find (parts.ports, member->parent, NULL))
      g_ptr_array_add (parts.ports, (gpointer) member->parent);
  }
  return parts;
}

static char *
dup_no_reason (const Parts *parts)
{
  if (parts->board == NULL)
    return g_strdup ("nothing in it can be assigned: bridges and ports alone, which stay with the host");
  return parts->endpoints->len == 0
           ? g_strdup ("nothing in it can be assigned: a part of the board")
           : g_strdup ("not to be assigned: parts of the board that the host needs, which cannot be told apart");
}

/* The port in the group shows that nothing keeps what is below it apart: it has no ACS. */
static char *
dup_yes_reason (const Parts *parts)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *endpoints = dup_addresses (parts->endpoints);

  g_string_append_printf (text, "%s can be assigned%s", endpoints,
                          parts->endpoints->len > 1 ? ", together and to one guest" : "");
  if (parts->ports->len > 0) {
    g_autofree char *ports = dup_addresses (parts->ports);
    g_string_append_printf (text, "; %s above does not isolate (no ACS) and stays with the host", ports);
  }
  if (parts->boot != NULL) {
    g_autofree char *boot = vp_pci_address_dup_text (&parts->boot->address);
    g_string_append_printf (text, ", but %s is the display that the host started on",
                            parts->endpoints->len > 1 ? boot : "it");
  }
  return g_strdup (text->str);
}

static void
judge (VpGroup *group)
{
  g_auto (Parts) parts = take_apart (group);

  if (parts.is_spoilt || parts.endpoints->len == 0) {
    group->verdict = VP_GROUP_NO;
    group->reason = dup_no_reason (&parts);
    return;
  }
  group->verdict = parts.boot != NULL ? VP_GROUP_HOST : VP_GROUP_YES;
  group->ready = parts.held->len == 0;
  group->reason = dup_yes_reason (&parts);
}

static gint
compare_groups (gconstpointer a, gconstpointer b)
{
  return (*(VpGroup *const *) a)->number - (*(VpGroup *const *) b)->number;
}

VpGroups *
vp_groups_read (const VpRoot *root)
{
  VpGroups *groups = g_new0 (VpGroups, 1);

  groups->devices = vp_pci_read_devices (root);
  groups->groups = g_ptr_array_new_with_free_func (group_free);
  for (guint i = 0; i < groups->devices->len; i++) {
    const VpPciDevice *device = &g_array_index (groups->devices, VpPciDevice, i);
    if (device->iommu_group < 0) {
      groups->n_alone++;
      continue;
    }
    g_autoptr (GPtrArray) above = vp_groups_above (groups, root, device);
    insert_member (ensure_group (groups, device->iommu_group), device, above->len > 0 ? above->pdata[0] : NULL);
  }
  g_ptr_array_sort (groups->groups, compare_groups);
  for (guint i = 0; i < groups->groups->len; i++)
    judge (groups->groups->pdata[i]);
  return groups;
}

const VpGroup *
vp_groups_find (const VpGroups *groups, int number)
{
  for (guint i = 0; i < groups->groups->len; i++) {
    const VpGroup *group = groups->groups->pdata[i];
    if (group->number == number)
      return group;
  }
  return NULL;
}
