/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement on hosts that are out of the ordinary: large caches, several nodes,
 * kinds of cores, CPUs that are offline, disallowed or isolated. Each case says
 * why the answer is the right one.
 */
#include "placement-checks.h"

/* 96 MB against 32: by 64 MB larger. The guest has CPU 0's core, the host keeps one of the other CCD. */
static void
test_large_cache (void)
{
  const MadeHost host = { .synthetic = RYZEN_7950X, .l3_mib = { 96, 32 } };
  const MadeHost small_part = { .synthetic = RYZEN_7950X, .l3_mib = { 16, 8 } };
  g_autoptr (VpTopology) x3d = made_host_load (&host);
  g_autoptr (VpTopology) ratio = made_host_load (&small_part);
  const MadeHost slower = { .synthetic = "pack:1 l3:2 core:6 pu:2(indexes=2*12:12*1)",
                            .l3_mib = { 96, 32 },
                            .kinds = { { "0-5,12-17", "FrequencyMaxMHz", "5000" },
                                       { "6-11,18-23", "FrequencyMaxMHz", "5650" } } };
  g_autoptr (VpTopology) kinds = made_host_load (&slower);
  VpPlacementRequest request = guest (16, 2);

  g_autoptr (VpPlacement) any =
    check_request (x3d, &request, "8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31", "0-7,16-23");
  request.cache = VP_CACHE_LARGEST;
  g_autoptr (VpPlacement) largest =
    check_request (x3d, &request, "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23", "8-15,24-31");
  g_assert_cmpuint (largest->warnings->len, ==, 0);
  /* Twice as large is not large. */
  g_autoptr (VpPlacement) same =
    check_request (ratio, &request, "8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31", "0-7,16-23");
  request = guest (20, 2);
  request.cache = VP_CACHE_LARGEST;
  g_autoptr (VpPlacement) more = place (x3d, &request);
  check_warning (more, "20 vCPUs do not fit on the free cores of the largest L3");
  /* Its cores are so much slower that they are a kind: the guest fits on the others, and is not there for its cache. */
  request = guest (12, 2);
  request.cache = VP_CACHE_LARGEST;
  g_assert_cmpuint (kinds->n_kinds, ==, 2);
  g_autoptr (VpPlacement) cached = check_request (kinds, &request, "0 12 1 13 2 14 3 15 4 16 5 17", "6-11,18-23");
  g_assert_cmpuint (cached->warnings->len, ==, 0);
}

/* One L3, however large, and two that are alike: nothing to prefer, and CPU 0's core is the host's. */
static void
test_large_cache_alone (void)
{
  const MadeHost one_ccd = { .synthetic = "pack:1 l3:1 core:8 pu:2(indexes=2*8:8*1)", .l3_mib = { 96 } };
  const MadeHost alike = { .synthetic = RYZEN_7950X, .l3_mib = { 96, 96 } };
  const MadeHost small = { .synthetic = "pack:1 l3:2 core:6 pu:2(indexes=2*12:12*1)", .l3_mib = { 96, 32 } };
  g_autoptr (VpTopology) single = made_host_load (&one_ccd);
  g_autoptr (VpTopology) both = made_host_load (&alike);
  g_autoptr (VpTopology) six = made_host_load (&small);
  VpPlacementRequest request = guest (12, 2);

  request.cache = VP_CACHE_LARGEST;
  g_autoptr (VpPlacement) of_one = check_request (single, &request, "2 10 3 11 4 12 5 13 6 14 7 15", "0-1,8-9");
  g_autoptr (VpPlacement) of_both = check_request (both, &request, "2 18 3 19 4 20 5 21 6 22 7 23", "0-1,16-17");
  g_assert_cmpuint (of_one->warnings->len + of_both->warnings->len, ==, 0);
  /* All six behind the large one. */
  g_autoptr (VpPlacement) of_six = check_request (six, &request, "0 12 1 13 2 14 3 15 4 16 5 17", "6-11,18-23");
  g_assert_cmpuint (of_six->warnings->len, ==, 0);
  g_assert_nonnull (strstr (of_six->summary, "the guest has CPUs 0,12 to be behind the large L3"));
}

