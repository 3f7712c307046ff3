/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any text as the list of sequestered cards, and as the file for modprobe: root reads both.
 * What is read of a text, written and read again, is the same.
 */
#include <stdint.h>

#include "base/error.h"
#include "devices/sequester.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_list (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) ids = vp_sequester_parse (text, &error);

  if (ids == NULL) {
    g_assert (error != NULL && error->domain == VP_ERROR && g_utf8_validate (error->message, -1, NULL));
    return;
  }
  g_autofree char *list = vp_sequester_dup_list (ids);
  g_autoptr (GArray) again = vp_sequester_parse (list, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again->len, ==, ids->len);
  for (guint i = 0; i < ids->len; i++) {
    const VpDeviceIds *one = &g_array_index (ids, VpDeviceIds, i);
    const VpDeviceIds *same = &g_array_index (again, VpDeviceIds, i);
    g_assert (vp_pci_address_equal (&one->address, &same->address));
    g_assert (one->vendor == same->vendor && one->device == same->device);
  }
}

static void
check_modules (const char *text)
{
  g_autoptr (GPtrArray) modules = vp_sequester_parse_modules (text);
  g_autofree char *file = vp_sequester_dup_modprobe (modules);
  g_autoptr (GPtrArray) again = vp_sequester_parse_modules (file);

  g_assert_cmpuint (again->len, ==, modules->len);
  for (guint i = 0; i < modules->len; i++)
    g_assert_cmpstr (again->pdata[i], ==, modules->pdata[i]);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);

  check_list (text);
  check_modules (text);
  return 0;
}
