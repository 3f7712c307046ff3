/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XML at its border, and the state: what users do between two rewrites. */
#include <string.h>

#include "base/error.h"
#include "support.h"

#define TAG(names) "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='" names "'/>"

static void
expect_no_parse (const char *text, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpDomain) domain = vp_domain_parse (text, strlen (text), "input", &error);

  g_assert_null (domain);
  g_assert_error (error, VP_ERROR, VP_ERROR_XML);
  if (strstr (error->message, part) == NULL)
    g_error ("'%s' does not say '%s'", error->message, part);
}

static void
test_hostile (void)
{
  g_autofree char *deep = g_malloc0 (4000 * 3 + 1);
  g_autofree char *big = g_malloc0 (VP_XML_MAX_BYTES + 2);

  for (guint i = 0; i < 4000; i++)
    memcpy (deep + i * 3, "<a>", 3);
  memset (big, ' ', VP_XML_MAX_BYTES + 1);
  expect_no_parse ("<!DOCTYPE domain [<!ENTITY a 'x'>]><domain>&a;</domain>", "DTD");
  expect_no_parse ("<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>", "DTD");
  expect_no_parse ("<!DOCTYPE d [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><domain>&b;</domain>", "DTD");
  expect_no_parse ("<domain>&unknown;</domain>", "not XML");
  expect_no_parse ("<domain>", "not XML");
  expect_no_parse ("", "not XML");
  expect_no_parse ("<network/>", "<network>");
  expect_no_parse (deep, "not XML");
  expect_no_parse (big, "16777216");
}

/* Secrets, comments, foreign namespaces and order stay. */
static void
test_untouched (void)
{
  static const char text[] = "<domain type='kvm'>\n"
                             "  <name>a</name>\n"
                             "  <!-- a comment -->\n"
                             "  <metadata>\n"
                             "    <x:y xmlns:x=\"urn:x\">&lt;b&gt;</x:y>\n"
                             "  </metadata>\n"
                             "  <vcpu>1</vcpu>\n"
                             "  <unknown z=\"1\" a=\"2\"/>\n"
                             "</domain>\n";
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_domain (text);
  g_autofree char *before = vp_domain_dup_text (domain);
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autofree char *after = vp_domain_dup_text (plan->result);

  g_assert_true (vp_plan_is_ready (plan));
  g_assert_cmpstr (after, ==, before);
  g_assert_nonnull (strstr (after, "<unknown z=\"1\" a=\"2\"/>"));
}

/* The part of XPath that places are written in; the attribute n says which element was found. */
static void
test_places (void)
{
  static const char text[] = "<domain n='0'><a n='1' k='x'/><q:a xmlns:q='urn:q/1' n='2' k='y'/><a n='3' k='y'/>"
                             "<b n='4'><a n='5' k='&lt;'/></b><b n='6'><a n='7' k='z'/><a n='8' k='z'/></b></domain>";
  static const struct {
    const char *place;
    const char *n; /* NULL: nothing is there */
    gboolean is_double;
  } places[] = {
    { "", "0", FALSE },
    { "a", "1", TRUE },
    { "a[2]", "3", FALSE },
    { "a[3]", NULL, FALSE },
    { "a[@k='y']", "3", FALSE },
    { "*[@k='y']", "2", TRUE },
    { "*[local-name()='a' and namespace-uri()='urn:q/1']", "2", FALSE },
    { "*[local-name()='a' and @k='y'][2]", "3", FALSE },
    { "*[namespace-uri()='']", "1", TRUE },
    { "b/a", "5", TRUE },
    { "b/a[2]", "8", FALSE },
    { "b[2]/a", "7", TRUE },
    { "b/a[@k='z']", "7", TRUE },
    { "b/a[@k='z'][2]", "8", FALSE },
    { "b/a[@k='<']", "5", FALSE },
    { "b/a/@k", "5", TRUE },
    { "b/a[@k='z']/@none", "7", TRUE },
    { "b/b", NULL, FALSE },
    { "A", NULL, FALSE },
    { "a[", NULL, FALSE },
    { "a[@k", NULL, FALSE },
    { "a[@k='x'", NULL, FALSE },
    { "a[@k='x' and ", NULL, FALSE },
    { "a[@k='x' or @k='y']", NULL, FALSE },
    { "/a", NULL, FALSE },
  };
  g_autoptr (VpDomain) domain = test_domain (text);

  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    const xmlNode *found = vp_xml_find (domain->doc, places[i].place);
    g_autofree char *n = found != NULL ? vp_xml_dup_attr (found, "n") : NULL;
    if (g_strcmp0 (n, places[i].n) != 0)
      g_error ("at '%s' is %s", places[i].place, n != NULL ? n : "nothing");
    g_assert_cmpint (vp_xml_is_double (domain->doc, places[i].place), ==, places[i].is_double);
  }
}

