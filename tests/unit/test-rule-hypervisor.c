/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hypervisor rule: what the guest is told of KVM and Hyper-V. */
#include "rule-checks.h"

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

/* libvirt before 12.1 drops what stands below mode='host-model': what it was given would never be what it has. */
static void
test_hypervisor_host_model (void)
{
  static const char body[] = "  <features>\n    <hyperv mode='host-model'/>\n  </features>\n";
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("gaming"), body);
  g_autoptr (VpDomain) hidden = test_tagged (TAG ("nvidia"), body);

  host->libvirt_version = 12000000;
  g_autoptr (VpPlan) old = plan_checked (domain, host);
  assert_value (old, "features/hyperv", "<hyperv mode=\"host-model\"/>");
  g_assert_true (test_warns (old, "mode='host-model', which takes no vendor_id before libvirt 12.1"));
  g_autoptr (VpPlan) removed = plan_checked (hidden, host);
  assert_value (removed, "features/hyperv", NULL);
  host->libvirt_version = 12001000;
  g_autoptr (VpPlan) recent = plan_checked (domain, host);
  assert_value (recent, "features/hyperv",
                "<hyperv mode=\"host-model\"><vendor_id state=\"on\" value=\"0123456789ab\"/></hyperv>");
  g_assert_cmpuint (recent->warnings->len, ==, 0);
}

#define HINT(more) "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='gaming'>" more "</vfio:profile>"

/* Only where the guest sees KVM, libvirt takes it, and no vCPU waits for the host or another guest. */
static void
test_hypervisor_hint (void)
{
  g_autofree char *card = g_strdup_printf (CARD, "");
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpHost) full = test_host (NULL, "pack:1 l3:1 core:2 pu:2");
  g_autoptr (VpDomain) domain = test_tagged (HINT (""), "");
  g_autoptr (VpDomain) hidden = test_tagged (HINT (""), card);
  g_autoptr (VpDomain) by_user =
    test_tagged (HINT (""), "  <features>\n    <kvm>\n      <hidden state='on'/>\n    </kvm>\n  </features>\n");
  g_autoptr (VpDomain) unpinned = test_tagged (HINT ("<vfio:cpu pin='no' topology='keep'/>"), "");
  g_autoptr (VpDomain) own =
    test_tagged (HINT (""),
                 "  <features>\n    <kvm>\n      <hint-dedicated state='off'/>\n    </kvm>\n  </features>\n");
  g_autoptr (VpDomain) model = test_tagged (HINT (""), "");
  VpDomain *const without[] = { hidden, by_user, unpinned, model };

  xmlSetProp (vp_xml_find (model->doc, "cpu"), BAD_CAST "mode", BAD_CAST "host-model");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  assert_value (plan, "features/kvm", "<kvm><hint-dedicated state=\"on\"/></kvm>");
  g_assert_true (test_change (plan, "features/kvm/hint-dedicated")->guest_visible);
  for (gsize i = 0; i < G_N_ELEMENTS (without); i++) {
    g_autoptr (VpPlan) other = plan_checked (without[i], host);
    assert_value (other, "features/kvm/hint-dedicated", NULL);
  }
  g_autoptr (VpPlan) kept = plan_checked (own, host);
  assert_value (kept, "features/kvm/hint-dedicated", "<hint-dedicated state=\"off\"/>");
  g_autoptr (VpPlan) reserve = plan_checked (domain, full);
  assert_value (reserve, "features/kvm/hint-dedicated", NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hypervisor/nvidia", test_hypervisor_nvidia);
  g_test_add_func ("/hypervisor/gaming", test_hypervisor_gaming);
  g_test_add_func ("/hypervisor/host-model", test_hypervisor_host_model);
  g_test_add_func ("/hypervisor/hint", test_hypervisor_hint);
  return g_test_run ();
}
