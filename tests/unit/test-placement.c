/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement, one named case a machine or rule. A list of pins is asserted only
 * where the rules leave one answer; each case says why it is the right one.
 */
#include <string.h>

#include "made-host.h"
#include "vp-placement.h"

#define I7_3770K "pack:1 l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)"
#define RYZEN_1600 "pack:1 l3:2(size=8388608) core:3 pu:2(indexes=2*6:6*1)"
#define RYZEN_3900X "pack:1 l3:4(size=16777216) core:3 pu:2(indexes=2*12:12*1)"
#define RYZEN_7950X "pack:1 l3:2 core:8 pu:2(indexes=2*16:16*1)"
#define THREADRIPPER_1950X "pack:1 group:2 [numa] l3:2 core:4 pu:2(indexes=2*16:16*1)"
#define EPYC_NPS4 "pack:2 group:4 [numa] l3:2 core:8 pu:2(indexes=2*128:128*1)"

static VpTopology *
describe (const char *description)
{
  g_autoptr (GError) error = NULL;
  VpTopology *topology = vp_topology_load_description (description, &error);

  g_assert_no_error (error);
  return topology;
}

static VpPlacementRequest
guest (guint n_vcpus, guint threads)
{
  return (VpPlacementRequest) { .n_vcpus = n_vcpus, .threads = threads, .pin = VP_PIN_YES, .reserve_cores = 1 };
}

static VpPlacement *
place (const VpTopology *topology, const VpPlacementRequest *request)
{
  g_autoptr (GError) error = NULL;
  VpPlacement *answer = vp_placement_new (topology, request, &error);

  g_assert_no_error (error);
  return answer;
}

static char *
dup_pins (const VpPlacement *answer)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; answer->vcpus != NULL && i < answer->n_vcpus; i++)
    g_string_append_printf (text, "%s%d", i > 0 ? " " : "", answer->vcpus[i]);
  return g_string_free (text, FALSE);
}

static void
check_set (hwloc_const_bitmap_t set, const char *expected)
{
  hwloc_bitmap_t wanted = made_set (expected);

  if (expected == NULL) {
    g_assert_null (set);
  } else {
    char *text = NULL;

    g_assert_nonnull (set);
    hwloc_bitmap_list_asprintf (&text, set);
    if (!hwloc_bitmap_isequal (set, wanted))
      g_assert_cmpstr (text, ==, expected);
    free (text);
  }
  hwloc_bitmap_free (wanted);
}

static void
check_warning (const VpPlacement *answer, const char *part)
{
  for (guint i = 0; i < answer->warnings->len; i++) {
    if (strstr (g_ptr_array_index (answer->warnings, i), part) != NULL)
      return;
  }
  g_test_message ("no warning has \"%s\"; the first of %u: %s", part, answer->warnings->len,
                  answer->warnings->len > 0 ? (char *) g_ptr_array_index (answer->warnings, 0) : "");
  g_test_fail ();
}

/* Pins and emulator; then once more with these pins, which must change nothing at all. */
static VpPlacement *
check_request (const VpTopology *topology, const VpPlacementRequest *request, const char *pins, const char *emulator)
{
  VpPlacement *answer = place (topology, request);
  g_autofree char *got = dup_pins (answer);
  VpPlacementRequest again = *request;

  g_assert_cmpstr (got, ==, pins);
  check_set (answer->emulator, emulator);
  again.current = answer->vcpus;
  if (again.match)
    again.threads = answer->threads;
  g_autoptr (VpPlacement) second = place (topology, &again);
  g_autofree char *got_again = dup_pins (second);
  g_assert_cmpstr (got_again, ==, pins);
  g_assert_cmpstr (second->summary, ==, answer->summary);
  check_set (second->emulator, emulator);
  g_assert_cmpuint (second->warnings->len, ==, answer->warnings->len);
  return answer;
}

static void
check_pins (const char *description, const VpPlacementRequest *request, const char *pins, const char *emulator)
{
  g_autoptr (VpTopology) topology = describe (description);
  g_autoptr (VpPlacement) answer = check_request (topology, request, pins, emulator);

  g_assert_cmpuint (answer->warnings->len, ==, 0);
}

