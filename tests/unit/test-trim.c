/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devices.trim: what goes, what stays and why, and that all of it comes back. */
#include <string.h>

#include "support.h"

#define TAG "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='vga'><vfio:devices trim='yes'/></vfio:profile>"
#define CARD                                                                                                           \
  "<hostdev mode='subsystem' type='pci' managed='yes'><source>"                                                        \
  "<address domain='0' bus='1' slot='0' function='0'/></source></hostdev>"
#define SPICE "<graphics type='spice' autoport='yes'><listen type='address'/></graphics>"
#define SECRET "<graphics type='vnc' port='-1' passwd='geheim'/>"
#define VIDEO                                                                                                          \
  "<video><model type='qxl' primary='yes'/><address type='pci' domain='0x0000' bus='0x00' slot='0x01' "                \
  "function='0x0'/></video>"
#define VIDEO_2 "<video><model type='qxl'/></video>"
#define TABLET_2 "<input type='tablet' bus='virtio'/>"
#define TABLET "<input type='tablet' bus='usb'><address type='usb' bus='0' port='1'/></input>"
#define AGENT "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
#define SPICE_AGENT "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
#define KEPT                                                                                                           \
  "<serial type='pty'><target port='0'/></serial><console type='pty'/>" AGENT                                          \
  "<input type='evdev'><source dev='/dev/input/event3'/></input><input type='keyboard' bus='ps2'/>"

/* A BIOS guest with these devices, which libvirt asks to start with that id ("": it is stored). */
static VpDomain *
new_domain (const char *id, const char *devices, const char *tail)
{
  g_autofree char *text =
    g_strdup_printf ("<domain type='kvm' %s xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
                     "  <name>guest</name>\n  <metadata>\n    " TAG "\n  </metadata>\n"
                     "  <memory unit='KiB'>4194304</memory>\n  <vcpu>4</vcpu>\n"
                     "  <os>\n    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n  </os>\n"
                     "  <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n    %s\n  </devices>\n%s"
                     "</domain>\n",
                     id, devices, tail);

  return test_domain (text);
}

/* On the machine of 2015; stable and reversible, as every plan. */
static VpPlan *
plan_trimmed (const VpDomain *domain)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  VpPlan *plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);

  if (!vp_plan_is_ready (again))
    g_error ("trimmed twice, it changes again at %s", ((const VpChange *) again->changes->pdata[0])->place);
  g_assert_true (vp_domain_equal (undone->result, domain));
  for (guint i = 0; i < plan->changes->len; i++) {
    const VpChange *change = plan->changes->pdata[i];
    g_assert_true (strcmp (change->rule, "trim") != 0 || change->guest_visible);
  }
  return plan;
}

static VpPlan *
trim (const char *devices)
{
  g_autoptr (VpDomain) domain = new_domain ("", devices, "");

  return plan_trimmed (domain);
}

/* "graphics video input …": what is left, in the order of the document, the emulator left out. */
static void
assert_left (const VpDomain *domain, const char *expected)
{
  g_autoptr (GString) names = g_string_new (NULL);
  xmlNode *devices = vp_xml_find (domain->doc, "devices");

  for (xmlNode *node = vp_xml_first (devices); node != NULL; node = vp_xml_next (node))
    if (!vp_xml_is (node, "emulator"))
      g_string_append_printf (names, "%s%s", names->len > 0 ? " " : "", (const char *) node->name);
  g_assert_cmpstr (names->str, ==, expected);
}

static gboolean
has (const VpDomain *domain, const char *place)
{
  return vp_xml_find (domain->doc, place) != NULL;
}

static void
test_all (void)
{
  g_autoptr (VpPlan) plan =
    trim (KEPT SPICE_AGENT
          "<channel type='spiceport'><source channel='org.spice-space.webdav.0'/><target type='virtio'/></channel>"
          "<smartcard mode='passthrough' type='spicevmc'/><smartcard mode='host'/>" TABLET TABLET_2 TABLET_2 SPICE
          "<graphics type='vnc' port='-1'/><sound model='ich9'/><audio id='1' type='spice'/>" VIDEO VIDEO_2 CARD
          "<redirdev bus='usb' type='spicevmc'/><redirdev bus='usb' type='tcp'/><redirdev bus='usb' type='spicevmc'/>");

  assert_left (plan->result, "serial console channel input input smartcard audio hostdev redirdev");
  g_assert_true (has (plan->result, "devices/channel/target[@name='org.qemu.guest_agent.0']"));
  g_assert_true (has (plan->result, "devices/input[@type='evdev']"));
  g_assert_true (has (plan->result, "devices/redirdev[@type='tcp']"));
  g_assert_true (has (plan->result, "devices/audio[@type='none']"));
  g_assert_cmpuint (plan->warnings->len, ==, 0); /* of an emulated display beside x-vga neither */
}

