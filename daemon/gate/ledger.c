/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared state between the main thread and the gate. */
#include "daemon/gate/ledger.h"

#define INCOMING_SECONDS 60 /* libvirt asks for restore and prepare one behind the other */
#define CLAIM_SECONDS 120   /* from prepare until libvirt lists the guest as running; hugepages take their time */

typedef struct {
  gint64 noted; /* monotonic */
  VpNeighbours *neighbours;
} Incoming;

typedef struct {
  VpNeighbours *now;
  VpNeighbours *next; /* NULL: it is not being prepared */
} Beside;

typedef struct {
  char *name;
  hwloc_bitmap_t cpus;
  GArray *devices; /* of VpPciAddress */
  gint64 claimed; /* monotonic; 0: libvirt says that it runs */
} Holder;

struct VpLedger {
  GMutex mutex;
  VpHost *host;
  VpProfiles *profiles;
  char *problem;
  GHashTable *starting; /* set of char * */
  GHashTable *incoming; /* name -> Incoming */
  GHashTable *beside;   /* UUID -> Beside */
  GHashTable *holders;  /* UUID -> Holder */
  GHashTable *released; /* set of UUIDs: libvirt's events say later than the hook that they run no more */
};

static void
incoming_free (gpointer data)
{
  Incoming *incoming = data;

  vp_neighbours_unref (incoming->neighbours);
  g_free (incoming);
}

static void
beside_free (gpointer data)
{
  Beside *beside = data;

  vp_neighbours_unref (beside->now);
  vp_neighbours_unref (beside->next);
  g_free (beside);
}

static void
holder_free (gpointer data)
{
  Holder *holder = data;

  g_free (holder->name);
  hwloc_bitmap_free (holder->cpus);
  g_array_unref (holder->devices);
  g_free (holder);
}

VpLedger *
vp_ledger_new (void)
{
  VpLedger *ledger = g_new0 (VpLedger, 1);

  g_mutex_init (&ledger->mutex);
  ledger->starting = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  ledger->incoming = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, incoming_free);
  ledger->beside = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, beside_free);
  ledger->holders = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, holder_free);
  ledger->released = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return ledger;
}

void
vp_ledger_free (VpLedger *ledger)
{
  if (ledger == NULL)
    return;
  vp_host_unref (ledger->host);
  vp_profiles_unref (ledger->profiles);
  g_free (ledger->problem);
  g_hash_table_unref (ledger->starting);
  g_hash_table_unref (ledger->incoming);
  g_hash_table_unref (ledger->beside);
  g_hash_table_unref (ledger->holders);
  g_hash_table_unref (ledger->released);
  g_mutex_clear (&ledger->mutex);
  g_free (ledger);
}

void
vp_ledger_set (VpLedger *ledger, VpHost *host, VpProfiles *profiles)
{
  g_mutex_lock (&ledger->mutex);
  VpHost *old_host = g_steal_pointer (&ledger->host);
  VpProfiles *old_profiles = g_steal_pointer (&ledger->profiles);
  ledger->host = host;
  ledger->profiles = profiles;
  g_mutex_unlock (&ledger->mutex);
  vp_host_unref (old_host);
  vp_profiles_unref (old_profiles);
}

void
vp_ledger_set_problem (VpLedger *ledger, const char *problem)
{
  g_mutex_lock (&ledger->mutex);
  g_free (ledger->problem);
  ledger->problem = g_strdup (problem);
  g_mutex_unlock (&ledger->mutex);
}

char *
vp_ledger_dup_problem (VpLedger *ledger)
{
  g_mutex_lock (&ledger->mutex);
  char *problem = g_strdup (ledger->problem != NULL ? ledger->problem : "this host was not read yet");
  g_mutex_unlock (&ledger->mutex);
  return problem;
}

gboolean
vp_ledger_get (VpLedger *ledger, VpHost **host, VpProfiles **profiles)
{
  g_mutex_lock (&ledger->mutex);
  gboolean there = ledger->host != NULL && ledger->profiles != NULL;
  if (there) {
    *host = vp_host_ref (ledger->host);
    *profiles = vp_profiles_ref (ledger->profiles);
  }
  g_mutex_unlock (&ledger->mutex);
  return there;
}

