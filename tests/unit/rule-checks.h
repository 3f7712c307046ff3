/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of single rules ask of a plan, and the domains that they make. */
#pragma once

#include <string.h>

#include "base/error.h"
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

static inline char *
dup_value (const VpPlan *plan, const char *place)
{
  xmlNode *node = vp_xml_find (plan->result->doc, place);

  return node != NULL ? vp_xml_dup_line (node) : NULL;
}

static inline void
assert_value (const VpPlan *plan, const char *place, const char *expected)
{
  g_autofree char *value = dup_value (plan, place);

  g_assert_cmpstr (value, ==, expected);
}

/* Plans, and checks on the way what holds for every plan: stable and reversible. */
static inline VpPlan *
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

static inline void
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