/* The card's node, also when another would do; memory strictly from there. */
static void
test_device_node (void)
{
  const int zero = 0;
  const int one = 1;
  g_autoptr (VpTopology) topology = describe (THREADRIPPER_1950X);
  VpPlacementRequest request = guest (8, 2);

  request.device_nodes = &one;
  request.n_device_nodes = 1;
  request.device_name = "0000:41:00.0";
  g_autoptr (VpPlacement) there = check_request (topology, &request, "12 28 13 29 14 30 15 31", "8-11,24-27");
  check_set (there->nodes, "1");
  g_assert_nonnull (strstr (there->summary, "node 1 beside 0000:41:00.0"));

  request.device_nodes = &zero;
  g_autoptr (VpPlacement) here = check_request (topology, &request, "4 20 5 21 6 22 7 23", "0-3,16-19");
  check_set (here->nodes, "0");

  /* Eight whole cores are only on the other node. */
  request.n_vcpus = 16;
  g_autoptr (VpPlacement) away = place (topology, &request);
  check_set (away->nodes, "1");
  check_warning (away, "16 vCPUs do not fit on node 0 beside 0000:41:00.0");
  g_assert_cmpint (away->level, ==, VP_LEVEL_WHOLE_L3);
}

/* Where CPU 0's core would cost the guest its one node, the host keeps a core of the other; all of these are near. */
static void
test_host_moves (void)
{
  g_autoptr (VpTopology) topology = describe (THREADRIPPER_1950X);
  hwloc_bitmap_t others = made_set ("12-15,28-31");
  VpPlacementRequest request = guest (16, 2);

  request.taken = others;
  g_autoptr (VpPlacement) whole =
    check_request (topology, &request, "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23", "8-11,24-27");
  g_assert_cmpuint (whole->warnings->len, ==, 0);
  check_set (whole->nodes, "0");
  g_assert_nonnull (strstr (whole->summary, "host keeps CPUs 8-11,24-27, the guest has CPUs 0,16 to be on one node"));
  /* A core less, and CPU 0's is the host's. */
  request.n_vcpus = 14;
  g_autoptr (VpPlacement) most = check_request (topology, &request, "1 17 2 18 3 19 4 20 5 21 6 22 7 23", "0,16");
  g_assert_cmpuint (most->warnings->len, ==, 0);
  /* The other node is all another's: nothing can move there. */
  hwloc_bitmap_list_sscanf (others, "8-15,24-31");
  request.n_vcpus = 16;
  g_autoptr (VpPlacement) none = place (topology, &request);
  g_assert_cmpint (none->level, ==, VP_LEVEL_RESERVE);
  /* Two nodes of three, not three. */
  g_autoptr (VpTopology) three = describe ("pack:1 numa:3 l3:1 core:4 pu:1");
  hwloc_bitmap_list_sscanf (others, "8-10");
  request = guest (8, 1);
  request.taken = others;
  g_autoptr (VpPlacement) two = check_request (three, &request, "0 1 2 3 4 5 6 7", "11");
  g_assert_nonnull (strstr (two->summary, "the guest has CPU 0 to be on fewer nodes"));
  hwloc_bitmap_free (others);
}

/* Four nodes a package: the second node of a large guest is in the card's package. */
static void
test_nps4 (void)
{
  const int two = 2;
  g_autoptr (VpTopology) topology = describe (EPYC_NPS4);
  VpPlacementRequest request = guest (48, 2);

  request.device_nodes = &two;
  request.n_device_nodes = 1;
  g_autoptr (VpPlacement) answer = place (topology, &request);
  check_set (answer->nodes, "2-3");
  check_warning (answer, "2 nodes are used");
  /* All of the card's node, one whole L3 of its neighbour. */
  g_assert_cmpint (answer->level, ==, VP_LEVEL_WHOLE_L3);
  g_assert_cmpint (answer->vcpus[0], ==, 32);
  g_assert_cmpint (answer->vcpus[31], ==, 128 + 47);
  g_assert_cmpint (answer->vcpus[47], ==, 128 + 63);
}

