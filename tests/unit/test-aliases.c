/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The card's alias changes: what names it, or a device whose number shifts, must reach the same device as before. */
#include <string.h>

#include "domain/aliases.h"
#include "support.h"

#define PCI(bus, slot, function)                                                                                       \
  "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='" bus "' slot='" slot      \
  "' function='" function "'/></source>"
#define CARD PCI ("0x01", "0x00", "0x0") "</hostdev>"
#define NAMED_CARD PCI ("0x01", "0x00", "0x0") "<alias name='ua-gtx'/></hostdev>"
#define AUDIO PCI ("0x01", "0x00", "0x1") "</hostdev>"
#define USB "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0x1'/></source></hostdev>"
#define NETWORK                                                                                                        \
  "<interface type='hostdev'><source><address type='pci' domain='0x0000' bus='0x00' slot='0x19' function='0x0'/>"      \
  "</source></interface>"
#define IGD(slot)                                                                                                      \
  PCI ("0x00", "0x02", "0x0")                                                                                          \
  "<alias name='ua-igd'/><address type='pci' domain='0x0000' bus='0x00' slot='" slot "' function='0x0'/></hostdev>"
#define PROPERTY(name) "<qemu:property name='" name "' type='bool' value='true'/>"
#define OVERRIDE(alias, property)                                                                                      \
  "<qemu:device alias='" alias "'><qemu:frontend>" PROPERTY (property) "</qemu:frontend></qemu:device>"
#define SET(text) "<qemu:arg value='-set'/><qemu:arg value='" text "'/>"
#define OVERRIDES(all) "<qemu:override>" all "</qemu:override>"
#define ARGUMENTS(all) "<qemu:commandline>" all "</qemu:commandline>"
#define BY_OVERRIDE "<vfio:vga method='override'/>"

static VpDomain *
new_domain (const char *machine, const char *settings, const char *hostdevs, const char *tail)
{
  g_autofree char *text = g_strdup_printf (
    "<domain type='kvm' xmlns:qemu='" VP_QEMU_NS "'><name>g</name><metadata><vfio:profile xmlns:vfio='" VP_TAG_NS
    "' name='vga'>%s</vfio:profile></metadata><memory>4194304</memory><vcpu>2</vcpu>"
    "<os><type arch='x86_64' machine='%s'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>"
    "%s</devices>%s</domain>",
    settings, machine, hostdevs, tail);

  return test_domain (text);
}

/* All that names devices, in the definition's order, one a line. */
static char *
dup_names (const VpDomain *domain)
{
  GString *text = g_string_new (NULL);

  for (const xmlNode *node = vp_domain_first_of_qemu (domain, "override"); node != NULL; node = vp_xml_next (node)) {
    g_autofree char *alias = vp_xml_dup_attr (node, "alias");
    g_string_append_printf (text, "%s\n", alias);
  }
  for (const xmlNode *node = vp_domain_first_of_qemu (domain, "commandline"); node != NULL; node = vp_xml_next (node)) {
    g_autofree char *value = vp_xml_dup_attr (node, "value");
    g_string_append_printf (text, "%s\n", value);
  }
  return g_string_free (text, FALSE);
}

static void
assert_names (const VpDomain *domain, const char *expected)
{
  g_autofree char *names = dup_names (domain);

  g_assert_cmpstr (names, ==, expected);
}

/* hostdev0 is the network's, 1 the card, 2 its audio, 3 the one on USB; nobody has 4 and 9. */
static void
test_numbers (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    new_domain ("pc", "", CARD AUDIO NETWORK USB,
                OVERRIDES (OVERRIDE ("hostdev3", "a") OVERRIDE ("hostdev1", "b") OVERRIDE ("hostdev2", "c")
                             OVERRIDE ("hostdev0", "d") OVERRIDE ("hostdev4", "e") OVERRIDE ("hostdev1", "f"))
                  ARGUMENTS (SET ("device.hostdev1.romfile=/x/hostdev2.rom") SET ("device.hostdev2.x=1")
                               SET ("device.hostdev9.x=1") SET ("drive.hostdev1.x=1")
                                 SET ("device.hostdev11.x=1") "<qemu:arg value='device.hostdev1.x=1'/>"));
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);
  g_autofree char *state = vp_xml_dup_line (vp_domain_state (plan->result));

  assert_names (plan->result, "hostdev2\nua-vfio-x-vga\nhostdev1\nhostdev0\nhostdev4\nua-vfio-x-vga\n"
                              "-set\ndevice.ua-vfio-x-vga.romfile=/x/hostdev2.rom\n-set\ndevice.hostdev1.x=1\n"
                              "-set\ndevice.hostdev9.x=1\n-set\ndrive.hostdev1.x=1\n-set\ndevice.hostdev11.x=1\n"
                              "device.hostdev1.x=1\n");
  g_assert_null (strstr (state, "/x"));
  g_assert_nonnull (strstr (test_change (plan, "devices/hostdev/alias[@name='ua-vfio-x-vga']")->reason, "follows"));
}

