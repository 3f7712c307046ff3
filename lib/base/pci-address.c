/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text form of an address, as sysfs has it; nothing is looked up. */
#include "base/pci-address.h"

char *
vp_pci_address_dup_text (const VpPciAddress *address)
{
  return g_strdup_printf ("%04x:%02x:%02x.%x", address->domain, address->bus, address->slot, address->function);
}

gboolean
vp_pci_address_parse (const char *text, VpPciAddress *address)
{
  g_autoptr (GRegex) form = g_regex_new ("^([0-9a-f]{4,8}):([0-9a-f]{2}):([01][0-9a-f])\\.([0-7])$", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  unsigned values[4] = { 0 };

  if (!g_regex_match (form, text, 0, &match))
    return FALSE;
  for (int i = 0; i < 4; i++) {
    g_autofree char *part = g_match_info_fetch (match, i + 1);
    values[i] = (unsigned) g_ascii_strtoull (part, NULL, 16);
  }
  *address = (VpPciAddress){ values[0], values[1], values[2], values[3] };
  return TRUE;
}

gboolean
vp_pci_address_equal (const VpPciAddress *a, const VpPciAddress *b)
{
  return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot && a->function == b->function;
}

gboolean
vp_pci_address_same_slot (const VpPciAddress *a, const VpPciAddress *b)
{
  return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot;
}