static void
test_cells (void)
{
  g_autoptr (VpTopology) topology = describe (EPYC_NPS4);
  VpPlacementRequest request = guest (48, 2);

  request.expose = TRUE;
  request.memory_kib = 12 << 20;
  request.page_kib = 1 << 20;
  g_autoptr (VpPlacement) answer = place (topology, &request);
  g_assert_cmpuint (answer->n_cells, ==, 2);
  check_set (answer->cells[0].vcpus, "0-15");
  check_set (answer->cells[1].vcpus, "16-47");
  g_assert_cmpuint (answer->cells[0].memory_kib, ==, 4 << 20);
  g_assert_cmpuint (answer->cells[1].memory_kib, ==, 8 << 20);

  request.n_vcpus = 16;
  g_autoptr (VpPlacement) small = place (topology, &request);
  g_assert_cmpuint (small->n_cells, ==, 0);
}

/* Memory decides between nodes, and comes from more of them where one has not enough. */
static void
test_node_memory (void)
{
  const MadeHost host = { .synthetic = "pack:1 numa:3 l3:1 core:4 pu:1", .node_mib = { 8192, 4096, 2048 } };
  g_autoptr (VpTopology) topology = made_host_load (&host);
  VpPlacementRequest request = guest (4, 1);

  request.memory_kib = 4 << 20;
  g_autoptr (VpPlacement) one = check_request (topology, &request, "4 5 6 7", "0-3,8-11");
  check_set (one->nodes, "1");
  request.memory_kib = 12 << 20;
  g_autoptr (VpPlacement) more = place (topology, &request);
  check_warning (more, "it comes from");
  g_assert_cmpint (hwloc_bitmap_weight (more->nodes), >, 1);
  request.memory_kib = 64 << 20;
  g_autoptr (VpPlacement) none = place (topology, &request);
  g_assert_null (none->nodes);
  check_warning (none, "not bound");
}

/* A 2990WX: two of its four nodes have no memory. */
static void
test_memoryless_nodes (void)
{
  const MadeHost host = { .synthetic = "pack:1 numa:4 l3:2 core:4 pu:2", .node_mib = { 16384, -1, 16384, -1 } };
  g_autoptr (VpTopology) topology = made_host_load (&host);
  VpPlacementRequest request = guest (16, 2);

  g_autoptr (VpPlacement) one = place (topology, &request);
  check_set (one->nodes, "2");
  request = guest (30, 2);
  g_autoptr (VpPlacement) two = place (topology, &request);
  check_set (two->nodes, "0,2");
  request = guest (40, 2);
  g_autoptr (VpPlacement) more = place (topology, &request);
  check_set (more->nodes, "0,2");
  check_warning (more, "nodes that have memory");
}

/* P cores with SMT and CPU 0, E cores without. */
static const MadeHost hybrid = { .synthetic = "pack:1 l3:1 core:10 pu:2",
                                 .offline = "13,15,17,19",
                                 .kinds = { { "12,14,16,18", "CoreType", "IntelAtom" },
                                            { "0-11", "CoreType", "IntelCore" } } };

