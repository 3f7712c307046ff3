/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vCPUs that are offline: those that run are placed as if they were all, the others on what is left. */
#include <string.h>

#include "domain/pins.h"
#include "placement-checks.h"
#include "plan/fleet.h"
#include "support.h"

#define PINNED "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'/>"
#define MATCHING                                                                                                       \
  "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu topology='match'/></vfio:profile>"
#define EXPOSED "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu numa='expose'/></vfio:profile>"
#define VCPU(id, enabled) "<vcpu id='" id "' enabled='" enabled "' hotpluggable='yes'/>"
#define RYZEN_5950X "pack:1 l3:2 core:8 pu:2(indexes=2*16:16*1)"

/* With `vcpus` in place of <vcpu>; threads 0: no topology. */
static VpDomain *
make_guest (const char *name, const char *tag, const char *vcpus, guint n_cores, guint threads)
{
  g_autofree char *topology =
    threads > 0 ? g_strdup_printf ("<cpu><topology sockets='1' cores='%u' threads='%u'/></cpu>", n_cores, threads)
                : g_strdup ("");
  g_autofree char *text =
    g_strdup_printf ("<domain type='kvm'><name>%s</name><uuid>00000000-0000-4000-8000-0000000000%02x</uuid>"
                     "<metadata>%s</metadata><memory unit='KiB'>4194304</memory>%s<os><type arch='x86_64'>hvm</type>"
                     "</os>%s</domain>",
                     name, (unsigned) name[0], tag, vcpus, topology);

  return test_domain (text);
}

static char *
dup_vcpu_pins (const VpDomain *domain)
{
  g_autoptr (VpPins) pins = vp_pins_read (domain);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < pins->vcpus->len; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? " " : "",
                            pins->vcpus->pdata[i] ? (char *) pins->vcpus->pdata[i] : "-");
  return g_string_free (text, FALSE);
}

/* Pins of all vCPUs, in the order of their numbers; planned again and undone. */
static VpPlan *
check_plan (const VpDomain *domain, const VpHost *host, const char *pins)
{
  VpPlan *plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);
  g_autofree char *got = dup_vcpu_pins (plan->result);

  g_assert_cmpstr (got, ==, pins);
  g_assert_true (vp_plan_is_ready (again));
  g_assert_true (vp_domain_equal (undone->result, domain));
  g_assert_false (test_warns (plan, "do not fit"));
  return plan;
}

static VpPlan *
check_guest (const char *synthetic, const char *vcpus, guint n_cores, guint threads, const char *pins)
{
  g_autoptr (VpHost) host = test_host (NULL, synthetic);
  g_autoptr (VpDomain) domain = make_guest ("guest", PINNED, vcpus, n_cores, threads);

  return check_plan (domain, host, pins);
}

static const struct {
  const char *domain, *host, *pins, *emulator;
} cases[] = {
  { "offline-5950x-8of16", "made-5950x", "8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31", "0-7,16-23" },
  { "offline-2600-8of12", "made-2600b", "2 8 3 9 4 10 5 11 1 7 0 6", "0-1,6-7" },
};

static void
test_cases (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *file = g_strconcat (cases[i].domain, ".xml", NULL);
    g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "domains", file, NULL);
    g_autofree char *host_file = g_strconcat (cases[i].host, ".xml", NULL);
    g_autofree char *host_path = g_test_build_filename (G_TEST_DIST, "..", "data", "hosts", host_file, NULL);
    g_autoptr (VpDomain) domain = test_domain_load (path);
    g_autoptr (VpHost) host = test_host (NULL, host_path);
    g_autoptr (VpPlan) plan = check_plan (domain, host, cases[i].pins);

    check_set (plan->placement->emulator, cases[i].emulator);
    g_assert_nonnull (strstr (plan->placement->summary, "8 vCPUs on "));
    g_assert_nonnull (strstr (plan->placement->summary, " more are offline"));
  }
}

