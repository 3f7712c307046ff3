/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cpu.numa = expose: cells, what binds them, their pages; and the node of a guest's card. */
#include <string.h>

#include "base/error.h"
#include "domain/pins.h"
#include "support.h"

#define TWO_NODES "pack:2 [numa(memory=68719476736)] l3:2 core:4 pu:2"
#define FOUR_NODES "pack:2 numa:2(memory=34359738368) l3:1 core:4 pu:2"
#define EIGHT_NODES "pack:2 numa:4(memory=17179869184) l3:2 core:2 pu:2"
#define TAG(keys)                                                                                                      \
  "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu numa='expose'/>" keys "</vfio:profile>"
#define MATCH                                                                                                          \
  "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu numa='expose' topology='match'/>"             \
  "</vfio:profile>"
#define MIB G_GUINT64_CONSTANT (1024)
#define GIB G_GUINT64_CONSTANT (1048576)

static VpDomain *
make_guest (const char *tag, guint n_vcpus, guint64 memory_kib, const char *body)
{
  VpDomain *domain = test_tagged (tag, body);
  g_autofree char *vcpus = g_strdup_printf ("%u", n_vcpus);
  g_autofree char *memory = g_strdup_printf ("%" G_GUINT64_FORMAT, memory_kib);

  xmlNodeSetContent (vp_xml_find (domain->doc, "vcpu"), BAD_CAST vcpus);
  xmlNodeSetContent (vp_xml_find (domain->doc, "memory"), BAD_CAST memory);
  vp_xml_remove (vp_xml_find (domain->doc, "cpu/topology"));
  return domain;
}

/* Plans, and checks what holds for every plan: stable and reversible. */
static VpPlan *
plan_checked (const VpDomain *domain, const VpHost *host)
{
  VpPlan *plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);
  g_autofree char *before = vp_domain_dup_text (domain);
  g_autofree char *after = vp_domain_dup_text (undone->result);

  g_assert_true (vp_plan_is_ready (again));
  g_assert_cmpstr (after, ==, before);
  return plan;
}

static void
assert_value (const VpPlan *plan, const char *place, const char *expected)
{
  xmlNode *node = vp_xml_find (plan->result->doc, place);
  g_autofree char *value = node != NULL ? vp_xml_dup_line (node) : NULL;

  g_assert_cmpstr (value, ==, expected);
}

static void
assert_bound (const VpPlan *plan, guint cell, const char *nodes)
{
  g_autofree char *place = g_strdup_printf ("numatune/memnode[@cellid='%u']", cell);
  g_autofree char *expected =
    nodes != NULL ? g_strdup_printf ("<memnode cellid=\"%u\" mode=\"strict\" nodeset=\"%s\"/>", cell, nodes) : NULL;

  assert_value (plan, place, expected);
}

static guint
number (const VpPlan *plan, const char *place)
{
  g_autofree char *text = vp_xml_dup_place_value (plan->result->doc, place);

  g_assert_nonnull (text);
  return (guint) g_ascii_strtoull (text, NULL, 10);
}

static void
test_two_nodes (void)
{
  g_autoptr (VpHost) host = test_host ("numa-2node", TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "cpu/numa",
                "<numa><cell id=\"0\" cpus=\"0-7\" memory=\"8388608\" unit=\"KiB\"/>"
                "<cell id=\"1\" cpus=\"8-23\" memory=\"16777216\" unit=\"KiB\"/></numa>");
  assert_value (plan, "numatune/memory", "<memory mode=\"strict\" nodeset=\"0-1\"/>");
  assert_bound (plan, 0, "0");
  assert_bound (plan, 1, "1");
  assert_bound (plan, 2, NULL);
  /* Who allocates a cell's memory must be able to run on its node: the last vCPU's CPU is lent where there is no other. */
  assert_value (plan, "cputune/emulatorpin", "<emulatorpin cpuset=\"0-7,31\"/>");
  g_assert_true (test_warns (plan, "keeps no CPU on the node of cell 1"));
  g_assert_true (test_change (plan, "cpu/numa")->guest_visible);
  g_assert_false (test_change (plan, "numatune/memnode[@cellid='0']")->guest_visible);
}