static void
test_hybrid (void)
{
  g_autoptr (VpTopology) topology = made_host_load (&hybrid);
  VpPlacementRequest request = guest (8, 2);

  g_autoptr (VpPlacement) fast = check_request (topology, &request, "4 5 6 7 8 9 10 11", "12,14,16,18");
  g_assert_cmpuint (fast->warnings->len, ==, 0);
  g_assert_nonnull (strstr (fast->reasons[0], "core kind 1 of 0-1"));
  request = guest (2, 1);
  request.kind = VP_KIND_EFFICIENCY;
  g_autoptr (VpPlacement) slow = check_request (topology, &request, "16 18", "0-12,14");
  g_assert_cmpuint (slow->warnings->len, ==, 0);
  /* The host lives on the efficiency cores; that is no shortage, and the reason is in the line that sums up. */
  request = guest (12, 2);
  g_autoptr (VpPlacement) all = check_request (topology, &request, "0 1 2 3 4 5 6 7 8 9 10 11", "12,14,16,18");
  g_assert_cmpuint (all->warnings->len, ==, 0);
  g_assert_cmpint (all->level, ==, VP_LEVEL_WHOLE_CORES);
  g_assert_nonnull (strstr (all->summary,
                            "host keeps CPUs 12,14,16,18, the guest has CPUs 0-1 to be on its kind of core"));
  request.reserve_cores = 2;
  g_autoptr (VpPlacement) two = check_request (topology, &request, "0 1 2 3 4 5 6 7 8 9 10 11", "12,14,16,18");
  g_assert_cmpuint (two->warnings->len, ==, 0);
  /* More than these: all of them, and as few of the others as it takes. */
  request = guest (14, 2);
  g_autoptr (VpPlacement) mixed = check_request (topology, &request, "0 1 2 3 4 5 6 7 8 9 10 11 16 18", "12,14");
  check_warning (mixed, "14 vCPUs fit on no one kind of core");
  g_assert_cmpint (mixed->level, ==, VP_LEVEL_WHOLE_CORES);
  request.kind = VP_KIND_ANY;
  g_autoptr (VpPlacement) any = place (topology, &request);
  g_assert_cmpuint (any->warnings->len, ==, 1);
  check_warning (any, "some guest cores are on several host cores");
}

/* More than one kind holds, pinned by hand: no guest core stays on a P and an E core, nor on two P cores. */
static void
test_hybrid_pins (void)
{
  static const int mixed[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 28, 15, 29, 30, 31 };
  static const int crossed[] = { 0, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 28, 29, 30, 31 };
  static const int slow[] = { 0, 4, 1, 5, 2, 3 };
  static const char *const right = "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 28 29 30 31";
  g_autoptr (VpTopology) topology = recorded_host_load ("made-i9-13900k.xml");
  const MadeHost host = { .synthetic = "pack:1 l3:1 core:8 pu:1",
                          .kinds = { { "4-7", "LinuxCapacity", "400" }, { "0-3", "LinuxCapacity", "1024" } } };
  g_autoptr (VpTopology) no_threads = made_host_load (&host);
  VpPlacementRequest request = guest (20, 2);

  request.current = mixed;
  g_autoptr (VpPlacement) a = check_request (topology, &request, right, "16-27");
  request.current = crossed;
  g_autoptr (VpPlacement) b = check_request (topology, &request, right, "16-27");
  request = guest (6, 2);
  request.current = slow;
  g_autoptr (VpPlacement) c = place (no_threads, &request);
  for (guint i = 0; i < 6; i += 2)
    g_assert_cmpint (c->vcpus[i] < 4, ==, c->vcpus[i + 1] < 4);
}

/* Two cells on one node are no reason to leave a kind of core that takes the guest whole. */
static void
test_hybrid_cells (void)
{
  const MadeHost host = { .synthetic = "pack:1 l3:1 core:12 pu:1",
                          .kinds = { { "4-11", "LinuxCapacity", "400" }, { "0-3", "LinuxCapacity", "1024" } } };
  g_autoptr (VpTopology) topology = made_host_load (&host);
  VpBoundCell cells[] = { { .vcpus = made_set ("0-4"), .nodes = made_set ("0") },
                          { .vcpus = made_set ("5-6"), .nodes = made_set ("0-1") } };
  VpPlacementRequest request = guest (7, 1);

  request.bound = cells;
  request.n_bound = G_N_ELEMENTS (cells);
  g_autoptr (VpPlacement) whole = check_request (topology, &request, "5 6 7 8 9 10 11", "0-4");
  check_warning (whole, "the next kind is used");
  for (guint i = 0; i < G_N_ELEMENTS (cells); i++) {
    hwloc_bitmap_free (cells[i].vcpus);
    hwloc_bitmap_free (cells[i].nodes);
  }
}

