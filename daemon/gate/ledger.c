/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared state between the main thread and the gate. */
#include "daemon/gate/ledger.h"

#define INCOMING_SECONDS 60 /* libvirt asks for restore and prepare one behind the other */

typedef struct {
  gint64 noted; /* monotonic */
  VpNeighbours *neighbours;
} Incoming;

typedef struct {
  VpNeighbours *now;
  VpNeighbours *next; /* NULL: it is not being prepared */
} Beside;

struct VpLedger {
  GMutex mutex;
  VpHost *host;
  VpProfiles *profiles;
  char *problem;
  GHashTable *starting; /* set of char * */
  GHashTable *incoming; /* UUID -> Incoming */
  GHashTable *beside;   /* UUID -> Beside */
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

VpLedger *
vp_ledger_new (void)
{
  VpLedger *ledger = g_new0 (VpLedger, 1);

  g_mutex_init (&ledger->mutex);
  ledger->starting = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  ledger->incoming = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, incoming_free);
  ledger->beside = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, beside_free);
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
  g_mutex_clear (&ledger->mutex);
  g_free (ledger);
}

void
vp_ledger_set (VpLedger *ledger, VpHost *host, VpProfiles *profiles)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);

  vp_host_unref (ledger->host);
  vp_profiles_unref (ledger->profiles);
  ledger->host = host;
  ledger->profiles = profiles;
}

void
vp_ledger_set_problem (VpLedger *ledger, const char *problem)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);

  g_free (ledger->problem);
  ledger->problem = g_strdup (problem);
}

char *
vp_ledger_dup_problem (VpLedger *ledger)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);

  return g_strdup (ledger->problem != NULL ? ledger->problem : "this host was not read yet");
}

gboolean
vp_ledger_get (VpLedger *ledger, VpHost **host, VpProfiles **profiles)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);

  if (ledger->host == NULL || ledger->profiles == NULL)
    return FALSE;
  *host = vp_host_ref (ledger->host);
  *profiles = vp_profiles_ref (ledger->profiles);
  return TRUE;
}

gboolean
vp_ledger_begin_start (VpLedger *ledger, const char *domain)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);

  return g_hash_table_add (ledger->starting, g_strdup (domain));
}

void
vp_ledger_end_start (VpLedger *ledger, const char *domain)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);

  g_hash_table_remove (ledger->starting, domain);
}

gboolean
vp_ledger_is_starting (VpLedger *ledger, const char *domain)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);

  return g_hash_table_contains (ledger->starting, domain);
}

void
vp_ledger_note_incoming (VpLedger *ledger, const char *uuid, VpNeighbours *neighbours)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);
  Incoming *incoming = g_new0 (Incoming, 1);

  incoming->noted = g_get_monotonic_time ();
  incoming->neighbours = neighbours;
  g_hash_table_replace (ledger->incoming, g_strdup (uuid), incoming);
}

VpNeighbours *
vp_ledger_take_incoming (VpLedger *ledger, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);
  gint64 oldest = g_get_monotonic_time () - INCOMING_SECONDS * G_TIME_SPAN_SECOND;
  Incoming *incoming = g_hash_table_lookup (ledger->incoming, uuid);
  VpNeighbours *neighbours = NULL;

  if (incoming != NULL && incoming->noted >= oldest)
    neighbours = g_steal_pointer (&incoming->neighbours);
  g_hash_table_remove (ledger->incoming, uuid);
  return neighbours;
}

void
vp_ledger_begin_prepare (VpLedger *ledger, const char *uuid, VpNeighbours *neighbours)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);
  Beside *beside = g_hash_table_lookup (ledger->beside, uuid);

  if (beside == NULL) {
    beside = g_new0 (Beside, 1);
    g_hash_table_insert (ledger->beside, g_strdup (uuid), beside);
  }
  vp_neighbours_unref (beside->next);
  beside->next = neighbours;
}

void
vp_ledger_end_prepare (VpLedger *ledger, const char *uuid, gboolean prepared)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);
  Beside *beside = g_hash_table_lookup (ledger->beside, uuid);

  if (beside != NULL && prepared) {
    vp_neighbours_unref (beside->now);
    beside->now = g_steal_pointer (&beside->next);
  } else if (beside != NULL) {
    g_clear_pointer (&beside->next, vp_neighbours_unref);
  }
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
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);
  GPtrArray *list = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_neighbours_unref);
  const Beside *beside = g_hash_table_lookup (ledger->beside, uuid);

  if (beside != NULL) {
    add_reference (list, beside->now);
    add_reference (list, beside->next);
  }
  return list;
}

gboolean
vp_ledger_has_prepared (VpLedger *ledger, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ledger->mutex);
  const Beside *beside = g_hash_table_lookup (ledger->beside, uuid);

  return beside != NULL && beside->now != NULL;
}
