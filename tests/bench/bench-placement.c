/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What placement costs as hosts grow: a table of times and of their ratio to
 * n log n, for a small guest and one that fills most of the host, alone and
 * among others; then fleets. Prints figures, judges none: a machine under load
 * would make a liar of every limit.
 */
#include <math.h>

#include "placement/placement-fleet.h"

#define ROUNDS 7

static const struct {
  const char *name;
  const char *synthetic;
} hosts[] = {
  { "8", "pack:1 l3:1 core:4 pu:2" },
  { "32", "pack:1 l3:2 core:8 pu:2" },
  { "128", "pack:2 numa:4 l3:1 core:8 pu:2" },
  { "512", "pack:2 numa:4 l3:4 core:8 pu:2" },
  { "512, one node", "pack:1 l3:32 core:8 pu:2" },
  { "1024", "pack:4 numa:4 l3:4 core:8 pu:2" },
  { "2048", "pack:8 numa:4 l3:4 core:8 pu:2" },
  { "4096", "pack:16 numa:4 l3:4 core:8 pu:2" },
  { "4096, one node", "pack:1 l3:256 core:8 pu:2" },
};

static VpTopology *
load (const char *synthetic)
{
  g_autoptr (GError) error = NULL;
  VpTopology *topology = vp_topology_load_description (synthetic, &error);

  if (topology == NULL)
    g_error ("%s", error->message);
  return topology;
}

/* The best of some rounds, in microseconds. */
static double
time_one (const VpTopology *topology, guint n_vcpus, hwloc_const_bitmap_t taken)
{
  gint64 best = G_MAXINT64;

  for (guint i = 0; i < ROUNDS; i++) {
    VpPlacementRequest request = {
      .n_vcpus = n_vcpus, .threads = 2, .pin = VP_PIN_YES, .reserve_cores = 1, .taken = taken
    };
    gint64 start = g_get_monotonic_time ();
    g_autoptr (VpPlacement) answer = vp_placement_new (topology, &request, NULL);
    best = MIN (best, g_get_monotonic_time () - start);
  }
  return (double) best;
}

static void
print_hosts (void)
{
  g_print ("one guest: microseconds (nanoseconds for each n log2 n)\n%-16s %20s %20s %20s\n", "CPUs", "8 vCPUs",
           "3/4 of the host", "1/4, uneven L3s");
  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++) {
    g_autoptr (VpTopology) topology = load (hosts[i].synthetic);
    hwloc_bitmap_t taken = hwloc_bitmap_alloc ();
    double scale = topology->n_pus * log2 (topology->n_pus) / 1000;
    guint quarter = MAX (topology->n_pus / 8, 1) * 2;

    /* Every L3 loses another number of cores, so that the best sum has to be looked for. */
    for (guint j = 0; j < topology->n_cores; j++) {
      guint l3 = topology->cores[j].l3;

      if (j - topology->l3s[l3].first_core < l3 % 5)
        hwloc_bitmap_set (taken, topology->pus[topology->cores[j].first_pu].os_index);
    }
    double small = time_one (topology, MIN (8, topology->n_pus / 2), NULL);
    double large = time_one (topology, topology->n_pus / 4 * 3, NULL);
    double uneven = time_one (topology, quarter, taken);
    g_print ("%-16s %10.0f (%6.1f) %10.0f (%6.1f) %10.0f (%6.1f)\n", hosts[i].name, small, small / scale, large,
             large / scale, uneven, uneven / scale);
    hwloc_bitmap_free (taken);
  }
}

static void
time_fleet (const VpTopology *topology, guint n_guests, guint n_vcpus)
{
  g_autofree VpPlacementGuest *guests = g_new0 (VpPlacementGuest, n_guests);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  guint degraded = 0;

  for (guint i = 0; i < n_guests; i++) {
    g_ptr_array_add (names, g_strdup_printf ("guest-%03u", i));
    guests[i].name = g_ptr_array_index (names, i);
    guests[i].request = (VpPlacementRequest){ .n_vcpus = n_vcpus, .threads = 2, .pin = VP_PIN_YES, .reserve_cores = 1 };
  }
  gint64 start = g_get_monotonic_time ();
  g_autoptr (GPtrArray) answers = vp_placement_new_fleet (topology, guests, n_guests, NULL);
  gint64 end = g_get_monotonic_time ();
  for (guint i = 0; i < n_guests; i++)
    degraded += ((VpPlacementSeat *) g_ptr_array_index (answers, i))->answer->warnings->len > 0 ? 1 : 0;
  g_print ("%u guests of %u vCPUs on %u CPUs: %.1f ms, %u with warnings\n", n_guests, n_vcpus, topology->n_pus,
           (double) (end - start) / 1000, degraded);
}

int
main (void)
{
  g_autoptr (VpTopology) topology = load ("pack:2 numa:4 l3:4 core:8 pu:2");

  print_hosts ();
  g_print ("\n");
  time_fleet (topology, 20, 4);
  time_fleet (topology, 100, 4);
  time_fleet (topology, 100, 8);
  return 0;
}
