/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A seating is the CPUs of all guests. It is made in one pass over the guests,
 * large ones first, each against what the guests that run hold and what the
 * other stopped ones have or are planned on. The passes differ in what they
 * start with:
 *
 *   sticky   with the pins that the guests have
 *   fresh    without those of stopped guests
 *   dense    the same, two vCPUs a core also for guests without threads
 *
 * Each is passed over again until nothing moves; the first that leaves the
 * fewest guests in each other's way wins. So planning again with the result as
 * current pins gives the result.
 */
#include "placement/placement-fleet.h"

#include <string.h>

#include "base/list.h"

/* A guest moves only to where it is in nobody's way, so that the first rounds settle it. */
#define MAX_ROUNDS 16

typedef struct {
  const VpTopology *topology;
  const VpPlacementGuest *guests;
  guint n_guests;
  guint *order;
  hwloc_bitmap_t running; /* CPUs of guests that run */
  hwloc_bitmap_t taken;   /* of the guest that is placed */
  hwloc_bitmap_t planned;
  VpPlacementMemo *memo;
} Guests;

typedef struct {
  GPtrArray *seats; /* of VpPlacementSeat */
  guint score;      /* stopped guests that are in another's way, or have not what they should */
} Seating;

typedef enum { PASS_STICKY, PASS_FRESH, PASS_DENSE, PASS_N } Pass;

static int
compare_guests (gconstpointer left, gconstpointer right, gpointer data)
{
  const Guests *fleet = data;
  const VpPlacementGuest *a = &fleet->guests[*(const guint *) left];
  const VpPlacementGuest *b = &fleet->guests[*(const guint *) right];

  if (a->running != b->running)
    return a->running ? -1 : 1;
  if (a->request.n_vcpus != b->request.n_vcpus)
    return a->request.n_vcpus > b->request.n_vcpus ? -1 : 1;
  return g_strcmp0 (a->name, b->name);
}

static void
add_cpus (hwloc_bitmap_t set, const int *cpus, guint n)
{
  for (guint i = 0; i < n && cpus != NULL; i++) {
    if (cpus[i] >= 0)
      hwloc_bitmap_set (set, (unsigned) cpus[i]);
  }
}

static Seating *
seating_new (guint n_guests)
{
  Seating *seating = g_new0 (Seating, 1);

  seating->seats = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_placement_seat_unref);
  g_ptr_array_set_size (seating->seats, (int) n_guests);
  return seating;
}

static void
seating_free (Seating *seating)
{
  g_ptr_array_unref (seating->seats);
  g_free (seating);
}

static const int *
find_cpus (const Seating *seating, guint guest)
{
  const VpPlacementSeat *seat = seating->seats->pdata[guest];

  return seat->answer != NULL ? seat->answer->vcpus : NULL;
}

/* The pins that a guest has as far as this pass is concerned: those of `before`, or its own. */
static const int *
find_current (const Guests *fleet, const Seating *before, Pass pass, guint guest)
{
  if (before != NULL)
    return find_cpus (before, guest);
  if (pass != PASS_STICKY && !fleet->guests[guest].running)
    return NULL;
  return fleet->guests[guest].request.current;
}

/* What guests hold, one count for each CPU: the sum without one guest is then cheap to know. */
typedef struct {
  guint *holders; /* by position in the topology's pus */
  hwloc_bitmap_t set;
} Held;

static void
held_change (Held *held, const VpTopology *topology, const int *cpus, guint n, gboolean add)
{
  for (guint i = 0; i < n && cpus != NULL; i++) {
    int position = cpus[i] < 0 ? -1 : vp_topology_find_pu (topology, (unsigned) cpus[i]);

    if (position < 0)
      continue;
    if (add && held->holders[position]++ == 0)
      hwloc_bitmap_set (held->set, (unsigned) cpus[i]);
    else if (!add && --held->holders[position] == 0)
      hwloc_bitmap_clr (held->set, (unsigned) cpus[i]);
  }
}

