/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each rule by itself, through the core's only entry. */
#include <string.h>

#include "base/error.h"
#include "devices/device-ids.h"
#include "support.h"

#define TAG(names) "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='" names "'/>"
#define CARD                                                                                                           \
  "  <devices>\n"                                                                                                      \
  "    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"                                                             \
  "    <hostdev mode='subsystem' type='pci' managed='yes'>\n"                                                          \
  "      <source>\n"                                                                                                   \
  "        <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>\n"                                         \
  "      </source>\n"                                                                                                  \
  "%s"                                                                                                                 \
  "    </hostdev>\n"                                                                                                   \
  "  </devices>\n"

static char *
dup_value (const VpPlan *plan, const char *place)
{
  xmlNode *node = vp_xml_find (plan->result->doc, place);

  return node != NULL ? vp_xml_dup_line (node) : NULL;
}

static void
assert_value (const VpPlan *plan, const char *place, const char *expected)
{
  g_autofree char *value = dup_value (plan, place);

  g_assert_cmpstr (value, ==, expected);
}

/* Plans, and checks on the way what holds for every plan: stable and reversible. */
static VpPlan *
plan_checked (const VpDomain *domain, const VpHost *host)
{
  VpPlan *plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);
  g_autofree char *before = vp_domain_dup_text (domain);
  g_autofree char *after = vp_domain_dup_text (undone->result);

  g_assert_true (vp_plan_is_ready (again));
  g_assert_true (vp_domain_equal (undone->result, domain));
  g_assert_cmpstr (after, ==, before);
  return plan;
}

static void
expect_error (const VpDomain *domain, const VpHost *host, VpErrorCode code, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, NULL, VP_PLAN_DEFAULT, &error);

  g_assert_null (plan);
  g_assert_error (error, VP_ERROR, (int) code);
  if (strstr (error->message, part) == NULL)
    g_error ("'%s' does not say '%s'", error->message, part);
}

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

  assert_value (far, "cputune/emulatorpin", "<emulatorpin cpuset=\"0-1\"/>");
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
test_memory_pages (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "memoryBacking/hugepages", "<hugepages><page size=\"2048\" unit=\"KiB\"/></hugepages>");
  assert_value (plan, "memoryBacking/nosharepages", "<nosharepages/>");
  assert_value (plan, "memoryBacking/allocation", "<allocation mode=\"immediate\" threads=\"4\"/>");
  g_assert_cmpuint (plan->page_kib, ==, 2048);
  g_assert_cmpuint (plan->pages, ==, 2048);
}

static VpPagePool *
find_pool (VpHost *host, int node, guint64 page_kib)
{
  for (guint i = 0; i < host->pools->len; i++) {
    VpPagePool *pool = &g_array_index (host->pools, VpPagePool, i);
    if (pool->node == node && pool->page_kib == page_kib)
      return pool;
  }
  return NULL;
}

/* 1G where the pool has enough in all, whatever is free; and a size that is right stays as pools grow. */
static void
test_memory_automatic (void)
{
  g_autoptr (VpHost) small = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpHost) large = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  VpPagePool *pool = find_pool (large, 0, 1048576);

  g_assert_nonnull (pool);
  pool->total = 4;
  pool->free = 0;
  g_autoptr (VpPlan) on_large = plan_checked (domain, large);
  g_assert_cmpuint (on_large->page_kib, ==, 1048576);
  g_assert_cmpuint (on_large->pages, ==, 4);
  g_autoptr (VpPlan) on_small = plan_checked (domain, small);
  g_assert_cmpuint (on_small->page_kib, ==, 2048);
  g_autoptr (VpPlan) grown = test_plan (on_small->result, large, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (grown));
  g_autoptr (VpPlan) shrunk = test_plan (on_large->result, small, VP_PLAN_DEFAULT);
  g_assert_cmpuint (shrunk->page_kib, ==, 2048);
}

static void
test_memory_no_multiple (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpDomain) gigabyte = test_tagged (
    "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:memory page-size='16G'/></vfio:profile>", "");

  xmlNodeSetContent (vp_xml_find (domain->doc, "memory"), BAD_CAST "4194305");
  expect_error (domain, host, VP_ERROR_UNFIT, "4194305 KiB");
  expect_error (domain, host, VP_ERROR_UNFIT, "2048 KiB");
  expect_error (gigabyte, host, VP_ERROR_UNFIT, "16G");
}