/* Cells are for those that a node does not hold; and only where they are asked for. */
static void
test_not_needed (void)
{
  g_autoptr (VpHost) two = test_host ("numa-2node", TWO_NODES);
  g_autoptr (VpHost) one = test_host (NULL, "pack:1 l3:2 core:8 pu:2");
  g_autoptr (VpDomain) small = make_guest (TAG (""), 8, 8 * GIB, "");
  g_autoptr (VpDomain) large = make_guest (TAG (""), 24, 24 * GIB, "");
  g_autoptr (VpDomain) strict =
    make_guest ("<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'/>", 24, 24 * GIB, "");
  g_autoptr (VpPlan) fits = plan_checked (small, two);
  g_autoptr (VpPlan) alone = plan_checked (large, one);
  g_autoptr (VpPlan) kept = plan_checked (strict, two);

  assert_value (fits, "cpu/numa", NULL);
  assert_value (fits, "numatune/memory", "<memory mode=\"restrictive\" nodeset=\"1\"/>"); /* all of its cores */
  g_assert_false (test_warns (fits, "cells"));
  assert_value (alone, "cpu/numa", NULL);
  assert_value (alone, "numatune", NULL);
  assert_value (kept, "cpu/numa", NULL);
  assert_value (kept, "numatune/memnode", NULL);
}

/* What stands in the way is named, and the rest of the profile is done. */
static void
expect_none (const char *body, const char *machine, const char *part)
{
  g_autoptr (VpHost) host = test_host ("numa-2node", TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, body);
  g_autofree char *before = NULL;

  if (machine != NULL)
    xmlSetProp (vp_xml_find (domain->doc, "os/type"), BAD_CAST "machine", BAD_CAST machine);
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_assert_true (test_warns (plan, part));
  g_assert_null (test_change (plan, "cpu/numa"));
  g_assert_null (test_change (plan, "numatune/memnode[@cellid='0']"));
  g_assert_nonnull (vp_xml_find (plan->result->doc, "cputune/vcpupin[@vcpu='23']"));
}

static void
test_obstacles (void)
{
  expect_none ("  <maxMemory slots='4' unit='GiB'>64</maxMemory>\n", NULL, "pluggable memory");
  expect_none ("  <devices>\n    <memory model='dimm'/>\n  </devices>\n", NULL, "pluggable memory");
  expect_none ("", "microvm", "machine type");
  expect_none ("  <numatune>\n    <memnode cellid='0' mode='strict' nodeset='1'/>\n  </numatune>\n", NULL, "memnode");
}

static void
test_own_cells (void)
{
  g_autoptr (VpHost) host = test_host ("numa-2node", TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, "");
  xmlNode *numa = vp_xml_new ("numa", NULL);

  xmlAddChild (numa, vp_xml_new ("cell", "id", "0", "cpus", "0-23", "memory", "24", "unit", "GiB", NULL));
  vp_xml_insert (vp_xml_find (domain->doc, "cpu"), -1, numa);
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  assert_value (plan, "cpu/numa", "<numa><cell id=\"0\" cpus=\"0-23\" memory=\"24\" unit=\"GiB\"/></numa>");
  assert_bound (plan, 0, NULL);
  g_assert_true (test_warns (plan, "NUMA cells of its own"));
}

/* A guest of equal cells of the user's, each bound to the node of its number. */
static VpDomain *
make_bound (guint n_vcpus, guint n_cells, gboolean by_memnode)
{
  g_autoptr (GString) tune = g_string_new ("  <numatune>\n    <memory mode='strict' nodeset='0-1'/>\n");

  for (guint i = 0; i < n_cells && by_memnode; i++)
    g_string_append_printf (tune, "    <memnode cellid='%u' mode='strict' nodeset='%u'/>\n", i, i);
  g_string_append (tune, "  </numatune>\n");
  VpDomain *domain =
    make_guest ("<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'/>", n_vcpus, 2 * GIB * n_cells, tune->str);
  xmlNode *topology =
    xmlAddChild (vp_xml_find (domain->doc, "cpu"), vp_xml_new ("topology", "sockets", "1", "threads", "2", NULL));
  g_autofree char *cores = g_strdup_printf ("%u", n_vcpus / 2);
  xmlSetProp (topology, BAD_CAST "cores", BAD_CAST cores);
  xmlNode *numa = xmlAddChild (vp_xml_find (domain->doc, "cpu"), vp_xml_new ("numa", NULL));
  for (guint i = 0; i < n_cells; i++) {
    g_autofree char *id = g_strdup_printf ("%u", i);
    g_autofree char *cpus = g_strdup_printf ("%u-%u", n_vcpus / n_cells * i, n_vcpus / n_cells * (i + 1) - 1);
    xmlAddChild (numa, vp_xml_new ("cell", "id", id, "cpus", cpus, "memory", "2", "unit", "GiB", NULL));
  }
  return domain;
}

