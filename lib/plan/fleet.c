/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns domains into the guests of placement/placement-fleet.h, and its answer into neighbours. */
#include "plan/fleet.h"

#include <string.h>

#include "domain/pins.h"
#include "placement/placement-fleet.h"
#include "placement/placement-request.h"
#include "plan/plan.h"
#include "profile/tag-match.h"
#include "profile/tag.h"

typedef struct {
  char *uuid;
  VpNeighbour *self; /* as others see it: its live pins while it runs; else where we place it, or its definition's */
  VpPlacementRequest *request; /* NULL: we do not place it */
  GArray *devices;             /* of VpPciAddress, while it runs */
  VpPlacementSeat *seat;       /* NULL: we do not place it, or it was not settled yet */
  VpNeighbours *neighbours;    /* NULL: nobody asked since the last settling */
} Guest;

struct VpFleet {
  const VpHost *host;
  const VpProfiles *profiles;
  GPtrArray *guests;   /* by name */
  GHashTable *by_uuid; /* char * -> Guest, both borrowed */
  GPtrArray *moved;    /* of char * */
  VpPlacementMemo *memo;
};

static void
guest_free (gpointer data)
{
  Guest *guest = data;

  g_free (guest->uuid);
  vp_neighbour_unref (guest->self);
  vp_placement_request_free (guest->request);
  g_array_unref (guest->devices);
  vp_placement_seat_unref (guest->seat);
  vp_neighbours_unref (guest->neighbours);
  g_free (guest);
}

VpFleet *
vp_fleet_new (const VpHost *host, const VpProfiles *profiles)
{
  VpFleet *fleet = g_new0 (VpFleet, 1);

  fleet->host = host;
  fleet->profiles = profiles;
  fleet->guests = g_ptr_array_new_with_free_func (guest_free);
  fleet->by_uuid = g_hash_table_new (g_str_hash, g_str_equal);
  fleet->moved = g_ptr_array_new_with_free_func (g_free);
  fleet->memo = vp_placement_memo_new ();
  return fleet;
}

void
vp_fleet_free (VpFleet *fleet)
{
  if (fleet == NULL)
    return;
  g_hash_table_unref (fleet->by_uuid);
  g_ptr_array_unref (fleet->guests);
  g_ptr_array_unref (fleet->moved);
  vp_placement_memo_free (fleet->memo);
  g_free (fleet);
}

/* As the domain will be tagged; NULL: not at all, or wrongly. */
static VpTag *
resolve_tag (const VpFleet *fleet, const VpDomain *stored)
{
  g_autoptr (VpTagMatch) match = vp_tag_match_new (fleet->profiles, stored, fleet->host);
  g_autoptr (VpDomain) tagged = match != NULL && match->names != NULL ? vp_domain_copy (stored) : NULL;

  if (match != NULL && match->names == NULL)
    return NULL;
  if (tagged != NULL)
    vp_tag_match_apply (match, tagged);
  const xmlNode *node = vp_domain_tag (tagged != NULL ? tagged : stored);
  return node != NULL ? vp_tag_resolve (node, fleet->profiles, NULL) : NULL;
}

/* A definition that cannot be planned is placed by nobody; its own look says why. */
static VpPlacementRequest *
new_request (const VpFleet *fleet, const VpDomain *stored, const VpDomain *live)
{
  g_autoptr (VpTag) tag = resolve_tag (fleet, stored);

  if (tag == NULL || !vp_settings_pin (tag->settings))
    return NULL;
  g_autoptr (VpPlan) undone = vp_plan_new (stored, fleet->host, fleet->profiles, NULL, VP_PLAN_UNDO, NULL);
  if (undone == NULL)
    return NULL;
  return vp_placement_request_new (undone->result, live != NULL ? live : stored, fleet->host, tag->settings, NULL);
}

/* Pins to all CPUs are none, and vCPUs that are off hold nothing. */
static void
add_holds (const VpFleet *fleet, const VpDomain *domain, hwloc_bitmap_t holds)
{
  const VpTopology *topology = fleet->host->topology;
  g_autoptr (VpPins) pins = vp_pins_read (domain);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (domain);

  vp_pins_add_default (pins, domain);
  for (guint i = 0; i < pins->vcpus->len; i++) {
    g_autoptr (VpBitmap) set = hwloc_bitmap_isset (online, i) ? vp_pins_new_vcpu_set (pins, i) : NULL;
    guint n = 0;
    if (set == NULL)
      continue;
    for (guint j = 0; j < topology->n_pus; j++)
      n += topology->pus[j].usable && !hwloc_bitmap_isset (set, topology->pus[j].os_index) ? 1 : 0;
    if (n > 0)
      hwloc_bitmap_or (holds, holds, set);
  }
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  const Guest *left = *(const Guest *const *) a;
  const Guest *right = *(const Guest *const *) b;
  int order = strcmp (left->self->name, right->self->name);

  return order != 0 ? order : g_strcmp0 (left->uuid, right->uuid);
}