/* Another guest on the P cores: those that are left, CPU 0's too; E cores only where a guest that runs holds the P cores. */
static void
test_hybrid_beside (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("made-i9-13900k.xml");
  hwloc_bitmap_t others = made_set ("8-15");
  VpPlacementRequest request = guest (8, 2);
  VpPlacementRequest single = guest (8, 1);

  request.taken = others;
  g_autoptr (VpPlacement) rest = check_request (topology, &request, "0 1 2 3 4 5 6 7", "16-31");
  g_assert_cmpuint (rest->warnings->len, ==, 0);
  hwloc_bitmap_set_range (others, 0, 15);
  g_autoptr (VpPlacement) slow = check_request (topology, &request, "24 25 26 27 28 29 30 31", "16-23");
  check_warning (slow, "performance cores");
  check_warning (slow, "2 threads");
  /* Of a guest that is only planned there: no guest core is on two E cores for its sake, a guest without threads is. */
  request.taken = NULL;
  request.planned = single.planned = others;
  g_autoptr (VpPlacement) over = check_request (topology, &request, "8 9 10 11 12 13 14 15", "16-31");
  check_warning (over, "8 of the 8 CPUs are planned");
  g_autoptr (VpPlacement) beside = check_request (topology, &single, "24 25 26 27 28 29 30 31", "16-23");
  check_warning (beside, "performance cores");
  /* All E cores are another's: then the host has nothing but a P core. */
  hwloc_bitmap_zero (others);
  hwloc_bitmap_set_range (others, 16, 31);
  request = guest (16, 2);
  request.taken = others;
  g_autoptr (VpPlacement) all = place (topology, &request);
  g_assert_cmpint (all->level, ==, VP_LEVEL_RESERVE);
  request.n_vcpus = 14;
  g_autoptr (VpPlacement) most = check_request (topology, &request, "2 3 4 5 6 7 8 9 10 11 12 13 14 15", "0-1");
  g_assert_cmpuint (most->warnings->len, ==, 0);
  hwloc_bitmap_free (others);
}

/* P cores without SMT, E cores between them in number, and two that are slower still: those are the host's first. */
static void
test_core_ultra (void)
{
  const MadeHost host = { .synthetic = "pack:1 l3:1 core:24 pu:1",
                          .kinds = { { "8-9,20-21", "LinuxCapacity", "400" },
                                     { "2-7,14-19", "LinuxCapacity", "700" },
                                     { "0-1,10-13,22-23", "LinuxCapacity", "1024" } } };
  g_autoptr (VpTopology) topology = made_host_load (&host);
  VpPlacementRequest request = guest (8, 1);

  g_assert_cmpuint (topology->n_kinds, ==, 3);
  g_autoptr (VpPlacement) all = check_request (topology, &request, "0 1 10 11 12 13 22 23", "2-9,14-21");
  g_assert_cmpuint (all->warnings->len, ==, 0);
  request.n_vcpus = 7;
  g_autoptr (VpPlacement) most = check_request (topology, &request, "1 10 11 12 13 22 23", "2-9,14-21");
  g_assert_cmpuint (most->warnings->len, ==, 0);
  request.n_vcpus = 12;
  g_autoptr (VpPlacement) more = check_request (topology, &request, "2 3 4 5 6 7 14 15 16 17 18 19", "8-9,20-21");
  check_warning (more, "the next kind is used");
}

