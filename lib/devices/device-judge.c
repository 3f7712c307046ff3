/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a finding is put into words, and who has a device. */
#include "devices/device-judge.h"

void
vp_device_report (VpDeviceJudge *judge, VpDeviceSeverity severity, const VpPciAddress *device, const char *format, ...)
{
  VpDeviceFinding *finding = g_new0 (VpDeviceFinding, 1);
  va_list arguments;

  va_start (arguments, format);
  finding->severity = severity;
  finding->device = *device;
  finding->text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_ptr_array_add (judge->findings, finding);
}

char *
vp_device_describe_ids (const VpDeviceJudge *judge, guint16 vendor, guint16 device)
{
  VpDeviceNames *names = judge->question->names;
  g_autofree char *name = names != NULL ? vp_device_names_dup (names, vendor, device) : NULL;

  return g_strdup_printf ("%04x:%04x%s%s", vendor, device, name != NULL ? ", " : "", name != NULL ? name : "");
}

char *
vp_device_describe (const VpDeviceJudge *judge, const VpPciDevice *device)
{
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *ids = vp_device_describe_ids (judge, device->vendor, device->device);

  return g_strdup_printf ("%s (%s)", address, ids);
}

gboolean
vp_device_is_assigned (const VpDeviceJudge *judge, const VpPciAddress *address)
{
  for (guint i = 0; i < judge->hostdevs->len; i++)
    if (vp_pci_address_equal (&g_array_index (judge->hostdevs, VpHostdev, i).address, address))
      return TRUE;
  return FALSE;
}

const char *
vp_device_holder (const VpDeviceJudge *judge, const VpPciAddress *address)
{
  const GArray *held = judge->question->held;

  for (guint i = 0; held != NULL && i < held->len; i++) {
    const VpDeviceHeld *one = &g_array_index (held, VpDeviceHeld, i);
    if (vp_pci_address_equal (&one->address, address))
      return one->domain;
  }
  return NULL;
}
