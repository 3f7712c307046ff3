/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of a DOMAIN that runs: where it is not as planned, its cards' links and interrupts. */
#include "cli/doctor/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "domain/drift.h"

static gboolean
subject_runs (const VpDoctor *doctor)
{
  return doctor->subject != NULL && doctor->subject->live != NULL;
}

static void
check_drift (VpDoctor *doctor)
{
  const VpDoctorGuest *guest = doctor->subject;

  if (!subject_runs (doctor) || !guest->tagged || doctor->guests->host == NULL)
    return;
  g_autoptr (VpGuestFacts) facts =
    vp_guest_facts_read (doctor->root, guest->name, doctor->session, vp_drift_needs_pages (guest->live));
  if (facts == NULL) {
    vp_doctor_unseen (doctor, "the threads and memory of its QEMU");
    return;
  }
  g_autoptr (GPtrArray) drift = vp_drift_list (guest->live, doctor->guests->host, facts);
  for (guint i = 0; i < drift->len; i++)
    vp_doctor_warn (doctor, "stop and start the guest", "%s", (const char *) drift->pdata[i]);
  if (drift->len == 0)
    vp_doctor_ok (doctor, "it runs as planned");
}

static char *
dup_attribute (const VpDoctor *doctor, const VpPciDevice *device, const char *name)
{
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *path = g_strdup_printf ("sys/bus/pci/devices/%s/%s", address, name);

  return vp_root_dup_text (doctor->root, path);
}

typedef struct {
  double gts; /* of a lane; 0: not known */
  int width;
} Link;

static Link
read_link (const VpDoctor *doctor, const VpPciDevice *device, const char *which)
{
  g_autofree char *speed_name = g_strdup_printf ("%s_link_speed", which);
  g_autofree char *width_name = g_strdup_printf ("%s_link_width", which);
  g_autofree char *speed = dup_attribute (doctor, device, speed_name); /* "8.0 GT/s PCIe" */
  g_autofree char *width = dup_attribute (doctor, device, width_name);

  return (Link){ speed != NULL ? g_ascii_strtod (speed, NULL) : 0, width != NULL ? atoi (width) : 0 };
}

/* What card and slot can do together. */
static Link
read_capability (const VpDoctor *doctor, const VpPciDevice *card)
{
  g_autoptr (GPtrArray) above = vp_groups_above (doctor->groups, doctor->root, card);
  Link most = read_link (doctor, card, "max");
  Link port = above->len > 0 ? read_link (doctor, above->pdata[0], "max") : most;

  if (port.gts > 0)
    most.gts = MIN (most.gts, port.gts);
  return most;
}

static void
judge_link (VpDoctor *doctor, const VpPciDevice *card)
{
  Link now = read_link (doctor, card, "current");
  Link most = read_capability (doctor, card);
  g_autofree char *address = vp_pci_address_dup_text (&card->address);

  if (now.width <= 0 || most.width <= 0 || most.gts <= 0)
    return;
  g_autofree char *seen = g_strdup_printf ("%s: %.1f GT/s on %d lanes, of %.1f GT/s on %d", address, now.gts, now.width,
                                           most.gts, most.width);
  if (now.width < most.width)
    vp_doctor_report (doctor, VP_CHECK_WARN, "seat the card anew, or use a slot with all lanes ('lspci -vv', LnkSta)",
                      seen);
  else if (now.gts < most.gts)
    vp_doctor_report (doctor, VP_CHECK_WARN,
                      "look again while the guest draws: a card that idles slows its link down; "
                      "if it stays, set the slot's generation in the firmware's setup",
                      seen);
  else
    vp_doctor_report (doctor, VP_CHECK_OK, NULL, seen);
}

/* The kernel lists here the message-signalled interrupts that the guest's driver asked for. */
static void
judge_msi (VpDoctor *doctor, const VpPciDevice *device)
{
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *path = g_strdup_printf ("sys/bus/pci/devices/%s/msi_irqs", address);
  g_auto (GStrv) irqs = vp_root_list (doctor->root, path);
  guint n = g_strv_length (irqs);

  if (n > 0)
    vp_doctor_ok (doctor, "%s: %u interrupt%s by message", address, n, n == 1 ? "" : "s");
  else
    vp_doctor_warn (doctor,
                    "in Windows set MSISupported = 1 for the device in the registry (…\\Interrupt Management\\"
                    "MessageSignaledInterruptProperties); Linux needs its driver alone",
                    "%s: no interrupt by message (MSI): the guest's driver uses none, or is not loaded", address);
}

static void
each_card (VpDoctor *doctor, gboolean functions, void (*judge) (VpDoctor *, const VpPciDevice *))
{
  g_autoptr (GArray) hostdevs = subject_runs (doctor) ? vp_domain_hostdevs (doctor->subject->live) : NULL;

  for (guint i = 0; hostdevs != NULL && i < hostdevs->len; i++) {
    const VpPciDevice *device = vp_pci_find (doctor->groups->devices, &g_array_index (hostdevs, VpHostdev, i).address);
    gboolean is_display = device != NULL && vp_pci_is_display (device);
    if (device != NULL && (functions || is_display))
      judge (doctor, device);
  }
}

static void
check_links (VpDoctor *doctor)
{
  each_card (doctor, FALSE, judge_link);
}

static void
check_msi (VpDoctor *doctor)
{
  each_card (doctor, TRUE, judge_msi);
}

const VpCheck vp_doctor_running_checks[] = {
  { "domain.drift", "domain: as planned", check_drift },
  { "domain.link", "domain: PCIe link", check_links },
  { "domain.msi", "domain: MSI", check_msi },
  { NULL, NULL, NULL },
};