/* The metadata is for all to read; the hook's document shows no password. */
static void
test_password (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpPlan) plan = trim (SPICE SECRET TABLET SPICE_AGENT VIDEO VIDEO_2 CARD);
  g_autofree char *state = vp_xml_dup_line (vp_domain_state (plan->result));

  assert_left (plan->result, "graphics graphics video hostdev");
  g_assert_true (has (plan->result, "devices/video/model[@type='none']"));
  g_assert_true (has (plan->result, "devices/graphics[@passwd='geheim']"));
  g_assert_null (strstr (state, "geheim"));
  g_assert_true (test_warns (plan, "has a password"));

  g_autoptr (VpDomain) starting = vp_domain_copy (plan->result);
  xmlSetProp (xmlDocGetRootElement (starting->doc), BAD_CAST "id", BAD_CAST "3");
  xmlUnsetProp (vp_xml_find (starting->doc, "devices/graphics[2]"), BAD_CAST "passwd");
  g_autoptr (VpPlan) gate = test_plan (starting, host, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (gate));

  g_autoptr (VpPlan) without = trim (SPICE TABLET VIDEO CARD);
  g_autoptr (VpDomain) bare = vp_domain_copy (without->result);
  xmlSetProp (xmlDocGetRootElement (bare->doc), BAD_CAST "id", BAD_CAST "3");
  g_autoptr (VpPlan) ready = test_plan (bare, host, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (ready));
}

static void
test_looking_glass (void)
{
  static const char devices[] = SPICE TABLET SPICE_AGENT "<sound model='ich9'/><audio id='1' type='spice'/>" VIDEO CARD;
  g_autofree char *whole =
    g_strconcat (devices, "<shmem name='looking-glass'><model type='ivshmem-plain'/></shmem>", NULL);
  g_autoptr (VpPlan) plan = trim (whole);
  g_autoptr (VpDomain) module = new_domain ("", devices,
                                            "  <qemu:commandline><qemu:arg value='-object'/><qemu:arg value="
                                            "'{\"id\":\"lg\",\"mem-path\":\"/dev/kvmfr0\"}'/></qemu:commandline>\n");
  g_autoptr (VpPlan) other = plan_trimmed (module);

  assert_left (plan->result, "graphics channel sound audio video hostdev shmem");
  assert_left (other->result, "graphics channel sound audio video hostdev");
  g_assert_true (has (plan->result, "devices/video/model[@type='none']"));
  g_assert_true (has (plan->result, "devices/audio[@type='spice']"));
}

static void
test_needed (void)
{
  g_autoptr (VpPlan) mdev =
    trim (SPICE TABLET SPICE_AGENT VIDEO "<hostdev mode='subsystem' type='mdev' model='vfio-pci' display='on'/>");
  g_autoptr (VpPlan) port =
    trim (SPICE TABLET SPICE_AGENT VIDEO CARD "<serial type='spiceport'><source channel='a'/></serial>");

  assert_left (mdev->result, "graphics input channel video hostdev");
  assert_left (port->result, "graphics video hostdev serial");
  g_assert_cmpuint (mdev->warnings->len, ==, 0);
}

static void
test_sound (void)
{
  g_autoptr (VpPlan) heard = trim (SPICE "<sound model='ich9'/><audio id='1' type='pulseaudio'/>"
                                         "<audio id='2' type='spice'/>" VIDEO CARD);
  g_autoptr (VpPlan) unheard = trim ("<sound model='ich9'/><audio id='1' type='none'/>" CARD);

  assert_left (heard->result, "sound audio audio hostdev");
  g_assert_true (has (heard->result, "devices/audio[@id='1'][@type='pulseaudio']"));
  g_assert_true (has (heard->result, "devices/audio[@id='2'][@type='none']"));
  assert_left (unheard->result, "audio hostdev");
}

static void
test_blind (void)
{
  static const char unknown[] = "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x70' slot='0' "
                                "function='0'/></source></hostdev>";
  g_autofree char *elsewhere = g_strconcat (SPICE VIDEO, unknown, NULL);
  g_autoptr (VpPlan) none = trim (SPICE VIDEO);
  g_autoptr (VpPlan) console = trim (SPICE VIDEO "<serial type='pty'/>");
  g_autoptr (VpPlan) maybe = trim (elsewhere);
  g_autoptr (VpPlan) headless = trim ("<serial type='pty'/>");

  g_assert_true (test_warns (none, "nothing is left to see the guest with"));
  g_assert_false (test_warns (none, "serial console"));
  g_assert_true (test_warns (console, "but its serial console"));
  g_assert_false (test_warns (maybe, "nothing is left"));
  g_assert_true (vp_plan_is_ready (headless));
  g_assert_false (test_warns (headless, "nothing is left"));
}

