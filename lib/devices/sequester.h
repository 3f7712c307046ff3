/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cards that no driver of the host's may have from boot on: the list of them, and what
 * tells modprobe of it. Texts in, texts out; who writes them is cli/cards/sequester-files.c,
 * and who reads the list at boot is data/sequester/vfio-profile-sequester.in.
 *
 *   /etc/vfio-profile/sequester      a function a line, "0000:01:00.0 10de:1381"
 *   /etc/modprobe.d/vfio-profile.conf
 *        install vfio-pci …          whoever loads it: first the cards of the list are marked
 *        softdep nouveau pre: …      no driver of such a card is there before vfio-pci
 */
#pragma once

#include "devices/device-ids.h"
#include "host/pci.h"

G_BEGIN_DECLS

/* First line of each file that we write, so that none of somebody else's is taken for ours. */
#define VP_SEQUESTER_MARK "# Written by 'vfio-profile sequester'; it also takes this away, with --undo.\n"
#define VP_SEQUESTER_MOST (64u * 1024) /* bytes of a list */

/* Of VpDeviceIds, as they stand; an error names the line. Empty lines and comments are none. */
GArray *vp_sequester_parse (const char *text, GError **error);
/* Where there is no list, it is empty. */
GArray *vp_sequester_load (const VpRoot *root, GError **error);
char *vp_sequester_dup_list (const GArray *ids);

/* Of char *, sorted: modules that could drive the device, of all kernels that are installed. */
GPtrArray *vp_sequester_find_modules (const VpRoot *root, const VpPciDevice *device);
/* Those that a text of ours names. */
GPtrArray *vp_sequester_parse_modules (const char *text);
char *vp_sequester_dup_modprobe (const GPtrArray *modules);
/* The driver is a part of the running kernel, no module: it has its cards before anything of ours runs. */
gboolean vp_sequester_is_built_in (const VpRoot *root, const char *driver);

G_END_DECLS