/* How many of the vCPUs from `first` on are on a node. */
static guint
count_on_node (const VpPlan *plan, const VpHost *host, guint first, guint n, guint node)
{
  guint count = 0;

  for (guint i = first; i < first + n; i++) {
    int position = vp_topology_find_pu (host->topology, (unsigned) plan->placement->vcpus[i]);
    count += host->topology->nodes[host->topology->cores[host->topology->pus[position].core].node].os_index == node;
  }
  return count;
}

static void
test_bound_cells (void)
{
  g_autoptr (VpHost) large = test_host (NULL, "pack:2 [numa(memory=68719476736)] l3:1 core:32 pu:2(indexes=2*64:64*1)");
  g_autoptr (VpDomain) two = make_bound (112, 2, TRUE);
  g_autoptr (VpPlan) halves = plan_checked (two, large);

  g_assert_cmpuint (count_on_node (halves, large, 0, 56, 0), ==, 56);
  g_assert_cmpuint (count_on_node (halves, large, 56, 56, 1), ==, 56);
  g_assert_cmpint (halves->placement->vcpus[0], ==, 4);
  g_assert_cmpint (halves->placement->vcpus[1], ==, 68);
  assert_value (halves, "cputune/emulatorpin", "<emulatorpin cpuset=\"0-3,32-35,64-67,96-99\"/>");
  assert_value (halves, "numatune/memory", "<memory mode=\"strict\" nodeset=\"0-1\"/>");
  assert_bound (halves, 1, "1");
  g_assert_cmpuint (halves->warnings->len, ==, 0);

  /* The first cell has all of its node: the host keeps a core of the other. */
  g_autoptr (VpHost) small = test_host (NULL, "pack:2 [numa(memory=68719476736)] l3:2 core:4 pu:2");
  g_autoptr (VpDomain) uneven = make_bound (28, 2, TRUE);
  xmlSetProp (vp_xml_find (uneven->doc, "cpu/numa/cell[@id='0']"), BAD_CAST "cpus", BAD_CAST "0-15");
  xmlSetProp (vp_xml_find (uneven->doc, "cpu/numa/cell[@id='1']"), BAD_CAST "cpus", BAD_CAST "16-27");
  g_autoptr (VpPlan) full = plan_checked (uneven, small);
  g_assert_cmpuint (count_on_node (full, small, 0, 16, 0), ==, 16);
  g_assert_cmpuint (count_on_node (full, small, 16, 12, 1), ==, 12);
  g_assert_nonnull (strstr (full->placement->summary, "the guest has CPUs 0-1 to be on the nodes of its cells"));
  /* Nothing is left on node 0 for who allocates there. */
  g_assert_true (test_warns (full, "keeps no CPU on the node of cell 0"));
  assert_value (full, "cputune/emulatorpin", "<emulatorpin cpuset=\"15-19\"/>");

  /* More than the node has: the rest is elsewhere, and that is said. */
  xmlSetProp (vp_xml_find (uneven->doc, "cpu/numa/cell[@id='0']"), BAD_CAST "cpus", BAD_CAST "0-17");
  xmlSetProp (vp_xml_find (uneven->doc, "cpu/numa/cell[@id='1']"), BAD_CAST "cpus", BAD_CAST "18-27");
  g_autoptr (VpPlan) away = plan_checked (uneven, small);
  g_assert_true (test_warns (away, "do not fit on the nodes that the memory of their NUMA cells comes from"));
  g_assert_cmpuint (count_on_node (away, small, 18, 10, 1), ==, 10);

  /* Bound together, or not at all: both are on one node. */
  g_autoptr (VpDomain) loose = make_bound (8, 2, FALSE);
  g_autoptr (VpPlan) together = plan_checked (loose, small);
  g_assert_cmpuint (count_on_node (together, small, 0, 8, 0) % 8, ==, 0);
  assert_value (together, "numatune/memory", "<memory mode=\"strict\" nodeset=\"0-1\"/>");
}

