/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several guests at once: named cases, and properties of random ones (the seed
 * is fixed): no order of guests makes a difference, a plan is its own answer,
 * and guests that fit beside each other are put there.
 */
#include "placement-checks.h"

#define SEED 20150614
#define N_FLEETS 250

static guint
pick (GRand *rand, guint n, const guint *choices)
{
  return choices[g_rand_int_range (rand, 0, (int) n)];
}

#define PICK(rand, ...) pick (rand, G_N_ELEMENTS (((const guint[]){ __VA_ARGS__ })), (const guint[]){ __VA_ARGS__ })

static VpPlacement *
answer_of (GPtrArray *seats, guint guest)
{
  return ((VpPlacementSeat *) g_ptr_array_index (seats, guest))->answer;
}

/* Those that run hold what they hold, also against the rules; the stopped ones go around it and each other. */
static void
test_fleet (void)
{
  g_autoptr (VpTopology) topology = describe (I7_3770K);
  const int wrong_pairs[] = { 2, 3, 6, 7 };
  VpPlacementGuest guests[] = {
    { .name = "stopped", .request = guest (2, 2) },
    { .name = "running", .running = TRUE, .request = guest (4, 2) },
    { .name = "large", .request = guest (6, 2) },
  };

  guests[1].request.current = wrong_pairs;
  guests[2].request.n_vcpus = 10; /* more than there are */
  guests[2].request.pin = VP_PIN_REQUIRED;
  g_autoptr (GPtrArray) answers = vp_placement_new_fleet (topology, guests, G_N_ELEMENTS (guests), NULL);
  g_autofree char *stopped = dup_pins (answer_of (answers, 0));
  g_autofree char *running = dup_pins (answer_of (answers, 1));
  g_assert_cmpstr (stopped, ==, "1 5");
  g_assert_cmpstr (running, ==, "2 6 3 7");
  check_set (answer_of (answers, 0)->emulator, "0,4");
  check_set (answer_of (answers, 1)->emulator, "0-1,4-5");
  g_assert_null (answer_of (answers, 2));
  g_assert_error (((VpPlacementSeat *) g_ptr_array_index (answers, 2))->error, VP_ERROR, VP_ERROR_UNFIT);
}

/* Two guests that fit beside each other only without spreading do not spread. */
static void
test_fleet_dense (void)
{
  g_autoptr (VpTopology) topology = describe ("pack:1 l3:1 core:7 pu:2");
  VpPlacementGuest guests[] = { { .name = "a", .request = guest (6, 1) }, { .name = "b", .request = guest (6, 1) } };
  g_autoptr (GPtrArray) answers = vp_placement_new_fleet (topology, guests, G_N_ELEMENTS (guests), NULL);
  g_autofree char *a = dup_pins (answer_of (answers, 0));
  g_autofree char *b = dup_pins (answer_of (answers, 1));

  g_assert_cmpstr (a, ==, "2 3 4 5 6 7");
  g_assert_cmpstr (b, ==, "8 9 10 11 12 13");
}

#define MAX_GUESTS 6

typedef struct {
  VpPlacementGuest guests[MAX_GUESTS];
  int current[MAX_GUESTS][64];
  guint n;
} Guests;

static void
random_guests (GRand *rand, Guests *self)
{
  static const char *const names[MAX_GUESTS] = { "a", "b", "c", "d", "e", "f" };

  memset (self, 0, sizeof *self);
  self->n = (guint) g_rand_int_range (rand, 2, MAX_GUESTS + 1);
  for (guint i = 0; i < self->n; i++) {
    guint n_vcpus = g_rand_int_range (rand, 0, 6) == 0 ? 16 : (guint) g_rand_int_range (rand, 1, 9);

    self->guests[i].name = names[i];
    self->guests[i].running = g_rand_int_range (rand, 0, 4) == 0;
    self->guests[i].request =
      (VpPlacementRequest){ .n_vcpus = n_vcpus,
                            .threads = PICK (rand, 1, 2),
                            .pin = VP_PIN_YES,
                            .reserve_cores = 1,
                            .kind = PICK (rand, VP_KIND_PERFORMANCE, VP_KIND_PERFORMANCE, VP_KIND_EFFICIENCY),
                            .cache = PICK (rand, VP_CACHE_ANY, VP_CACHE_LARGEST) };
    for (guint j = 0; j < n_vcpus; j++)
      self->current[i][j] = g_rand_int_range (rand, -1, 24);
    if (g_rand_int_range (rand, 0, 3) == 0)
      self->guests[i].request.current = self->current[i];
  }
}

static void
shuffle (GRand *rand, VpPlacementGuest *guests, guint n)
{
  for (guint i = n; i > 1; i--) {
    guint j = (guint) g_rand_int_range (rand, 0, (int) i);
    VpPlacementGuest swap = guests[i - 1];

    guests[i - 1] = guests[j];
    guests[j] = swap;
  }
}

static const VpPlacement *
find_answer (const VpPlacementGuest *guests, GPtrArray *answers, const char *name)
{
  guint i = 0;

  while (strcmp (guests[i].name, name) != 0)
    i++;
  return answer_of (answers, i);
}

