/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Saved originals as an attacker writes them, for tests that hold what is made of them against owned.h. */
#pragma once

#include <glib.h>

#define FORGED_QEMU "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"
#define FORGED_OVERRIDE "*[local-name()='override' and namespace-uri()='http://libvirt.org/schemas/domain/qemu/1.0']"
#define FORGED_FRONTEND FORGED_OVERRIDE "/*[local-name()='device' and @alias='ua-a-x-vga']/*[local-name()='frontend']"
#define FORGED_PIN "cputune/vcpupin[@vcpu='0']"

static const struct {
  const char *rule;
  const char *place;
  gboolean visible;
  const char *was;
  const char *set;
} forged_honest[] = {
  { "cpu", FORGED_PIN, FALSE, "<vcpupin vcpu='0' cpuset='0-3'/>", "<vcpupin vcpu='0' cpuset='1'/>" },
  { "cpu", "cputune/vcpupin[@vcpu='1']", FALSE, "", "<vcpupin vcpu='1' cpuset='1'/>" },
  { "topology", "cpu/topology", TRUE, "<topology sockets='2'/>", "<topology sockets='1' cores='1' threads='2'/>" },
  { "hypervisor", "features/kvm/hidden", TRUE, "", "<hidden state='on'/>" },
  { "hypervisor", "features/hyperv", TRUE, "<hyperv><stimer state='on'><direct state='on'/></stimer></hyperv>", "" },
  { "hypervisor", "clock/timer[@name='hypervclock']", TRUE, "<timer name='hypervclock' present='yes'/>", "" },
  { "hypervisor", "features/kvm/hint-dedicated", TRUE, "", "<hint-dedicated state='on'/>" },
  { "hyperv", "features/hyperv/evmcs", TRUE, "", "<evmcs state='on'/>" },
  { "hyperv", "features/hyperv/stimer", TRUE, "", "<stimer state='on'><direct state='on'/></stimer>" },
  { "hyperv", "features/hyperv/tlbflush/direct", TRUE, "", "<direct state='on'/>" },
  { "memory", "memoryBacking/source", TRUE, "<source type='anonymous'/>", "" },
  { "vga", "devices/hostdev/alias[@name='ua-a-x-vga']", TRUE, "<alias name='ua-a'/>", "<alias name='ua-a-x-vga'/>" },
  { "vga", FORGED_FRONTEND "/*[local-name()='property' and @name='x-vga']", TRUE, "",
    "<q:property " FORGED_QEMU " name='x-vga' type='bool' value='true'/>" },
  { "vga", "devices/emulator", FALSE, "<emulator>/usr/bin/qemu-system-x86_64</emulator>",
    "<emulator>/var/lib/vfio-profile/emulators/qemu-system-x86_64-00000000</emulator>" },
  { "trim", "devices/video[1]", TRUE, "<video><model type='qxl'><acceleration accel3d='yes'/></model></video>",
    "<video><model type='none'/></video>" },
  { "trim", "devices/sound[1]", TRUE, "<sound model='ich9'><codec type='micro'/></sound>", "" },
  { "trim", "devices/graphics[@type='vnc'][1]", TRUE, "<graphics type='vnc' port='-1'><listen type='none'/></graphics>",
    "" },
  { "trim", "devices/channel[@type='spicevmc'][1]", TRUE, "<channel type='spicevmc'><target name='x'/></channel>", "" },
};

static const char *const forged_evil[] = {
  "<emulator>/tmp/evil</emulator>",
  "<hostdev mode='subsystem' type='pci'><source><address bus='0'/></source></hostdev>",
  "<disk type='block'><source dev='/dev/sda'/></disk>",
  "<channel type='spicevmc'><log file='/etc/x'/></channel>",
  "<graphics type='vnc' socket='/x'/>",
  "<video><driver vgaconf='on'/><disk/><model heads='/'/></video>",
  "<hyperv><relaxed x='/etc/passwd'/><x:y xmlns:x='urn:x'/></hyperv>",
  "<q:commandline " FORGED_QEMU "><q:arg value='-s'/></q:commandline>",
  "<q:override " FORGED_QEMU "><q:device alias='ua-a'/></q:override>",
};

/* One that a rule could have made, or that lies a little. */
static char *
forged_dup_slot (GRand *rand, gsize which)
{
  gsize other = g_rand_int_range (rand, 0, G_N_ELEMENTS (forged_honest));
  gboolean lies = g_rand_int_range (rand, 0, 4) == 0;
  const char *was = forged_honest[which].was;
  const char *set = forged_honest[which].set;

  if (lies && g_rand_boolean (rand))
    was = g_rand_boolean (rand) ? forged_evil[g_rand_int_range (rand, 0, G_N_ELEMENTS (forged_evil))]
                                : forged_honest[other].was;
  else if (lies)
    set = g_rand_boolean (rand) ? forged_evil[g_rand_int_range (rand, 0, G_N_ELEMENTS (forged_evil))]
                                : forged_honest[other].set;
  gboolean visible = forged_honest[which].visible != (lies && g_rand_int_range (rand, 0, 8) == 0);
  g_autofree char *before = was[0] != '\0'
                              ? g_strdup_printf ("<s:was position='%d'>%s</s:was>", g_rand_int_range (rand, 0, 9), was)
                              : g_strdup ("");
  g_autofree char *after = set[0] != '\0' ? g_strdup_printf ("<s:set>%s</s:set>", set) : g_strdup ("");
  return g_strdup_printf ("<s:slot rule='%s' place=\"%s\" guest-visible='%s'%s made='%d'>%s%s</s:slot>",
                          forged_honest[lies && g_rand_int_range (rand, 0, 8) == 0 ? other : which].rule,
                          forged_honest[which].place, visible ? "yes" : "no",
                          g_rand_int_range (rand, 0, 9) == 0 ? " follows='yes'" : "", g_rand_int_range (rand, 0, 5),
                          before, after);
}