/* A name of the user's own moves no numbers. */
static void
test_own_name (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    new_domain ("pc-q35-7.2", "", NAMED_CARD AUDIO, OVERRIDES (OVERRIDE ("ua-gtx", "a") OVERRIDE ("hostdev0", "b")));
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);

  assert_names (plan->result, "ua-gtx-x-vga\nhostdev0\n");
}

/* libvirt keeps no name with a dot: it is a number like the others, and the mark is one that stays. */
static void
test_odd_name (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    new_domain ("pc", "", PCI ("0x01", "0x00", "0x0") "<alias name='ua-my.card'/></hostdev>" AUDIO,
                OVERRIDES (OVERRIDE ("hostdev1", "a")));
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);

  assert_names (plan->result, "hostdev0\n");
  g_assert_nonnull (vp_xml_find (plan->result->doc, "devices/hostdev/alias[@name='ua-vfio-x-vga']"));
}

/* What is written while it is prepared means what it says there. */
static void
test_edited (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    new_domain ("pc", "", CARD AUDIO, ARGUMENTS (SET ("device.hostdev0.romfile=/a") SET ("device.hostdev1.x=1")));
  g_autoptr (VpDomain) expected =
    new_domain ("pc", "", CARD AUDIO USB,
                ARGUMENTS (SET ("device.hostdev0.romfile=/b") SET ("device.hostdev0.y=1") SET ("device.hostdev2.x=1")));
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);
  g_autofree char *text = vp_domain_dup_text (plan->result);
  g_auto (GStrv) parts = g_strsplit (text, "romfile=/a\"/>", 2);
  g_autofree char *joined = g_strconcat (parts[0], "romfile=/b\"/>" SET ("device.ua-vfio-x-vga.y=1"), parts[1], NULL);
  g_auto (GStrv) devices = g_strsplit (joined, "</devices>", 2);
  g_autofree char *added = g_strconcat (devices[0], USB "</devices>", devices[1], NULL);
  g_autoptr (VpDomain) edited = test_domain (added);

  xmlSetProp (vp_xml_find (edited->doc, "*/*[@value='device.hostdev0.x=1']"), BAD_CAST "value",
              BAD_CAST "device.hostdev1.x=1"); /* the one on USB */
  g_autoptr (VpPlan) again = test_plan (edited, host, VP_PLAN_DEFAULT);
  g_autofree char *names = dup_names (edited);
  assert_names (again->result, names);
  g_autoptr (VpPlan) undone = test_plan (again->result, host, VP_PLAN_UNDO);
  g_assert_true (vp_domain_equal (undone->result, expected));
}

/* Prepared before references followed: one define, and what the user wrote comes back. */
static void
test_old_version (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) bare = new_domain ("pc", "", CARD AUDIO, "");
  g_autoptr (VpDomain) domain = new_domain ("pc", "", CARD AUDIO, OVERRIDES (OVERRIDE ("hostdev0", "a")));
  g_autoptr (VpPlan) prepared = test_plan_whole_way (bare, host);
  g_autoptr (VpDomain) old = vp_domain_copy (prepared->result);

  xmlAddChild (xmlDocGetRootElement (old->doc),
               xmlDocCopyNode (vp_domain_first_of_qemu (domain, "override")->parent, old->doc, 1));
  g_autoptr (VpPlan) plan = test_plan (old, host, VP_PLAN_DEFAULT);
  g_assert_false (vp_plan_is_ready (plan));
  assert_names (plan->result, "ua-vfio-x-vga\n");
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (again));
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);
  g_assert_true (vp_domain_equal (undone->result, domain));
}

static void
expect_left_alone (const char *settings, const char *hostdevs, const char *tail, const char *part)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = new_domain ("pc", settings, hostdevs, tail);
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);

  for (guint i = 0; i < plan->changes->len; i++)
    g_assert_cmpstr (((const VpChange *) plan->changes->pdata[i])->rule, ==, "devices");
  /* Beside what is said of the ROM, as this host started on the card. */
  g_assert_cmpuint (plan->warnings->len, ==,
                    (test_warns (plan, "a copy that the firmware changed") ? 1 : 0) + (part != NULL ? 1 : 0));
  g_assert_true (part == NULL || test_warns (plan, part));
}

