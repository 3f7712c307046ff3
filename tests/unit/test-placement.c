/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Placement, one named case a rule. A list of pins is asserted only where the
 * rules leave one answer; each case says why it is the right one.
 */
#include "placement-checks.h"

typedef struct {
  const char *name;
  const char *host;
  guint n_vcpus;
  VpPlacementLevel level;
  const char *pins;
  const char *emulator;
} Recipe;

/* What people pin by hand and measured; the last one shows one whole CCX, of the host's node. */
static const Recipe recipes[] = {
  { "4c8t-4", I7_3770K, 4, VP_LEVEL_WHOLE_CORES, "2 6 3 7", "0-1,4-5" },
  { "4c8t-6", I7_3770K, 6, VP_LEVEL_WHOLE_CORES, "1 5 2 6 3 7", "0,4" },
  { "6c12t-8", "pack:1 l3:1 core:6 pu:2(indexes=2*6:6*1)", 8, VP_LEVEL_WHOLE_CORES, "2 8 3 9 4 10 5 11", "0-1,6-7" },
  { "8c16t-12", "pack:1 l3:1 core:8 pu:2(indexes=2*8:8*1)", 12, VP_LEVEL_WHOLE_CORES, "2 10 3 11 4 12 5 13 6 14 7 15",
    "0-1,8-9" },
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
  check_current (topology, guest (4, 2), (const int[]){ 3, 7, 1, 5 }, "3 7 1 5");
  /* The howto's own pins tell the guest the wrong pairs. */
  check_current (topology, guest (4, 2), (const int[]){ 2, 3, 6, 7 }, "2 6 3 7");
  /* The host's core, a CPU twice, one that is not there. */
  check_current (topology, guest (4, 2), (const int[]){ 0, 4, 1, 5 }, "2 6 3 7");
  check_current (topology, guest (4, 2), (const int[]){ 1, 1, 2, 6 }, "3 7 2 6");
  check_current (topology, guest (2, 2), (const int[]){ 8, 9 }, "3 7");
  /* Half cores where whole ones do. */
  check_current (topology, guest (2, 1), (const int[]){ 2, 6 }, "2 3");
}

static void
test_grow_and_shrink (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  g_autoptr (VpTopology) ccx = describe (RYZEN_3900X);

  check_current (topology, guest (6, 2), (const int[]){ 2, 6, 3, 7, -1, -1 }, "2 6 3 7 1 5");
  check_current (topology, guest (4, 2), (const int[]){ 1, 5, 2, 6 }, "1 5 2 6");
  /* Two cores in two CCXs were never good. */
  check_current (ccx, guest (4, 2), (const int[]){ 5, 17, 6, 18 }, "1 13 2 14");
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

/* A matched guest computes its L3s by cutting its vCPUs into runs: whole ones first, and where that fails it is known. */
static void
test_match_uneven (void)
{
  static const int before[] = { 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15 };
  g_autoptr (VpTopology) zen2 = describe ("pack:1 l3:2 core:4 pu:2(indexes=2*8:8*1)");
  g_autoptr (VpTopology) ccx = describe (RYZEN_3900X);
  g_autoptr (VpTopology) nodes = describe ("pack:2 [numa] l3:2 core:4 pu:2");
  VpPlacementRequest request = guest (12, 1);

  request.match = TRUE;
  g_autoptr (VpPlacement) whole_first = check_request (zen2, &request, "4 12 5 13 6 14 7 15 2 10 3 11", "0-1,8-9");
  g_assert_cmpuint (whole_first->dies, ==, 1);
  g_assert_cmpuint (whole_first->l3_run, ==, 0);
  /* As it was pinned before: the same cores, and no longer good. */
  check_current (zen2, request, before, "4 12 5 13 6 14 7 15 2 10 3 11");
  /* Whoever does not match is not shown L3s. */
  check_current (zen2, guest (12, 2), before, "2 10 3 11 4 12 5 13 6 14 7 15");
  /* Runs of eight, not of six. */
  request.n_vcpus = 10;
  g_autoptr (VpPlacement) six = check_request (ccx, &request, "9 21 10 22 11 23 1 13 2 14", "0,12");
  g_assert_cmpuint (six->l3_run, ==, 8);
  request.n_vcpus = 12;
  g_autoptr (VpPlacement) dies = place (ccx, &request);
  g_assert_cmpuint (dies->l3_run, ==, 0);
  /* Three L3s and a part of the fourth: its node comes last. */
  request.n_vcpus = 28;
  g_autoptr (VpPlacement) two =
    check_request (nodes, &request, "16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 8 9 10 11 12 13 14 15 4 5 6 7",
                   "0-3");
  g_assert_cmpuint (two->l3_run, ==, 0);
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
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (recipes); i++) {
    g_autofree char *path = g_strdup_printf ("/placement/recipes/%s", recipes[i].name);

    g_test_add_data_func (path, &recipes[i], test_recipe);
  }
  g_test_add_func ("/placement/words", test_words);
  g_test_add_func ("/placement/siblings-adjacent", test_siblings_adjacent);
  g_test_add_func ("/placement/no-threads", test_no_threads);
  g_test_add_func ("/placement/odd-counts", test_odd_counts);
  g_test_add_func ("/placement/more-threads-than-host", test_more_threads_than_host);
  g_test_add_func ("/placement/smt4", test_smt4);
  g_test_add_func ("/placement/ladder/reserve", test_ladder_reserve);
  g_test_add_func ("/placement/ladder/reserve-in-part", test_ladder_reserve_in_part);
  g_test_add_func ("/placement/ladder/unpinned", test_ladder_unpinned);
  g_test_add_func ("/placement/ladder/taken", test_taken);
  g_test_add_func ("/placement/ladder/planned", test_planned);
  g_test_add_func ("/placement/sticky", test_sticky);
  g_test_add_func ("/placement/grow-and-shrink", test_grow_and_shrink);
  g_test_add_func ("/placement/iothreads", test_iothreads);
  g_test_add_func ("/placement/l3/fragments", test_l3_fragments);
  g_test_add_func ("/placement/l3/spread", test_l3_spread);
  g_test_add_func ("/placement/match", test_match);
  g_test_add_func ("/placement/match-uneven", test_match_uneven);
  g_test_add_func ("/placement/no-vcpus", test_no_vcpus);
  return g_test_run ();
}
