/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A copy of libvirt's domains, and the fleet that they make. */
#include "daemon/keep/roster.h"

typedef struct {
  VpDomain *stored;
  VpDomain *live;
  gboolean running; /* its start has ended, and it is not paused */
} Member;

struct VpRoster {
  GHashTable *members; /* name -> Member */
  VpFleet *fleet;      /* NULL: something changed */
  VpHost *host;        /* of `fleet` */
  VpProfiles *profiles;
};

static void
member_free (gpointer data)
{
  Member *member = data;

  vp_domain_free (member->stored);
  vp_domain_free (member->live);
  g_free (member);
}

VpRoster *
vp_roster_new (void)
{
  VpRoster *roster = g_new0 (VpRoster, 1);

  roster->members = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, member_free);
  return roster;
}

static void
drop_fleet (VpRoster *roster)
{
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
  g_free (roster);
}

static gboolean
is_same (const VpDomain *a, const VpDomain *b)
{
  return a == NULL || b == NULL ? a == b : vp_domain_equal (a, b);
}

static void
set_member (VpRoster *roster, const char *name, VpDomain *stored, VpDomain *live, gboolean running)
{
  const Member *old = g_hash_table_lookup (roster->members, name);
  Member *member = g_new0 (Member, 1);

  if (old == NULL || !is_same (old->stored, stored) || !is_same (old->live, live))
    drop_fleet (roster);
  member->stored = stored;
  member->live = live;
  member->running = running;
  g_hash_table_replace (roster->members, g_strdup (name), member);
}

static void
read_member (VpRoster *roster, virDomainPtr domain)
{
  VpDomain *stored = virDomainIsPersistent (domain) == 1 ? vp_libvirt_read (domain, NULL) : NULL;
  VpDomain *live = virDomainIsActive (domain) == 1 ? vp_libvirt_read_live (domain, NULL) : NULL;

  if (stored != NULL || live != NULL)
    set_member (roster, virDomainGetName (domain), stored, live, vp_libvirt_is_running (domain));
  else if (g_hash_table_remove (roster->members, virDomainGetName (domain)))
    drop_fleet (roster);
}

void
vp_roster_refresh (VpRoster *roster, virConnectPtr connection, const char *name)
{
  g_autoptr (virDomain) domain = virDomainLookupByName (connection, name);

  if (domain != NULL)
    read_member (roster, domain);
  else if (g_hash_table_remove (roster->members, name))
    drop_fleet (roster);
}

void
vp_roster_refresh_all (VpRoster *roster, const GPtrArray *domains)
{
  g_hash_table_remove_all (roster->members);
  drop_fleet (roster);
  for (guint i = 0; i < domains->len; i++)
    read_member (roster, domains->pdata[i]);
}

const VpFleet *
vp_roster_settle (VpRoster *roster, VpHost *host, VpProfiles *profiles)
{
  GHashTableIter iter;
  gpointer member = NULL;

  if (roster->fleet != NULL && roster->host == host && roster->profiles == profiles)
    return roster->fleet;
  drop_fleet (roster);
  roster->host = vp_host_ref (host);
  roster->profiles = vp_profiles_ref (profiles);
  roster->fleet = vp_fleet_new (host, profiles);
  g_hash_table_iter_init (&iter, roster->members);
  while (g_hash_table_iter_next (&iter, NULL, &member))
    vp_fleet_set (roster->fleet, ((const Member *) member)->stored, ((const Member *) member)->live);
  vp_fleet_settle (roster->fleet);
  return roster->fleet;
}

const VpDomain *
vp_roster_find_stored (const VpRoster *roster, const char *name)
{
  const Member *member = g_hash_table_lookup (roster->members, name);

  return member != NULL ? member->stored : NULL;
}

const VpDomain *
vp_roster_find_running (const VpRoster *roster, const char *name)
{
  const Member *member = g_hash_table_lookup (roster->members, name);

  return member != NULL && member->running ? member->live : NULL;
}
