/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A state that nobody but an attacker writes: whoever may write a domain's metadata may not
 * thereby give it a device, a file of the host or another program.
 */
#include <string.h>

#include "../forged.h"
#include "../owned.h"
#include "base/error.h"
#include "support.h"

#define STATE(slots) "<s:state xmlns:s='urn:vfio-profile:state:1'>" slots "</s:state>"
#define SLOT(rule, place, visible, was, set)                                                                           \
  "<s:slot rule='" rule "' place=\"" place "\" " visible "><s:was>" was "</s:was><s:set>" set "</s:set></s:slot>"
#define REMOVED(rule, place, was)                                                                                      \
  "<s:slot rule='" rule "' place=\"" place "\" guest-visible='yes'><s:was>" was "</s:was></s:slot>"
#define QEMU FORGED_QEMU
#define OVERRIDE FORGED_OVERRIDE
#define DEVICE_FRONTEND FORGED_FRONTEND
#define VISIBLE "guest-visible='yes'"
#define FOLLOWS " follows='yes'"
#define PIN FORGED_PIN

static VpDomain *
new_domain (const char *metadata)
{
  g_autofree char *text = g_strdup_printf (
    "<domain type='kvm'><name>a</name><metadata>%s</metadata><memory>4194304</memory><vcpu>2</vcpu>"
    "<os><type arch='x86_64'>hvm</type></os><features><acpi/><kvm><hidden state='on'/></kvm></features>"
    "<cpu mode='host-passthrough'><topology sockets='1' cores='1' threads='2'/></cpu>"
    "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>"
    "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>"
    "<hostdev mode='subsystem' type='pci'><source><address bus='1'/></source><alias name='ua-a-x-vga'/></hostdev>"
    "<video><model type='none'/></video></devices>"
    "<q:override " QEMU "><q:device alias='ua-a-x-vga'/><q:device alias='hostdev0'/></q:override>"
    "<q:commandline " QEMU "><q:arg value='-set'/><q:arg value='device.ua-a-x-vga.romfile=/a'/></q:commandline>"
    "</domain>",
    metadata);

  return test_domain (text);
}

