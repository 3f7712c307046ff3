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
#define VP_SEQUESTER_MOST (64u * 1024) /* bytes of a list; what is behind them is not read */

/*
 * Of VpDeviceIds, in the order of the lines, each address once: its first line counts. Empty lines and
 * comments are none. NULL and an error that names the line where one is neither. The caller's.
 */
GArray *vp_sequester_parse (const char *text, GError **error);
/* The same of the list below the root; empty where there is none, or none that can be read. */
GArray *vp_sequester_load (const VpRoot *root, GError **error);
/* The list as a file, its first lines included; the caller's. */
char *vp_sequester_dup_list (const GArray *ids);

/*
 * Of char *, sorted, each once: the module that drives the device now, and those that say they could, of
 * all kernels that are installed. VFIO's own are left out. The caller's.
 */
GPtrArray *vp_sequester_find_modules (const VpRoot *root, const VpPciDevice *device);
/* Those that our file for modprobe names, likewise; other lines are passed over. */
GPtrArray *vp_sequester_parse_modules (const char *text);
/* Our file for modprobe; the caller's. */
char *vp_sequester_dup_modprobe (const GPtrArray *modules);
/* The driver is a part of the running kernel, no module: it has its cards before anything of ours runs. */
gboolean vp_sequester_is_built_in (const VpRoot *root, const char *driver);

G_END_DECLS
