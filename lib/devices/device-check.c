/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judges each hostdev of a domain, the plainest reason first: a device that is not there has no group. */
#include "devices/device-check.h"

#include "base/x-vga-mark.h"

static void
finding_free (VpDeviceFinding *finding)
{
  g_free (finding->text);
  g_free (finding);
}

static const VpDeviceIds *
find_expected (const VpDeviceJudge *judge, const VpPciAddress *address)
{
  const GArray *expected = judge->question->expected;

  return expected != NULL ? vp_device_ids_find (expected, address) : NULL;
}

static char *
dup_new_place (const VpDeviceJudge *judge, const VpDeviceIds *ids)
{
  const GArray *devices = judge->question->facts->devices;
  const VpPciDevice *found = NULL;
  guint count = 0;

  for (guint i = 0; ids != NULL && i < devices->len; i++) {
    const VpPciDevice *device = &g_array_index (devices, VpPciDevice, i);
    if (device->vendor == ids->vendor && device->device == ids->device) {
      found = device;
      count++;
    }
  }
  if (count != 1)
    return g_strdup ("");
  g_autofree char *address = vp_pci_address_dup_text (&found->address);
  return g_strdup_printf (", and one like that is at %s now", address);
}

static void
report_missing (VpDeviceJudge *judge, const VpPciAddress *address)
{
  const VpDeviceIds *ids = find_expected (judge, address);
  g_autofree char *text = vp_pci_address_dup_text (address);
  g_autofree char *place = dup_new_place (judge, ids);
  g_autofree char *was = ids != NULL ? vp_device_describe_ids (judge, ids->vendor, ids->device) : NULL;

  if (was == NULL)
    vp_device_report (judge, VP_DEVICE_REFUSE, address,
                      "the host has no PCI device %s: look with 'virsh nodedev-list --cap pci' for where it is, and "
                      "correct the <hostdev>",
                      text);
  else
    vp_device_report (judge, VP_DEVICE_REFUSE, address,
                      "the host has no PCI device %s any more; it was %s%s: correct the <hostdev>, and run "
                      "'vfio-profile set' again",
                      text, was, place);
}

/* A card more or a new firmware renumbers the buses, and the address is another device's. */
static gboolean
report_moved (VpDeviceJudge *judge, const VpPciDevice *device)
{
  const VpDeviceIds *ids = find_expected (judge, &device->address);

  if (ids == NULL || (ids->vendor == device->vendor && ids->device == device->device))
    return FALSE;
  g_autofree char *name = vp_device_describe (judge, device);
  g_autofree char *was = vp_device_describe_ids (judge, ids->vendor, ids->device);
  g_autofree char *place = dup_new_place (judge, ids);
  vp_device_report (judge, VP_DEVICE_REFUSE, &device->address,
                    "%s is another device than when the profile was set: it was %s%s; correct the <hostdev>, or run "
                    "'vfio-profile set' again if this one is meant",
                    name, was, place);
  return TRUE;
}

static gboolean
report_held (VpDeviceJudge *judge, const VpPciDevice *device)
{
  const char *holder = vp_device_holder (judge, &device->address);

  if (holder == NULL)
    return FALSE;
  g_autofree char *name = vp_device_describe (judge, device);
  vp_device_report (judge, VP_DEVICE_REFUSE, &device->address, "%s is used by the guest '%s': shut that down first",
                    name, holder);
  return TRUE;
}

static gboolean
report_bridge (VpDeviceJudge *judge, const VpPciDevice *device)
{
  if (!vp_pci_is_port (device))
    return FALSE;
  g_autofree char *name = vp_device_describe (judge, device);
  vp_device_report (judge, VP_DEVICE_REFUSE, &device->address,
                    "%s is a bridge or port, which no guest can have: assign the devices behind it instead, and take "
                    "its <hostdev> out",
                    name);
  return TRUE;
}

/* With the firmware's table there, it is the kernel that does not use it. */
static const char *
firmware_advice (const VpDeviceFacts *facts)
{
  switch (facts->cpu) {
    case VP_CPU_INTEL:
      return facts->has_iommu_table
               ? "the firmware has VT-d on, so add intel_iommu=on to the kernel's command line, and boot"
               : "turn VT-d on in the firmware, and add intel_iommu=on to the kernel's command line";
    case VP_CPU_AMD:
      return "turn the IOMMU (AMD-Vi) on in the firmware; the kernel then uses it";
    case VP_CPU_OTHER:
      break;
  }
  return "turn it on in the firmware (VT-d or AMD-Vi), and for an Intel CPU add intel_iommu=on to the kernel's command "
         "line";
}

static char *
dup_iommu_advice (const VpDeviceFacts *facts)
{
  if (facts->iommu_off == NULL)
    return g_strdup (firmware_advice (facts));
  return g_strdup_printf ("take %s out of the kernel's command line, and boot%s", facts->iommu_off,
                          facts->has_iommu_table ? "" : "; turn it on in the firmware, too (VT-d or AMD-Vi)");
}

/* Once for the domain where there is no IOMMU at all. */
static void
report_no_group (VpDeviceJudge *judge, const VpPciDevice *device, gboolean *iommu_missing)
{
  g_autofree char *name = vp_device_describe (judge, device);

  if (judge->question->facts->has_iommu) {
    vp_device_report (judge, VP_DEVICE_REFUSE, &device->address,
                      "%s is in no IOMMU group, though the host has an IOMMU: it cannot be assigned; look for options "
                      "such as intel_iommu=igfx_off on the kernel's command line",
                      name);
  } else if (!*iommu_missing) {
    g_autofree char *advice = dup_iommu_advice (judge->question->facts);
    *iommu_missing = TRUE;
    vp_device_report (judge, VP_DEVICE_REFUSE, &device->address, "%s cannot be assigned, as the host uses no IOMMU: %s",
                      name, advice);
  }
}

