/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns domains into the guests of placement/placement-fleet.h, and its answer into neighbours. */
#include "plan/fleet.h"

#include "domain/pins.h"
#include "placement/placement-fleet.h"
#include "placement/placement-request.h"
#include "plan/plan.h"
#include "profile/tag-match.h"
#include "profile/tag.h"

typedef struct {
  char *uuid;
  char *name;
  gboolean running;
  VpPlacementRequest *request; /* NULL: we do not place it */
  hwloc_bitmap_t holds;        /* running: of its live pins; else of its definition's, unless we place it */
  GArray *devices;             /* of VpPciAddress, while it runs */
  VpNeighbours *neighbours;
} Guest;

struct VpFleet {
  const VpHost *host;
  const VpProfiles *profiles;
  GPtrArray *guests;
};

static void
guest_free (gpointer data)
{
  Guest *guest = data;

  g_free (guest->uuid);
  g_free (guest->name);
  vp_placement_request_free (guest->request);
  hwloc_bitmap_free (guest->holds);
  g_array_unref (guest->devices);
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
  return fleet;
}

void
vp_fleet_free (VpFleet *fleet)
{
  if (fleet == NULL)
    return;
  g_ptr_array_unref (fleet->guests);
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

void
vp_fleet_add (VpFleet *fleet, const VpDomain *stored, const VpDomain *live)
{
  Guest *guest = g_new0 (Guest, 1);
  const VpDomain *any = stored != NULL ? stored : live;

  guest->uuid = vp_domain_dup_uuid (any);
  guest->name = vp_domain_dup_name (any);
  guest->running = live != NULL;
  guest->request = stored != NULL ? new_request (fleet, stored, live) : NULL;
  guest->holds = hwloc_bitmap_alloc ();
  guest->devices = live != NULL ? vp_domain_device_addresses (live) : g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  if (live != NULL || guest->request == NULL)
    add_holds (fleet, live != NULL ? live : stored, guest->holds);
  g_ptr_array_add (fleet->guests, guest);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  const Guest *left = *(const Guest *const *) a;
  const Guest *right = *(const Guest *const *) b;
  int order = g_strcmp0 (left->name, right->name);

  return order != 0 ? order : g_strcmp0 (left->uuid, right->uuid);
}

/* What the others hold that is not in their requests. */
static void
add_others (const VpFleet *fleet, const Guest *self, hwloc_bitmap_t taken, hwloc_bitmap_t planned)
{
  for (guint i = 0; i < fleet->guests->len; i++) {
    const Guest *other = fleet->guests->pdata[i];
    if (other == self)
      continue;
    if (other->running)
      hwloc_bitmap_or (taken, taken, other->holds);
    else
      hwloc_bitmap_or (planned, planned, other->holds);
  }
}

/* Where a guest that we place will be. */
static void
set_answer (Guest *guest, const VpPlacementSeat *seat)
{
  VpNeighbours *neighbours = guest->neighbours;

  hwloc_bitmap_copy (neighbours->taken, seat->taken);
  hwloc_bitmap_copy (neighbours->planned, seat->planned);
  if (seat->answer == NULL || seat->answer->vcpus == NULL)
    return;
  neighbours->n_vcpus = seat->answer->n_vcpus;
  neighbours->vcpus = g_memdup2 (seat->answer->vcpus, seat->answer->n_vcpus * sizeof *seat->answer->vcpus);
  for (guint i = 0; i < seat->answer->n_vcpus && !guest->running; i++)
    hwloc_bitmap_set (guest->holds, (unsigned) seat->answer->vcpus[i]);
}

static void
place_all (const VpFleet *fleet)
{
  g_autoptr (GPtrArray) placed = g_ptr_array_new ();
  g_autofree VpPlacementGuest *guests = g_new0 (VpPlacementGuest, fleet->guests->len);

  for (guint i = 0; i < fleet->guests->len; i++) {
    Guest *guest = fleet->guests->pdata[i];
    if (guest->request == NULL)
      continue;
    VpPlacementGuest *self = &guests[placed->len];
    self->name = guest->uuid;
    self->running = guest->running;
    self->request = *guest->request; /* its memory stays the guest's */
    self->request.taken = guest->neighbours->taken;
    self->request.planned = guest->neighbours->planned;
    g_ptr_array_add (placed, guest);
  }
  g_autoptr (GPtrArray) seats = vp_placement_new_fleet (fleet->host->topology, guests, placed->len);
  for (guint i = 0; i < placed->len; i++)
    set_answer (placed->pdata[i], seats->pdata[i]);
}

void
vp_fleet_settle (VpFleet *fleet)
{
  g_ptr_array_sort (fleet->guests, compare_names);
  for (guint i = 0; i < fleet->guests->len; i++) {
    Guest *guest = fleet->guests->pdata[i];
    if (guest->request == NULL)
      continue;
    guest->neighbours = vp_neighbours_new ();
    add_others (fleet, guest, guest->neighbours->taken, guest->neighbours->planned);
  }
  place_all (fleet);
  for (guint i = 0; i < fleet->guests->len; i++) {
    const Guest *guest = fleet->guests->pdata[i];
    for (guint j = 0; guest->neighbours != NULL && j < fleet->guests->len; j++) {
      const Guest *other = fleet->guests->pdata[j];
      if (other != guest && !hwloc_bitmap_iszero (other->holds))
        vp_neighbours_add (guest->neighbours, other->name, other->running, other->holds);
    }
  }
}

VpNeighbours *
vp_fleet_find (const VpFleet *fleet, const char *uuid)
{
  for (guint i = 0; i < fleet->guests->len; i++) {
    const Guest *guest = fleet->guests->pdata[i];
    if (g_strcmp0 (guest->uuid, uuid) == 0)
      return guest->neighbours;
  }
  return NULL;
}

void
vp_fleet_foreach_running (const VpFleet *fleet, void (*visit) (const VpRunning *running, gpointer data), gpointer data)
{
  for (guint i = 0; i < fleet->guests->len; i++) {
    const Guest *guest = fleet->guests->pdata[i];
    const VpRunning running = { guest->uuid, guest->name, guest->holds, guest->devices };
    if (guest->running)
      visit (&running, data);
  }
}
