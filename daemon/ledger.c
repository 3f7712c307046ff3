/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared state between the main thread and the gate. */
#include "ledger.h"

#define INCOMING_SECONDS 60 /* libvirt asks for restore and prepare one behind the other */

struct VpLedger {
  GMutex mutex;
  VpHost *host;
  VpProfiles *profiles;
  char *problem;
  GHashTable *starting; /* set of char * */
  GHashTable *incoming; /* char * -> gint64 *, monotonic, when it was noted */
};

VpLedger *
vp_ledger_new (void)
{
  VpLedger *ledger = g_new0 (VpLedger, 1);

  g_mutex_init (&ledger->mutex);
  ledger->starting = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  ledger->incoming = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
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
vp_ledger_note_incoming (VpLedger *ledger, const char *domain)
{
  gint64 *now = g_new (gint64, 1);

  *now = g_get_monotonic_time ();
  g_mutex_lock (&ledger->mutex);
  g_hash_table_replace (ledger->incoming, g_strdup (domain), now);
  g_mutex_unlock (&ledger->mutex);
}

gboolean
vp_ledger_take_incoming (VpLedger *ledger, const char *domain)
{
  gint64 oldest = g_get_monotonic_time () - INCOMING_SECONDS * G_TIME_SPAN_SECOND;

  g_mutex_lock (&ledger->mutex);
  const gint64 *noted = g_hash_table_lookup (ledger->incoming, domain);
  gboolean is = noted != NULL && *noted >= oldest;
  g_hash_table_remove (ledger->incoming, domain);
  g_mutex_unlock (&ledger->mutex);
  return is;
}