static void
check_same (const VpPlacement *a, const VpPlacement *b)
{
  g_assert_cmpstr (a->summary, ==, b->summary);
  g_assert_true ((a->vcpus == NULL) == (b->vcpus == NULL));
  if (a->vcpus != NULL)
    g_assert_cmpmem (a->vcpus, a->n_vcpus * sizeof *a->vcpus, b->vcpus, b->n_vcpus * sizeof *b->vcpus);
}

/* Hosts with nothing special, with nodes, with kinds of cores, with a large cache. */
static VpTopology *
make_host (guint i)
{
  static const char *const recorded[] = { "made-i9-13900k.xml", "made-7950x3d.xml" };

  if (i % 4 >= 2)
    return recorded_host_load (recorded[i % 2]);
  return describe (i % 2 == 0 ? "pack:1 l3:4 core:3 pu:2(indexes=2*12:12*1)" : "pack:1 numa:2 l3:1 core:6 pu:2");
}

static void
test_order (void)
{
  GRand *rand = g_rand_new_with_seed (SEED + 2);

  for (guint i = 0; i < N_FLEETS; i++) {
    g_autoptr (VpTopology) topology = make_host (i);
    Guests guests;

    random_guests (rand, &guests);
    g_autoptr (GPtrArray) first = vp_placement_new_fleet (topology, guests.guests, guests.n, NULL);
    VpPlacementGuest other[MAX_GUESTS];
    memcpy (other, guests.guests, sizeof other);
    shuffle (rand, other, guests.n);
    g_autoptr (GPtrArray) second = vp_placement_new_fleet (topology, other, guests.n, NULL);
    for (guint j = 0; j < guests.n; j++)
      check_same (answer_of (first, j), find_answer (other, second, guests.guests[j].name));

    /* With what came out as the pins that stopped guests have, nothing moves: those that run stay where they are. */
    for (guint j = 0; j < guests.n; j++)
      if (!guests.guests[j].running)
        guests.guests[j].request.current = answer_of (first, j)->vcpus;
    g_autoptr (GPtrArray) third = vp_placement_new_fleet (topology, guests.guests, guests.n, NULL);
    for (guint j = 0; j < guests.n; j++)
      check_same (answer_of (first, j), answer_of (third, j));
  }
  g_rand_free (rand);
}

/* A guest that is placed again alone, with what its seat says of the others, stays where it is. */
static void
test_seats (void)
{
  GRand *rand = g_rand_new_with_seed (SEED + 4);

  for (guint i = 0; i < N_FLEETS; i++) {
    g_autoptr (VpTopology) topology = make_host (i);
    Guests guests;

    random_guests (rand, &guests);
    g_autoptr (GPtrArray) seats = vp_placement_new_fleet (topology, guests.guests, guests.n, NULL);
    for (guint j = 0; j < guests.n; j++) {
      const VpPlacementSeat *seat = g_ptr_array_index (seats, j);
      VpPlacementRequest request = guests.guests[j].request;

      request.taken = seat->taken;
      request.planned = seat->planned;
      request.current = seat->answer->vcpus;
      g_autoptr (VpPlacement) again = vp_placement_new (topology, &request, NULL);
      check_same (seat->answer, again);
    }
  }
  g_rand_free (rand);
}

/* Guests whose cores are no more than the host has beside its own can all run at once. */
static void
test_side_by_side (void)
{
  GRand *rand = g_rand_new_with_seed (SEED + 3);
  g_autoptr (VpTopology) topology = vp_topology_load_description ("pack:1 l3:4 core:3 pu:2(indexes=2*12:12*1)", NULL);

  for (guint i = 0; i < N_FLEETS; i++) {
    VpPlacementGuest guests[MAX_GUESTS];
    static const char *const names[MAX_GUESTS] = { "a", "b", "c", "d", "e", "f" };
    hwloc_bitmap_t held = hwloc_bitmap_alloc ();
    guint left = 11;
    guint n = 0;

    while (n < MAX_GUESTS && left > 0) {
      guint cores = (guint) g_rand_int_range (rand, 1, (int) left + 1);

      guests[n] = (VpPlacementGuest){
        .name = names[n],
        .request = { .n_vcpus = cores * 2, .threads = PICK (rand, 1, 2), .pin = VP_PIN_YES, .reserve_cores = 1 }
      };
      left -= cores;
      n++;
    }
    g_autoptr (GPtrArray) answers = vp_placement_new_fleet (topology, guests, n, NULL);
    for (guint j = 0; j < n; j++) {
      const VpPlacement *answer = answer_of (answers, j);

      g_assert_cmpint (answer->level, <=, VP_LEVEL_WHOLE_CORES);
      g_assert_cmpuint (answer->warnings->len, ==, 0);
      for (guint k = 0; k < answer->n_vcpus; k++) {
        g_assert_false (hwloc_bitmap_isset (held, (unsigned) answer->vcpus[k]));
        hwloc_bitmap_set (held, (unsigned) answer->vcpus[k]);
      }
    }
    hwloc_bitmap_free (held);
  }
  g_rand_free (rand);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/placement/fleet/running", test_fleet);
  g_test_add_func ("/placement/fleet/dense", test_fleet_dense);
  g_test_add_func ("/placement/fleet/order", test_order);
  g_test_add_func ("/placement/fleet/seats", test_seats);
  g_test_add_func ("/placement/fleet/side-by-side", test_side_by_side);
  return g_test_run ();
}