/* libvirt gave its address to a disk meanwhile, and would refuse both. */
static void
test_address_taken (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpPlan) plan = trim (SPICE TABLET VIDEO CARD);
  g_autoptr (VpDomain) edited = vp_domain_copy (plan->result);
  xmlNode *disk = vp_xml_new ("disk", "type", "file", NULL);

  xmlAddChild (disk, vp_xml_new ("address", "type", "pci", "domain", "0x0000", "bus", "0x00", "slot", "0x01",
                                 "function", "0x0", "multifunction", "on", NULL));
  vp_xml_insert (vp_xml_find (edited->doc, "devices"), 0, disk);
  g_autoptr (VpPlan) undone = test_plan (edited, host, VP_PLAN_UNDO);
  assert_left (undone->result, "disk graphics input video hostdev");
  g_assert_false (has (undone->result, "devices/video/address"));
  g_assert_true (has (undone->result, "devices/video/model[@type='qxl']"));
  g_assert_true (has (undone->result, "devices/input/address"));
}

/* What a user adds is trimmed as well, and is what comes back. */
static void
test_added (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpPlan) plan = trim (SPICE VIDEO CARD);
  g_autoptr (VpDomain) edited = vp_domain_copy (plan->result);
  xmlNode *video = vp_xml_new ("video", NULL);

  xmlAddChild (video, vp_xml_new ("model", "type", "bochs", NULL));
  vp_xml_insert (vp_xml_find (edited->doc, "devices"), 0, video);
  g_autoptr (VpPlan) again = test_plan (edited, host, VP_PLAN_DEFAULT);
  assert_left (again->result, "hostdev");
  g_autoptr (VpPlan) undone = test_plan (again->result, host, VP_PLAN_UNDO);
  g_assert_true (has (undone->result, "devices/video/model[@type='bochs']"));
  g_assert_true (has (undone->result, "devices/graphics[@type='spice']"));
}

static char *
dup_without (const VpDomain *domain, const char *pattern)
{
  g_autofree char *text = vp_domain_dup_text (domain);
  g_autoptr (GRegex) regex = g_regex_new (pattern, 0, 0, NULL);

  return g_regex_replace_literal (regex, text, -1, 0, "", 0, NULL);
}

/* What goes comes back between the comments that it stood between, also where libvirt dropped those meanwhile. */
static void
test_comments (void)
{
  static const char devices[] =
    "<!-- a -->\n    " TABLET "\n    <!-- b -->\n    <!-- c -->\n    " VIDEO "\n    <!-- d -->\n    " VIDEO_2
    "\n    " CARD "\n    <!-- e -->\n    " SPICE "\n    <!-- f -->";
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = new_domain ("", devices, "");
  g_autoptr (VpPlan) plan = plan_trimmed (domain);
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);
  g_autofree char *before = dup_without (domain, "(?<=>)\\s+(?=<)");
  g_autofree char *after = dup_without (undone->result, "(?<=>)\\s+(?=<)");
  g_autofree char *dropped = dup_without (plan->result, "<!--.*?-->");

  assert_left (plan->result, "hostdev");
  g_assert_cmpstr (after, ==, before);
  g_autoptr (VpDomain) defined = test_domain (dropped);
  g_autoptr (VpPlan) back = test_plan (defined, host, VP_PLAN_UNDO);
  g_assert_true (vp_domain_equal (back->result, domain));
}

/* A guest that comes from a saved image keeps what it saw. */
static void
test_saved (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = new_domain ("", SPICE TABLET VIDEO, "");
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_HOST_ONLY);

  g_assert_true (vp_plan_is_ready (plan));
  g_assert_cmpuint (plan->warnings->len, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trim/all", test_all);
  g_test_add_func ("/trim/password", test_password);
  g_test_add_func ("/trim/looking-glass", test_looking_glass);
  g_test_add_func ("/trim/needed", test_needed);
  g_test_add_func ("/trim/sound", test_sound);
  g_test_add_func ("/trim/blind", test_blind);
  g_test_add_func ("/trim/address-taken", test_address_taken);
  g_test_add_func ("/trim/added", test_added);
  g_test_add_func ("/trim/comments", test_comments);
  g_test_add_func ("/trim/saved", test_saved);
  return g_test_run ();
}