static const char *const refused[] = {
  /* other elements, other places, other namespaces */
  SLOT ("cpu", PIN, "", "<hostdev mode='subsystem' type='pci'/>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<vcpupin vcpu='0' cpuset='1'><disk/></vcpupin>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<vcpupin vcpu='1' cpuset='1'/>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<x:vcpupin xmlns:x='urn:x' vcpu='0'/>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<vcpupin xmlns:x='urn:x' vcpu='0' x:y='1'/>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<vcpupin " QEMU " vcpu='0' cpuset='1'/>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<vcpupin vcpu='0' cpuset='1'>text</vcpupin>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<vcpupin vcpu='0' cpuset='1'><![CDATA[x]]></vcpupin>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN, "", "<vcpupin vcpu='0'/><disk/>", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", "cputune/vcpupin[@vcpu='00']", "", "", "<vcpupin vcpu='00' cpuset='1'/>"),
  SLOT ("cpu", PIN "&#10;", "", "", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("cpu", PIN "/../../devices", "", "", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("trim", PIN, VISIBLE, "", "<vcpupin vcpu='0' cpuset='1'/>"),
  REMOVED ("cpu", PIN, "<vcpupin vcpu='0' cpuset='1'/>"),
  /* a lie about what the guest sees */
  SLOT ("cpu", PIN, VISIBLE, "", "<vcpupin vcpu='0' cpuset='1'/>"),
  SLOT ("hypervisor", "features/kvm/hidden", "", "<hidden state='off'/>", "<hidden state='on'/>"),
  /* one place twice; nothing at all; a child that is none */
  SLOT ("cpu", PIN, "", "", "<vcpupin vcpu='0' cpuset='1'/>")
    SLOT ("cpu", PIN, "", "", "<vcpupin vcpu='0' cpuset='2'/>"),
  SLOT ("cpu", PIN, "", "", ""),
  "<slot rule='cpu' place='cputune/emulatorpin'/>",
  "<device address='0000:01:00.0' vendor='10de' device='13c2'/>",
  "<s:other/>",
  "<s:slot rule='cpu' place='vcpu/@placement'><s:was value='auto&quot;/>&lt;disk/>'/><s:set value='static'/></s:slot>",
  "<s:slot rule='cpu' place='vcpu/@placement'><s:was value='auto'/></s:slot>",
  "<s:slot rule='trim' place='devices/sound[1]' guest-visible='yes'><s:was comments='-1'><sound model='ich9'/></s:was>"
  "</s:slot>",
  /* programs */
  SLOT ("vga", "devices/emulator", "", "<emulator>/tmp/evil</emulator>",
        "<emulator>/usr/bin/qemu-system-x86_64</emulator>"),
  SLOT ("vga", "devices/emulator", "", "", "<emulator>/usr/bin/qemu-system-x86_64</emulator>"),
  SLOT ("vga", "devices/emulator", "", "<emulator>/tmp/evil</emulator>",
        "<emulator>/var/lib/vfio-profile/emulators/qemu-system-x86_64-01234567</emulator>"),
  SLOT ("vga", "devices/emulator", "", "<emulator><x/></emulator>",
        "<emulator>/var/lib/vfio-profile/emulators/qemu-system-x86_64-01234567</emulator>"),
  "<s:slot rule='vga' place='devices/emulator'><s:was><emulator>/usr/bin/qemu-system-x86_64</emulator></s:was></s:slot>",
  /* QEMU's own */
  REMOVED ("vga", OVERRIDE, "<q:override " QEMU "/>"),
  SLOT ("vga", OVERRIDE, VISIBLE, "<q:commandline " QEMU "><q:arg value='-s'/></q:commandline>",
        "<q:override " QEMU "/>"),
  SLOT ("vga", OVERRIDE, VISIBLE, "", "<q:commandline " QEMU "/>"),
  SLOT ("vga", OVERRIDE, VISIBLE, "<q:override " QEMU "><q:device alias='ua-a'/></q:override>",
        "<q:override " QEMU "/>"),
  SLOT ("vga", OVERRIDE "/*[local-name()='device' and @alias='ua-a']", VISIBLE,
        "<q:device " QEMU " alias='ua-a'><q:frontend><q:property name='romfile' type='string' value='/x'/></q:frontend>"
        "</q:device>",
        "<q:device " QEMU " alias='ua-a'/>"),
  SLOT ("vga", DEVICE_FRONTEND, VISIBLE,
        "<q:frontend " QEMU "><q:property name='romfile' type='string' value='/x'/></q:frontend>",
        "<q:frontend " QEMU "/>"),
  SLOT ("vga", DEVICE_FRONTEND "/*[local-name()='property' and @name='x-vga']", VISIBLE, "",
        "<q:property " QEMU " name='romfile' type='string' value='/x'/>"),
  SLOT ("vga", DEVICE_FRONTEND "/*[local-name()='property' and @name='romfile']", VISIBLE, "",
        "<q:property " QEMU " name='x-vga' type='bool' value='true'/>"),
  /* names that follow what is no name; other names than libvirt's */
  SLOT ("trim", "devices/video[1]", VISIBLE FOLLOWS, "<video><model type='qxl'/></video>",
        "<video><model type='none'/></video>"),
  SLOT ("vga", OVERRIDE "/*[local-name()='device' and @alias='ua-a']", VISIBLE FOLLOWS, "",
        "<q:device " QEMU " alias='ua-a'/>"),
  SLOT ("vga", "devices/hostdev/alias[@name='ua-a-x-vga']", VISIBLE FOLLOWS, "<alias name='/a'/>",
        "<alias name='ua-a-x-vga'/>"),
  SLOT ("vga", "devices/hostdev/alias[@name='ua-a-x-vga']", VISIBLE FOLLOWS, "", "<alias name='ua-a-x-vga'/>")
    SLOT ("vga", "devices/hostdev/alias[@name='ua-b-x-vga']", VISIBLE FOLLOWS, "", "<alias name='ua-b-x-vga'/>"),
  REMOVED ("vga", "devices/hostdev/alias[@name='ua-a-x-vga']", "<alias name='ua-a'/>"),
  SLOT ("vga", "devices/hostdev/alias[@name='ua-a']", VISIBLE, "<alias name='ua-b'/>", "<alias name='ua-a'/>"),
  /* devices that trim does not remove, or files of the host in those that it does */
  REMOVED ("trim", "devices/disk[1]", "<disk type='block'/>"),
  REMOVED ("trim", "devices/video[1]", "<disk type='block'/>"),
  REMOVED ("trim", "devices/video[1]", "<video><driver vgaconf='../../etc/shadow'/></video>"),
  REMOVED ("trim", "devices/video[1]", "<video><model><acceleration rendernode='/dev/sda'/></model></video>"),
  REMOVED ("trim", "devices/graphics[@type='vnc'][1]", "<graphics type='vnc' socket='/run/x'/>"),
  REMOVED ("trim", "devices/graphics[@type='vnc'][1]", "<graphics type='vnc' passwd='x'/>"),
  REMOVED ("trim", "devices/graphics[@type='vnc'][1]",
           "<graphics type='vnc'><listen type='socket' socket='x'/></graphics>"),
  REMOVED ("trim", "devices/graphics[@type='vnc'][1]", "<graphics type='spice'/>"),
  REMOVED ("trim", "devices/graphics[@type='egl-headless'][1]",
           "<graphics type='egl-headless'><gl rendernode='/dev/dri/../sda'/></graphics>"),
  REMOVED ("trim", "devices/input[@type='tablet'][1]", "<input type='evdev'><source dev='/dev/input/event0'/></input>"),
  REMOVED ("trim", "devices/input[@type='tablet'][1]", "<input type='tablet'><source evdev='x'/></input>"),
  REMOVED ("trim", "devices/channel[@type='spicevmc'][1]", "<channel type='spicevmc'><log file='x'/></channel>"),
  REMOVED ("trim", "devices/channel[@type='spicevmc'][1]",
           "<channel type='unix'><source path='x' mode='bind'/></channel>"),
  REMOVED ("trim", "devices/channel[@type='spicevmc'][1]", "<channel type='spicevmc'><source path='x'/></channel>"),
  REMOVED ("trim", "devices/redirdev[@type='spicevmc'][1]",
           "<redirdev type='dev'><source path='/dev/sda'/></redirdev>"),
  REMOVED ("trim", "devices/smartcard[@type='spicevmc'][1]", "<smartcard mode='host' type='spicevmc'/>"),
  SLOT ("trim", "devices/audio[@id='1']", VISIBLE, "<audio id='1' type='oss'><output dev='x'/></audio>",
        "<audio id='1' type='none'/>"),
  SLOT ("trim", "devices/sound[1]", VISIBLE, "", "<sound model='ich9'/>"),
  SLOT ("trim", "devices/video[1]", VISIBLE, "", "<video><model type='vga'/></video>"),
  /* memory, features */
  REMOVED ("memory", "memoryBacking/source", "<source type='file'/>"),
  SLOT ("memory", "memoryBacking/hugepages", "", "<hugepages><page size='2048' unit='KiB'/><source/></hugepages>",
        "<hugepages/>"),
  REMOVED ("hypervisor", "features/hyperv", "<hyperv><a><b><c><d/></c></b></a></hyperv>"),
  REMOVED ("hypervisor", "features/kvm/hidden", "<hidden state='on'/>"),
  REMOVED ("hypervisor", "features/kvm/hint-dedicated", "<hint-dedicated state='on'/>"),
  SLOT ("hypervisor", "features/kvm/hint-dedicated", VISIBLE, "", "<hint-dedicated state='off'/>"),
  SLOT ("hypervisor", "features/kvm/hint-dedicated", VISIBLE, "<hint-dedicated/>", "<hint-dedicated state='on'/>"),
  REMOVED ("hyperv", "features/hyperv/relaxed", "<relaxed state='on'/>"),
  SLOT ("hyperv", "features/hyperv/relaxed", VISIBLE, "<relaxed state='off'/>", "<relaxed state='on'/>"),
  SLOT ("hyperv", "features/hyperv/relaxed", VISIBLE, "", "<vapic state='on'/>"),
  SLOT ("hyperv", "features/hyperv/relaxed", VISIBLE, "", "<relaxed state='off'/>"),
  SLOT ("hyperv", "features/hyperv/relaxed", VISIBLE, "", "<relaxed state='on'><direct state='on'/></relaxed>"),
  SLOT ("hyperv", "features/hyperv/relaxed", "", "", "<relaxed state='on'/>"),
  SLOT ("hyperv", "features/hyperv/spinlocks", VISIBLE, "", "<spinlocks state='on' retries='1'/>"),
  SLOT ("hyperv", "features/hyperv/stimer", VISIBLE, "", "<stimer state='on'><extended state='on'/></stimer>"),
  SLOT ("hyperv", "features/hyperv/stimer/extended", VISIBLE, "", "<extended state='on'/>"),
  SLOT ("hyperv", "features/hyperv/reset", VISIBLE, "", "<reset state='on'/>"),
  SLOT ("hyperv", "features/hyperv/vendor_id", VISIBLE, "", "<vendor_id state='on' value='x'/>"),
  SLOT ("hyperv", "features/hyperv", VISIBLE, "", "<hyperv><relaxed state='on'/></hyperv>"),
  SLOT ("hyperv", "clock/timer[@name='hypervclock']", VISIBLE, "", "<timer name='hypervclock' present='no'/>"),
  SLOT ("hyperv", "clock/timer[@name='hypervclock']", VISIBLE, "<timer name='hypervclock'/>",
        "<timer name='hypervclock' present='yes'/>"),
  REMOVED ("hyperv", "clock/timer[@name='hypervclock']", "<timer name='hypervclock' present='yes'/>"),
  REMOVED ("hypervisor", "clock/timer[@name='hypervclock']", "<timer name='tsc'/>"),
};

/* With a tag, without one, at undo and where a guest arrives: nothing is planned. */
static void
test_refused (void)
{
  static const VpPlanFlags flags[] = { VP_PLAN_DEFAULT, VP_PLAN_UNDO, VP_PLAN_HOST_ONLY };
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpProfiles) profiles = test_profiles ();

  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autofree char *state = g_strdup_printf (STATE ("%s"), refused[i]);
    g_autofree char *tagged = g_strconcat ("<v:profile xmlns:v='urn:vfio-profile:1' name='pinned'/>", state, NULL);
    for (gsize j = 0; j < 2 * G_N_ELEMENTS (flags); j++) {
      g_autoptr (GError) error = NULL;
      g_autoptr (VpDomain) domain = new_domain (j % 2 == 0 ? state : tagged);
      g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, NULL, flags[j / 2], &error);
      if (plan != NULL)
        g_error ("not refused: %s", refused[i]);
      g_assert_error (error, VP_ERROR, VP_ERROR_STATE);
    }
  }
}