/* Restored here, whatever it was saved as: what it sees stays, and the cells follow its vCPUs. */
static void
test_saved (void)
{
  static const struct {
    const char *topology;
    const char *bound[2];
  } hosts[] = {
    { TWO_NODES, { "0", "1" } },
    { "pack:2 [numa(memory=68719476736)] l3:2 core:8 pu:2", { "0", "0" } },  /* all on one node */
    { FOUR_NODES, { "1", "2-3" } },                                          /* the second cell is on two */
    { "pack:1 l3:2 core:8 pu:2", { NULL, NULL } },                           /* no nodes */
    { "pack:2 [numa(memory=13958643712)] l3:2 core:8 pu:2", { NULL, NULL } } /* too small for all on one node */
  };
  g_autoptr (VpHost) here = test_host (NULL, TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, "");
  g_autoptr (VpPlan) saved = plan_checked (domain, here);

  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++) {
    g_autoptr (VpHost) there = test_host (NULL, hosts[i].topology);
    g_autoptr (VpPlan) restored = test_plan (saved->result, there, VP_PLAN_HOST_ONLY);
    g_autoptr (VpPlan) again = test_plan (restored->result, there, VP_PLAN_HOST_ONLY);
    g_autoptr (VpPlan) undone = test_plan (restored->result, there, VP_PLAN_UNDO);

    g_test_message ("%s", hosts[i].topology);
    assert_bound (restored, 0, hosts[i].bound[0]);
    assert_bound (restored, 1, hosts[i].bound[1]);
    g_assert_true (vp_xml_equal (vp_xml_find (restored->result->doc, "cpu"), vp_xml_find (saved->result->doc, "cpu")));
    g_assert_true (vp_plan_is_ready (again));
    g_assert_true (vp_domain_equal (undone->result, domain));
  }
}

static void
test_saved_without (void)
{
  g_autoptr (VpHost) host = test_host (NULL, TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, "");
  g_autoptr (VpPlan) plan = test_plan (domain, host, VP_PLAN_HOST_ONLY);

  assert_value (plan, "cpu/numa", NULL);
  assert_value (plan, "numatune/memnode", NULL);
  assert_value (plan, "numatune/memory", "<memory mode=\"strict\" nodeset=\"0-1\"/>");
}

static void
set_pool (VpHost *host, int node, guint64 total)
{
  for (guint i = 0; i < host->pools->len; i++) {
    VpPagePool *pool = &g_array_index (host->pools, VpPagePool, i);
    if (pool->node == node && pool->page_kib == GIB)
      pool->total = total;
  }
}

/* 8 and 16 GiB: pages of 1G where each node's pool has enough, not where the pools together have. */
static void
test_pages (void)
{
  g_autoptr (VpHost) host = test_host ("numa-2node", TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, "");
  g_autoptr (VpDomain) uneven = make_guest (TAG (""), 24, 25 * GIB, "");

  g_autoptr (VpPlan) enough = plan_checked (domain, host);
  g_assert_cmpuint (enough->page_kib, ==, GIB);
  g_assert_cmpuint (enough->pages, ==, 24);
  assert_value (enough, "memoryBacking/hugepages", "<hugepages><page size=\"1048576\" unit=\"KiB\"/></hugepages>");
  set_pool (host, 0, 7);
  set_pool (host, 1, 64);
  g_autoptr (VpPlan) short_of = plan_checked (domain, host);
  g_assert_cmpuint (short_of->page_kib, ==, 2048);
  g_assert_nonnull (strstr (test_change (short_of, "memoryBacking/hugepages")->reason, "too few"));
  set_pool (host, 0, 64);
  g_autoptr (VpPlan) no_multiple = plan_checked (uneven, host);
  g_assert_cmpuint (no_multiple->page_kib, ==, 2048);
  g_assert_nonnull (strstr (test_change (no_multiple, "memoryBacking/hugepages")->reason, "cell"));
}

