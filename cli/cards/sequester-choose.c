/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which PCI functions the host may lose from boot on. A group goes to a guest as a
 * whole, and a card is reset as a whole, so what belongs to one that was named comes
 * along: its group's other functions in the same slot, and of a graphics card its
 * audio and USB functions. What is of another slot is somebody's own decision.
 */
#include "cli/cards/sequester-choose.h"

#include "base/error.h"
#include "base/list.h"
#include "cli/base/output.h"
#include "devices/devices.h"

static gboolean
is_in_group (const VpPciDevice *a, const VpPciDevice *b)
{
  return a->iommu_group >= 0 && a->iommu_group == b->iommu_group;
}

gboolean
vp_sequester_is_picked (const GArray *picks, const VpPciDevice *device)
{
  for (guint i = 0; i < picks->len; i++)
    if (g_array_index (picks, VpSequesterPick, i).device == device)
      return TRUE;
  return FALSE;
}

G_GNUC_PRINTF (4, 5)
static gboolean
refuse (GError **error, const VpSequesterHost *host, const VpPciDevice *device, const char *format, ...)
{
  g_autofree char *title = vp_pci_dup_title (device, host->names);
  va_list values;

  va_start (values, format);
  g_autofree char *why = g_strdup_vprintf (format, values);
  va_end (values);
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "%s is not taken from the host: %s", title, why);
  return FALSE;
}

static const VpPciDevice *
find_device (const VpSequesterHost *host, const VpPciAddress *address, GError **error)
{
  const VpPciDevice *device = vp_pci_find (host->groups->devices, address);
  g_autofree char *text = vp_pci_address_dup_text (address);

  if (device == NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "the host has no PCI device %s; 'vfio-profile groups' shows which it "
                 "has",
                 text);
  return device;
}

/* What can be said of the one device alone. */
static gboolean
check_device (const VpSequesterHost *host, const VpPciDevice *device, GError **error)
{
  const VpGroup *group = vp_groups_find (host->groups, device->iommu_group);

  if (!vp_pci_is_endpoint (device))
    return refuse (error, host, device, "it is a bridge, a port or a part of the board, which no guest can have");
  if (group == NULL && !host->force)
    return refuse (error, host, device,
                   "it is in no IOMMU group, so it cannot be told what else would go with it, and "
                   "no guest can have it: turn the IOMMU on first ('vfio-profile doctor' says "
                   "how), or give --force");
  if (group != NULL && group->verdict == VP_GROUP_NO)
    return refuse (error, host, device, "its IOMMU group %d is %s", group->number, group->reason);
  return TRUE;
}

static void
pick (GArray *picks, const VpPciDevice *device, const char *reason)
{
  if (vp_sequester_is_picked (picks, device))
    return;
  VpSequesterPick one = { device, g_strdup (reason) };
  g_array_append_val (picks, one);
}

static void
pick_companions (const VpSequesterHost *host, const VpPciDevice *device, GArray *picks)
{
  for (guint i = 0; i < host->groups->devices->len; i++) {
    const VpPciDevice *other = &g_array_index (host->groups->devices, VpPciDevice, i);
    if (!vp_pci_is_endpoint (other) || !vp_pci_address_same_slot (&device->address, &other->address))
      continue;
    if (is_in_group (device, other))
      pick (picks, other, "of the same card and IOMMU group");
    else if (vp_pci_is_display (device) && vp_pci_card_part (other) != NULL)
      pick (picks, other, "of the same card");
  }
}

/* Whatever else is in the groups of the picks. */
static gboolean
check_groups (const VpSequesterHost *host, const GArray *picks, GError **error)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    g_autoptr (GPtrArray) others = g_ptr_array_new_with_free_func (g_free);
    for (guint j = 0; j < host->groups->devices->len; j++) {
      const VpPciDevice *other = &g_array_index (host->groups->devices, VpPciDevice, j);
      if (is_in_group (device, other) && vp_pci_is_endpoint (other) && !vp_sequester_is_picked (picks, other) &&
          vp_pci_has_host_driver (other))
        g_ptr_array_add (others, vp_pci_dup_title (other, host->names));
    }
    if (others->len == 0)
      continue;
    g_autofree char *list = vp_list_dup_words (others);
    return refuse (error, host, device,
                   "its IOMMU group %d, which goes to a guest as a whole, also has %s: name %s as well if the host can "
                   "do without",
                   device->iommu_group, list, others->len == 1 ? "it" : "them");
  }
  return TRUE;
}

static gboolean
check_boot (const VpSequesterHost *host, const GArray *picks, GError **error)
{
  for (guint i = 0; i < picks->len && !host->force; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    if (device->boot_vga)
      return refuse (error, host, device,
                     "it is the display that the firmware starts on, and the host would have no console: let the "
                     "firmware start on another display, or give --force");
  }
  return TRUE;
}