/* A copy says the same to the byte, also when what it was made of is gone, and is changed without it. */
static void
test_copy (void)
{
  static const char text[] =
    "<?before all?><!-- and --><domain xmlns:q='urn:q' xml:space='preserve' a='&lt;&quot;&#10;ä'>\n"
    "  <name>a text that is longer than sixteen bytes</name>\n  <q:x q:y='1' z=''><y xmlns='urn:y'/></q:x>"
    "<![CDATA[ <c> ]]><!--c--><?p i?><q:x xmlns:q='urn:r'>&amp;</q:x><empty/></domain><!--after-->";
  g_autoptr (VpDomain) domain = test_domain (text);
  g_autofree char *before = vp_domain_dup_text (domain);
  g_autoptr (VpDomain) first = vp_domain_copy (domain);
  g_autoptr (VpDomain) second = vp_domain_copy (first);

  g_clear_pointer (&domain, vp_domain_free);
  xmlSetProp (vp_xml_find (first->doc, "empty"), BAD_CAST "new", BAD_CAST "1");
  xmlNodeSetContent (vp_xml_find (first->doc, "name"), BAD_CAST "b");
  vp_xml_remove (vp_xml_find (first->doc, "*[local-name()='x'][2]"));
  g_clear_pointer (&first, vp_domain_free);
  g_autofree char *after = vp_domain_dup_text (second);
  g_assert_cmpstr (after, ==, before);
  g_assert_cmpstr ((const char *) vp_xml_find (second->doc, "*[local-name()='x'][2]")->ns->href, ==, "urn:r");
}

/* A knob that the user turns is put right while the tag stands, and his value is what undo gives back. */
static void
test_user_edit (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("nvidia"), "");
  g_autoptr (VpPlan) first = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpDomain) edited = vp_domain_copy (first->result);

  xmlSetProp (vp_xml_find (edited->doc, "cputune/vcpupin[@vcpu='1']"), BAD_CAST "cpuset", BAD_CAST "0-3");
  xmlSetProp (vp_xml_find (edited->doc, "features/kvm/hidden"), BAD_CAST "state", BAD_CAST "off");
  g_autoptr (VpPlan) second = test_plan (edited, host, VP_PLAN_DEFAULT);
  g_assert_cmpuint (second->changes->len, ==, 2);
  g_assert_true (vp_xml_attr_is (vp_xml_find (second->result->doc, "cputune/vcpupin[@vcpu='1']"), "cpuset", "6"));
  g_autoptr (VpPlan) undone = test_plan (second->result, host, VP_PLAN_UNDO);
  g_assert_true (vp_xml_attr_is (vp_xml_find (undone->result->doc, "cputune/vcpupin[@vcpu='1']"), "cpuset", "0-3"));
  g_assert_null (vp_xml_find (undone->result->doc, "cputune/vcpupin[@vcpu='0']"));
  g_assert_true (vp_xml_attr_is (vp_xml_find (undone->result->doc, "features/kvm/hidden"), "state", "off"));
}

/* What the user adds inside something that we made stays when ours goes. */
static void
test_user_addition (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpPlan) first = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpDomain) edited = vp_domain_copy (first->result);

  vp_xml_insert (vp_xml_find (edited->doc, "cputune"), 0, vp_xml_new ("shares", NULL));
  vp_domain_set_tag (edited, NULL);
  g_autoptr (VpPlan) undone = test_plan (edited, host, VP_PLAN_DEFAULT);
  g_assert_nonnull (vp_xml_find (undone->result->doc, "cputune/shares"));
  g_assert_null (vp_xml_find (undone->result->doc, "cputune/vcpupin"));
  g_assert_null (vp_xml_find (undone->result->doc, "memoryBacking"));
  g_assert_null (vp_domain_state (undone->result));
}

/* Another profile: what the old one asked for goes, what both ask for stays. */
static void
test_profile_change (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("nvidia"), "  <features>\n    <hyperv>\n      <relaxed state='on'/>\n"
                                                             "    </hyperv>\n  </features>\n");
  g_autoptr (VpPlan) first = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpDomain) edited = vp_domain_copy (first->result);

  g_assert_null (vp_xml_find (edited->doc, "features/hyperv"));
  vp_domain_set_tag (edited, "pinned");
  g_autoptr (VpPlan) second = test_plan (edited, host, VP_PLAN_DEFAULT);
  g_assert_nonnull (vp_xml_find (second->result->doc, "features/hyperv/relaxed"));
  g_assert_null (vp_xml_find (second->result->doc, "features/kvm"));
  g_assert_null (test_change (second, "cputune/vcpupin[@vcpu='0']"));
  g_assert_nonnull (test_change (second, "features/hyperv"));
}