typedef struct {
  const char *name;
  const char *host;
  guint n_vcpus;
  VpLevel level;
  const char *pins;
  const char *emulator;
} Recipe;

/* What people pin by hand and measured; the last one shows one whole CCX, of the host's node. */
static const Recipe recipes[] = {
  { "4c8t-4", I7_3770K, 4, VP_LEVEL_WHOLE_CORES, "2 6 3 7", "0-1,4-5" },
  { "4c8t-6", I7_3770K, 6, VP_LEVEL_WHOLE_CORES, "1 5 2 6 3 7", "0,4" },
  { "6c12t-8", "pack:1 l3:1 core:6 pu:2(indexes=2*6:6*1)", 8, VP_LEVEL_WHOLE_CORES, "2 8 3 9 4 10 5 11", "0-1,6-7" },
  { "8c16t-12", "pack:1 l3:1 core:8 pu:2(indexes=2*8:8*1)", 12, VP_LEVEL_WHOLE_CORES,
    "2 10 3 11 4 12 5 13 6 14 7 15", "0-1,8-9" },
  { "3900x-12", RYZEN_3900X, 12, VP_LEVEL_WHOLE_L3, "6 18 7 19 8 20 9 21 10 22 11 23", "0-5,12-17" },
  { "5950x-16", RYZEN_7950X, 16, VP_LEVEL_WHOLE_L3, "8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31", "0-7,16-23" },
  { "1950x-8", THREADRIPPER_1950X, 8, VP_LEVEL_WHOLE_L3, "4 20 5 21 6 22 7 23", "0-3,16-19" },
};

static void
test_recipe (gconstpointer data)
{
  const Recipe *recipe = data;
  VpPlacementRequest request = guest (recipe->n_vcpus, 2);
  g_autoptr (VpTopology) topology = describe (recipe->host);
  g_autoptr (VpPlacement) answer = check_request (topology, &request, recipe->pins, recipe->emulator);

  g_assert_cmpint (answer->level, ==, recipe->level);
  g_assert_cmpuint (answer->warnings->len, ==, 0);
}

static void
test_words (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  VpPlacementRequest request = guest (4, 2);
  g_autoptr (VpPlacement) answer = place (topology, &request);

  g_assert_cmpstr (answer->summary, ==, "4 vCPUs on 2 whole cores of L3 0, node 0; host keeps CPUs 0-1,4-5");
  g_assert_cmpstr (answer->reasons[0], ==, "CPU 2: core 2, L3 0, node 0, first thread");
  g_assert_cmpstr (answer->reasons[1], ==, "CPU 6: core 2, L3 0, node 0, second thread of vCPU 0's core");
  g_assert_null (answer->reasons[4]);
  /* One node: there is nothing to bind to. */
  g_assert_null (answer->nodes);
}

/* The same part numbers siblings 0,1 with other firmware: never from the model. */
static void
test_siblings_adjacent (void)
{
  VpPlacementRequest request = guest (4, 2);

  check_pins ("pack:1 l3:1 core:4 pu:2", &request, "4 5 6 7", "0-3");
}

/* One vCPU a core while cores last, then pairs on whole cores. */
static void
test_no_threads (void)
{
  VpPlacementRequest three = guest (3, 1);
  VpPlacementRequest four = guest (4, 1);

  check_pins (I7_3770K, &three, "1 2 3", "0,4");
  check_pins (I7_3770K, &four, "2 6 3 7", "0-1,4-5");
}

static void
test_odd_counts (void)
{
  VpPlacementRequest five = guest (5, 2);
  VpPlacementRequest one = guest (1, 2);

  /* The last guest core has one vCPU; its sibling stays free, no half core goes to the host. */
  check_pins (I7_3770K, &five, "1 5 2 6 3", "0,4");
  check_pins (I7_3770K, &one, "3", "0-2,4-6");
}