static void
report_unbound (VpDeviceJudge *judge, const VpPciDevice *device)
{
  g_autofree char *name = vp_device_describe (judge, device);
  const VpPciAddress *address = &device->address;

  vp_device_report (judge, VP_DEVICE_REFUSE, address,
                    "%s has managed='no', so it must be bound to vfio-pci before the start, and is bound to %s: run "
                    "'virsh nodedev-detach pci_%04x_%02x_%02x_%x', or set managed='yes'",
                    name, device->driver != NULL ? device->driver : "nothing", address->domain, address->bus,
                    address->slot, address->function);
}

static void
judge_hostdev (VpDeviceJudge *judge, const VpHostdev *hostdev, gboolean *iommu_missing)
{
  const VpPciDevice *device = vp_pci_find (judge->question->facts->devices, &hostdev->address);

  if (device == NULL) {
    report_missing (judge, &hostdev->address);
    return;
  }
  if (report_moved (judge, device) || report_bridge (judge, device) || report_held (judge, device))
    return;
  if (device->iommu_group < 0)
    report_no_group (judge, device, iommu_missing);
  else
    vp_device_judge_group (judge, device);
  /* A device that the host uses gets no advice on how to take it away. */
  if (!vp_device_judge_use (judge, hostdev, device) && !hostdev->managed && !vp_pci_is_on_vfio (device))
    report_unbound (judge, device);
}

static void
judge_vga_support (VpDeviceJudge *judge, const VpPciDevice *card)
{
  g_autofree char *name = vp_device_describe (judge, card);

  if (card->class_code >> 8 != VP_PCI_CLASS_VGA)
    vp_device_report (judge, VP_DEVICE_REFUSE, &card->address,
                      "x-vga is asked for %s, which is of class %04x, no VGA display (0300): set vga.x-vga to off, or "
                      "take the mark '" VP_X_VGA_MARK_SUFFIX "' off its alias",
                      name, card->class_code >> 8);
  else if (judge->question->facts->vga == VP_VGA_NO)
    vp_device_report (judge, VP_DEVICE_REFUSE, &card->address,
                      "x-vga is asked for %s, but the running kernel's vfio-pci is built without VGA support "
                      "(CONFIG_VFIO_PCI_VGA): use OVMF with vga.x-vga = off, or another kernel",
                      name);
  else if (judge->question->facts->vga == VP_VGA_DISABLED)
    vp_device_report (judge, VP_DEVICE_REFUSE, &card->address,
                      "x-vga is asked for %s, but vfio-pci was loaded with disable_vga=1: take that out of "
                      "/etc/modprobe.d or the kernel's command line and boot, or use OVMF with vga.x-vga = off",
                      name);
}

static void
warn_of_i915 (VpDeviceJudge *judge, const VpPciDevice *card)
{
  const GArray *devices = judge->question->facts->devices;
  g_autofree char *name = vp_device_describe (judge, card);

  for (guint i = 0; i < devices->len; i++) {
    const VpPciDevice *device = &g_array_index (devices, VpPciDevice, i);
    if (g_strcmp0 (device->driver, "i915") != 0 || !vp_pci_is_display (device) ||
        vp_device_is_assigned (judge, &device->address))
      continue;
    g_autofree char *other = vp_device_describe (judge, device);
    vp_device_report (judge, VP_DEVICE_WARN, &card->address,
                      "x-vga for %s beside the host's %s: i915 takes no part in VGA arbitration and keeps legacy VGA "
                      "access, so both pictures may break; prefer OVMF, which needs no x-vga",
                      name, other);
  }
}

static void
judge_x_vga (VpDeviceJudge *judge)
{
  const VpPciAddress *address = judge->question->x_vga;
  const VpPciDevice *card = address != NULL ? vp_pci_find (judge->question->facts->devices, address) : NULL;

  if (card == NULL || !vp_device_is_assigned (judge, address))
    return;
  judge_vga_support (judge, card);
  warn_of_i915 (judge, card);
}

/* What was not looked at may still hang the start. */
static void
warn_of_cut (VpDeviceJudge *judge)
{
  const VpDeviceFacts *facts = judge->question->facts;

  for (guint i = 0; facts->cut_short && i < judge->hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (judge->hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_pci_find (facts->devices, &hostdev->address);
    if (device == NULL || !hostdev->managed || !vp_pci_has_host_driver (device))
      continue;
    g_autofree char *name = vp_device_describe (judge, device);
    vp_device_report (judge, VP_DEVICE_WARN, &device->address,
                      "whether processes of the host use %s is not known: there are too many to look at in time", name);
    return;
  }
}

GPtrArray *
vp_device_check (const VpDeviceQuestion *question)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (question->domain);
  VpDeviceJudge judge = { question, hostdevs, g_ptr_array_new_with_free_func ((GDestroyNotify) finding_free) };
  gboolean iommu_missing = FALSE;

  for (guint i = 0; i < hostdevs->len; i++)
    judge_hostdev (&judge, &g_array_index (hostdevs, VpHostdev, i), &iommu_missing);
  judge_x_vga (&judge);
  warn_of_cut (&judge);
  return judge.findings;
}

char *
vp_device_findings_dup_refusal (const GPtrArray *findings)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < findings->len; i++) {
    const VpDeviceFinding *finding = findings->pdata[i];
    if (finding->severity == VP_DEVICE_REFUSE)
      g_string_append_printf (text, "%s%s", text->len > 0 ? "; and " : "", finding->text);
  }
  return text->len > 0 ? g_strdup (text->str) : NULL;
}
