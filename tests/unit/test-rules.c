/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each rule by itself, through the core's only entry. */
#include "devices/device-ids.h"
#include "rule-checks.h"

static void
test_cpu_howto (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "cputune/vcpupin[@vcpu='0']", "<vcpupin vcpu=\"0\" cpuset=\"2\"/>");
  assert_value (plan, "cputune/vcpupin[@vcpu='1']", "<vcpupin vcpu=\"1\" cpuset=\"6\"/>");
  assert_value (plan, "cputune/vcpupin[@vcpu='2']", "<vcpupin vcpu=\"2\" cpuset=\"3\"/>");
  assert_value (plan, "cputune/vcpupin[@vcpu='3']", "<vcpupin vcpu=\"3\" cpuset=\"7\"/>");
  assert_value (plan, "cputune/emulatorpin", "<emulatorpin cpuset=\"0-1,4-5\"/>");
  g_assert_false (test_change (plan, "cputune/emulatorpin")->guest_visible);
}

/* The pins that the howto of 2015 prints have the right cores and the wrong pairs. */
static void
test_cpu_wrong_pairs (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "  <cputune>\n"
                                                             "    <vcpupin vcpu='0' cpuset='2'/>\n"
                                                             "    <vcpupin vcpu='1' cpuset='3'/>\n"
                                                             "    <vcpupin vcpu='2' cpuset='6'/>\n"
                                                             "    <vcpupin vcpu='3' cpuset='7'/>\n"
                                                             "  </cputune>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "cputune/vcpupin[@vcpu='1']", "<vcpupin vcpu=\"1\" cpuset=\"6\"/>");
  g_assert_cmpstr (test_change (plan, "cputune/vcpupin[@vcpu='1']")->from, ==, "<vcpupin vcpu=\"1\" cpuset=\"3\"/>");
}

/* Pins that are right stay, although others would be chosen. */
static void
test_cpu_sticky (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "  <cputune>\n"
                                                             "    <vcpupin vcpu='0' cpuset='1'/>\n"
                                                             "    <vcpupin vcpu='1' cpuset='5'/>\n"
                                                             "    <vcpupin vcpu='2' cpuset='2'/>\n"
                                                             "    <vcpupin vcpu='3' cpuset='6'/>\n"
                                                             "  </cputune>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "cputune/vcpupin[@vcpu='0']", "<vcpupin vcpu=\"0\" cpuset=\"1\"/>");
  g_assert_null (test_change (plan, "cputune/vcpupin[@vcpu='0']"));
  g_assert_nonnull (test_change (plan, "cputune/emulatorpin"));
}

static void
test_cpu_automatic_placement (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  xmlNode *vcpu = vp_xml_find (domain->doc, "vcpu");

  xmlSetProp (vcpu, BAD_CAST "placement", BAD_CAST "auto");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_assert_true (vp_xml_attr_is (vp_xml_find (plan->result->doc, "vcpu"), "placement", "static"));
}

#define MATCH "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu topology='match'/></vfio:profile>"

/* The guest is shown the threads that its vCPUs are; a topology of its own stays. */
/* No core is left for the host: what the user pinned stays, and it is said where that is. */
static void
test_cpu_no_host (void)
{
  g_autoptr (VpHost) host = test_host (NULL, "pack:1 l3:1 core:2 pu:2");
  g_autoptr (VpDomain) plain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpDomain) own = test_tagged (TAG ("pinned"), "  <iothreads>2</iothreads>\n"
                                                          "  <cputune>\n"
                                                          "    <emulatorpin cpuset='1,3'/>\n"
                                                          "    <iothreadpin iothread='2' cpuset='9'/>\n"
                                                          "  </cputune>\n");
  g_autoptr (VpPlan) unpinned = plan_checked (plain, host);
  g_autoptr (VpPlan) kept = plan_checked (own, host);

  g_assert_true (test_warns (unpinned, "the emulator is not pinned: no core is left for the host"));
  assert_value (kept, "cputune/emulatorpin", "<emulatorpin cpuset=\"1,3\"/>");
  g_assert_true (test_warns (kept, "the emulator stays on CPUs 1,3, where the domain has it, beside vCPUs: no core"));
  g_assert_true (test_warns (kept, "the iothreads stay where the domain has them"));
  g_assert_false (test_warns (kept, "the emulator is not pinned"));
}