static void
remove_guest (VpFleet *fleet, Guest *guest)
{
  g_hash_table_remove (fleet->by_uuid, guest->uuid);
  g_ptr_array_remove (fleet->guests, guest);
}

static Guest *
find_guest (const VpFleet *fleet, const char *uuid)
{
  return uuid != NULL ? g_hash_table_lookup (fleet->by_uuid, uuid) : NULL;
}

void
vp_fleet_remove (VpFleet *fleet, const char *uuid, const char *name)
{
  Guest *guest = find_guest (fleet, uuid);

  if (guest != NULL && strcmp (guest->self->name, name) == 0)
    remove_guest (fleet, guest);
}

void
vp_fleet_set (VpFleet *fleet, const VpDomain *stored, const VpDomain *live)
{
  Guest *guest = g_new0 (Guest, 1);
  const VpDomain *any = stored != NULL ? stored : live;

  guest->uuid = vp_domain_dup_uuid (any);
  g_autofree char *name = vp_domain_dup_name (any);
  guest->self = vp_neighbour_new (name, live != NULL);
  guest->request = stored != NULL ? new_request (fleet, stored, live) : NULL;
  guest->devices = live != NULL ? vp_domain_device_addresses (live) : g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  if (live != NULL || guest->request == NULL)
    add_holds (fleet, live != NULL ? live : stored, guest->self->cpus);
  Guest *before = find_guest (fleet, guest->uuid);
  if (before != NULL && guest->request != NULL)
    guest->seat = g_steal_pointer (&before->seat);
  if (before != NULL)
    remove_guest (fleet, before);
  if (guest->uuid != NULL)
    g_hash_table_insert (fleet->by_uuid, guest->uuid, guest);
  g_ptr_array_add (fleet->guests, guest);
}

/* Where a stopped guest that we place is, is known when it is placed. */
static gboolean
is_seated (const Guest *guest)
{
  return guest->request != NULL && !guest->self->running;
}

/* What guests hold beside the requests, and how many of them each CPU. */
typedef struct {
  hwloc_bitmap_t running;
  hwloc_bitmap_t stopped;
  GArray *holders; /* of guint, of those that run, by CPU */
} Others;

static void
count_holders (const Others *others, hwloc_const_bitmap_t holds)
{
  for (int cpu = hwloc_bitmap_first (holds); cpu >= 0; cpu = hwloc_bitmap_next (holds, cpu)) {
    if ((guint) cpu >= others->holders->len)
      g_array_set_size (others->holders, (guint) cpu + 1);
    g_array_index (others->holders, guint, cpu)++;
  }
}

static void
sum_others (const VpFleet *fleet, const Others *others)
{
  for (guint i = 0; i < fleet->guests->len; i++) {
    const Guest *guest = fleet->guests->pdata[i];
    if (is_seated (guest))
      continue;
    hwloc_bitmap_t set = guest->self->running ? others->running : others->stopped;
    hwloc_bitmap_or (set, set, guest->self->cpus);
    if (guest->self->running)
      count_holders (others, guest->self->cpus);
  }
}

/* Of one that runs: without what it alone holds. */
static hwloc_bitmap_t
new_taken (const Others *others, const Guest *guest)
{
  hwloc_bitmap_t taken = hwloc_bitmap_dup (others->running);

  hwloc_const_bitmap_t own = guest->self->cpus;

  for (int cpu = hwloc_bitmap_first (own); cpu >= 0; cpu = hwloc_bitmap_next (own, cpu))
    if (g_array_index (others->holders, guint, cpu) == 1)
      hwloc_bitmap_clr (taken, (unsigned) cpu);
  return taken;
}

/* Where a guest that we place will be. Who knows of it already keeps what it knows. */
static void
take_seat (VpFleet *fleet, Guest *guest, VpPlacementSeat *seat)
{
  const VpPlacement *answer = seat->answer;
  VpPlacementSeat *before = guest->seat;

  guest->seat = vp_placement_seat_ref (seat);
  if (before == NULL || !vp_placement_seat_equal (before, seat))
    g_ptr_array_add (fleet->moved, g_strdup (guest->self->name));
  if (!guest->self->running && (before != seat || hwloc_bitmap_iszero (guest->self->cpus))) {
    VpNeighbour *self = vp_neighbour_new (guest->self->name, FALSE);
    for (guint i = 0; answer != NULL && answer->vcpus != NULL && i < answer->n_vcpus; i++)
      hwloc_bitmap_set (self->cpus, (unsigned) answer->vcpus[i]);
    vp_neighbour_unref (guest->self);
    guest->self = self;
  }
  vp_placement_seat_unref (before);
}