/* The CPUs that guests hold which run, without those that only this guest holds. */
static void
set_taken (const Guests *fleet, guint guest)
{
  const VpPlacementGuest *self = &fleet->guests[guest];

  hwloc_bitmap_copy (fleet->taken, fleet->running);
  for (guint i = 0; self->running && self->request.current != NULL && i < self->request.n_vcpus; i++) {
    if (self->request.current[i] >= 0)
      hwloc_bitmap_clr (fleet->taken, (unsigned) self->request.current[i]);
  }
  /* A CPU that two running guests hold stays with the other one. */
  for (guint i = 0; i < fleet->n_guests && self->running; i++) {
    if (i != guest && fleet->guests[i].running)
      add_cpus (fleet->taken, fleet->guests[i].request.current, fleet->guests[i].request.n_vcpus);
  }
  if (self->request.taken != NULL)
    hwloc_bitmap_or (fleet->taken, fleet->taken, self->request.taken);
}

/* Gives the guest its place: `planned` is what the others have or are planned on. No more is known of it yet. */
static VpPlacementSeat *
choose_seat (const Guests *fleet, guint guest, const int *current, Pass pass, hwloc_const_bitmap_t planned)
{
  VpPlacementRequest request = fleet->guests[guest].request;

  set_taken (fleet, guest);
  hwloc_bitmap_copy (fleet->planned, planned);
  if (request.planned != NULL)
    hwloc_bitmap_or (fleet->planned, fleet->planned, request.planned);
  request.taken = fleet->taken;
  request.planned = fleet->planned;
  request.current = current;
  /* Guests that run are the same in all passes, or planning again would not give the same. */
  request.dense = request.dense || (pass == PASS_DENSE && !fleet->guests[guest].running);
  return vp_placement_memo_place (fleet->memo, fleet->topology, &request, FALSE);
}

/* All that is said of a place that was chosen, and was the guest's in the round before. */
static void
fill_seat (const Guests *fleet, guint guest, VpPlacementSeat **place)
{
  VpPlacementRequest request = fleet->guests[guest].request;
  VpPlacementSeat *chosen = *place;

  request.taken = chosen->taken;
  request.planned = chosen->planned;
  request.current = chosen->answer != NULL ? chosen->answer->vcpus : NULL;
  /* No search, unless it is for the threads, too. */
  request.fixed = request.fixed || !request.match;
  *place = vp_placement_memo_place (fleet->memo, fleet->topology, &request, TRUE);
  vp_placement_seat_unref (chosen);
}

static gboolean
is_in_the_way (const VpPlacement *answer, hwloc_const_bitmap_t planned)
{
  if (answer == NULL || answer->vcpus == NULL || answer->level >= VP_LEVEL_RESERVE)
    return TRUE;
  for (guint i = 0; i < answer->n_vcpus; i++) {
    if (hwloc_bitmap_isset (planned, (unsigned) answer->vcpus[i]))
      return TRUE;
  }
  return FALSE;
}

static Seating *
make_seating (const Guests *fleet, const Seating *before, Pass pass)
{
  Seating *seating = seating_new (fleet->n_guests);
  g_autofree guint *holders = g_new0 (guint, fleet->topology->n_pus);
  g_autoptr (VpBitmap) set = hwloc_bitmap_alloc ();
  Held held = { .holders = holders, .set = set };
  g_autoptr (VpBitmap) running = hwloc_bitmap_alloc ();

  for (guint i = 0; i < fleet->n_guests; i++) {
    if (!fleet->guests[i].running)
      held_change (&held, fleet->topology, find_current (fleet, before, pass, i), fleet->guests[i].request.n_vcpus,
                   TRUE);
  }
  for (guint i = 0; i < fleet->n_guests; i++) {
    guint guest = fleet->order[i];
    guint n = fleet->guests[guest].request.n_vcpus;
    const int *current = find_current (fleet, before, pass, guest);

    /* Guests that run come first, and do not make way for those that do not. */
    if (!fleet->guests[guest].running)
      held_change (&held, fleet->topology, current, n, FALSE);
    hwloc_const_bitmap_t planned = fleet->guests[guest].running ? running : held.set;
    VpPlacementSeat *seat = choose_seat (fleet, guest, current, pass, planned);
    seating->seats->pdata[guest] = seat;
    seating->score += !fleet->guests[guest].running && is_in_the_way (seat->answer, seat->planned) ? 1 : 0;
    /* A running guest that ought to move is not where its answer is, but will be. */
    held_change (&held, fleet->topology, find_cpus (seating, guest), n, TRUE);
    if (fleet->guests[guest].running)
      add_cpus (running, find_cpus (seating, guest), n);
  }
  return seating;
}

