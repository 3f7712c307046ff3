/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of libvirt's domains, and the fleet that they make. */
#include "daemon/keep/roster.h"

#include <string.h>

typedef struct {
  char *uuid;
  char *digest; /* of its definition and of its live XML */
  gboolean is_stored;
  VpBitmap *online; /* NULL: no vCPU can be plugged, or it does not run */
  /* Read with all others and looked at by nobody yet, so that it need not be read twice; NULL: it was. */
  virDomainPtr handle;
  char *text;
  guint64 serial;
} Member;

struct VpRoster {
  VpVersions *versions;
  GHashTable *members; /* name -> Member */
  VpFleet *fleet;
  VpHost *host; /* of `fleet` */
  VpProfiles *profiles;
  gboolean settled;
  GPtrArray *moved; /* of char * */
};

static void
forget_text (Member *member)
{
  g_clear_pointer (&member->handle, vp_libvirt_free_domain);
  g_clear_pointer (&member->text, g_free);
}

static void
member_free (gpointer data)
{
  Member *member = data;

  forget_text (member);
  g_free (member->uuid);
  g_free (member->digest);
  hwloc_bitmap_free (member->online);
  g_free (member);
}

VpRoster *
vp_roster_new (VpVersions *versions)
{
  VpRoster *roster = g_new0 (VpRoster, 1);

  roster->versions = versions;
  roster->members = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, member_free);
  roster->moved = g_ptr_array_new_with_free_func (g_free);
  return roster;
}

static void
drop_fleet (VpRoster *roster)
{
  g_hash_table_remove_all (roster->members);
  g_clear_pointer (&roster->fleet, vp_fleet_free);
  g_clear_pointer (&roster->host, vp_host_unref);
  g_clear_pointer (&roster->profiles, vp_profiles_unref);
}

void
vp_roster_free (VpRoster *roster)
{
  if (roster == NULL)
    return;
  drop_fleet (roster);
  g_hash_table_unref (roster->members);
  g_ptr_array_unref (roster->moved);
  g_free (roster);
}

void
vp_roster_forget (VpRoster *roster, const char *name)
{
  const Member *member = g_hash_table_lookup (roster->members, name);

  if (member == NULL)
    return;
  vp_fleet_remove (roster->fleet, member->uuid, name);
  roster->settled = FALSE;
  g_hash_table_remove (roster->members, name);
}

/* One vCPU more or less is seen by the difference alone. */
static VpBitmap *
new_online (const VpDomain *live)
{
  g_autofree char *current = live != NULL ? vp_xml_dup_place_value (live->doc, "vcpu/@current") : NULL;

  if (live == NULL || (current == NULL && vp_xml_child (vp_domain_root (live), "vcpus") == NULL))
    return NULL;
  return vp_domain_new_online_vcpus (live);
}

/* `texts`: what was read, which is parsed already. */
static Member *
set_member (VpRoster *roster, const VpSeen *seen, const char *const *texts)
{
  const char *name = virDomainGetName (seen->handle);
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA1);
  Member *member = g_hash_table_lookup (roster->members, name);

  for (guint i = 0; i < 2; i++) {
    g_checksum_update (sum, (const guchar *) (texts[i] != NULL ? "+" : "-"), 1);
    g_checksum_update (sum, (const guchar *) (texts[i] != NULL ? texts[i] : ""), texts[i] != NULL ? -1 : 0);
  }
  if (member != NULL && strcmp (member->digest, g_checksum_get_string (sum)) == 0) {
    forget_text (member);
    hwloc_bitmap_free (member->online);
    member->online = seen->running ? new_online (seen->live) : NULL; /* it may have been paused */
    return member;
  }
  g_autofree char *uuid = vp_domain_dup_uuid (seen->stored != NULL ? seen->stored : seen->live);
  if (member != NULL && g_strcmp0 (member->uuid, uuid) != 0)
    vp_roster_forget (roster, name);
  member = g_new0 (Member, 1);
  member->uuid = g_steal_pointer (&uuid);
  member->digest = g_strdup (g_checksum_get_string (sum));
  member->is_stored = seen->stored != NULL;
  member->online = seen->running ? new_online (seen->live) : NULL;
  vp_fleet_set (roster->fleet, seen->stored, seen->live);
  roster->settled = FALSE;
  g_hash_table_replace (roster->members, g_strdup (name), member);
  return member;
}

/* The handle knows whether it runs, as of when it was asked for. NULL: it is gone, or cannot be read. */
static Member *
read_member (VpRoster *roster, VpSeen *seen, gboolean is_persistent, char **stored)
{
  g_autofree char *live =
    virDomainGetID (seen->handle) != (unsigned) -1 ? vp_libvirt_dup_live (seen->handle, NULL) : NULL;

  *stored = is_persistent ? vp_libvirt_dup_stored (seen->handle, NULL) : NULL;
  seen->stored = *stored != NULL ? vp_domain_parse (*stored, strlen (*stored), "a definition", NULL) : NULL;
  seen->live = live != NULL ? vp_domain_parse (live, strlen (live), "a running domain", NULL) : NULL;
  seen->running = seen->live != NULL && vp_libvirt_is_running (seen->handle);
  const char *const texts[] = { *stored, live };
  if (seen->stored != NULL || seen->live != NULL)
    return set_member (roster, seen, texts);
  vp_roster_forget (roster, virDomainGetName (seen->handle));
  return NULL;
}

