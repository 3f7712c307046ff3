/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The address of a PCI function, as the kernel writes it: 0000:01:00.0. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  unsigned domain;
  unsigned bus;
  unsigned slot;
  unsigned function;
} VpPciAddress;

/* "0000:01:00.0"; the caller's. */
char *vp_pci_address_dup_text (const VpPciAddress *address);
/* FALSE, and *address as it was: `text` is no address in the kernel's form. */
gboolean vp_pci_address_parse (const char *text, VpPciAddress *address);
gboolean vp_pci_address_equal (const VpPciAddress *a, const VpPciAddress *b);
gboolean vp_pci_address_same_slot (const VpPciAddress *a, const VpPciAddress *b); /* functions of one card */

G_END_DECLS