/* Threads that the host's cores have not: a guest core on several, and it is said. */
static void
test_more_threads_than_host (void)
{
  g_autoptr (VpTopology) topology = describe ("pack:1 l3:1 core:6 pu:1");
  VpPlacementRequest request = guest (4, 2);
  g_autoptr (VpPlacement) answer = check_request (topology, &request, "2 3 4 5", "0-1");

  g_assert_cmpuint (answer->warnings->len, ==, 1);
  check_warning (answer, "2 threads");
}

/* Four threads a core hold two guest cores of two. */
static void
test_smt4 (void)
{
  VpPlacementRequest request = guest (6, 2);
  VpPlacementRequest three = guest (6, 3);

  check_pins ("pack:1 l3:1 core:4 pu:4", &request, "8 9 10 11 12 13", "0-7");
  check_pins ("pack:1 l3:1 core:4 pu:4", &three, "8 9 10 12 13 14", "0-7");
}

/* Two cores, one of them the host's: the guest has both, and nothing is left for the emulator. */
static void
test_ladder_reserve (void)
{
  g_autoptr (VpTopology) topology = describe ("core:2 pu:1");
  VpPlacementRequest request = guest (2, 1);
  g_autoptr (VpPlacement) answer = check_request (topology, &request, "0 1", NULL);

  g_assert_cmpint (answer->level, ==, VP_LEVEL_RESERVE);
  check_warning (answer, "2 vCPUs do not fit on the 1 CPU that is free");
  check_warning (answer, "emulator");
}

/* Of two reserved cores one is enough. */
static void
test_ladder_reserve_in_part (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  VpPlacementRequest request = guest (6, 2);

  request.reserve_cores = 2;
  g_autoptr (VpPlacement) answer = check_request (topology, &request, "1 5 2 6 3 7", "0,4");
  g_assert_cmpint (answer->level, ==, VP_LEVEL_RESERVE);
  check_warning (answer, "1 of these");
}