/* A size that the profile names makes the cells; memory that it does not divide is the user's to mend. */
static void
test_page_size (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (VpHost) host = test_host ("numa-2node", TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG ("<vfio:memory page-size='1G'/>"), 24, 25 * GIB, "");
  g_autoptr (VpDomain) odd = make_guest (TAG ("<vfio:memory page-size='1G'/>"), 24, 25 * GIB + 2 * MIB, "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "cpu/numa/cell[@id='0']", "<cell id=\"0\" cpus=\"0-7\" memory=\"8388608\" unit=\"KiB\"/>");
  assert_value (plan, "cpu/numa/cell[@id='1']", "<cell id=\"1\" cpus=\"8-23\" memory=\"17825792\" unit=\"KiB\"/>");
  g_assert_cmpuint (plan->pages, ==, 25);
  g_assert_null (vp_plan_new (odd, host, profiles, NULL, VP_PLAN_DEFAULT, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_UNFIT);
  g_assert_nonnull (strstr (error->message, "the domain's memory has 26216448 KiB"));
}

/* Where a node has less than its vCPUs' share, the others have more. */
static void
test_small_node (void)
{
  g_autoptr (VpHost) host = test_host (NULL, "pack:2 [numa(memory=13958643712)] l3:2 core:4 pu:2");
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, "");
  g_autoptr (VpDomain) large = make_guest (TAG (""), 24, 27 * GIB, "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_autoptr (VpPlan) none = plan_checked (large, host);

  assert_value (plan, "cpu/numa",
                "<numa><cell id=\"0\" cpus=\"0-7\" memory=\"11534336\" unit=\"KiB\"/>"
                "<cell id=\"1\" cpus=\"8-23\" memory=\"13631488\" unit=\"KiB\"/></numa>");
  assert_value (none, "cpu/numa", NULL);
  g_assert_true (test_warns (none, "cannot be split"));
}

/* Four sockets of two nodes each, as firmware rates the ways between them; few of their CPUs are allowed. */
static void
test_distances (void)
{
  g_autofree char *file = g_test_build_filename (G_TEST_DIST, "..", "data", "hosts",
                                                 "17b_amd-cgroup2-disallowed-kept_4xopteron-6134.xml", NULL);
  g_autoptr (VpHost) host = test_host (NULL, file);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 5, 2 * GIB, "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  const VpPlacement *placement = plan->placement;

  g_assert_cmpuint (placement->n_cells, >, 1);
  for (guint i = 0; i < placement->n_cells * placement->n_cells; i++) {
    guint from = i / placement->n_cells;
    guint to = i % placement->n_cells;
    g_autofree char *place = g_strdup_printf ("cpu/numa/cell[@id='%u']/distances/sibling[@id='%u']/@value", from, to);

    guint way = vp_topology_find_distance (host->topology, placement->cells[from].node, placement->cells[to].node);

    g_assert_cmpuint (number (plan, place), ==, way);
  }
  g_assert_cmpuint (vp_topology_find_distance (host->topology, 0, 3), ==, 22);
}

/* Pins that alternate between the nodes would make cells of scattered vCPUs. */
static void
test_scattered_pins (void)
{
  g_autoptr (GString) body = g_string_new ("  <cputune>\n");
  g_autoptr (VpHost) host = test_host (NULL, TWO_NODES);

  for (guint i = 0; i < 24; i++)
    g_string_append_printf (body, "    <vcpupin vcpu='%u' cpuset='%u'/>\n", i, i / 2 % 2 * 16 + i / 4 * 2 + i % 2 + 4);
  g_string_append (body, "  </cputune>\n");
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, body->str);
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_assert_true (vp_xml_attr_is (vp_xml_find (plan->result->doc, "cpu/numa/cell"), "cpus", "0-7"));
}

