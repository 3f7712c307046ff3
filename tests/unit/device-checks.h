/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the device check share: domains with hostdevs, and what is expected of the findings. */
#pragma once

#include <string.h>

#include "devices/device-check.h"
#include "devices/devices.h"
#include "support.h"

/* "0000:01:00.0 !0000:01:00.1": "!" is managed='no', "*" has the mark of x-vga. */
static inline VpDomain *
domain_with (const char *devices)
{
  g_autoptr (GString) text = g_string_new ("<domain type='kvm'><name>win10</name><devices>");
  g_auto (GStrv) words = g_strsplit (devices, " ", -1);

  for (guint i = 0; words[i] != NULL && words[i][0] != '\0'; i++) {
    VpPciAddress address = { 0 };
    gboolean is_marked = words[i][0] == '*';
    gboolean is_managed = words[i][0] != '!';
    g_assert_true (vp_pci_address_parse (words[i] + (is_marked || !is_managed ? 1 : 0), &address));
    g_string_append_printf (text,
                            "<hostdev mode='subsystem' type='pci' managed='%s'><source><address domain='0x%04x' "
                            "bus='0x%02x' slot='0x%02x' function='0x%x'/></source>%s</hostdev>",
                            is_managed ? "yes" : "no", address.domain, address.bus, address.slot, address.function,
                            is_marked ? "<alias name='ua-vfio-x-vga'/>" : "");
  }
  g_string_append (text, "</devices></domain>");
  return test_domain (text->str);
}

/* Reads and checks; `more` has what is not facts and domain, and may be NULL. */
static inline GPtrArray *
check_devices (const VpRoot *root, const char *devices, const VpDeviceQuestion *more)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpDomain) domain = domain_with (devices);
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
  g_autoptr (VpDeviceFacts) facts = vp_devices_read (root, hostdevs, 60000, &error);
  VpDeviceQuestion question = more != NULL ? *more : (VpDeviceQuestion){ 0 };
  VpPciAddress x_vga = { 0 };

  g_assert_no_error (error);
  question.facts = facts;
  question.domain = domain;
  question.x_vga = vp_domain_find_x_vga (domain, &x_vga, NULL) ? &x_vga : NULL;
  return vp_device_check (&question);
}

static inline void
expect_count (const GPtrArray *findings, guint count)
{
  for (guint i = 0; i < findings->len; i++)
    g_test_message ("%s", ((const VpDeviceFinding *) findings->pdata[i])->text);
  g_assert_cmpuint (findings->len, ==, count);
}

/* The words, up to NULL, all stand in that finding; one that begins with "!" does not. */
static inline void G_GNUC_NULL_TERMINATED
expect_finding (const GPtrArray *findings, guint index, VpDeviceSeverity severity, const char *device, ...)
{
  const VpDeviceFinding *finding = index < findings->len ? findings->pdata[index] : NULL;
  va_list words;

  g_assert_nonnull (finding);
  g_autofree char *address = vp_pci_address_dup_text (&finding->device);
  g_assert_cmpstr (address, ==, device);
  g_assert_cmpint (finding->severity, ==, severity);
  g_assert_null (strchr (finding->text, '\n'));
  va_start (words, device);
  for (const char *word = va_arg (words, const char *); word != NULL; word = va_arg (words, const char *)) {
    gboolean wanted = word[0] != '!';
    if ((strstr (finding->text, wanted ? word : word + 1) != NULL) != wanted)
      g_error ("%s \"%s\" in: %s", wanted ? "no" : "there is", word, finding->text);
  }
  va_end (words);
}