/* At restore and migrate: pins for this host, and nothing that the guest sees. */
static void
test_host_only (void)
{
  g_autoptr (VpHost) here = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpHost) there = test_host (NULL, "pack:1 l3:1 core:8 pu:2");
  g_autoptr (VpDomain) domain = test_tagged (TAG ("nvidia"), "");
  g_autoptr (VpPlan) saved = test_plan (domain, here, VP_PLAN_DEFAULT);
  g_autoptr (VpDomain) unhidden = vp_domain_copy (saved->result);

  g_autoptr (VpPlan) same = test_plan (saved->result, here, VP_PLAN_HOST_ONLY);
  g_assert_true (vp_plan_is_ready (same));
  vp_xml_remove (vp_xml_find (unhidden->doc, "features/kvm/hidden"));
  g_autoptr (VpPlan) moved = test_plan (unhidden, there, VP_PLAN_HOST_ONLY);
  g_assert_false (vp_plan_is_ready (moved));
  g_assert_null (vp_xml_find (moved->result->doc, "features/kvm/hidden"));
  for (guint i = 0; i < moved->changes->len; i++)
    g_assert_false (((const VpChange *) moved->changes->pdata[i])->guest_visible);
  /* What was replaced on the first host is still known on the second. */
  g_autoptr (VpPlan) restored = test_plan (saved->result, there, VP_PLAN_HOST_ONLY);
  g_autoptr (VpPlan) undone = test_plan (restored->result, there, VP_PLAN_UNDO);
  g_assert_true (vp_domain_equal (undone->result, domain));
}

static void
test_damaged_state (void)
{
  static const char *const slots[] = {
    "<s:slot rule='cpu' place='devices/disk'><s:was><disk/></s:was></s:slot>",
    "<s:slot rule='nobody' place='cputune/emulatorpin'/>",
    "<s:slot place='cputune/emulatorpin'/>",
    "<s:slot rule='cpu' place=\"cputune/vcpupin[@vcpu='0' or true()]\"/>",
    "<s:slot rule='cpu' place='cputune/emulatorpin'><s:was value='x'/></s:slot>",
    "<s:slot rule='cpu' place='cputune/emulatorpin' made='&#9;1'><s:set><emulatorpin cpuset='0'/></s:set></s:slot>",
    "<s:device address='0000:01:00.0' vendor=' 10de' device='13c2'/>",
  };
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpProfiles) profiles = test_profiles ();

  for (guint i = 0; i < G_N_ELEMENTS (slots); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *state =
      g_strdup_printf (TAG ("pinned") "<s:state xmlns:s='urn:vfio-profile:state:1'>%s</s:state>", slots[i]);
    g_autoptr (VpDomain) domain = test_tagged (state, "");
    g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, NULL, VP_PLAN_DEFAULT, &error);
    g_assert_null (plan);
    g_assert_error (error, VP_ERROR, VP_ERROR_STATE);
  }
}

/* By hand one can write two. */
static void
test_two_tags (void)
{
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned") TAG ("vga"), "");

  vp_domain_set_tag (domain, NULL);
  g_assert_null (vp_domain_tag (domain));
  g_assert_null (vp_xml_find (domain->doc, "metadata"));
}

/* libvirt sorts children its own way and drops layout: that is no change. */
static void
test_canonical_order (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "  <cputune>\n    <emulatorpin cpuset='0'/>\n"
                                                             "    <shares>2048</shares>\n  </cputune>\n");
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  xmlNode *cputune = vp_xml_find (plan->result->doc, "cputune");
  g_autoptr (xmlNode) shares = xmlCopyNode (vp_xml_find (plan->result->doc, "cputune/shares"), 1);

  vp_xml_remove (vp_xml_find (plan->result->doc, "cputune/shares"));
  vp_xml_insert (cputune, 0, g_steal_pointer (&shares));
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (again));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/xml/hostile", test_hostile);
  g_test_add_func ("/xml/untouched", test_untouched);
  g_test_add_func ("/xml/places", test_places);
  g_test_add_func ("/xml/copy", test_copy);
  g_test_add_func ("/state/user-edit", test_user_edit);
  g_test_add_func ("/state/user-addition", test_user_addition);
  g_test_add_func ("/state/profile-change", test_profile_change);
  g_test_add_func ("/state/host-only", test_host_only);
  g_test_add_func ("/state/damaged", test_damaged_state);
  g_test_add_func ("/state/two-tags", test_two_tags);
  g_test_add_func ("/state/canonical-order", test_canonical_order);
  return g_test_run ();
}
