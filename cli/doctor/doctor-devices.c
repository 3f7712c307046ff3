/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of the cards: their groups, the ports above them, the host's own display. */
#include "cli/doctor/doctor.h"

#include <string.h>

#include "host/console.h"

#define CONFIG_BYTES 4096
#define EXTENDED_BEGIN 0x100 /* of the configuration space; root alone reads so far */
#define CAPABILITY_ACS 0x000d
#define ACS_CONTROL 6
#define ACS_WANTED 0x1d /* source validation, request and completion redirect, upstream forwarding */

/* What else a guest must be given, or the host must let go, with the card. */
static GPtrArray *
list_strangers (const VpDoctor *doctor, const VpGroup *group, const VpPciDevice *card)
{
  GPtrArray *words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < group->members->len; i++) {
    const VpPciDevice *device = g_array_index (group->members, VpGroupMember, i).device;
    if (!vp_pci_is_endpoint (device) || vp_pci_address_same_slot (&device->address, &card->address))
      continue;
    g_autofree char *name = vp_doctor_dup_name (doctor, device);
    g_ptr_array_add (words, g_strdup_printf ("%s%s%s", name, device->driver != NULL ? " with " : "",
                                             device->driver != NULL ? device->driver : ""));
  }
  return words;
}

#define OTHER_SLOT "use another slot, one whose port is in a group of its own ('vfio-profile groups')"

/* Only a card that a guest asks for makes the host unfit. */
static void
report_unfit (VpDoctor *doctor, const VpPciDevice *card, const char *advice, const char *seen)
{
  gboolean wanted = vp_doctor_find_owner (doctor, &card->address) != NULL;

  vp_doctor_report (doctor, wanted ? VP_CHECK_FAIL : VP_CHECK_WARN, advice, seen);
}

static void
judge_card (VpDoctor *doctor, const VpPciDevice *card)
{
  const VpGroup *group = vp_groups_find (doctor->groups, card->iommu_group);
  g_autofree char *name = vp_doctor_dup_name (doctor, card);

  if (group == NULL) {
    g_autofree char *seen = g_strdup_printf ("%s is in no IOMMU group and cannot be assigned", name);
    report_unfit (doctor, card, "look for options such as intel_iommu=igfx_off on the kernel's command line", seen);
    return;
  }
  g_autoptr (GPtrArray) strangers = list_strangers (doctor, group, card);
  g_autofree char *list = vp_list_dup_words (strangers);
  if (group->verdict != VP_GROUP_YES) {
    g_autofree char *seen = g_strdup_printf ("%s: group %d: %s", name, group->number, group->reason);
    report_unfit (doctor, card, OTHER_SLOT, seen);
  } else if (strangers->len > 0) {
    g_autofree char *seen =
      g_strdup_printf ("%s shares group %d with %s, which must go to the same guest", name, group->number, list);
    vp_doctor_report (doctor, VP_CHECK_WARN, OTHER_SLOT, seen);
  } else {
    vp_doctor_ok (doctor, "%s can be assigned: group %d", name, group->number);
  }
}

static void
check_cards (VpDoctor *doctor)
{
  g_autoptr (GPtrArray) cards = vp_doctor_cards (doctor);

  if (cards->len == 0)
    vp_doctor_warn (doctor, NULL, "the host has no graphics card beside the display that it started on");
  for (guint i = 0; doctor->groups->groups->len > 0 && i < cards->len; i++)
    judge_card (doctor, cards->pdata[i]);
}

typedef enum { ACS_UNKNOWN, ACS_NONE, ACS_OFF, ACS_ON } Acs;

static guint
read_le (const guchar *bytes, guint count)
{
  guint value = 0;

  for (guint i = count; i > 0; i--)
    value = value << 8 | bytes[i - 1];
  return value;
}

/* Each extended capability begins with its id (16 bits), version (4) and the place of the next (12). */
static Acs
find_acs (const guchar *config, gsize length)
{
  guint at = EXTENDED_BEGIN;

  if (length <= EXTENDED_BEGIN)
    return ACS_UNKNOWN;
  for (guint steps = 0; steps < CONFIG_BYTES / 8 && at >= EXTENDED_BEGIN && at + 8 <= length; steps++) {
    guint header = read_le (config + at, 4);
    if ((header & 0xffff) == CAPABILITY_ACS)
      return (read_le (config + at + ACS_CONTROL, 2) & ACS_WANTED) == ACS_WANTED ? ACS_ON : ACS_OFF;
    at = header >> 20;
  }
  return ACS_NONE;
}

static const char *
read_acs_words (const VpDoctor *doctor, const char *port)
{
  static const char *const words[] = {
    [ACS_UNKNOWN] = "ACS: seen by root alone", [ACS_NONE] = "no ACS", [ACS_OFF] = "ACS, but not on", [ACS_ON] = "ACS on"
  };
  g_autofree char *path = g_strdup_printf ("sys/bus/pci/devices/%s/config", port);
  gsize length = 0;
  g_autofree char *config = vp_root_dup_bytes (doctor->root, path, CONFIG_BYTES, &length);

  return words[config != NULL ? find_acs ((const guchar *) config, length) : ACS_UNKNOWN];
}