static void
place_all (VpFleet *fleet, const Others *others)
{
  g_autoptr (GPtrArray) placed = g_ptr_array_new ();
  g_autoptr (GPtrArray) sets = g_ptr_array_new_with_free_func ((GDestroyNotify) hwloc_bitmap_free);
  g_autofree VpPlacementGuest *guests = g_new0 (VpPlacementGuest, fleet->guests->len);

  for (guint i = 0; i < fleet->guests->len; i++) {
    Guest *guest = fleet->guests->pdata[i];
    if (guest->request == NULL)
      continue;
    VpPlacementGuest *self = &guests[placed->len];
    self->name = guest->uuid;
    self->running = guest->self->running;
    self->request = *guest->request; /* its memory stays the guest's */
    self->request.taken = others->running;
    self->request.planned = others->stopped;
    if (guest->self->running) {
      g_ptr_array_add (sets, new_taken (others, guest));
      self->request.taken = sets->pdata[sets->len - 1];
    }
    g_ptr_array_add (placed, guest);
  }
  g_autoptr (GPtrArray) seats = vp_placement_new_fleet (fleet->host->topology, guests, placed->len, fleet->memo);
  for (guint i = 0; i < placed->len; i++)
    take_seat (fleet, placed->pdata[i], seats->pdata[i]);
}

void
vp_fleet_settle (VpFleet *fleet)
{
  g_autoptr (VpBitmap) running = hwloc_bitmap_alloc ();
  g_autoptr (VpBitmap) stopped = hwloc_bitmap_alloc ();
  g_autoptr (GArray) holders = g_array_new (FALSE, TRUE, sizeof (guint));
  const Others others = { running, stopped, holders };

  g_ptr_array_sort (fleet->guests, compare_names);
  g_ptr_array_set_size (fleet->moved, 0);
  for (guint i = 0; i < fleet->guests->len; i++)
    g_clear_pointer (&((Guest *) fleet->guests->pdata[i])->neighbours, vp_neighbours_unref);
  sum_others (fleet, &others);
  place_all (fleet, &others);
  vp_placement_memo_age (fleet->memo);
}

static VpNeighbours *
new_neighbours (const VpFleet *fleet, const Guest *guest)
{
  VpNeighbours *neighbours = vp_neighbours_new ();
  const VpPlacement *answer = guest->seat->answer;

  hwloc_bitmap_copy (neighbours->taken, guest->seat->taken);
  hwloc_bitmap_copy (neighbours->planned, guest->seat->planned);
  if (answer != NULL && answer->vcpus != NULL) {
    neighbours->n_vcpus = answer->n_vcpus;
    neighbours->vcpus = g_memdup2 (answer->vcpus, answer->n_vcpus * sizeof *answer->vcpus);
  }
  for (guint i = 0; i < fleet->guests->len; i++) {
    const Guest *other = fleet->guests->pdata[i];
    if (other != guest && !hwloc_bitmap_iszero (other->self->cpus))
      vp_neighbours_add (neighbours, other->self);
  }
  return neighbours;
}

static Guest *
find_placed (const VpFleet *fleet, const char *uuid)
{
  Guest *guest = find_guest (fleet, uuid);

  return guest != NULL && guest->seat != NULL ? guest : NULL;
}

VpNeighbours *
vp_fleet_new_neighbours (const VpFleet *fleet, const char *uuid)
{
  const Guest *guest = find_placed (fleet, uuid);

  return guest != NULL ? new_neighbours (fleet, guest) : NULL;
}

VpNeighbours *
vp_fleet_find (const VpFleet *fleet, const char *uuid)
{
  Guest *guest = find_placed (fleet, uuid);

  if (guest != NULL && guest->neighbours == NULL)
    guest->neighbours = new_neighbours (fleet, guest);
  return guest != NULL ? guest->neighbours : NULL;
}

const GPtrArray *
vp_fleet_get_moved (const VpFleet *fleet)
{
  return fleet->moved;
}

void
vp_fleet_foreach_running (const VpFleet *fleet, void (*visit) (const VpRunning *running, gpointer data), gpointer data)
{
  for (guint i = 0; i < fleet->guests->len; i++) {
    const Guest *guest = fleet->guests->pdata[i];
    const VpRunning running = { guest->uuid, guest->self->name, guest->self->cpus, guest->devices };
    if (guest->self->running)
      visit (&running, data);
  }
}