/* As libvirt reads it. */
static void
test_online (void)
{
  static const struct {
    const char *vcpus, *online;
  } texts[] = {
    { "<vcpu>4</vcpu>", "0-3" },
    { "", "0" },
    { "<vcpu current='2'>4</vcpu>", "0-1" },
    { "<vcpu current='0'>4</vcpu>", "0" },
    { "<vcpu current='5'>4</vcpu>", "0-3" },
    { "<vcpu current='x'>4</vcpu>", "0-3" },
    { "<vcpu>4</vcpu><vcpus/>", "0-3" },
    { "<vcpu current='3'>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("2", "yes") VCPU ("1", "no") "</vcpus>", "0,2" },
    { "<vcpu>4</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("4", "yes") VCPU ("-1", "yes") "<vcpu/></vcpus>", "0" },
    { "<vcpu>4</vcpu><vcpus>" VCPU ("0", "no") "</vcpus>", "0-3" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (VpDomain) domain = make_guest ("guest", "", texts[i].vcpus, 0, 0);
    g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (domain);

    check_set (online, texts[i].online);
  }
}

/* Guest cores are whole, whatever of them runs. */
static void
test_guest_cores (void)
{
  /* The other thread of vCPU 2's core has its place beside it. */
  g_autoptr (VpPlan) odd = check_guest (TEST_I7_3770K, "<vcpu current='3'>6</vcpu>", 3, 2, "2 6 3 7 1 5");
  g_assert_nonnull (strstr (odd->placement->reasons[3], "core 3, L3 0, node 0, once it is plugged"));
  /* One thread of each core runs: no threads, and the other threads are where they belong. */
  g_autoptr (VpPlan) single =
    check_guest (TEST_I7_3770K,
                 "<vcpu>6</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("2", "yes") VCPU ("4", "yes") "</vcpus>", 3, 2,
                 "1 5 2 6 3 7");
  g_assert_cmpuint (single->placement->n_vcpus, ==, 3);
  /* Gaps in two guest cores: each is on a host core of its own, not both on one. */
  g_autoptr (VpPlan) gaps = check_guest (RYZEN_5950X,
                                         "<vcpu>8</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("2", "yes") VCPU ("3", "yes")
                                           VCPU ("4", "yes") "</vcpus>",
                                         4, 2, "5 21 6 22 7 23 4 20");
  g_assert_nonnull (strstr (gaps->placement->summary, "4 vCPUs on 3 whole cores"));
  g_assert_nonnull (strstr (gaps->placement->summary, "; 4 more are offline;"));
  /* A gap in one: the whole ones first. */
  g_autoptr (VpPlan) gap =
    check_guest (TEST_I7_3770K,
                 "<vcpu>6</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("2", "yes") VCPU ("3", "yes") "</vcpus>", 3, 2,
                 "3 7 2 6 1 5");
  g_assert_cmpuint (gap->placement->ids[0], ==, 2);
}

/* Any set of vCPUs that run: no two guest cores are on one host core, and an offline thread is beside the others. */
static void
test_any_set (void)
{
  g_autoptr (VpHost) host = test_host (NULL, RYZEN_5950X);

  for (guint set = 1; set < 256; set++) {
    g_autoptr (GString) vcpus = g_string_new ("<vcpu>8</vcpu><vcpus>");
    for (guint i = 0; i < 8; i++)
      g_string_append_printf (vcpus, "<vcpu id='%u' enabled='%s'/>", i, (set >> i & 1) != 0 ? "yes" : "no");
    g_string_append (vcpus, "</vcpus>");
    g_autoptr (VpDomain) domain = make_guest ("guest", PINNED, vcpus->str, 4, 2);
    g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);
    g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
    g_autoptr (VpPins) pins = vp_pins_read (plan->result);
    g_autoptr (GHashTable) cores = g_hash_table_new (NULL, NULL);

    g_assert_true (vp_plan_is_ready (again));
    g_assert_cmpuint (plan->warnings->len, ==, 0);
    for (guint i = 0; i < 8; i += 2) {
      int first = vp_pins_vcpu_cpu (pins, i);
      g_assert_cmpint (first, >=, 1);
      g_assert_cmpint (first % 16, ==, vp_pins_vcpu_cpu (pins, i + 1) % 16);
      g_assert_cmpint (first, !=, vp_pins_vcpu_cpu (pins, i + 1));
      g_assert_true (g_hash_table_add (cores, GINT_TO_POINTER (first % 16)));
    }
  }
}

/* More than the host has: each CPU but the guest's own and those of others once, the rest where the emulator is. */
static void
test_too_many (void)
{
  g_autoptr (VpPlan) plan =
    check_guest (TEST_I7_3770K, "<vcpu current='4'>10</vcpu>", 5, 2, "2 6 3 7 1 5 0 4 0-1,4-5 0-1,4-5");

  g_assert_cmpuint (plan->warnings->len, ==, 0);
  check_set (plan->placement->emulator, "0-1,4-5");
  /* A guest on all CPUs leaves nothing at all. */
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);
  g_autoptr (VpDomain) domain = make_guest ("guest", PINNED, "<vcpu current='8'>10</vcpu>", 5, 2);
  g_autoptr (VpPlan) all = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autofree char *got = dup_vcpu_pins (all->result);
  g_assert_cmpstr (got, ==, "0 4 1 5 2 6 3 7 - -");
}

/* What is shown has all vCPUs; threads only where they would be right for those that are plugged. */
static void
test_topology (void)
{
  static const struct {
    const char *vcpus, *topology, *pins;
  } guests[] = {
    { "<vcpu current='4'>8</vcpu>", "sockets=\"1\" dies=\"1\" cores=\"8\" threads=\"1\"", "4 5 6 7 20 21 22 23" },
    { "<vcpu current='2'>3</vcpu>", "sockets=\"1\" dies=\"1\" cores=\"3\" threads=\"1\"", "6 7 22" },
  };
  g_autoptr (VpHost) host = test_host (NULL, RYZEN_5950X);

  for (guint i = 0; i < G_N_ELEMENTS (guests); i++) {
    g_autoptr (VpDomain) domain = make_guest ("guest", MATCHING, guests[i].vcpus, 0, 0);
    g_autoptr (VpPlan) plan = check_plan (domain, host, guests[i].pins);
    g_autofree char *line = vp_xml_dup_line (vp_xml_find (plan->result->doc, "cpu/topology"));
    g_assert_nonnull (strstr (line, guests[i].topology));
  }
  /* They have to share cores: then the guest may know. */
  g_autoptr (VpDomain) large = make_guest ("guest", MATCHING, "<vcpu current='20'>24</vcpu>", 0, 0);
  g_autoptr (VpPlan) plan = test_plan (large, host, VP_PLAN_DEFAULT);
  g_autofree char *line = vp_xml_dup_line (vp_xml_find (plan->result->doc, "cpu/topology"));
  g_assert_nonnull (strstr (line, "sockets=\"1\" dies=\"1\" cores=\"12\" threads=\"2\""));
}

/* Each vCPU is of one cell, and memory goes as those that run do. */
static void
test_cells (void)
{
  g_autoptr (VpHost) host = test_host ("numa-2node", "pack:2 [numa(memory=68719476736)] l3:2 core:4 pu:2");
  g_autoptr (VpDomain) domain = make_guest ("guest", EXPOSED, "<vcpu current='24'>28</vcpu>", 14, 2);
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  const VpPlacement *placement = plan->placement;
  g_autoptr (VpBitmap) all = hwloc_bitmap_alloc ();
  int n = 0;

  g_assert_cmpuint (placement->n_cells, ==, 2);
  for (guint i = 0; i < 2; i++) {
    n += hwloc_bitmap_weight (placement->cells[i].vcpus);
    hwloc_bitmap_or (all, all, placement->cells[i].vcpus);
  }
  check_set (all, "0-27");
  g_assert_cmpint (n, ==, 28);
  guint64 smaller = MIN (placement->cells[0].memory_kib, placement->cells[1].memory_kib);
  g_assert_cmpuint (smaller / 2048, ==, 4194304 / 2048 * 8 / 24);
}

static void
settle (VpFleet *fleet, const VpDomain *one, const VpDomain *live, const VpDomain *other)
{
  vp_fleet_set (fleet, one, live);
  vp_fleet_set (fleet, other, NULL);
  vp_fleet_settle (fleet);
}

/* Two guests of 4 of 8 fit side by side on 10 CPUs; one that is plugged holds more. */
/* Cells name vCPUs by their numbers, whichever of them run. */
static void
test_own_cells (void)
{
  g_autoptr (VpHost) host = test_host (NULL, "numa:2 core:8 pu:2");
  g_autoptr (VpDomain) domain = test_domain (
    "<domain type='kvm'><name>own</name><uuid>00000000-0000-4000-8000-000000000009</uuid><metadata>" PINNED
    "</metadata><memory unit='GiB'>4</memory><vcpu current='4'>8</vcpu><vcpus>" VCPU ("0", "yes") VCPU ("1", "yes")
      VCPU ("2", "no") VCPU ("3", "no") VCPU ("4", "yes") VCPU ("5", "yes") VCPU ("6", "no") VCPU (
        "7",
        "no") "</vcpus>"
              "<numatune><memnode cellid='0' mode='strict' nodeset='0'/><memnode cellid='1' mode='strict' nodeset='1'/></numatune>"
              "<os><type arch='x86_64'>hvm</type></os><cpu><topology sockets='1' cores='4' threads='2'/><numa>"
              "<cell id='0' cpus='0-3' memory='2' unit='GiB'/><cell id='1' cpus='4-7' memory='2' unit='GiB'/></numa></cpu>"
              "</domain>");
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPins) pins = vp_pins_read (plan->result);

  /* Those that are off too: their memory is there when they are plugged. */
  for (guint i = 0; i < 8; i++)
    g_assert_cmpint (vp_pins_vcpu_cpu (pins, i) / 16, ==, i / 4);
}