/* `virsh setvcpus --maximum` puts what is more into cell 0. */
static void
test_filled (void)
{
  g_autoptr (VpHost) host = test_host (NULL, TWO_NODES);
  g_autoptr (VpDomain) domain = make_guest (TAG (""), 24, 24 * GIB, "");
  g_autoptr (VpDomain) more = make_guest (TAG (""), 28, 24 * GIB, "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);
  g_autoptr (VpPlan) expected = plan_checked (more, host);
  g_autoptr (VpDomain) filled = vp_domain_copy (plan->result);

  xmlNodeSetContent (vp_xml_find (filled->doc, "vcpu"), BAD_CAST "28");
  xmlSetProp (vp_xml_find (filled->doc, "cpu/numa/cell"), BAD_CAST "cpus", BAD_CAST "0-7,24-27");
  g_autoptr (VpPlan) again = test_plan (filled, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) undone = test_plan (filled, host, VP_PLAN_UNDO);
  g_assert_true (vp_xml_equal (vp_xml_find (again->result->doc, "cpu"), vp_xml_find (expected->result->doc, "cpu")));
  g_assert_true (vp_domain_equal (undone->result, more));
  g_assert_null (test_change (undone, "cpu/numa")->to);
  /* What the user himself wrote is his. */
  xmlSetProp (vp_xml_find (filled->doc, "cpu/numa/cell"), BAD_CAST "cpus", BAD_CAST "0-3,24-27");
  g_autoptr (VpPlan) own = test_plan (filled, host, VP_PLAN_DEFAULT);
  g_assert_true (test_warns (own, "NUMA cells of its own"));
}

/* Sockets are packages, and no cell is on two of them. */
static void
test_match (void)
{
  g_autoptr (VpHost) two = test_host (NULL, TWO_NODES);
  g_autoptr (VpHost) eight = test_host (NULL, EIGHT_NODES);
  g_autoptr (VpDomain) domain = make_guest (MATCH, 28, 28 * GIB, "");
  g_autoptr (VpDomain) even = make_guest (MATCH, 48, 48 * GIB, "");
  g_autoptr (VpDomain) all = make_guest (MATCH, 64, 64 * GIB, "");
  g_autoptr (VpPlan) uneven_l3s = plan_checked (domain, two);
  g_autoptr (VpPlan) six = plan_checked (even, eight);
  g_autoptr (VpPlan) whole = plan_checked (all, eight);

  assert_value (uneven_l3s, "cpu/topology", "<topology sockets=\"1\" dies=\"1\" cores=\"14\" threads=\"2\"/>");
  assert_value (six, "cpu/topology", "<topology sockets=\"1\" dies=\"12\" cores=\"2\" threads=\"2\"/>");
  assert_value (whole, "cpu/topology", "<topology sockets=\"2\" dies=\"8\" cores=\"2\" threads=\"2\"/>");
}

/* What holds for every guest on every host: the cells are a partition of what the guest has. */
static void
check_cells (const VpPlan *plan, guint n_vcpus, guint64 memory_kib)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) sizes = vp_domain_cells_kib (plan->result, &error);
  guint next = 0;
  guint64 memory = 0;

  g_assert_no_error (error);
  for (guint i = 0; i < sizes->len; i++) {
    g_autofree char *place = g_strdup_printf ("cpu/numa/cell[@id='%u']/@cpus", i);
    g_autofree char *cpus = vp_xml_dup_place_value (plan->result->doc, place);
    g_autofree char *bound = g_strdup_printf ("numatune/memnode[@cellid='%u']/@nodeset", i);
    unsigned first = 0;
    unsigned last = 0;

    if (sscanf (cpus, "%u-%u", &first, &last) == 1)
      last = first;
    g_assert_cmpuint (first, ==, next);
    g_assert_null (strchr (cpus, ','));
    next = last + 1;
    memory += g_array_index (sizes, guint64, i);
    g_assert_cmpuint (g_array_index (sizes, guint64, i), >, 0);
    number (plan, bound);
  }
  if (sizes->len == 0)
    return;
  g_assert_cmpuint (sizes->len, >, 1);
  g_assert_cmpuint (next, ==, n_vcpus);
  g_assert_cmpuint (memory, ==, memory_kib);
  guint sockets = number (plan, "cpu/topology/@sockets");
  g_assert_cmpuint (sockets * number (plan, "cpu/topology/@dies") * number (plan, "cpu/topology/@cores") *
                      number (plan, "cpu/topology/@threads"),
                    ==, n_vcpus);
  g_assert_cmpuint (sizes->len % sockets, ==, 0);
}