/* Backings that libvirt refuses beside hugepages give way, and come back. */
static void
test_memory_on_demand (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "  <memoryBacking>\n    <source type='anonymous'/>\n"
                                                             "    <allocation mode='ondemand'/>\n  </memoryBacking>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "memoryBacking/allocation", "<allocation mode=\"immediate\" threads=\"4\"/>");
  assert_value (plan, "memoryBacking/source", NULL);
}

/* A comment is the user's also where it is all that stays of an element. */
static void
test_memory_comment (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    test_tagged (TAG ("nvidia"), "  <clock offset='localtime'/>\n"
                                 "  <!-- mine -->\n  <memoryBacking>\n    <!-- for now -->\n"
                                 "    <source type='anonymous'/>\n    <!-- behind -->\n  </memoryBacking>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "memoryBacking/source", NULL);
}

static const char windows[] = "  <features>\n"
                              "    <acpi/>\n"
                              "    <hyperv mode='custom'>\n"
                              "      <relaxed state='on'/>\n"
                              "    </hyperv>\n"
                              "  </features>\n"
                              "  <clock offset='localtime'>\n"
                              "    <timer name='rtc' tickpolicy='catchup'/>\n"
                              "    <timer name='hypervclock' present='yes'/>\n"
                              "    <timer name='hpet' present='no'/>\n"
                              "  </clock>\n";

static void
test_hypervisor_nvidia (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("nvidia"), windows);
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "features/kvm/hidden", "<hidden state=\"on\"/>");
  assert_value (plan, "features/hyperv", NULL);
  assert_value (plan, "clock/timer[@name='hypervclock']", NULL);
  g_assert_nonnull (vp_xml_find (plan->result->doc, "clock/timer[@name='hpet']"));
  g_assert_true (test_change (plan, "features/hyperv")->guest_visible);
}

/* gaming hides KVM only where there is a GPU that minds, and keeps Hyper-V. */
static void
test_hypervisor_gaming (void)
{
  g_autofree char *devices = g_strdup_printf (CARD, "");
  g_autofree char *body = g_strconcat (windows, devices, NULL);
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) with_card = test_tagged (TAG ("gaming"), body);
  g_autoptr (VpDomain) without = test_tagged (TAG ("gaming"), windows);
  g_autoptr (VpPlan) plan = plan_checked (with_card, host);
  g_autoptr (VpPlan) other = plan_checked (without, host);

  assert_value (plan, "features/kvm/hidden", "<hidden state=\"on\"/>");
  assert_value (plan, "features/hyperv/vendor_id", "<vendor_id state=\"on\" value=\"0123456789ab\"/>");
  g_assert_nonnull (vp_xml_find (plan->result->doc, "features/hyperv/relaxed"));
  g_assert_nonnull (vp_xml_find (plan->result->doc, "clock/timer[@name='hypervclock']"));
  assert_value (other, "features/kvm/hidden", NULL);
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
  g_test_add_func ("/cpu/numa", test_cpu_numa);
  g_test_add_func ("/cpu/far-emulator", test_cpu_far_emulator);
  g_test_add_func ("/topology/match", test_topology_match);
  g_test_add_func ("/topology/dies", test_topology_dies);
  g_test_add_func ("/cpu/too-many", test_cpu_too_many);
  g_test_add_func ("/memory/pages", test_memory_pages);
  g_test_add_func ("/memory/automatic", test_memory_automatic);
  g_test_add_func ("/memory/no-multiple", test_memory_no_multiple);
  g_test_add_func ("/memory/on-demand", test_memory_on_demand);
  g_test_add_func ("/memory/comment", test_memory_comment);
  g_test_add_func ("/hypervisor/nvidia", test_hypervisor_nvidia);
  g_test_add_func ("/hypervisor/gaming", test_hypervisor_gaming);
  g_test_add_func ("/devices/ids", test_device_ids);
  g_test_add_func ("/devices/interface", test_device_interface);
  g_test_add_func ("/devices/ids-damaged", test_device_ids_damaged);
  g_test_add_func ("/vga/wrapper", test_vga_wrapper);
  g_test_add_func ("/vga/not-here", test_vga_not_here);
  g_test_add_func ("/vga/override", test_vga_override);
  g_test_add_func ("/vga/emulated-video", test_vga_emulated_video);
  return g_test_run ();
}
