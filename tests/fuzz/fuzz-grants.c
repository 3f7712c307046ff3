/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as the list of grants, which udev's helper trusts. What is read, written and read again, is the same. */
#include <stdint.h>

#include "base/error.h"
#include "devices/grant.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) grants = vp_grants_parse (text, &error);

  if (grants == NULL) {
    g_assert (error != NULL && error->domain == VP_ERROR && g_utf8_validate (error->message, -1, NULL));
    return 0;
  }
  g_autofree char *list = vp_grants_dup_text (grants);
  g_autoptr (GPtrArray) again = vp_grants_parse (list, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again->len, ==, grants->len);
  for (guint i = 0; i < grants->len; i++) {
    const VpGrant *one = grants->pdata[i];
    const VpGrant *same = again->pdata[i];
    g_assert (vp_pci_address_equal (&one->ids.address, &same->ids.address));
    g_assert (one->ids.vendor == same->ids.vendor && one->ids.device == same->ids.device);
    g_assert (one->uid == same->uid && one->uid > 0 && one->sequestered == same->sequestered);
    g_assert_cmpstr (one->user, ==, same->user);
  }
  return 0;
}