static void
test_own_x_vga (void)
{
  static const char override[] = OVERRIDES (OVERRIDE ("hostdev1", "a") OVERRIDE ("hostdev0", "x-vga"));

  expect_left_alone ("", CARD AUDIO, override, "0000:01:00.0 x-vga, in <qemu:override>");
  expect_left_alone (BY_OVERRIDE, CARD AUDIO, override, "0000:01:00.0 x-vga");
  expect_left_alone ("", AUDIO NAMED_CARD, OVERRIDES (OVERRIDE ("ua-gtx", "x-vga")), "0000:01:00.0 x-vga");
  expect_left_alone ("", CARD AUDIO, ARGUMENTS (SET ("device.hostdev0.x-vga=on")),
                     "0000:01:00.0 x-vga, in <qemu:commandline>");
  expect_left_alone ("", CARD AUDIO, ARGUMENTS ("<qemu:arg value='-global'/><qemu:arg value='vfio-pci.x-vga=on'/>"),
                     "0000:01:00.0 x-vga, in <qemu:commandline>");
  /* of two cards the other */
  expect_left_alone ("", CARD AUDIO PCI ("0x02", "0x00", "0x0") "</hostdev>",
                     ARGUMENTS (SET ("device.hostdev2.x-vga=on")), "0000:02:00.0 x-vga");
}

/* x-vga on nothing that is there is none. */
static void
test_not_own (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    new_domain ("pc", "", NAMED_CARD AUDIO,
                OVERRIDES (OVERRIDE ("hostdev7", "x-vga")) ARGUMENTS (SET ("device.ua-gtx.x-vga-not=on")));
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);

  assert_names (plan->result, "hostdev7\n-set\ndevice.ua-gtx-x-vga.x-vga-not=on\n");
}

static void
test_legacy_igd (void)
{
  static const char override[] = OVERRIDES (OVERRIDE ("ua-igd", "x-igd-opregion"));
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) q35 = new_domain ("pc-q35-7.2", "", IGD ("0x02"), override);
  g_autoptr (VpDomain) elsewhere = new_domain ("pc", "", IGD ("0x05"), override);
  g_autoptr (VpPlan) on_q35 = test_plan_whole_way (q35, host);
  g_autoptr (VpPlan) there = test_plan_whole_way (elsewhere, host);

  expect_left_alone ("", IGD ("0x02"), override, NULL);
  expect_left_alone ("<vfio:vga x-vga='on'/>", IGD ("0x02"), override, "an Intel card at 00:02.0");
  assert_names (on_q35->result, "ua-igd-x-vga\n");
  assert_names (there->result, "ua-igd-x-vga\n");
  g_assert_nonnull (on_q35->wrapped);
}

static void
expect_property (const char *own)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = new_domain ("pc", BY_OVERRIDE, CARD AUDIO, own);
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);
  g_autoptr (VpPlan) moved = test_plan (plan->result, host, VP_PLAN_HOST_ONLY);
  const xmlNode *device =
    vp_xml_find (plan->result->doc, "*[local-name()='override']/*[@alias='ua-vfio-x-vga']/*/*[@name='x-vga']");

  g_assert_nonnull (device);
  g_assert_null (vp_xml_find (plan->result->doc, "*/*[@alias='hostdev0']/*/*[@name='x-vga']"));
  g_assert_null (plan->wrapped);
  g_assert_cmpuint (moved->warnings->len, ==, 0);
}

/* An override of the card that the user has already gets one property more. */
static void
test_method_override (void)
{
  expect_property ("");
  expect_property (OVERRIDES (OVERRIDE ("hostdev0", "a")));
  expect_property (OVERRIDES (OVERRIDE ("hostdev1", "a")));
  expect_property (OVERRIDES (OVERRIDE ("hostdev1", "a") OVERRIDE ("hostdev0", "b")));
  expect_property (OVERRIDES ("<qemu:device alias='hostdev0'/>"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/aliases/numbers", test_numbers);
  g_test_add_func ("/aliases/own-name", test_own_name);
  g_test_add_func ("/aliases/odd-name", test_odd_name);
  g_test_add_func ("/aliases/edited", test_edited);
  g_test_add_func ("/aliases/old-version", test_old_version);
  g_test_add_func ("/aliases/own-x-vga", test_own_x_vga);
  g_test_add_func ("/aliases/not-own", test_not_own);
  g_test_add_func ("/aliases/legacy-igd", test_legacy_igd);
  g_test_add_func ("/aliases/method-override", test_method_override);
  return g_test_run ();
}