gboolean
vp_ledger_begin_start (VpLedger *ledger, const char *domain)
{
  g_mutex_lock (&ledger->mutex);
  gboolean added = g_hash_table_add (ledger->starting, g_strdup (domain));
  g_mutex_unlock (&ledger->mutex);
  return added;
}

void
vp_ledger_end_start (VpLedger *ledger, const char *domain)
{
  g_mutex_lock (&ledger->mutex);
  g_hash_table_remove (ledger->starting, domain);
  g_mutex_unlock (&ledger->mutex);
}

gboolean
vp_ledger_is_starting (VpLedger *ledger, const char *domain)
{
  g_mutex_lock (&ledger->mutex);
  gboolean is = g_hash_table_contains (ledger->starting, domain);
  g_mutex_unlock (&ledger->mutex);
  return is;
}

void
vp_ledger_note_incoming (VpLedger *ledger, const char *domain, VpNeighbours *neighbours)
{
  Incoming *incoming = g_new0 (Incoming, 1);

  incoming->noted = g_get_monotonic_time ();
  incoming->neighbours = neighbours;
  g_mutex_lock (&ledger->mutex);
  g_hash_table_replace (ledger->incoming, g_strdup (domain), incoming);
  g_mutex_unlock (&ledger->mutex);
}

VpNeighbours *
vp_ledger_take_incoming (VpLedger *ledger, const char *domain)
{
  gint64 oldest = g_get_monotonic_time () - INCOMING_SECONDS * G_TIME_SPAN_SECOND;
  VpNeighbours *neighbours = NULL;

  g_mutex_lock (&ledger->mutex);
  Incoming *incoming = g_hash_table_lookup (ledger->incoming, domain);
  if (incoming != NULL && incoming->noted >= oldest)
    neighbours = g_steal_pointer (&incoming->neighbours);
  g_hash_table_remove (ledger->incoming, domain);
  g_mutex_unlock (&ledger->mutex);
  return neighbours;
}

void
vp_ledger_begin_prepare (VpLedger *ledger, const char *uuid, VpNeighbours *neighbours)
{
  g_mutex_lock (&ledger->mutex);
  Beside *beside = g_hash_table_lookup (ledger->beside, uuid);
  if (beside == NULL) {
    beside = g_new0 (Beside, 1);
    g_hash_table_insert (ledger->beside, g_strdup (uuid), beside);
  }
  vp_neighbours_unref (beside->next);
  beside->next = neighbours;
  g_mutex_unlock (&ledger->mutex);
}

void
vp_ledger_end_prepare (VpLedger *ledger, const char *uuid, gboolean prepared)
{
  g_mutex_lock (&ledger->mutex);
  Beside *beside = g_hash_table_lookup (ledger->beside, uuid);
  if (beside != NULL && prepared) {
    vp_neighbours_unref (beside->now);
    beside->now = g_steal_pointer (&beside->next);
  } else if (beside != NULL) {
    g_clear_pointer (&beside->next, vp_neighbours_unref);
  }
  g_mutex_unlock (&ledger->mutex);
}

static void
add_reference (GPtrArray *list, VpNeighbours *neighbours)
{
  if (neighbours != NULL)
    g_ptr_array_add (list, vp_neighbours_ref (neighbours));
}

GPtrArray *
vp_ledger_dup_neighbours (VpLedger *ledger, const char *uuid)
{
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_neighbours_unref);

  g_mutex_lock (&ledger->mutex);
  const Beside *beside = g_hash_table_lookup (ledger->beside, uuid);
  if (beside != NULL) {
    add_reference (list, beside->now);
    add_reference (list, beside->next);
  }
  g_mutex_unlock (&ledger->mutex);
  return list;
}

static void
add_holder (GHashTable *holders, const VpRunning *running, gint64 claimed)
{
  Holder *holder = g_new0 (Holder, 1);

  holder->name = g_strdup (running->name);
  holder->cpus = hwloc_bitmap_dup (running->cpus);
  holder->devices = g_array_copy ((GArray *) running->devices);
  holder->claimed = claimed;
  g_hash_table_replace (holders, g_strdup (running->uuid), holder);
}

typedef struct {
  VpLedger *ledger;
  GHashTable *late; /* released, and still listed */
} Listing;

/* A list that is older than the release does not bring the guest back. */
static void
add_running (const VpRunning *running, gpointer data)
{
  const Listing *listing = data;

  if (g_hash_table_contains (listing->ledger->released, running->uuid))
    g_hash_table_add (listing->late, g_strdup (running->uuid));
  else
    add_holder (listing->ledger->holders, running, 0);
}