/* NULL: nothing that matters at the next boot. */
static char *
dup_use (const VpDeviceUse *use)
{
  switch (use->kind) {
    case VP_USE_MOUNT:
      return g_strdup_printf ("%s is mounted on %s", use->node, use->user);
    case VP_USE_SWAP:
      return g_strdup_printf ("swap space is on %s", use->node);
    case VP_USE_ROUTE:
      return g_strdup_printf ("the default route leads over %s", use->node);
    case VP_USE_SOUND:
    case VP_USE_PROCESS:
    case VP_USE_CONSOLE:
      break;
  }
  return NULL;
}

/* Programs and consoles will be elsewhere at the next boot; the root file system will not. */
static gboolean
check_uses (const VpSequesterHost *host, const GArray *picks, GError **error)
{
  g_autoptr (GArray) hostdevs = g_array_new (FALSE, TRUE, sizeof (VpHostdev));

  for (guint i = 0; i < picks->len; i++) {
    VpHostdev hostdev = { .address = g_array_index (picks, VpSequesterPick, i).device->address };
    g_array_append_val (hostdevs, hostdev);
  }
  g_autoptr (VpDeviceFacts) facts = vp_devices_read (host->root, hostdevs, 0, error);
  if (facts == NULL)
    return FALSE;
  for (guint i = 0; i < facts->uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    g_autofree char *words = dup_use (use);
    if (words == NULL)
      continue;
    const VpPciDevice *device = vp_pci_find (host->groups->devices, &use->device);
    return refuse (error, host, device, "the host uses it: %s", words);
  }
  return TRUE;
}

GArray *
vp_addresses_parse (char *const *words, const char **wrong)
{
  g_autoptr (GArray) addresses = g_array_new (FALSE, TRUE, sizeof (VpPciAddress));

  for (guint i = 0; words[i] != NULL; i++) {
    g_autofree char *lower = g_ascii_strdown (words[i], -1);
    g_autofree char *whole = g_strconcat ("0000:", lower, NULL);
    VpPciAddress address;
    if (!vp_pci_address_parse (lower, &address) && !vp_pci_address_parse (whole, &address)) {
      *wrong = words[i];
      return NULL;
    }
    g_array_append_val (addresses, address);
  }
  return g_steal_pointer (&addresses);
}

static void
pick_clear (gpointer data)
{
  g_free (((VpSequesterPick *) data)->reason);
}

GArray *
vp_sequester_choose (const VpSequesterHost *host, const GArray *addresses, GError **error)
{
  g_autoptr (GArray) picks = g_array_new (FALSE, TRUE, sizeof (VpSequesterPick));
  guint n_named = 0;

  g_array_set_clear_func (picks, pick_clear);
  for (guint i = 0; i < addresses->len; i++) {
    const VpPciDevice *device = find_device (host, &g_array_index (addresses, VpPciAddress, i), error);
    if (device == NULL || !check_device (host, device, error))
      return NULL;
    pick (picks, device, NULL);
  }
  n_named = picks->len;
  for (guint i = 0; i < n_named; i++)
    pick_companions (host, g_array_index (picks, VpSequesterPick, i).device, picks);
  for (guint i = n_named; i < picks->len; i++)
    if (!check_device (host, g_array_index (picks, VpSequesterPick, i).device, error))
      return NULL;
  if (!check_groups (host, picks, error) || !check_boot (host, picks, error) || !check_uses (host, picks, error))
    return NULL;
  return g_steal_pointer (&picks);
}

static gboolean
has_boot_display (const VpGroups *groups)
{
  for (guint i = 0; i < groups->devices->len; i++)
    if (g_array_index (groups->devices, VpPciDevice, i).boot_vga)
      return TRUE;
  return FALSE;
}

/* Each by itself, so that one that cannot be taken does not spare the others. */
GArray *
vp_sequester_choose_cards (const VpSequesterHost *host, GError **error)
{
  g_autoptr (GArray) addresses = g_array_new (FALSE, TRUE, sizeof (VpPciAddress));

  if (!has_boot_display (host->groups)) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "no display of the host is marked as the one that the firmware started on, so it is not known which "
                 "one to spare: name the cards by their addresses");
    return NULL;
  }
  for (guint i = 0; i < host->groups->devices->len; i++) {
    const VpPciDevice *device = &g_array_index (host->groups->devices, VpPciDevice, i);
    g_autoptr (GArray) one = g_array_new (FALSE, TRUE, sizeof (VpPciAddress));
    g_autoptr (GError) problem = NULL;
    if (!vp_pci_is_display (device) || device->boot_vga)
      continue;
    g_array_append_val (one, device->address);
    g_autoptr (GArray) picks = vp_sequester_choose (host, one, &problem);
    if (picks == NULL)
      vp_output_warn ("%s", problem->message);
    else
      g_array_append_val (addresses, device->address);
  }
  if (addresses->len == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "the host has no graphics card to spare: 'vfio-profile groups' shows "
                 "its devices");
    return NULL;
  }
  return vp_sequester_choose (host, addresses, error);
}
