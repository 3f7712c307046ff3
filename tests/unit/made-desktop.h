/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Made machines with one card and a desktop on it: as amdgpu, i915, nvidia, simpledrm and efifb show them. */
#pragma once

#include "made-tree.h"

#define CARD "0000:01:00.0"
#define CARD_FOLDER "pci0000:00/0000:01:00.0"
#define CARD_AUDIO "0000:01:00.1"
#define AUDIO_FOLDER "pci0000:00/0000:01:00.1"
#define CONSOLE "sys/class/vtconsole/vtcon1"

/* The process and the unit that it runs in. */
static inline void
made_holder (const MadeTree *tree, int pid, const char *name, const char *cgroup, const char *node)
{
  g_autofree char *file = g_strdup_printf ("proc/%d/cgroup", pid);
  g_autofree char *text = g_strdup_printf ("0::%s\n", cgroup);

  made_process (tree, pid, name, "/dev/null", node, NULL);
  made_file (tree, file, text);
}

static inline void
made_console (const MadeTree *tree, const char *bound)
{
  made_file (tree, "sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
  made_file (tree, "sys/class/vtconsole/vtcon0/bind", "1\n");
  made_file (tree, CONSOLE "/name", "(M) frame buffer device\n");
  made_file (tree, CONSOLE "/bind", bound);
}

/* With its audio function, its nodes, and the display manager's alias; nobody on it yet. */
static inline void
made_card (const MadeTree *tree, const char *ids, const char *driver)
{
  made_device (tree, CARD, ids, driver, 1);
  made_device (tree, CARD_AUDIO, "040300 1002 aaf0", "snd_hda_intel", 1);
  made_file (tree, "sys/devices/" CARD_FOLDER "/boot_vga", "1\n");
  made_node (tree, "drm", CARD_FOLDER, "drm/card0", "dri/card0 226:0");
  made_node (tree, "drm", CARD_FOLDER, "drm/renderD128", "dri/renderD128 226:128");
  made_node (tree, "graphics", CARD_FOLDER, "graphics/fb0", "fb0 29:0");
  made_link (tree, "sys/devices/" CARD_FOLDER "/graphics/fb0/device", "../../../0000:01:00.0");
  made_node (tree, "sound", AUDIO_FOLDER, "sound/card1/controlC1", "snd/controlC1 116:5");
  made_link (tree, "etc/systemd/system/display-manager.service", "/lib/systemd/system/lightdm.service");
}

/* The firmware's frame buffer, as a kernel before 6.9 has it. `drm`: simpledrm, which has a card's node, too. */
static inline void
made_firmware (const MadeTree *tree, const char *platform, const char *memory, gboolean drm)
{
  g_autofree char *folder = g_strconcat ("platform/", platform, NULL);
  g_autofree char *iomem = g_strdup_printf ("00000000-00000000 : PCI Bus 0000:00\n"
                                            "  00000000-00000000 : 0000:00:02.0\n"
                                            "  00000000-00000000 : PCI Bus 0000:01\n"
                                            "    00000000-00000000 : 0000:01:00.0\n"
                                            "      00000000-00000000 : %s\n"
                                            "    00000000-00000000 : 0000:01:00.1\n",
                                            memory);

  made_node (tree, "graphics", folder, "graphics/fb0", "fb0 29:0");
  if (drm)
    made_node (tree, "drm", folder, "drm/card0", "dri/card0 226:0");
  made_file (tree, "proc/iomem", iomem);
}