/* `serial` NULL: nobody will know whether they change. Those that run do without a version. */
static void
read_listed (VpRoster *roster, const GPtrArray *domains, gboolean is_persistent, const guint64 *serial)
{
  for (guint i = 0; i < domains->len; i++) {
    g_auto (VpSeen) seen = { .handle = domains->pdata[i] };
    g_autofree char *stored = NULL;
    (void) virDomainRef (seen.handle);
    Member *member = read_member (roster, &seen, is_persistent, &stored);
    if (member == NULL || seen.live != NULL || seen.stored == NULL || serial == NULL)
      continue;
    member->handle = g_steal_pointer (&seen.handle);
    member->text = g_steal_pointer (&stored);
    member->serial = *serial;
  }
}

gboolean
vp_roster_read_all (VpRoster *roster, virConnectPtr connection, VpHost *host, VpProfiles *profiles, GError **error)
{
  guint64 serial = 0;
  gboolean is_synced = vp_versions_sync (roster->versions, &serial);
  g_autoptr (GPtrArray) stored = vp_libvirt_list (connection, VIR_CONNECT_LIST_DOMAINS_PERSISTENT, error);
  g_autoptr (GPtrArray) others =
    stored != NULL ? vp_libvirt_list (connection, VIR_CONNECT_LIST_DOMAINS_TRANSIENT, error) : NULL;

  if (others == NULL)
    return FALSE;
  drop_fleet (roster);
  roster->host = vp_host_ref (host);
  roster->profiles = vp_profiles_ref (profiles);
  roster->fleet = vp_fleet_new (host, profiles);
  roster->settled = FALSE;
  read_listed (roster, stored, TRUE, is_synced ? &serial : NULL);
  read_listed (roster, others, FALSE, NULL);
  return TRUE;
}

GPtrArray *
vp_roster_list (const VpRoster *roster)
{
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name = NULL;
  gpointer member = NULL;

  g_hash_table_iter_init (&iter, roster->members);
  while (g_hash_table_iter_next (&iter, &name, &member))
    if (((const Member *) member)->is_stored)
      g_ptr_array_add (names, name);
  return names;
}

void
vp_roster_expire (VpRoster *roster, const char *name)
{
  GHashTableIter iter;
  gpointer key = NULL;
  gpointer member = NULL;

  if (name != NULL && (member = g_hash_table_lookup (roster->members, name)) != NULL)
    forget_text (member);
  g_hash_table_iter_init (&iter, roster->members);
  while (name == NULL && g_hash_table_iter_next (&iter, &key, &member))
    forget_text (member);
}

/* TRUE: it is what was read with all others, and no version came since. */
static gboolean
take_text (VpRoster *roster, const char *name, VpSeen *seen)
{
  Member *member = g_hash_table_lookup (roster->members, name);
  guint64 now = 0;

  if (member == NULL || member->text == NULL)
    return FALSE;
  if (vp_versions_sync (roster->versions, &now) && !vp_versions_came (roster->versions, name, member->serial)) {
    seen->stored = vp_domain_parse (member->text, strlen (member->text), "a definition", NULL);
    seen->handle = g_steal_pointer (&member->handle);
    seen->serial = member->serial;
  }
  forget_text (member);
  return seen->stored != NULL;
}

static void
look (VpRoster *roster, virConnectPtr connection, const char *name, VpSeen *seen)
{
  g_autofree char *text = NULL;

  (void) vp_versions_sync (roster->versions, &seen->serial); /* before it is read; who writes asks again */
  seen->handle = virDomainLookupByName (connection, name);
  if (seen->handle != NULL)
    (void) read_member (roster, seen, virDomainIsPersistent (seen->handle) == 1, &text);
  else
    vp_roster_forget (roster, name);
}

void
vp_roster_look (VpRoster *roster, virConnectPtr connection, const char *name, VpHost *host, VpProfiles *profiles,
                VpSeen *seen)
{
  if (roster->host != host || roster->profiles != profiles)
    (void) vp_roster_read_all (roster, connection, host, profiles, NULL);
  if (roster->fleet == NULL)
    return;
  if (!take_text (roster, name, seen))
    look (roster, connection, name, seen);
  if (roster->settled)
    return;
  vp_fleet_settle (roster->fleet);
  roster->settled = TRUE;
  const GPtrArray *moved = vp_fleet_get_moved (roster->fleet);
  for (guint i = 0; i < moved->len; i++)
    g_ptr_array_add (roster->moved, g_strdup (moved->pdata[i]));
}

const VpFleet *
vp_roster_get_fleet (const VpRoster *roster)
{
  return roster->fleet;
}

GPtrArray *
vp_roster_take_moved (VpRoster *roster)
{
  GPtrArray *moved = roster->moved;

  roster->moved = g_ptr_array_new_with_free_func (g_free);
  return moved;
}

VpNeighbours *
vp_roster_new_neighbours (const VpRoster *roster, const char *name)
{
  const Member *member = g_hash_table_lookup (roster->members, name);

  return member != NULL ? vp_fleet_new_neighbours (roster->fleet, member->uuid) : NULL;
}

hwloc_const_bitmap_t
vp_roster_get_online (const VpRoster *roster, const char *name)
{
  const Member *member = g_hash_table_lookup (roster->members, name);

  return member != NULL ? member->online : NULL;
}
