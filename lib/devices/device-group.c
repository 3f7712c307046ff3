/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * IOMMU groups. The IOMMU cannot tell the devices of a group apart, so a group goes
 * to one guest or to none: what is in it is this guest's, or has no driver of the
 * host's. Bridges and ports in it keep theirs.
 */
#include "devices/device-judge.h"

/* What a function of an assigned graphics card is to it; NULL: it is not one. */
static const char *
companion_words (const VpDeviceJudge *judge, const VpPciDevice *device)
{
  const GArray *devices = judge->question->facts->devices;
  gboolean has_card = FALSE;

  for (guint i = 0; i < judge->hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (judge->hostdevs, VpHostdev, i);
    const VpPciDevice *card = vp_pci_find (devices, &hostdev->address);
    has_card |= card != NULL && vp_pci_is_display (card) && vp_pci_address_same_slot (&card->address, &device->address);
  }
  return has_card && !vp_device_is_assigned (judge, &device->address) ? vp_pci_card_part (device) : NULL;
}

static gboolean
is_offender (const VpDeviceJudge *judge, const VpPciDevice *device, int group)
{
  return device->iommu_group == group && !vp_pci_is_port (device) && !vp_device_is_assigned (judge, &device->address) &&
         (vp_pci_spoils_group (device) || vp_device_holder (judge, &device->address) != NULL);
}

static char *
describe_offender (const VpDeviceJudge *judge, const VpPciDevice *device)
{
  g_autofree char *name = vp_device_describe (judge, device);
  const char *companion = companion_words (judge, device);
  const char *holder = vp_device_holder (judge, &device->address);

  if (holder != NULL)
    return g_strdup_printf ("%s is used by the guest '%s'", name, holder);
  if (companion != NULL)
    return g_strdup_printf ("%s, %s, is bound to %s", name, companion, device->driver);
  return g_strdup_printf ("%s is bound to %s", name, device->driver);
}

typedef struct {
  GPtrArray *words;
  gboolean all_companions;
  gboolean has_board; /* the chipset, which nobody can give away */
  gboolean has_held;
} Offenders;

static Offenders
find_offenders (const VpDeviceJudge *judge, int group)
{
  const GArray *devices = judge->question->facts->devices;
  Offenders found = { g_ptr_array_new_with_free_func (g_free), TRUE, FALSE, FALSE };

  for (guint i = 0; i < devices->len; i++) {
    const VpPciDevice *device = &g_array_index (devices, VpPciDevice, i);
    if (!is_offender (judge, device, group))
      continue;
    g_ptr_array_add (found.words, describe_offender (judge, device));
    found.all_companions &= companion_words (judge, device) != NULL;
    found.has_board |= vp_pci_is_board_part (device);
    found.has_held |= vp_device_holder (judge, &device->address) != NULL;
  }
  return found;
}

static const char *
advice (const Offenders *found)
{
  if (found->has_held)
    return "shut that guest down first";
  if (found->all_companions)
    return found->words->len == 1 ? "assign it to the domain as well" : "assign them to the domain as well";
  if (found->has_board)
    return "these are parts of the board, and none of them can be assigned";
  return found->words->len == 1 ? "assign it as well where the host can do without it, or use another slot"
                                : "assign them as well where the host can do without them, or use another slot";
}

static gboolean
is_first_of_group (const VpDeviceJudge *judge, const VpPciDevice *device)
{
  for (guint i = 0; i < judge->hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (judge->hostdevs, VpHostdev, i);
    const VpPciDevice *other = vp_pci_find (judge->question->facts->devices, &hostdev->address);
    if (other != NULL && other->iommu_group == device->iommu_group)
      return other == device;
  }
  return TRUE;
}

/* Those that do not spoil the group. */
static void
warn_of_companions (VpDeviceJudge *judge, const VpPciDevice *card)
{
  const GArray *devices = judge->question->facts->devices;

  for (guint i = 0; i < devices->len; i++) {
    const VpPciDevice *device = &g_array_index (devices, VpPciDevice, i);
    const char *words = companion_words (judge, device);
    if (words == NULL || !vp_pci_address_same_slot (&device->address, &card->address) ||
        is_offender (judge, device, card->iommu_group))
      continue;
    g_autofree char *card_name = vp_device_describe (judge, card);
    g_autofree char *name = vp_device_describe (judge, device);
    vp_device_report (judge, VP_DEVICE_WARN, &card->address,
                      "%s is assigned without %s, %s: assign it as well, so that the card is reset as a whole",
                      card_name, name, words);
  }
}

void
vp_device_judge_group (VpDeviceJudge *judge, const VpPciDevice *device)
{
  if (vp_pci_is_display (device))
    warn_of_companions (judge, device);
  if (!is_first_of_group (judge, device))
    return;
  Offenders found = find_offenders (judge, device->iommu_group);
  g_autoptr (GPtrArray) words = found.words;
  if (words->len == 0)
    return;
  g_autofree char *name = vp_device_describe (judge, device);
  g_autofree char *list = vp_list_dup_words (words);
  vp_device_report (judge, VP_DEVICE_REFUSE, &device->address,
                    "%s shares IOMMU group %d, which goes to one guest as a whole, but %s: %s", name,
                    device->iommu_group, list, advice (&found));
}
