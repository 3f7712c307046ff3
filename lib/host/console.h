/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's text console, as the kernel lists it. */
#pragma once

#include "base/pci-address.h"
#include "base/root.h"

G_BEGIN_DECLS

/* The folder of the virtual console that draws on framebuffers, "/sys/class/vtconsole/vtcon1"; NULL: none does. */
char *vp_console_dup_framebuffer (const VpRoot *root);
/* What shows it, "frame buffer device" or "VGA+"; NULL: nothing does. The caller's, as the one above. */
char *vp_console_dup_display (const VpRoot *root);
/* The PCI device of a framebuffer, "fb0"; FALSE: it is none's, as the one that the firmware left. */
gboolean vp_console_find_device (const VpRoot *root, const char *framebuffer, VpPciAddress *address);

G_END_DECLS