static void
test_all_sizes (void)
{
  static const char *const topologies[] = {
    TWO_NODES,
    FOUR_NODES,
    EIGHT_NODES,
    "pack:4 [numa(memory=8589934592)] l3:1 core:6 pu:1",
    "pack:1 numa:3(memory=8589934592) l3:1 core:5 pu:2",
  };

  for (guint i = 0; i < G_N_ELEMENTS (topologies); i++) {
    g_autoptr (VpHost) host = test_host (NULL, topologies[i]);
    guint n_exposed = 0;

    for (guint n_vcpus = 1; n_vcpus <= host->topology->n_pus; n_vcpus++) {
      guint64 memory = n_vcpus % 3 * GIB + n_vcpus * 100 * MIB + 2 * MIB;
      g_autoptr (VpDomain) domain = make_guest (MATCH, n_vcpus, memory, "");
      g_autoptr (VpPlan) plan = plan_checked (domain, host);
      check_cells (plan, n_vcpus, memory);
      n_exposed += vp_xml_find (plan->result->doc, "cpu/numa") != NULL ? 1 : 0;
    }
    g_assert_cmpuint (n_exposed, >=, host->topology->n_pus / 3);
  }
}

/* The NVIDIA card at node 1 draws the guest there, the display at node 0 does not; a large guest has its node too. */
static void
test_card (void)
{
#define HOSTDEV(bus)                                                                                                   \
  "    <hostdev mode='subsystem' type='pci' managed='yes'>\n      <source>\n"                                          \
  "        <address domain='0' bus='" bus "' slot='0' function='0'/>\n      </source>\n    </hostdev>\n"
  static const struct {
    const char *devices;
    const char *node;
  } guests[] = {
    { HOSTDEV ("0x41"), "1" },                  /* the card, node 1 */
    { HOSTDEV ("0x01"), "0" },                  /* the NVMe disk, node 0 */
    { HOSTDEV ("0x01") HOSTDEV ("0x41"), "1" }, /* the card comes before what stands first */
  };
  g_autoptr (VpHost) host = test_host ("numa-2node", TWO_NODES);

  for (guint i = 0; i < G_N_ELEMENTS (guests); i++) {
    g_autofree char *body = g_strdup_printf ("  <devices>\n%s  </devices>\n", guests[i].devices);
    g_autoptr (VpDomain) domain = make_guest (TAG (""), 4, 4 * GIB, body);
    g_autoptr (VpPlan) plan = plan_checked (domain, host);
    g_autofree char *nodes = vp_xml_dup_place_value (plan->result->doc, "numatune/memory/@nodeset");

    g_assert_cmpstr (nodes, ==, guests[i].node);
    g_autoptr (VpPins) pins = vp_pins_read (plan->result);
    for (guint vcpu = 0; vcpu < 4; vcpu++)
      g_assert_cmpint (vp_pins_vcpu_cpu (pins, vcpu) / 16, ==, guests[i].node[0] - '0');
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/numa/two-nodes", test_two_nodes);
  g_test_add_func ("/numa/not-needed", test_not_needed);
  g_test_add_func ("/numa/obstacles", test_obstacles);
  g_test_add_func ("/numa/own-cells", test_own_cells);
  g_test_add_func ("/numa/bound-cells", test_bound_cells);
  g_test_add_func ("/numa/saved", test_saved);
  g_test_add_func ("/numa/saved-without", test_saved_without);
  g_test_add_func ("/numa/pages", test_pages);
  g_test_add_func ("/numa/page-size", test_page_size);
  g_test_add_func ("/numa/small-node", test_small_node);
  g_test_add_func ("/numa/distances", test_distances);
  g_test_add_func ("/numa/scattered-pins", test_scattered_pins);
  g_test_add_func ("/numa/filled", test_filled);
  g_test_add_func ("/numa/match", test_match);
  g_test_add_func ("/numa/all-sizes", test_all_sizes);
  g_test_add_func ("/numa/card", test_card);
  return g_test_run ();
}
