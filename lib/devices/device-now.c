/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The question that is asked before a start. */
#include "devices/device-now.h"

#include "devices/devices.h"

GPtrArray *
vp_device_check_now (const VpRoot *root, const VpDomain *domain, const VpSettings *settings, const GArray *held,
                     const GPtrArray *sessions, VpDeviceNames *names, guint limit_ms, GError **error)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
  g_autoptr (VpDeviceFacts) facts = vp_devices_read (root, hostdevs, limit_ms, error);
  g_autoptr (GArray) expected = vp_device_ids_read (domain, NULL);
  g_autoptr (VpHandoverWishes) handover = settings != NULL ? vp_handover_wishes_read (root, settings) : NULL;
  VpPciAddress x_vga;

  if (facts == NULL)
    return NULL;
  const VpDeviceQuestion question = {
    .facts = facts,
    .domain = domain,
    .held = held,
    .expected = expected,
    .x_vga = vp_domain_find_x_vga (domain, &x_vga, NULL) ? &x_vga : NULL,
    .refuse_boot_vga = settings != NULL && vp_settings_choice (settings, VP_KEY_DEVICES_BOOT_VGA) == VP_BOOT_VGA_REFUSE,
    .handover = handover,
    .sessions = sessions,
    .names = names,
  };
  return vp_device_check (&question);
}