/* A guest that fills its node leaves the emulator on another: QEMU's allocating threads could not go to the memory. */
static void
test_cpu_far_emulator (void)
{
  g_autoptr (VpHost) small = test_host (NULL, "pack:2 [numa(memory=68719476736)] l3:1 core:2 pu:2");
  g_autoptr (VpHost) large = test_host (NULL, "pack:2 [numa(memory=68719476736)] l3:1 core:4 pu:2");
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpDomain) preferred = test_tagged (
    "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu numa='preferred'/></vfio:profile>", "");
  g_autoptr (VpDomain) pageless = test_tagged (
    "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:memory page-size='off'/></vfio:profile>", "");
  g_autoptr (VpPlan) far = plan_checked (domain, small);
  g_autoptr (VpPlan) far_preferred = plan_checked (preferred, small);
  g_autoptr (VpPlan) without_pages = plan_checked (pageless, small);
  g_autoptr (VpPlan) near = plan_checked (domain, large);

  assert_value (far, "cputune/emulatorpin", "<emulatorpin cpuset=\"0-3\"/>");
  assert_value (far, "numatune/memory", "<memory mode=\"restrictive\" nodeset=\"1\"/>");
  assert_value (far_preferred, "numatune/memory", "<memory mode=\"restrictive\" nodeset=\"1\"/>");
  assert_value (without_pages, "numatune/memory", "<memory mode=\"strict\" nodeset=\"1\"/>");
  assert_value (near, "numatune/memory", "<memory mode=\"strict\" nodeset=\"0\"/>");
  small->libvirt_version = 8000000;
  g_autoptr (VpPlan) old = plan_checked (domain, small);
  assert_value (old, "numatune/memory", "<memory mode=\"strict\" nodeset=\"1\"/>");
}

static void
test_topology_match (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) explicit = test_tagged (MATCH, "");
  g_autoptr (VpDomain) open = test_tagged (MATCH, "");

  vp_xml_remove (vp_xml_find (open->doc, "cpu/topology"));
  g_autoptr (VpPlan) plan = plan_checked (open, host);
  g_autoptr (VpPlan) kept = plan_checked (explicit, host);
  assert_value (plan, "cpu/topology", "<topology sockets=\"1\" dies=\"1\" cores=\"2\" threads=\"2\"/>");
  assert_value (plan, "cpu/cache", "<cache mode=\"passthrough\"/>");
  assert_value (plan, "cpu/feature[@name='topoext']", NULL);
  assert_value (plan, "cputune/vcpupin[@vcpu='1']", "<vcpupin vcpu=\"1\" cpuset=\"6\"/>");
  g_assert_true (test_change (plan, "cpu/topology")->guest_visible);
  g_assert_null (test_change (kept, "cpu/topology"));
  host->topology->amd = TRUE;
  g_autoptr (VpPlan) amd = plan_checked (open, host);
  assert_value (amd, "cpu/feature[@name='topoext']", "<feature policy=\"require\" name=\"topoext\"/>");
}

/* Two CCXs are shown as two dies, the part of the topology that carries an L3. */
static void
test_topology_dies (void)
{
  g_autoptr (VpHost) host = test_host (NULL, TEST_RYZEN_3900X);
  g_autoptr (VpDomain) domain = test_tagged (MATCH, "");

  vp_xml_remove (vp_xml_find (domain->doc, "cpu/topology"));
  xmlNodeSetContent (vp_xml_find (domain->doc, "vcpu"), BAD_CAST "12");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  assert_value (plan, "cpu/topology", "<topology sockets=\"1\" dies=\"2\" cores=\"3\" threads=\"2\"/>");
}

/* libvirt goes by pins where <vcpu cpuset='…'> says something else: that is said. */
static void
test_cpu_cpuset (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  static const struct {
    const char *cpuset, *warning;
  } guests[] = {
    { "0-7", NULL },
    { "2-3,6-7", "<vcpu cpuset='2-3,6-7'> does not hold for what is pinned here, CPUs 0-1,4-5 are used too" },
    { "0-5", "<vcpu cpuset='0-5'> does not hold for what is pinned here, CPUs 6-7 are used too" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (guests); i++) {
    g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
    xmlSetProp (vp_xml_find (domain->doc, "vcpu"), BAD_CAST "cpuset", BAD_CAST guests[i].cpuset);
    g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);
    if (guests[i].warning != NULL)
      g_assert_true (test_warns (plan, guests[i].warning));
    else
      g_assert_cmpuint (plan->warnings->len, ==, 0);
  }
}

