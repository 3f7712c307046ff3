/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the user himself says of the CPU: a topology with threads, features, arguments of QEMU's. */
#include <string.h>

#include "support.h"

#define TAG(names) "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='" names "'/>"

static void
assert_feature (const VpPlan *plan, const char *expected)
{
  xmlNode *node = vp_xml_find (plan->result->doc, "cpu/feature[@name='topoext']");
  g_autofree char *policy = node != NULL ? vp_xml_dup_attr (node, "policy") : NULL;

  g_assert_cmpstr (policy, ==, expected);
}

/* `expected`: the policy; NULL: no such feature. */
static void
expect_topoext (const char *type, const char *cpu, const char *topology, gboolean amd, const char *expected)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autofree char *text =
    g_strdup_printf ("<domain type='%s'><name>g</name><metadata>" TAG (
                       "pinned") "</metadata><memory>4194304</memory>"
                                 "<vcpu>4</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>"
                                 "<cpu mode='%s'>%s</cpu></domain>",
                     type, cpu, topology);
  g_autoptr (VpDomain) domain = test_domain (text);

  host->topology->amd = amd;
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);
  assert_feature (plan, expected);
  g_assert_false (test_warns (plan, "topoext"));
}

/* Threads of a topology that the user wrote need it as much; only where KVM runs the guest on AMD's. */
static void
test_topology_topoext (void)
{
  static const char threads[] = "<topology sockets='1' cores='2' threads='2'/>";
  static const char cores[] = "<topology sockets='1' cores='4' threads='1'/>";
  static const char optional[] = "<topology sockets='1' cores='2' threads='2'/>"
                                 "<feature policy='optional' name='topoext'/>";

  expect_topoext ("kvm", "host-passthrough", threads, TRUE, "require");
  expect_topoext ("kvm", "host-model", threads, TRUE, "require");
  expect_topoext ("kvm", "maximum", threads, TRUE, "require");
  expect_topoext ("kvm", "host-passthrough", threads, FALSE, NULL);
  expect_topoext ("kvm", "host-passthrough", cores, TRUE, NULL);
  expect_topoext ("kvm", "host-passthrough", "", TRUE, NULL);
  expect_topoext ("kvm", "custom", threads, TRUE, NULL);
  expect_topoext ("qemu", "host-model", threads, TRUE, NULL);
  expect_topoext ("kvm", "host-model", optional, TRUE, "optional");
}

static VpDomain *
load_case (const char *name)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "domains", name, NULL);

  return test_domain_load (path);
}

static VpHost *
load_host (const char *name)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "hosts", name, NULL);

  return test_host ("howto-2015", path);
}

/* A Ryzen that was recorded, and a user who says no. */
static void
test_topology_recorded (void)
{
  g_autoptr (VpHost) host = load_host ("made-5800x.xml");
  g_autoptr (VpDomain) silent = load_case ("topoext-5800x-12.xml");
  g_autoptr (VpDomain) disabled = load_case ("topoext-5800x-disabled.xml");
  g_autoptr (VpPlan) plan = test_plan_whole_way (silent, host);
  g_autoptr (VpPlan) left = test_plan_whole_way (disabled, host);

  assert_feature (plan, "require");
  assert_feature (left, "disable");
  g_assert_null (test_change (left, "cpu/feature[@name='topoext']"));
  g_assert_true (test_warns (left, "topoext"));
}

static guint
count_warnings (const VpPlan *plan, const char *part)
{
  guint count = 0;

  for (guint i = 0; i < plan->warnings->len; i++)
    count += strstr (plan->warnings->pdata[i], part) != NULL ? 1 : 0;
  return count;
}

/* What QEMU is given by hand counts, and the plan says what that makes of it. */
static void
test_arguments_own (void)
{
  g_autoptr (VpHost) host = load_host ("made-5800x.xml");
  g_autoptr (VpDomain) domain = load_case ("own-cpu-argument.xml");
  g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);

  g_assert_true (test_warns (plan, "-cpu (<cpu>, hidden KVM and Hyper-V, of it what this profile wants at "
                                   "cpu/feature[@name='topoext'], features/kvm/hidden, features/hyperv)"));
  g_assert_cmpuint (count_warnings (plan, "<qemu:commandline>"), ==, 1);
  vp_domain_set_tag (domain, "gaming"); /* which adds many Hyper-V features */
  g_autoptr (VpPlan) full = test_plan_whole_way (domain, host);
  g_assert_true (test_warns (full, "features/kvm/hint-dedicated, features/hyperv)"));
  vp_xml_remove (vp_xml_find (domain->doc, "*[local-name()='commandline']"));
  g_autoptr (VpPlan) without = test_plan_whole_way (domain, host);
  g_assert_cmpuint (count_warnings (without, "<qemu:commandline>"), ==, 0);
}

static void
test_arguments_each (void)
{
  static const struct {
    const char *name;
    const char *value;
    const char *warning; /* NULL: none */
  } arguments[] = {
    { "-cpu", "host", "-cpu (" },
    { "--cpu", "host", "-cpu (" },
    { "-smp", "4", "-smp (<vcpu> and <topology>" },
    { "-machine", "q35", "-machine (" },
    { "-M", "q35", "-M (" },
    { "-m", "4G", "-m (<memory>, of it what this profile wants at memoryBacking/hugepages)" },
    { "-rtc", "base=utc", "-rtc (<clock>" },
    { "-append", "-cpu", NULL },
    { "-mem-prealloc", "-cpu", NULL },
    { "-name", "cpu", NULL },
    { "cpu", "host", NULL },
  };
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);

  for (gsize i = 0; i < G_N_ELEMENTS (arguments); i++) {
    g_autofree char *body =
      g_strdup_printf ("<q:commandline xmlns:q='" VP_QEMU_NS "'><q:arg value='%s'/><q:env name='x' value='-cpu'/>"
                       "<q:arg value='%s'/></q:commandline>",
                       arguments[i].name, arguments[i].value);
    g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), body);
    g_autoptr (VpPlan) plan = test_plan_whole_way (domain, host);
    g_assert_cmpuint (count_warnings (plan, "<qemu:commandline>"), ==, arguments[i].warning != NULL);
    g_assert_true (arguments[i].warning == NULL || test_warns (plan, arguments[i].warning));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/topoext/where", test_topology_topoext);
  g_test_add_func ("/topoext/recorded", test_topology_recorded);
  g_test_add_func ("/arguments/own", test_arguments_own);
  g_test_add_func ("/arguments/each", test_arguments_each);
  return g_test_run ();
}