/* What the rules do write passes, and the made parents that a user gave something stay. */
static void
test_accepted (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autofree char *wrapper = vp_wrapper_dup_path (TEST_WRAPPERS, "/opt/qemu/bin/qemu-system-x86_64");
  g_autofree char *slot =
    g_strdup_printf (SLOT ("vga", "devices/emulator", "", "<emulator>/opt/qemu/bin/qemu-system-x86_64</emulator>",
                           "<emulator>%s</emulator>"),
                     wrapper);
  g_autofree char *state =
    g_strdup_printf (STATE ("<s:slot rule='topology' place='cpu/topology' guest-visible='yes' made='9'><s:set>"
                            "<topology sockets='1' cores='1' threads='2'/></s:set></s:slot>"
                            "<s:slot rule='cpu' place=\"" PIN
                            "\" made='9'><s:set><vcpupin vcpu='0' cpuset='1'/></s:set></s:slot>%s"),
                     slot);
  g_autoptr (VpDomain) domain = new_domain (state);

  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_UNDO);
  g_assert_nonnull (vp_xml_find (plan->result->doc, "cpu[@mode='host-passthrough']"));
  g_assert_null (vp_xml_find (plan->result->doc, "cpu/topology"));
  g_assert_null (vp_xml_find (plan->result->doc, "cputune"));
  g_autofree char *emulator = vp_domain_dup_emulator (plan->result);
  g_assert_cmpstr (emulator, ==, "/usr/bin/qemu-system-x86_64"); /* not the wrapper: not ours to undo */

  xmlNodeSetContent (vp_xml_find (domain->doc, "devices/emulator"), BAD_CAST wrapper);
  g_autoptr (VpPlan) unwrapped = test_plan (domain, host, VP_PLAN_UNDO);
  g_autofree char *real = vp_domain_dup_emulator (unwrapped->result);
  g_assert_cmpstr (real, ==, "/opt/qemu/bin/qemu-system-x86_64");
}

