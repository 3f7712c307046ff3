/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ROM file of an assigned card (<rom file='…'/>): is it this card's, whole, and good for the guest's firmware?
 * PCI Firmware Specification 3.0, section 5.1: images, one behind the other, each with a PCI data structure.
 */
#pragma once

#include "host/pci.h"

G_BEGIN_DECLS

#define VP_ROM_MAX_BYTES (16u * 1024 * 1024)

/* What is wrong with it, in words of the caller's; NULL: nothing. `bios`: the guest's firmware is, else it is UEFI. */
char *vp_rom_find_problem (const guint8 *bytes, gsize length, const VpPciDevice *device, gboolean bios);

G_END_DECLS