static void
test_cpu_numa (void)
{
  g_autoptr (VpHost) host = test_host ("numa-2node", "pack:2 [numa(memory=68719476736)] l3:2 core:4 pu:2");
  g_autoptr (VpDomain) strict = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpDomain) preferred = test_tagged (
    "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu numa='preferred'/></vfio:profile>", "");
  g_autoptr (VpPlan) first = plan_checked (strict, host);
  g_autoptr (VpPlan) second = plan_checked (preferred, host);

  g_assert_true (vp_xml_attr_is (vp_xml_find (first->result->doc, "numatune/memory"), "mode", "strict"));
  g_assert_true (vp_xml_attr_is (vp_xml_find (second->result->doc, "numatune/memory"), "mode", "preferred"));
}

/* More vCPUs than the machine has: unpinned, with both numbers; required refuses. */
static void
test_cpu_too_many (void)
{
  g_autoptr (VpHost) host = test_host (NULL, "pack:1 l3:1 core:2 pu:1");
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpDomain) strict = test_tagged (
    "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu pin='required'/></vfio:profile>", "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  g_assert_null (vp_xml_find (plan->result->doc, "cputune/vcpupin"));
  g_assert_true (test_warns (plan, "4"));
  g_assert_true (test_warns (plan, "2"));
  expect_error (strict, host, VP_ERROR_UNFIT, "4");
}

static void
test_vga_wrapper (void)
{
  g_autofree char *plain = g_strdup_printf (CARD, "");
  g_autofree char *named = g_strdup_printf (CARD, "      <alias name='ua-gtx'/>\n");
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("vga"), plain);
  g_autoptr (VpDomain) aliased = test_tagged (TAG ("vga"), named);
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_autoptr (VpPlan) own = plan_checked (aliased, host);
  g_autofree char *emulator = vp_domain_dup_emulator (plan->result);

  assert_value (plan, "devices/hostdev/alias", "<alias name=\"ua-vfio-x-vga\"/>");
  assert_value (own, "devices/hostdev/alias", "<alias name=\"ua-gtx-x-vga\"/>");
  g_assert_true (g_str_has_prefix (emulator, TEST_WRAPPERS "/qemu-system-x86_64-"));
  g_assert_cmpstr (plan->wrapped, ==, "/usr/bin/qemu-system-x86_64");
}

/* Any other domain keeps its emulator: UEFI firmware, or no card of class 0300. */
static void
test_vga_not_here (void)
{
  g_autofree char *card = g_strdup_printf (CARD, "");
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) none = test_tagged (TAG ("vga"), "");
  g_autoptr (VpDomain) uefi =
    test_tagged ("<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='vga'><vfio:vga x-vga='on'/></vfio:profile>",
                 card);

  xmlNewProp (vp_xml_find (uefi->doc, "os"), BAD_CAST "firmware", BAD_CAST "efi");
  g_autoptr (VpPlan) without = plan_checked (none, host);
  g_autoptr (VpPlan) on_uefi = plan_checked (uefi, host);
  g_assert_true (vp_plan_is_ready (without));
  g_assert_null (test_change (on_uefi, "devices/emulator"));
  g_assert_null (test_change (on_uefi, "devices/hostdev/alias"));
  g_assert_true (test_warns (on_uefi, "BIOS"));
}

/* The state says which device was there; another one at that address is noticed, and stays noticed. */
static void
test_device_ids (void)
{
  g_autofree char *card = g_strdup_printf (CARD, "");
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), card);
  g_autoptr (VpPlan) first = plan_checked (domain, host);
  const VpChange *change = test_change (first, "metadata/state/device[@address='0000:01:00.0']");
  g_assert_nonnull (change);
  g_assert_cmpstr (change->to, ==, "10de:1381");
  g_assert_cmpuint (first->warnings->len, ==, 0);

  g_autofree char *text = vp_domain_dup_text (first->result);
  g_auto (GStrv) parts = g_strsplit (text, "device=\"1381\"", 2);
  g_autofree char *other = g_strjoinv ("device=\"13c2\"", parts);
  g_autoptr (VpDomain) moved = test_domain (other);
  g_autoptr (VpPlan) second = test_plan (moved, host, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (second));
  g_assert_true (test_warns (second, "is 10de:1381 now, and was 10de:13c2"));

  vp_device_ids_forget (moved);
  g_autoptr (VpPlan) third = test_plan (moved, host, VP_PLAN_DEFAULT);
  g_assert_nonnull (test_change (third, "metadata/state/device[@address='0000:01:00.0']"));
  g_assert_cmpuint (third->warnings->len, ==, 0);
}