/* What could not be given back is not taken. */
static void
test_not_taken (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (
    "<v:profile xmlns:v='urn:vfio-profile:1' name='pinned'><v:devices trim='yes'/></v:profile>",
    "<devices><graphics type='vnc' socket='/run/vnc'/><graphics type='spice'/><video><model type='qxl'/></video>"
    "<channel type='spicevmc'><target type='virtio'/><log file='/var/log/x'/></channel></devices>");
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);

  g_assert_nonnull (vp_xml_find (plan->result->doc, "devices/graphics[@type='vnc']"));
  g_assert_nonnull (vp_xml_find (plan->result->doc, "devices/graphics[@type='spice']"));
  g_assert_nonnull (vp_xml_find (plan->result->doc, "devices/channel/log"));
  g_assert_true (test_warns (plan, "graphics/@socket=/run/vnc"));
  g_assert_true (test_warns (plan, "channel/log"));
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (again));
}

static void
test_random (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed ((guint32) g_test_rand_int ());
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpProfiles) profiles = test_profiles ();
  guint accepted = 0;

  for (guint round = 0; round < 4000; round++) {
    g_autoptr (GString) state = g_string_new ("<s:state xmlns:s='urn:vfio-profile:state:1'>");
    for (gsize i = 0; i < G_N_ELEMENTS (forged_honest); i++) {
      g_autofree char *slot = g_rand_int_range (rand, 0, 4) == 0 ? forged_dup_slot (rand, i) : g_strdup ("");
      g_string_append (state, slot);
    }
    g_string_append (state, "</s:state>");
    g_autoptr (VpDomain) domain = new_domain (state->str);
    g_autoptr (VpPlan) plan =
      vp_plan_new (domain, host, profiles, NULL, round % 2 == 0 ? VP_PLAN_UNDO : VP_PLAN_DEFAULT, NULL);
    accepted += plan != NULL;
    if (plan != NULL && !is_harmless_undo (domain, plan->result))
      g_error ("%s\nmakes\n%s", vp_domain_dup_text (domain), vp_domain_dup_text (plan->result));
  }
  g_assert_cmpuint (accepted, >, 200);
  g_assert_cmpuint (accepted, <, 3800);
}

static void
test_many (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (GString) state = g_string_new ("<s:state xmlns:s='urn:vfio-profile:state:1'>");
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 20000; i++)
    g_string_append_printf (state,
                            "<s:slot rule='cpu' place=\"cputune/vcpupin[@vcpu='%u']\"><s:set>"
                            "<vcpupin vcpu='%u' cpuset='1'/></s:set></s:slot>",
                            i, i);
  g_string_append (state, "</s:state>");
  g_autoptr (VpDomain) domain = new_domain (state->str);
  g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, NULL, VP_PLAN_UNDO, &error);
  g_assert_null (plan);
  g_assert_error (error, VP_ERROR, VP_ERROR_STATE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/forged/refused", test_refused);
  g_test_add_func ("/forged/accepted", test_accepted);
  g_test_add_func ("/forged/not-taken", test_not_taken);
  g_test_add_func ("/forged/random", test_random);
  g_test_add_func ("/forged/many", test_many);
  return g_test_run ();
}
