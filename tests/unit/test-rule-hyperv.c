/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hyperv = full: what is added to whose Hyper-V features, and that what a user says of one stays. */
#include "made-tree.h"
#include "rule-checks.h"

#define FULL "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='gaming'/>"
#define CLOCK "  <clock offset='localtime'>\n    <timer name='rtc' tickpolicy='catchup'/>\n  </clock>\n"
#define BASE "relaxed vapic spinlocks vpindex runtime synic stimer(direct) frequencies"

/* A guest with these features, on an Intel, an AMD or another machine under that libvirt. */
typedef struct {
  const char *features; /* what stands in <hyperv>, or the element if it begins so */
  const char *vendor;
  unsigned long libvirt;
} Case;

static VpDomain *
new_guest (const Case *one, const char *more)
{
  g_autofree char *hyperv = g_str_has_prefix (one->features, "<hyperv")
                              ? g_strdup_printf ("      %s\n", one->features)
                              : g_strdup_printf ("    <hyperv>\n      %s\n    </hyperv>\n", one->features);
  g_autofree char *body = g_strconcat ("  <features>\n", hyperv, "  </features>\n", more, NULL);

  return test_tagged (FULL, body);
}

static VpPlan *
plan_on (const VpDomain *domain, const Case *one)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);

  host->topology->intel = strcmp (one->vendor, "intel") == 0;
  host->topology->amd = strcmp (one->vendor, "amd") == 0;
  host->libvirt_version = one->libvirt;
  return plan_checked (domain, host);
}

/* "relaxed stimer(direct) -vpindex": what is on, with its parts; what is off. The vendor id is left out. */
static char *
dup_set (const VpPlan *plan)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const xmlNode *hyperv = vp_xml_find (plan->result->doc, "features/hyperv");

  for (const xmlNode *node = vp_xml_first (hyperv); node != NULL; node = vp_xml_next (node)) {
    if (vp_xml_is (node, "vendor_id"))
      continue;
    g_string_append_printf (text, "%s%s%s", text->len > 0 ? " " : "", vp_xml_attr_is (node, "state", "on") ? "" : "-",
                            (const char *) node->name);
    for (const xmlNode *part = vp_xml_first (node); part != NULL; part = vp_xml_next (part))
      g_string_append_printf (text, "(%s)", (const char *) part->name);
  }
  return g_strdup (text->str);
}

static void
expect_set (const Case *one, const char *more, const char *expected)
{
  g_autoptr (VpDomain) domain = new_guest (one, more);
  g_autoptr (VpPlan) plan = plan_on (domain, one);
  g_autofree char *set = dup_set (plan);

  g_assert_cmpstr (set, ==, expected);
}

#define RELAXED "<relaxed state='on'/>"

/* virt-manager's Windows becomes whole; where the CPU's maker is not known nothing is Intel's or AMD's. */
static void
test_hosts (void)
{
  g_autofree char *card = g_strdup_printf (CARD, "");
  g_autofree char *with_card = g_strconcat (CLOCK, card, NULL);
  const Case old = { RELAXED, "", 9000000 };
  const Case intel = { RELAXED, "intel", 9000000 };
  const Case amd = { RELAXED, "amd", 11003000 };

  expect_set (&old, CLOCK, BASE " tlbflush ipi");
  expect_set (&old, with_card, BASE " reenlightenment tlbflush ipi");
  expect_set (&intel, CLOCK, BASE " evmcs tlbflush ipi");
  expect_set (&(Case){ RELAXED, "", 11003000 }, CLOCK, BASE " tlbflush(extended) ipi xmm_input");
  expect_set (&(Case){ RELAXED, "intel", 11003000 }, CLOCK,
              BASE " evmcs tlbflush(direct)(extended) ipi emsr_bitmap xmm_input");
  expect_set (&amd, CLOCK, BASE " tlbflush(extended) ipi xmm_input");
  expect_set (&(Case){ RELAXED, "amd", 12000000 }, CLOCK, BASE " tlbflush(direct)(extended) ipi emsr_bitmap xmm_input");
}