void
vp_ledger_remember (VpLedger *ledger, const VpRunning *running)
{
  g_mutex_lock (&ledger->mutex);
  add_holder (ledger->holders, running, 0);
  g_mutex_unlock (&ledger->mutex);
}

static gboolean
is_outdated (gpointer key, gpointer value, gpointer data)
{
  const Holder *holder = value;

  (void) key;
  return holder->claimed < *(const gint64 *) data;
}

void
vp_ledger_set_running (VpLedger *ledger, const VpFleet *fleet)
{
  gint64 oldest = MAX (1, g_get_monotonic_time () - CLAIM_SECONDS * G_TIME_SPAN_SECOND);
  Listing listing = { ledger, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };

  g_mutex_lock (&ledger->mutex);
  g_hash_table_foreach_remove (ledger->holders, is_outdated, &oldest);
  vp_fleet_foreach_running (fleet, add_running, &listing);
  g_hash_table_unref (ledger->released);
  ledger->released = listing.late;
  g_mutex_unlock (&ledger->mutex);
}

gboolean
vp_ledger_has_prepared (VpLedger *ledger, const char *uuid)
{
  g_mutex_lock (&ledger->mutex);
  const Beside *beside = g_hash_table_lookup (ledger->beside, uuid);
  gboolean has = beside != NULL && beside->now != NULL;
  g_mutex_unlock (&ledger->mutex);
  return has;
}

static void
clear_held (gpointer held)
{
  g_free (((VpDeviceHeld *) held)->domain);
}

/* With the mutex held. */
static VpNeighbours *
new_neighbours (const VpLedger *ledger, const char *uuid)
{
  VpNeighbours *neighbours = vp_neighbours_new ();
  GHashTableIter iter;
  gpointer key = NULL;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, ledger->holders);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const Holder *holder = value;
    if (g_strcmp0 (key, uuid) == 0 || hwloc_bitmap_iszero (holder->cpus))
      continue;
    hwloc_bitmap_or (neighbours->taken, neighbours->taken, holder->cpus);
    vp_neighbours_add (neighbours, holder->name, TRUE, holder->cpus);
  }
  return neighbours;
}

VpNeighbours *
vp_ledger_claim (VpLedger *ledger, const VpRunning *claim, gboolean share, gboolean *claimed)
{
  g_mutex_lock (&ledger->mutex);
  VpNeighbours *neighbours = new_neighbours (ledger, claim->uuid);
  *claimed = share || !hwloc_bitmap_intersects (neighbours->taken, claim->cpus);
  if (*claimed) {
    add_holder (ledger->holders, claim, g_get_monotonic_time ());
    g_hash_table_remove (ledger->released, claim->uuid);
  }
  g_mutex_unlock (&ledger->mutex);
  return neighbours;
}

void
vp_ledger_release (VpLedger *ledger, const char *uuid)
{
  g_mutex_lock (&ledger->mutex);
  g_hash_table_remove (ledger->holders, uuid);
  g_hash_table_add (ledger->released, g_strdup (uuid));
  g_mutex_unlock (&ledger->mutex);
}

VpNeighbours *
vp_ledger_new_neighbours (VpLedger *ledger, const char *uuid)
{
  g_mutex_lock (&ledger->mutex);
  VpNeighbours *neighbours = new_neighbours (ledger, uuid);
  g_mutex_unlock (&ledger->mutex);
  return neighbours;
}

GArray *
vp_ledger_dup_devices (VpLedger *ledger, const char *uuid)
{
  GArray *held = g_array_new (FALSE, TRUE, sizeof (VpDeviceHeld));
  GHashTableIter iter;
  gpointer key = NULL;
  gpointer value = NULL;

  g_array_set_clear_func (held, clear_held);
  g_mutex_lock (&ledger->mutex);
  g_hash_table_iter_init (&iter, ledger->holders);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const Holder *holder = value;
    for (guint i = 0; g_strcmp0 (key, uuid) != 0 && i < holder->devices->len; i++) {
      VpDeviceHeld one = { g_array_index (holder->devices, VpPciAddress, i), g_strdup (holder->name) };
      g_array_append_val (held, one);
    }
  }
  g_mutex_unlock (&ledger->mutex);
  return held;
}