/* Both kinds have threads (Zen 5 and 5c): four fast cores are four guest cores. */
static void
test_two_smt_kinds (void)
{
  const MadeHost host = { .synthetic = "pack:1 l3:1 core:12 pu:2",
                          .kinds = { { "8-23", "FrequencyMaxMHz", "3300" }, { "0-7", "FrequencyMaxMHz", "5100" } } };
  g_autoptr (VpTopology) topology = made_host_load (&host);
  VpPlacementRequest request = guest (8, 2);

  g_autoptr (VpPlacement) fast = check_request (topology, &request, "0 1 2 3 4 5 6 7", "8-23");
  g_assert_cmpuint (fast->warnings->len, ==, 0);
  request.n_vcpus = 12;
  g_autoptr (VpPlacement) more = check_request (topology, &request, "12 13 14 15 16 17 18 19 20 21 22 23", "0-11");
  check_warning (more, "the next kind is used");
}

/* One P core, four E cores, CPU 0 an E core: two vCPUs are not one of each. */
static void
test_lakefield (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("19_intel-hybrid-1p4e_lakefield.xml");
  VpPlacementRequest one = guest (1, 1);
  VpPlacementRequest two = guest (2, 1);

  g_autoptr (VpPlacement) fast = check_request (topology, &one, "4", "0-3");
  g_autoptr (VpPlacement) slow = check_request (topology, &two, "2 3", "0-1,4");
  check_warning (slow, "2 vCPUs do not fit on the free performance cores");
}

/* Three A510 with CPU 0, four A7xx, one X3: four vCPUs are the A7xx. */
static void
test_big_little (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("18_arm-biglittle-3a510-4a7xx-1x3.xml");
  VpPlacementRequest four = guest (4, 1);
  VpPlacementRequest six = guest (6, 1);

  g_autoptr (VpPlacement) one_kind = check_request (topology, &four, "3 4 5 6", "0-2");
  /* The best kinds first; one slow core is enough. */
  g_autoptr (VpPlacement) several = check_request (topology, &six, "7 3 4 5 6 2", "0-1");
  check_warning (several, "several kinds");
}

/* Node 0 and CPU 0 are offline: the host keeps the lowest CPU there is, whose package has no memory. */
static void
test_offline_node (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("16_intel-2s-offline-cpu0-node0_2xe5-2680v3.xml");
  VpPlacementRequest request = guest (8, 1);
  g_autoptr (VpPlacement) answer =
    check_request (topology, &request, "5 7 9 11 13 15 17 19", "4,6,8,10,12,14,16,18,20");

  g_assert_cmpuint (answer->warnings->len, ==, 0);
  g_assert_cmpint (answer->level, ==, VP_LEVEL_WHOLE_L3);
  g_assert_null (answer->nodes);
  request.n_vcpus = 12;
  g_autoptr (VpPlacement) more = place (topology, &request);
  check_warning (more, "without memory of their own");
}

/* A cgroup that allows CPUs 0 to 5 of 32: nothing else is ever used, also not by the emulator. */
static void
test_cgroup (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("17b_amd-cgroup2-disallowed-kept_4xopteron-6134.xml");
  VpPlacementRequest request = guest (2, 1);
  g_autoptr (VpPlacement) two = check_request (topology, &request, "4 5", "0-3");

  g_assert_cmpint (two->level, ==, VP_LEVEL_WHOLE_L3);
  check_set (two->nodes, "1");
  request.n_vcpus = 3;
  g_autoptr (VpPlacement) three = check_request (topology, &request, "1 2 3", "0");
  request.n_vcpus = 7;
  g_autoptr (VpPlacement) seven = place (topology, &request);
  g_assert_cmpint (seven->level, ==, VP_LEVEL_UNPINNED);
  check_warning (seven, "7 vCPUs are more than the 6 CPUs");
}