/* A network card that is assigned as an interface is a PCI device like others. */
static void
test_device_interface (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    test_tagged (TAG ("pinned"), "  <devices>\n"
                                 "    <interface type='hostdev' managed='yes'>\n"
                                 "      <source>\n"
                                 "        <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x1'/>\n"
                                 "      </source>\n"
                                 "    </interface>\n"
                                 "    <interface type='network'>\n"
                                 "      <source network='default'/>\n"
                                 "    </interface>\n"
                                 "  </devices>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);

  g_assert_cmpuint (hostdevs->len, ==, 1);
  g_assert_true (g_array_index (hostdevs, VpHostdev, 0).managed);
  g_assert_nonnull (test_change (plan, "metadata/state/device[@address='0000:01:00.1']"));
}

static void
test_device_ids_damaged (void)
{
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (
    TAG (
      "pinned") "<s:state xmlns:s='urn:vfio-profile:state:1'><s:device address='0000:01:00.0' vendor='zz'/></s:state>",
    "");

  expect_error (domain, host, VP_ERROR_STATE, "0000:01:00.0");
}

static void
test_vga_override (void)
{
  g_autofree char *card = g_strdup_printf (CARD, "");
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpHost) old = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (
    "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='vga'><vfio:vga method='override'/></vfio:profile>", card);
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_autofree char *emulator = vp_domain_dup_emulator (plan->result);
  g_autofree char *override = dup_value (plan, "*[local-name()='override']");

  g_assert_cmpstr (emulator, ==, "/usr/bin/qemu-system-x86_64");
  g_assert_nonnull (strstr (override, "alias=\"ua-vfio-x-vga\""));
  g_assert_nonnull (strstr (override, "name=\"x-vga\""));
  g_assert_null (plan->wrapped);
  old->libvirt_version = 8001000;
  expect_error (domain, old, VP_ERROR_UNFIT, "8.1.0");
}

static void
test_vga_emulated_video (void)
{
  g_autofree char *card = g_strdup_printf (CARD, "");
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("vga"), card);
  xmlNode *video = vp_xml_new ("video", NULL);

  xmlAddChild (video, vp_xml_new ("model", "type", "qxl", NULL));
  vp_xml_insert (vp_xml_find (domain->doc, "devices"), -1, video);
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_assert_true (test_warns (plan, "<video>"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cpu/howto", test_cpu_howto);
  g_test_add_func ("/cpu/wrong-pairs", test_cpu_wrong_pairs);
  g_test_add_func ("/cpu/sticky", test_cpu_sticky);
  g_test_add_func ("/cpu/automatic-placement", test_cpu_automatic_placement);
  g_test_add_func ("/cpu/cpuset", test_cpu_cpuset);
  g_test_add_func ("/cpu/numa", test_cpu_numa);
  g_test_add_func ("/cpu/far-emulator", test_cpu_far_emulator);
  g_test_add_func ("/cpu/no-host", test_cpu_no_host);
  g_test_add_func ("/topology/match", test_topology_match);
  g_test_add_func ("/topology/dies", test_topology_dies);
  g_test_add_func ("/cpu/too-many", test_cpu_too_many);
  g_test_add_func ("/devices/ids", test_device_ids);
  g_test_add_func ("/devices/interface", test_device_interface);
  g_test_add_func ("/devices/ids-damaged", test_device_ids_damaged);
  g_test_add_func ("/vga/wrapper", test_vga_wrapper);
  g_test_add_func ("/vga/not-here", test_vga_not_here);
  g_test_add_func ("/vga/override", test_vga_override);
  g_test_add_func ("/vga/emulated-video", test_vga_emulated_video);
  return g_test_run ();
}