static void
test_fleet (void)
{
  g_autoptr (VpHost) host = test_host (NULL, "pack:1 l3:1 core:10 pu:1");
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (VpDomain) a = make_guest ("a", PINNED, "<vcpu current='4'>8</vcpu>", 0, 0);
  g_autoptr (VpDomain) b = make_guest ("b", PINNED, "<vcpu current='4'>8</vcpu>", 0, 0);
  g_autofree char *uuid_a = vp_domain_dup_uuid (a);
  g_autofree char *uuid_b = vp_domain_dup_uuid (b);
  g_autoptr (VpFleet) stopped = vp_fleet_new (host, profiles);

  settle (stopped, a, NULL, b);
  check_set (vp_fleet_find (stopped, uuid_b)->planned, "6-9");
  check_set (vp_fleet_find (stopped, uuid_a)->planned, "2-5");
  g_autoptr (GError) error = NULL;
  g_autoptr (VpPlan) plan = vp_plan_new (a, host, profiles, vp_fleet_find (stopped, uuid_a), VP_PLAN_DEFAULT, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (plan->warnings->len, ==, 0);
  g_autofree char *got = dup_vcpu_pins (plan->result);
  g_assert_cmpstr (got, ==, "6 7 8 9 1 5 4 3"); /* the free one, those of the other, not the host's */

  g_autoptr (VpDomain) live = vp_domain_copy (plan->result);
  g_autoptr (VpFleet) running = vp_fleet_new (host, profiles);
  settle (running, plan->result, live, b);
  check_set (vp_fleet_find (running, uuid_b)->taken, "6-9");
  xmlSetProp (vp_xml_find (live->doc, "vcpu"), BAD_CAST "current", BAD_CAST "6");
  g_autoptr (VpFleet) plugged = vp_fleet_new (host, profiles);
  settle (plugged, plan->result, live, b);
  check_set (vp_fleet_find (plugged, uuid_b)->taken, "1,5-9");
  check_set (vp_fleet_find (plugged, uuid_a)->taken, "");
}

/* A guest that runs is where it is: what is left is found around it. */
static void
test_fixed (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  static const int current[] = { 0, 1 };
  static const int nowhere[] = { 0, 0 };
  hwloc_bitmap_t taken = made_set ("2,6");
  VpPlacementRequest request = guest (2, 1);

  request.n_offline = 2;
  request.fixed = TRUE;
  request.current = current;
  request.taken = taken;
  g_autoptr (VpPlacement) there = place (topology, &request);
  g_assert_cmpint (memcmp (there->vcpus, (const int[]){ 0, 1, 4, 5 }, 4 * sizeof (int)), ==, 0);
  request.current = nowhere;
  g_autoptr (VpPlacement) placed = place (topology, &request);
  g_assert_cmpint (memcmp (placed->vcpus, (const int[]){ 1, 3, 5, 7 }, 4 * sizeof (int)), ==, 0);
  hwloc_bitmap_free (taken);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/offline/cases", test_cases);
  g_test_add_func ("/offline/online", test_online);
  g_test_add_func ("/offline/guest-cores", test_guest_cores);
  g_test_add_func ("/offline/any-set", test_any_set);
  g_test_add_func ("/offline/too-many", test_too_many);
  g_test_add_func ("/offline/topology", test_topology);
  g_test_add_func ("/offline/cells", test_cells);
  g_test_add_func ("/offline/own-cells", test_own_cells);
  g_test_add_func ("/offline/fleet", test_fleet);
  g_test_add_func ("/offline/fixed", test_fixed);
  return g_test_run ();
}