/* What is for hypervisors inside the guest needs KVM's nested virtualization: QEMU would not start with it. */
static void
test_nested (void)
{
  static const struct {
    const char *nested;
    const char *expected;
  } cases[] = {
    { "Y\n", BASE " evmcs tlbflush(direct)(extended) ipi emsr_bitmap xmm_input" },
    { "1\n", BASE " evmcs tlbflush(direct)(extended) ipi emsr_bitmap xmm_input" },
    { "N\n", BASE " tlbflush(extended) ipi xmm_input" },
    { "0\n", BASE " tlbflush(extended) ipi xmm_input" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    const Case one = { RELAXED, "intel", 11003000 };
    g_autoptr (VpDomain) domain = new_guest (&one, CLOCK);
    g_autoptr (MadeTree) tree = made_tree_new ();
    g_autoptr (GError) error = NULL;
    made_file (tree, "sys/module/kvm_intel/parameters/nested", cases[i].nested);
    VpHostSource source = { tree->root, vp_topology_load_description (TEST_I7_3770K, &error), TEST_WRAPPERS,
                            one.libvirt };
    g_autoptr (VpHost) host = vp_host_load (&source, &error);
    g_assert_no_error (error);
    host->topology->intel = TRUE;
    g_autoptr (VpPlan) plan = plan_checked (domain, host);
    g_autofree char *set = dup_set (plan);
    g_assert_cmpstr (set, ==, cases[i].expected);
  }
}

static void
test_details (void)
{
  const Case one = { RELAXED, "intel", 9000000 };
  g_autoptr (VpDomain) domain = new_guest (&one, CLOCK);
  g_autoptr (VpPlan) plan = plan_on (domain, &one);

  assert_value (plan, "features/hyperv/spinlocks", "<spinlocks state=\"on\" retries=\"8191\"/>");
  assert_value (plan, "features/hyperv/vendor_id", "<vendor_id state=\"on\" value=\"0123456789ab\"/>");
  assert_value (plan, "clock/timer[@name='hypervclock']", "<timer name=\"hypervclock\" present=\"yes\"/>");
  g_assert_true (test_change (plan, "features/hyperv/vpindex")->guest_visible);
  g_assert_true (test_change (plan, "clock/timer[@name='hypervclock']")->guest_visible);
}

/* What is off stays so, and what needs it is left out: QEMU would not start. */
static void
test_kept (void)
{
  const Case off = { "<vpindex state='off'/><spinlocks state='on' retries='4096'/>", "intel", 11003000 };
  const Case no_vapic = { "<vapic state='off'/>" RELAXED, "intel", 11003000 };
  const Case own = {
    "<stimer state='on'/>\n      <tlbflush state='on'>\n        <direct state='off'/>\n      </tlbflush>", "intel",
    11003000
  };
  g_autoptr (VpDomain) domain = new_guest (&off, CLOCK);
  g_autoptr (VpPlan) plan = plan_on (domain, &off);

  expect_set (&off, CLOCK, "-vpindex spinlocks relaxed vapic runtime frequencies evmcs emsr_bitmap xmm_input");
  assert_value (plan, "features/hyperv/spinlocks", "<spinlocks state=\"on\" retries=\"4096\"/>");
  expect_set (
    &no_vapic, CLOCK,
    "-vapic relaxed spinlocks vpindex runtime synic stimer(direct) frequencies tlbflush(extended) ipi xmm_input");
  expect_set (
    &own, CLOCK,
    "stimer(direct) tlbflush(direct)(extended) relaxed vapic spinlocks vpindex runtime synic frequencies evmcs "
    "ipi emsr_bitmap xmm_input");
}

/* stimer reads the clock: none without it, be it that the user forbids it or that there is no <clock> to put it in. */
static void
test_clock (void)
{
  const Case one = { RELAXED, "", 9000000 };
  static const char expected[] = "relaxed vapic spinlocks vpindex runtime synic frequencies tlbflush ipi";

  expect_set (&one, "", expected);
  expect_set (&one, "  <clock offset='utc'>\n    <timer name='hypervclock' present='no'/>\n  </clock>\n", expected);
  expect_set (&one, "  <clock offset='utc'>\n    <timer name='hypervclock'/>\n  </clock>\n", BASE " tlbflush ipi");
}

/* A guest without any, one whose features are the host's, and one without KVM get none. */
static void
test_not_here (void)
{
  const Case passthrough = { "<hyperv mode='passthrough'/>", "intel", 11003000 };
  const Case host_model = { "<hyperv mode='host-model'/>", "intel", 12001000 };
  const Case tcg = { RELAXED, "intel", 11003000 };
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) linux_guest = test_tagged (FULL, CLOCK);
  g_autoptr (VpDomain) emulated = new_guest (&tcg, CLOCK);
  g_autoptr (VpPlan) none = plan_checked (linux_guest, host);

  expect_set (&passthrough, CLOCK, "");
  expect_set (&host_model, CLOCK, "");
  expect_set (&(Case){ "<hyperv mode='custom'/>", "intel", 11003000 }, CLOCK, "");
  expect_set (&(Case){ "<relaxed state='off'/><vapic state='off'/>", "intel", 11003000 }, CLOCK, "-relaxed -vapic");
  assert_value (none, "features/hyperv", NULL);
  xmlSetProp (xmlDocGetRootElement (emulated->doc), BAD_CAST "type", BAD_CAST "qemu");
  g_autoptr (VpPlan) spoofed = plan_on (emulated, &tcg);
  g_autofree char *set = dup_set (spoofed);
  g_assert_cmpstr (set, ==, "relaxed");
  g_assert_nonnull (vp_xml_find (spoofed->result->doc, "features/hyperv/vendor_id"));
}

/* A definition that an older version prepared for "gaming" has the vendor id alone: one plan makes it whole. */
static void
test_grown (void)
{
  const Case one = { RELAXED, "intel", 9000000 };
  g_autoptr (VpDomain) spoof = new_guest (&one, CLOCK);
  xmlNode *tag = vp_domain_tag (spoof);
  xmlNode *section = xmlNewChild (tag, tag->ns, BAD_CAST "hypervisor", NULL);

  xmlNewProp (section, BAD_CAST "hyperv", BAD_CAST "spoof");
  g_autoptr (VpPlan) before = plan_on (spoof, &one);
  g_autoptr (VpDomain) stored = vp_domain_copy (before->result);
  xmlSetProp (vp_xml_first (vp_domain_tag (stored)), BAD_CAST "hyperv", BAD_CAST "full");
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  host->topology->intel = TRUE;
  g_autoptr (VpPlan) after = test_plan (stored, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) again = test_plan (after->result, host, VP_PLAN_DEFAULT);
  g_autofree char *set = dup_set (after);
  g_assert_cmpstr (set, ==, BASE " evmcs tlbflush ipi");
  g_assert_true (vp_plan_is_ready (again));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hyperv/hosts", test_hosts);
  g_test_add_func ("/hyperv/nested", test_nested);
  g_test_add_func ("/hyperv/details", test_details);
  g_test_add_func ("/hyperv/kept", test_kept);
  g_test_add_func ("/hyperv/clock", test_clock);
  g_test_add_func ("/hyperv/not-here", test_not_here);
  g_test_add_func ("/hyperv/grown", test_grown);
  return g_test_run ();
}
