/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that people have, on the hosts that they have: what an expert would write for them. */
#include <string.h>

#include "domain/pins.h"
#include "made-host.h"
#include "support.h"

typedef struct {
  const char *domain; /* in ../data/domains, without ".xml" */
  const char *host;   /* in ../data/hosts, without ".xml" */
  const char *pins;   /* of all vCPUs, in order */
  const char *within; /* CPUs that the emulator may have */
} Guest;

static VpPlan *
plan_guest (const char *name, const char *host_name, VpHost **host)
{
  g_autofree char *file = g_strconcat (name, ".xml", NULL);
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "domains", file, NULL);
  g_autofree char *host_file = g_strconcat (host_name, ".xml", NULL);
  g_autofree char *host_path = g_test_build_filename (G_TEST_DIST, "..", "data", "hosts", host_file, NULL);
  g_autoptr (VpDomain) domain = test_domain_load (path);

  *host = test_host (NULL, host_path);
  return test_plan (domain, *host, VP_PLAN_DEFAULT);
}

static char *
dup_vcpu_pins (const VpDomain *domain)
{
  g_autoptr (VpPins) pins = vp_pins_read (domain);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < pins->vcpus->len; i++)
    g_string_append_printf (text, "%s%d", i > 0 ? " " : "", vp_pins_vcpu_cpu (pins, i));
  return g_string_free (text, FALSE);
}

static void
assert_emulator_within (const VpPlan *plan, const char *cpus)
{
  g_autoptr (VpBitmap) within = made_set (cpus);

  g_assert_nonnull (plan->placement->emulator);
  g_assert_false (hwloc_bitmap_iszero (plan->placement->emulator));
  g_assert_true (hwloc_bitmap_isincluded (plan->placement->emulator, within));
}

static const Guest guests[] = {
  /* All performance cores are the guest's, CPU 0's too; the host lives on the efficiency cores. */
  { "hybrid-13900k-16", "made-i9-13900k", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "16-31" },
  { "hybrid-13650hx-12", "made-i7-13650hx", "0 1 2 3 4 5 6 7 8 9 10 11", "12-19" },
  { "hybrid-12500h-8", "made-i5-12500h", "0 1 2 3 4 5 6 7", "8-15" },
  /* Where there are enough of them, CPU 0's stays the host's. */
  { "hybrid-12500h-8", "made-i9-13900k", "8 9 10 11 12 13 14 15", "16-31" },
  { "hybrid-13650hx-12", "made-i9-13900k", "4 5 6 7 8 9 10 11 12 13 14 15", "16-31" },
  /* The large L3 whole, or without CPU 0's core. */
  { "vcache-7950x3d-16", "made-7950x3d", "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23", "8-15,24-31" },
  { "vcache-7950x3d-12", "made-7950x3d", "2 18 3 19 4 20 5 21 6 22 7 23", "0-1,8-17,24-31" },
  /* Two cells of four, one on either node. */
  { "own-cells-1950x-8", "made-tr1950x", "2 18 3 19 14 30 15 31", "0-1,16-17,12-13,28-29" },
  /* Matched: the whole L3 first, for the guest cuts its vCPUs into runs of eight. */
  { "uneven-l3-3700x-12", "made-3700x", "4 12 5 13 6 14 7 15 2 10 3 11", "0-1,8-9" },
};

static void
test_guest (gconstpointer data)
{
  const Guest *guest = data;
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpPlan) plan = plan_guest (guest->domain, guest->host, &host);
  g_autofree char *pins = dup_vcpu_pins (plan->result);
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);

  g_assert_cmpstr (pins, ==, guest->pins);
  assert_emulator_within (plan, guest->within);
  g_assert_false (test_warns (plan, "core"));
  g_assert_true (vp_plan_is_ready (again));
}

/* Five cores and one: from ten threads that share an L3 the guest makes runs of sixteen. That is said, and not claimed. */
static void
test_wrong_l3s (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "domains", "uneven-l3-3700x-12.xml", NULL);
  g_autoptr (VpDomain) domain = test_domain_load (path);
  g_autoptr (VpHost) wrong = test_host (NULL, "pack:1 l3:2 core:5 pu:2");
  g_autoptr (VpHost) right = test_host (NULL, "pack:1 l3:2 core:4 pu:2");
  g_autoptr (VpPlan) plan = test_plan (domain, wrong, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) whole = test_plan (domain, right, VP_PLAN_DEFAULT);

  g_assert_true (test_warns (plan, "wrong about which of its CPUs share an L3"));
  g_assert_true (test_warns (plan, "runs of 16 vCPUs"));
  g_assert_nonnull (strstr (test_change (plan, "cpu/cache")->reason, "but not which"));
  g_assert_false (test_warns (whole, "L3"));
  g_assert_null (strstr (test_change (whole, "cpu/cache")->reason, "but not which"));
}

/* As it was prepared before, on efficiency cores: one plan mends it, and what the user wrote comes back. */
static void
test_prepared_before (void)
{
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpPlan) plan = plan_guest ("hybrid-13900k-16", "made-i9-13900k", &host);
  g_autofree char *text = vp_domain_dup_text (plan->result);
  g_autoptr (GString) old = g_string_new (text);

  for (guint i = 0; i < 16; i++) {
    g_autofree char *now = g_strdup_printf ("vcpu=\"%u\" cpuset=\"%u\"", i, i);
    g_autofree char *before = g_strdup_printf ("vcpu=\"%u\" cpuset=\"%u\"", i, 16 + i);

    g_assert_cmpuint (g_string_replace (old, now, before, 0), >=, 2);
  }
  g_autoptr (VpDomain) prepared = test_domain (old->str);
  g_autoptr (VpPlan) mended = test_plan (prepared, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) again = test_plan (mended->result, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) undone = test_plan (mended->result, host, VP_PLAN_UNDO);
  g_autoptr (VpPlan) original = test_plan (plan->result, host, VP_PLAN_UNDO);
  g_autofree char *pins = dup_vcpu_pins (mended->result);

  g_assert_false (vp_plan_is_ready (mended));
  g_assert_cmpstr (pins, ==, guests[0].pins);
  g_assert_true (vp_plan_is_ready (again));
  g_assert_true (vp_domain_equal (undone->result, original->result));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (guests); i++) {
    g_autofree char *path = g_strdup_printf ("/placement-cases/%s/%s", guests[i].host, guests[i].domain);

    g_test_add_data_func (path, &guests[i], test_guest);
  }
  g_test_add_func ("/placement-cases/wrong-l3s", test_wrong_l3s);
  g_test_add_func ("/placement-cases/prepared-before", test_prepared_before);
  return g_test_run ();
}