static void
test_ladder_unpinned (void)
{
  g_autoptr (VpTopology) topology = describe ("core:2 pu:1");
  g_autoptr (GError) error = NULL;
  VpPlacementRequest request = guest (4, 1);
  g_autoptr (VpPlacement) answer = place (topology, &request);

  g_assert_cmpint (answer->level, ==, VP_LEVEL_UNPINNED);
  g_assert_null (answer->vcpus);
  g_assert_null (answer->reasons);
  g_assert_null (answer->emulator);
  check_warning (answer, "4 vCPUs are more than the 2 CPUs");

  request.pin = VP_PIN_REQUIRED;
  g_assert_null (vp_placement_new (topology, &request, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_UNFIT);
  g_assert_nonnull (strstr (error->message, "4 vCPUs are more than the 2 CPUs"));
}

static void
test_taken (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  g_autoptr (GError) error = NULL;
  hwloc_bitmap_t taken = made_set ("3,7");
  VpPlacementRequest request = guest (4, 2);

  request.taken = taken;
  g_autoptr (VpPlacement) beside = check_request (topology, &request, "1 5 2 6", "0,4");
  g_assert_cmpint (beside->level, ==, VP_LEVEL_WHOLE_CORES);

  /* Half a core of another's is no core for us. */
  hwloc_bitmap_clr (taken, 3);
  g_autoptr (VpPlacement) half = check_request (topology, &request, "1 5 2 6", "0,4");

  hwloc_bitmap_list_sscanf (taken, "1-3,5-7");
  g_autoptr (VpPlacement) shared = check_request (topology, &request, "0 4 3 7", NULL);
  g_assert_cmpint (shared->level, ==, VP_LEVEL_SHARED);
  check_warning (shared, "2 CPUs are shared");

  request.conflict = VP_CONFLICT_REFUSE;
  g_assert_null (vp_placement_new (topology, &request, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_UNFIT);
  g_assert_nonnull (strstr (error->message, "2 CPUs that are free"));
  g_assert_nonnull (strstr (error->message, "hold the cores of 6"));
  hwloc_bitmap_free (taken);
}

/* A stopped guest's plan is left alone, but costs a guest neither its pins nor the host its core. */
static void
test_planned (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  hwloc_bitmap_t planned = made_set ("3,7");
  VpPlacementRequest small = guest (4, 2);
  VpPlacementRequest large = guest (6, 2);

  small.planned = large.planned = planned;
  g_autoptr (VpPlacement) beside = check_request (topology, &small, "1 5 2 6", "0,4");
  g_assert_cmpuint (beside->warnings->len, ==, 0);
  g_autoptr (VpPlacement) over = check_request (topology, &large, "1 5 2 6 3 7", "0,4");
  check_warning (over, "2 of the 6 CPUs are planned");
  hwloc_bitmap_free (planned);
}

static void
check_current (const VpTopology *topology, VpPlacementRequest request, const int *current, const char *pins)
{
  request.current = current;
  g_autoptr (VpPlacement) answer = place (topology, &request);
  g_autofree char *got = dup_pins (answer);

  g_assert_cmpstr (got, ==, pins);
}

static void
test_sticky (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);

  /* Other cores, as good: they stay, in whatever order of cores. */
  check_current (topology, guest (4, 2), (const int[]) { 3, 7, 1, 5 }, "3 7 1 5");
  /* The howto's own pins tell the guest the wrong pairs. */
  check_current (topology, guest (4, 2), (const int[]) { 2, 3, 6, 7 }, "2 6 3 7");
  /* The host's core, a CPU twice, one that is not there. */
  check_current (topology, guest (4, 2), (const int[]) { 0, 4, 1, 5 }, "2 6 3 7");
  check_current (topology, guest (4, 2), (const int[]) { 1, 1, 2, 6 }, "3 7 2 6");
  check_current (topology, guest (2, 2), (const int[]) { 8, 9 }, "3 7");
  /* Half cores where whole ones do. */
  check_current (topology, guest (2, 1), (const int[]) { 2, 6 }, "2 3");
}

static void
test_grow_and_shrink (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  g_autoptr (VpTopology) ccx = describe (RYZEN_3900X);

  check_current (topology, guest (6, 2), (const int[]) { 2, 6, 3, 7, -1, -1 }, "2 6 3 7 1 5");
  check_current (topology, guest (4, 2), (const int[]) { 1, 5, 2, 6 }, "1 5 2 6");
  /* Two cores in two CCXs were never good. */
  check_current (ccx, guest (4, 2), (const int[]) { 5, 17, 6, 18 }, "1 13 2 14");
}

static void
test_iothreads (void)
{
  g_autoptr (VpTopology) topology = describe (RYZEN_3900X);
  VpPlacementRequest request = guest (12, 2);

  request.n_iothreads = 2;
  g_autoptr (VpPlacement) own = place (topology, &request);
  check_set (own->emulator, "0,3-5,12,15-17");
  check_set (own->iothreads[0], "1,13");
  check_set (own->iothreads[1], "2,14");

  /* Too many for the cores: they share. */
  request.n_iothreads = 6;
  g_autoptr (VpPlacement) shared = place (topology, &request);
  check_set (shared->emulator, "0-5,12-17");
  check_set (shared->iothreads[5], "0-5,12-17");

  /* Nothing left for the host: unpinned. */
  request = guest (24, 2);
  request.n_iothreads = 1;
  g_autoptr (VpPlacement) all = place (topology, &request);
  check_set (all->emulator, NULL);
  g_assert_null (all->iothreads);
  check_warning (all, "iothreads are not pinned");
}

/* Whole L3s first, then what leaves the largest pieces: one core beside the host's, not two of a fresh CCX. */
static void
test_l3_fragments (void)
{
  g_autoptr (VpTopology) topology = describe (RYZEN_3900X);
  hwloc_bitmap_t taken = made_set ("5,17");
  VpPlacementRequest request = guest (4, 2);

  check_pins (RYZEN_3900X, &request, "1 13 2 14", "0,12");
  request = guest (6, 2);
  check_pins (RYZEN_3900X, &request, "9 21 10 22 11 23", "0-8,12-20");
  request = guest (8, 2);
  check_pins (RYZEN_3900X, &request, "2 14 9 21 10 22 11 23", "0-1,12-13");

  /* Of two CCXs with two free cores either fits; the later one. */
  request = guest (4, 2);
  request.taken = taken;
  g_autoptr (VpPlacement) answer = check_request (topology, &request, "3 15 4 16", "0-2,6-14,18-23");
  hwloc_bitmap_free (taken);
}

/* The L3s that are left are not enough in number: it is said how many would have done. */
static void
test_l3_spread (void)
{
  g_autoptr (VpTopology) topology = describe (RYZEN_3900X);
  hwloc_bitmap_t taken = made_set ("3,15,6,18,9,21");
  VpPlacementRequest request = guest (12, 2);

  request.taken = taken;
  g_autoptr (VpPlacement) answer = place (topology, &request);
  check_warning (answer, "over 3 L3s where 2 would hold them");
  hwloc_bitmap_free (taken);
}

/* 96 MB against 32: by 64 MB larger. The guest has CPU 0's core, the host keeps one of the other CCD. */
static void
test_large_cache (void)
{
  const MadeHost host = { .synthetic = RYZEN_7950X, .l3_mib = { 96, 32 } };
  const MadeHost small_part = { .synthetic = RYZEN_7950X, .l3_mib = { 16, 8 } };
  g_autoptr (VpTopology) x3d = made_host_load (&host);
  g_autoptr (VpTopology) ratio = made_host_load (&small_part);
  VpPlacementRequest request = guest (16, 2);

  g_autoptr (VpPlacement) any = check_request (x3d, &request, "8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31",
                                               "0-7,16-23");
  request.cache = VP_CACHE_LARGEST;
  g_autoptr (VpPlacement) largest = check_request (x3d, &request, "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23",
                                                   "8-15,24-31");
  g_assert_cmpuint (largest->warnings->len, ==, 0);
  /* Twice as large is not large. */
  g_autoptr (VpPlacement) same = check_request (ratio, &request, "8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31",
                                                "0-7,16-23");
  request = guest (20, 2);
  request.cache = VP_CACHE_LARGEST;
  g_autoptr (VpPlacement) more = place (x3d, &request);
  check_warning (more, "20 vCPUs do not fit on the free cores of the largest L3");
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
  g_autoptr (VpPlacement) one = check_request (topology, &request, "4 5 6 7", "0");
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
static const MadeHost hybrid = {
  .synthetic = "pack:1 l3:1 core:10 pu:2",
  .offline = "13,15,17,19",
  .kinds = { { "12,14,16,18", "CoreType", "IntelAtom" }, { "0-11", "CoreType", "IntelCore" } }
};

static void
test_hybrid (void)
{
  g_autoptr (VpTopology) topology = made_host_load (&hybrid);
  VpPlacementRequest request = guest (8, 2);

  g_autoptr (VpPlacement) fast = check_request (topology, &request, "4 5 6 7 8 9 10 11", "0-3,12,14,16,18");
  g_assert_cmpuint (fast->warnings->len, ==, 0);
  g_assert_nonnull (strstr (fast->reasons[0], "core kind 1 of 0-1"));
  request = guest (2, 1);
  request.kind = VP_KIND_EFFICIENCY;
  g_autoptr (VpPlacement) slow = check_request (topology, &request, "16 18", "0-12,14");
  g_assert_cmpuint (slow->warnings->len, ==, 0);
  request = guest (12, 2);
  g_autoptr (VpPlacement) mixed = place (topology, &request);
  check_warning (mixed, "12 vCPUs fit on no one kind of core");
  g_assert_cmpint (mixed->level, ==, VP_LEVEL_WHOLE_CORES);
  request.kind = VP_KIND_ANY;
  g_autoptr (VpPlacement) any = place (topology, &request);
  g_assert_cmpuint (any->warnings->len, ==, 1);
  check_warning (any, "some guest cores are on several host cores");
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

  g_autoptr (VpPlacement) one_kind = check_request (topology, &four, "3 4 5 6", "0-2,7");
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
  g_autoptr (VpPlacement) answer = check_request (topology, &request, "5 7 9 11 13 15 17 19", "4");

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
  g_autoptr (VpPlacement) two = check_request (topology, &request, "4 5", "0");

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
  check_warning (b, "isolated CPUs");
}

/* Threads as the host has them, dies where L3s are alike. */
static void
test_match (void)
{
  g_autoptr (VpTopology) ccx = describe (RYZEN_3900X);
  g_autoptr (VpTopology) plain = describe ("pack:1 l3:1 core:6 pu:1");
  VpPlacementRequest request = guest (12, 1);

  request.match = TRUE;
  g_autoptr (VpPlacement) two = check_request (ccx, &request, "6 18 7 19 8 20 9 21 10 22 11 23", "0-5,12-17");
  g_assert_cmpuint (two->sockets, ==, 1);
  g_assert_cmpuint (two->dies, ==, 2);
  g_assert_cmpuint (two->cores, ==, 3);
  g_assert_cmpuint (two->threads, ==, 2);
  request.n_vcpus = 5;
  g_autoptr (VpPlacement) odd = place (ccx, &request);
  g_assert_cmpuint (odd->threads, ==, 1);
  g_assert_cmpuint (odd->sockets * odd->dies * odd->cores * odd->threads, ==, 5);
  request.n_vcpus = 4;
  g_autoptr (VpPlacement) no_smt = place (plain, &request);
  g_assert_cmpuint (no_smt->threads, ==, 1);
  g_assert_cmpuint (no_smt->cores, ==, 4);
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

static void
test_no_vcpus (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  g_autoptr (GError) error = NULL;
  VpPlacementRequest request = guest (0, 1);

  g_assert_null (vp_placement_new (topology, &request, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_UNFIT);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *path;
    GTestFunc function;
  } cases[] = {
    { "/placement/words", test_words },
    { "/placement/siblings-adjacent", test_siblings_adjacent },
    { "/placement/no-threads", test_no_threads },
    { "/placement/odd-counts", test_odd_counts },
    { "/placement/more-threads-than-host", test_more_threads_than_host },
    { "/placement/smt4", test_smt4 },
    { "/placement/ladder/reserve", test_ladder_reserve },
    { "/placement/ladder/reserve-in-part", test_ladder_reserve_in_part },
    { "/placement/ladder/unpinned", test_ladder_unpinned },
    { "/placement/ladder/taken", test_taken },
    { "/placement/ladder/planned", test_planned },
    { "/placement/sticky", test_sticky },
    { "/placement/grow-and-shrink", test_grow_and_shrink },
    { "/placement/iothreads", test_iothreads },
    { "/placement/l3/fragments", test_l3_fragments },
    { "/placement/l3/spread", test_l3_spread },
    { "/placement/l3/large-cache", test_large_cache },
    { "/placement/numa/device-node", test_device_node },
    { "/placement/numa/nps4", test_nps4 },
    { "/placement/numa/cells", test_cells },
    { "/placement/numa/memory", test_node_memory },
    { "/placement/numa/memoryless", test_memoryless_nodes },
    { "/placement/kinds/hybrid", test_hybrid },
    { "/placement/kinds/lakefield", test_lakefield },
    { "/placement/kinds/big-little", test_big_little },
    { "/placement/hosts/offline-node", test_offline_node },
    { "/placement/hosts/cgroup", test_cgroup },
    { "/placement/hosts/missing-sibling", test_missing_sibling },
    { "/placement/hosts/isolated", test_isolated },
    { "/placement/hosts/ryzen-1600", test_ryzen_1600 },
    { "/placement/match", test_match },
    { "/placement/no-vcpus", test_no_vcpus },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (recipes); i++) {
    g_autofree char *path = g_strdup_printf ("/placement/recipes/%s", recipes[i].name);

    g_test_add_data_func (path, &recipes[i], test_recipe);
  }
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add_func (cases[i].path, cases[i].function);
  return g_test_run ();
}
