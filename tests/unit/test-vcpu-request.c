/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tag asks for another number of vCPUs: count, topology and pins in one plan, and no request after it. */
#include "domain/pins.h"
#include "domain/vcpu-request.h"
#include "support.h"

#define TAG(request)                                                                                                   \
  "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'" request "><vfio:cpu topology='match'/></vfio:profile>"

static VpDomain *
make_guest (const char *tag, const char *vcpu)
{
  g_autofree char *text =
    g_strdup_printf ("<domain type='kvm'><name>guest</name><uuid>00000000-0000-4000-8000-000000000001</uuid>"
                     "<metadata>%s</metadata><memory unit='KiB'>4194304</memory>%s<os><type arch='x86_64'>hvm</type>"
                     "</os><cpu mode='host-passthrough'/></domain>",
                     tag, vcpu);
  return test_domain (text);
}

/* "5" and the topology for 5, and as many pins; nothing else of <vcpu>. */
static void
check_result (const VpDomain *result, guint vcpus)
{
  g_autoptr (VpPins) pins = vp_pins_read (result);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (result);

  g_assert_cmpuint (vp_domain_vcpus (result, NULL), ==, vcpus);
  g_assert_cmpint (hwloc_bitmap_weight (online), ==, (int) vcpus);
  g_assert_cmpuint (vp_vcpu_request_topology (result), ==, vcpus);
  g_assert_cmpuint (vp_vcpu_request_read (result), ==, 0);
  for (guint i = 0; i < vcpus; i++)
    g_assert_cmpint (vp_pins_vcpu_cpu (pins, i), >=, 0);
}

static VpDomain *
plan_for (const VpDomain *domain, const VpHost *host, gboolean *ready)
{
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);

  *ready = vp_plan_is_ready (plan);
  return vp_domain_copy (plan->result);
}

static void
test_carried_out (void)
{
  static const char *const before[] = {
    "<vcpu placement='static'>2</vcpu>",
    "<vcpu placement='static' current='1'>8</vcpu>",
    "<vcpu>4</vcpu><vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/><vcpu id='1' enabled='no' "
    "hotpluggable='yes'/></vcpus>",
    "",
  };
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);

  for (guint i = 0; i < G_N_ELEMENTS (before); i++) {
    gboolean ready = TRUE;
    g_autoptr (VpDomain) asking = make_guest (TAG (" vcpus='6'"), before[i]);
    g_autoptr (VpDomain) result = plan_for (asking, host, &ready);
    g_assert_false (ready);
    check_result (result, 6);
    g_autoptr (VpDomain) again = plan_for (result, host, &ready);
    g_assert_true (ready);
  }
}

/* It was prepared for 2: slots of pins and topology are undone on the way, and an undo gives the new number. */
static void
test_prepared (void)
{
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);
  g_autoptr (VpDomain) two = make_guest (TAG (""), "<vcpu placement='static'>2</vcpu>");
  g_autoptr (VpDomain) six = make_guest (TAG (""), "<vcpu placement='static'>6</vcpu>");
  gboolean ready = TRUE;
  g_autoptr (VpDomain) prepared = plan_for (two, host, &ready);

  check_result (prepared, 2);
  vp_vcpu_request_set (prepared, 6);
  g_autoptr (VpPlan) plan = test_plan (prepared, host, VP_PLAN_DEFAULT);
  check_result (plan->result, 6);
  const VpChange *change = test_change (plan, "vcpu");
  g_assert_nonnull (change);
  g_assert_cmpstr (change->from, ==, "2");
  g_assert_cmpstr (change->to, ==, "6");
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);
  g_autofree char *text = vp_xml_dup_unordered (vp_domain_root (undone->result));
  g_autofree char *wanted = vp_xml_dup_unordered (vp_domain_root (six));
  g_assert_cmpstr (text, ==, wanted);
}

/* Neither undoes nor migrates with it; the same number again only takes the request out. */
static void
test_left_alone (void)
{
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);
  g_autoptr (VpDomain) asking = make_guest (TAG (" vcpus='6'"), "<vcpu placement='static'>2</vcpu>");
  g_autoptr (VpDomain) same = make_guest (TAG (" vcpus='2'"), "<vcpu placement='static'>2</vcpu>");
  static const VpPlanFlags flags[] = { VP_PLAN_UNDO, VP_PLAN_HOST_ONLY };
  gboolean ready = TRUE;

  for (guint i = 0; i < G_N_ELEMENTS (flags); i++) {
    g_autoptr (VpPlan) plan = test_plan (asking, host, flags[i]);
    g_assert_cmpuint (vp_domain_vcpus (plan->result, NULL), ==, 2);
    g_assert_cmpuint (vp_vcpu_request_read (plan->result), ==, 6);
  }
  g_autoptr (VpDomain) result = plan_for (same, host, &ready);
  g_assert_false (ready);
  check_result (result, 2);
}

/* Anybody's to write: what is no number is no tag, and asks for nothing. */
static void
test_hostile (void)
{
  static const char *const requests[] = { "0", "", "-1", "6x", "4097", "99999999999999999999", " 6", "0x6" };
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);
  g_autoptr (VpProfiles) profiles = test_profiles ();

  for (guint i = 0; i < G_N_ELEMENTS (requests); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (VpDomain) domain = make_guest (TAG (""), "<vcpu>2</vcpu>");
    xmlSetProp (vp_domain_tag (domain), BAD_CAST "vcpus", BAD_CAST requests[i]);
    g_assert_cmpuint (vp_vcpu_request_read (domain), ==, 0);
    g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, NULL, VP_PLAN_DEFAULT, &error);
    g_assert_null (plan);
    g_assert_nonnull (strstr (error->message, "vcpus"));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vcpu-request/carried-out", test_carried_out);
  g_test_add_func ("/vcpu-request/prepared", test_prepared);
  g_test_add_func ("/vcpu-request/left-alone", test_left_alone);
  g_test_add_func ("/vcpu-request/hostile", test_hostile);
  return g_test_run ();
}