/* SMT off in part: whole cores with two threads before the one that lost its sibling. */
static void
test_missing_sibling (void)
{
  const MadeHost host = { .synthetic = I7_3770K, .offline = "7" };
  g_autoptr (VpTopology) topology = made_host_load (&host);
  VpPlacementRequest four = guest (4, 2);
  VpPlacementRequest five = guest (5, 2);

  g_autoptr (VpPlacement) a = check_request (topology, &four, "1 5 2 6", "0,3-4");
  g_autoptr (VpPlacement) b = check_request (topology, &five, "1 5 2 6 3", "0,4");
  g_assert_cmpuint (b->warnings->len, ==, 0);
}

/* They exist for guests; threads of the host's are not put on them. */
static void
test_isolated (void)
{
  const MadeHost host = { .synthetic = I7_3770K, .isolated = "1-2,5-6" };
  g_autoptr (VpTopology) topology = made_host_load (&host);
  VpPlacementRequest two = guest (2, 2);
  VpPlacementRequest six = guest (6, 2);

  g_autoptr (VpPlacement) a = check_request (topology, &two, "2 6", "0,3-4,7");
  g_assert_cmpuint (a->warnings->len, ==, 0);
  g_autoptr (VpPlacement) b = check_request (topology, &six, "1 5 2 6 3 7", "0,4");
  check_warning (b, "6 vCPUs in cores of 2 threads do not fit on the isolated CPUs (2 cores)");
  /* They would hold it, and are not behind the large cache. */
  const MadeHost large = { .synthetic = RYZEN_7950X, .l3_mib = { 96, 32 }, .isolated = "8-15,24-31" };
  g_autoptr (VpTopology) x3d = made_host_load (&large);
  six.cache = VP_CACHE_LARGEST;
  g_autoptr (VpPlacement) c = check_request (x3d, &six, "5 21 6 22 7 23", "0-4,16-20");
  g_assert_cmpuint (c->warnings->len, ==, 1);
  check_warning (c, "behind the largest L3 not all of the 6 vCPUs are on isolated CPUs");
}

/* The Ryzen 1600's two CCXs of three cores: four cores are a whole CCX and one. */
static void
test_ryzen_1600 (void)
{
  VpPlacementRequest request = guest (6, 2);

  check_pins (RYZEN_1600, &request, "3 9 4 10 5 11", "0-2,6-8");
  request = guest (8, 2);
  check_pins (RYZEN_1600, &request, "2 8 3 9 4 10 5 11", "0-1,6-7");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/placement/l3/large-cache", test_large_cache);
  g_test_add_func ("/placement/l3/large-cache-alone", test_large_cache_alone);
  g_test_add_func ("/placement/numa/device-node", test_device_node);
  g_test_add_func ("/placement/numa/host-moves", test_host_moves);
  g_test_add_func ("/placement/numa/nps4", test_nps4);
  g_test_add_func ("/placement/numa/cells", test_cells);
  g_test_add_func ("/placement/numa/memory", test_node_memory);
  g_test_add_func ("/placement/numa/memoryless", test_memoryless_nodes);
  g_test_add_func ("/placement/kinds/hybrid", test_hybrid);
  g_test_add_func ("/placement/kinds/hybrid-pins", test_hybrid_pins);
  g_test_add_func ("/placement/kinds/hybrid-cells", test_hybrid_cells);
  g_test_add_func ("/placement/kinds/hybrid-beside", test_hybrid_beside);
  g_test_add_func ("/placement/kinds/core-ultra", test_core_ultra);
  g_test_add_func ("/placement/kinds/two-smt-kinds", test_two_smt_kinds);
  g_test_add_func ("/placement/kinds/lakefield", test_lakefield);
  g_test_add_func ("/placement/kinds/big-little", test_big_little);
  g_test_add_func ("/placement/hosts/offline-node", test_offline_node);
  g_test_add_func ("/placement/hosts/cgroup", test_cgroup);
  g_test_add_func ("/placement/hosts/missing-sibling", test_missing_sibling);
  g_test_add_func ("/placement/hosts/isolated", test_isolated);
  g_test_add_func ("/placement/hosts/ryzen-1600", test_ryzen_1600);
  return g_test_run ();
}