static gboolean
is_same_seating (const Guests *fleet, const Seating *a, const Seating *b)
{
  for (guint i = 0; i < fleet->n_guests; i++) {
    if (a->seats->pdata[i] == b->seats->pdata[i])
      continue;
    const int *of_a = find_cpus (a, i);
    const int *of_b = find_cpus (b, i);

    if ((of_a == NULL) != (of_b == NULL))
      return FALSE;
    if (of_a != NULL && memcmp (of_a, of_b, fleet->guests[i].request.n_vcpus * sizeof *of_a) != 0)
      return FALSE;
  }
  return TRUE;
}

/* What is said of each guest (emulator, warnings) knows all others only in the last round. */
static Seating *
settle (const Guests *fleet, Seating *seating)
{
  for (guint round = 0; round < MAX_ROUNDS; round++) {
    Seating *next = make_seating (fleet, seating, PASS_STICKY);
    gboolean same = is_same_seating (fleet, seating, next);

    seating_free (seating);
    seating = next;
    if (same)
      break;
  }
  return seating;
}

/* Whether a pass starts with anything that the one before it did not. */
static gboolean
differs (const Guests *fleet, Pass pass)
{
  for (guint i = 0; i < fleet->n_guests; i++) {
    const VpPlacementRequest *request = &fleet->guests[i].request;

    if (fleet->guests[i].running)
      continue;
    if (pass == PASS_DENSE ? !request->dense && (request->threads < 2 || request->n_vcpus < 2 || request->match)
                           : request->current != NULL)
      return TRUE;
  }
  return FALSE;
}

static Seating *
find_best_seating (const Guests *fleet)
{
  Seating *best = settle (fleet, make_seating (fleet, NULL, PASS_STICKY));

  for (Pass next = PASS_FRESH; next < PASS_N && best->score > 0; next++) {
    if (!differs (fleet, next))
      continue;
    Seating *seating = settle (fleet, make_seating (fleet, NULL, next));

    if (seating->score < best->score) {
      seating_free (best);
      best = seating;
    } else {
      seating_free (seating);
    }
  }
  return best;
}

GPtrArray *
vp_placement_new_fleet (const VpTopology *topology, const VpPlacementGuest *guests, guint n_guests,
                        VpPlacementMemo *memo)
{
  g_autofree guint *order = g_new0 (guint, n_guests);
  g_autoptr (VpBitmap) running = hwloc_bitmap_alloc ();
  g_autoptr (VpBitmap) taken = hwloc_bitmap_alloc ();
  g_autoptr (VpBitmap) planned = hwloc_bitmap_alloc ();
  g_autoptr (VpPlacementMemo) own = memo == NULL ? vp_placement_memo_new () : NULL;
  Guests all = { topology, guests, n_guests, order, running, taken, planned, memo != NULL ? memo : own };

  for (guint i = 0; i < n_guests; i++) {
    order[i] = i;
    if (guests[i].running)
      add_cpus (all.running, guests[i].request.current, guests[i].request.n_vcpus);
  }
  g_qsort_with_data (order, (int) n_guests, sizeof *order, compare_guests, &all);
  Seating *seating = find_best_seating (&all);
  for (guint i = 0; i < n_guests; i++)
    fill_seat (&all, i, (VpPlacementSeat **) &seating->seats->pdata[i]);
  GPtrArray *seats = g_ptr_array_ref (seating->seats);
  seating_free (seating);
  return seats;
}