/* The groups are the kernel's answer, which also knows ports that isolate without saying so. */
static void
judge_port (VpDoctor *doctor, const VpPciDevice *card)
{
  g_autoptr (GPtrArray) above = vp_groups_above (doctor->groups, doctor->root, card);
  const VpPciDevice *port = above->len > 0 ? above->pdata[0] : NULL;
  const VpGroup *group = vp_groups_find (doctor->groups, card->iommu_group);

  if (port == NULL || group == NULL)
    return;
  g_autofree char *name = vp_pci_address_dup_text (&card->address);
  g_autofree char *port_name = vp_pci_address_dup_text (&port->address);
  const char *words = read_acs_words (doctor, port_name);
  g_autoptr (GPtrArray) strangers = list_strangers (doctor, group, card);
  if (port->iommu_group != card->iommu_group)
    vp_doctor_ok (doctor, "%s: the port %s above it isolates it (%s)", name, port_name, words);
  else if (strangers->len == 0)
    vp_doctor_ok (doctor, "%s: the port %s above it does not isolate (%s), and nothing else is below it", name,
                  port_name, words);
  else
    vp_doctor_warn (doctor, OTHER_SLOT, "%s: the port %s above it does not isolate (%s)", name, port_name, words);
}

static void
check_acs (VpDoctor *doctor)
{
  g_autoptr (GPtrArray) cards = vp_doctor_cards (doctor);

  if (strstr (doctor->system->command_line, "pcie_acs_override=") != NULL) {
    g_autofree char *advice = vp_system_dup_drop_parameter (doctor->system, "pcie_acs_override");
    vp_doctor_warn (doctor, advice,
                    "pcie_acs_override is on the kernel's command line: the groups are not true, and "
                    "devices may write into each other's memory");
  }
  for (guint i = 0; i < cards->len; i++)
    judge_port (doctor, cards->pdata[i]);
}

/* "0 i915drmfb" */
static char *
dup_console (const VpDoctor *doctor)
{
  g_autofree char *text = vp_root_dup_text (doctor->root, "proc/fb");

  if (text == NULL || text[0] == '\0')
    return NULL;
  return g_strdelimit (g_strdup (text), "\n", ',');
}

static const VpPciDevice *
find_boot_display (const VpDoctor *doctor)
{
  for (guint i = 0; i < doctor->groups->devices->len; i++) {
    const VpPciDevice *device = &g_array_index (doctor->groups->devices, VpPciDevice, i);
    if (device->boot_vga)
      return device;
  }
  return NULL;
}

static void
check_unmarked (VpDoctor *doctor)
{
  g_autoptr (GPtrArray) cards = vp_doctor_cards (doctor);
  g_autofree char *display = vp_console_dup_display (doctor->root);

  if (cards->len == 0)
    vp_doctor_ok (doctor, "no PCI display");
  else if (display == NULL)
    vp_doctor_ok (doctor, "none is marked, and nothing shows a console: the host needs none of its cards");
  else
    vp_doctor_warn (doctor,
                    "find out which card the monitor of the host's console is at before you assign the last one, or "
                    "use the host over the network",
                    "the host shows its console (%s), and the kernel does not say on which of its cards", display);
}

static void
check_boot_display (VpDoctor *doctor)
{
  const VpPciDevice *boot = find_boot_display (doctor);
  g_autofree char *console = dup_console (doctor);

  if (boot == NULL) {
    check_unmarked (doctor);
    return;
  }
  g_autofree char *name = vp_doctor_dup_name (doctor, boot);
  const VpDoctorGuest *owner = vp_doctor_find_owner (doctor, &boot->address);
  if (owner != NULL)
    vp_doctor_warn (doctor,
                    "choose another card as the first display in the firmware's setup, or keep the host's "
                    "drivers off this one and use the host over the network",
                    "%s is assigned to '%s': the host's console goes with it", name, owner->name);
  else
    vp_doctor_ok (doctor, "%s, driver %s, console %s", name, boot->driver != NULL ? boot->driver : "none",
                  console != NULL ? console : "without framebuffer");
}

static void
check_i915 (VpDoctor *doctor)
{
  const VpPciDevice *boot = find_boot_display (doctor);
  const VpDoctorGuest *guest = vp_doctor_find_x_vga (doctor);

  if (boot == NULL || g_strcmp0 (boot->driver, "i915") != 0)
    return;
  if (guest == NULL)
    vp_doctor_ok (doctor, "i915 keeps legacy VGA access; no guest asks for it (x-vga)");
  else
    vp_doctor_warn (doctor, "install the guest with OVMF firmware, which needs no x-vga",
                    "'%s' uses legacy VGA (x-vga) beside i915, which keeps it too: both pictures may break",
                    guest->name);
}

const VpCheck vp_doctor_devices_checks[] = {
  { "devices.cards", "cards and groups", check_cards },
  { "devices.acs", "isolation (ACS)", check_acs },
  { "devices.boot-display", "boot display", check_boot_display },
  { "devices.i915", "VGA arbitration", check_i915 },
  { NULL, NULL, NULL },
};
