/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads all guests and plans each beside the others. */
#include "cli/doctor/doctor-guests.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"

static void
guest_free (gpointer data)
{
  VpDoctorGuest *guest = data;

  g_clear_pointer (&guest->plan, vp_plan_free);
  g_clear_pointer (&guest->live, vp_domain_free);
  g_clear_pointer (&guest->domain, vp_domain_free);
  g_free (guest->problem);
  g_free (guest->uuid);
  g_free (guest->name);
  g_free (guest);
}

void
vp_doctor_guests_free (VpDoctorGuests *guests)
{
  if (guests == NULL)
    return;
  g_ptr_array_unref (guests->all);
  g_clear_pointer (&guests->fleet, vp_fleet_free);
  g_clear_pointer (&guests->host, vp_host_unref);
  g_clear_pointer (&guests->connection, virConnectClose);
  g_free (guests->problem);
  g_free (guests->host_problem);
  g_free (guests->profiles_problem);
  g_free (guests);
}

/* Takes both over. */
static void
add_guest (VpDoctorGuests *guests, const char *name, VpDomain *domain, VpDomain *live, gboolean running,
           const char *problem)
{
  VpDoctorGuest *guest = g_new0 (VpDoctorGuest, 1);

  guest->name = g_strdup (name);
  guest->running = running;
  guest->domain = domain;
  guest->live = live;
  guest->problem = g_strdup (problem);
  if (domain != NULL) {
    g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
    guest->n_devices = hostdevs->len;
    guest->uuid = vp_domain_dup_uuid (domain);
    guest->tagged = vp_domain_tag (domain) != NULL;
  }
  g_ptr_array_add (guests->all, guest);
}

static void
read_from_libvirt (VpDoctorGuests *guests)
{
  g_autoptr (GPtrArray) handles = vp_libvirt_list (guests->connection, 0, NULL);

  guests->known = handles != NULL;
  for (guint i = 0; handles != NULL && i < handles->len; i++) {
    virDomainPtr handle = handles->pdata[i];
    g_autoptr (GError) error = NULL;
    gboolean running = virDomainIsActive (handle) == 1;
    VpDomain *live = running ? vp_libvirt_read_live (handle, NULL) : NULL;
    VpDomain *stored =
      virDomainIsPersistent (handle) == 0 && live != NULL ? vp_domain_copy (live) : vp_libvirt_read (handle, &error);
    add_guest (guests, virDomainGetName (handle), stored, live, running, error != NULL ? error->message : NULL);
  }
}

static gboolean
runs (const VpRoot *root, const char *name)
{
  g_autofree char *path = g_strdup_printf ("run/libvirt/qemu/%s.pid", name);
  guint64 pid = 0;

  return vp_root_read_number (root, path, 10, &pid);
}

/* libvirt keeps the definitions there, readable for root. */
static void
read_from_folder (VpDoctorGuests *guests, const VpRoot *root)
{
  const char *folder = &VP_LIBVIRT_CONFIG[1];
  g_auto (GStrv) files = vp_root_list (root, folder);

  for (guint i = 0; files[i] != NULL; i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *path = g_build_filename (folder, files[i], NULL);
    gsize length = 0;
    g_autofree char *text =
      g_str_has_suffix (files[i], ".xml") ? vp_root_dup_bytes (root, path, VP_XML_MAX_BYTES, &length) : NULL;
    if (text == NULL)
      continue;
    g_autofree char *name = g_strndup (files[i], strlen (files[i]) - strlen (".xml"));
    VpDomain *domain = vp_domain_parse (text, length, path, &error);
    gboolean running = runs (root, name);
    add_guest (guests, name, domain, running && domain != NULL ? vp_domain_copy (domain) : NULL, running,
               error != NULL ? error->message : NULL);
    guests->known = TRUE;
  }
}

static void
open_libvirt (VpDoctorGuests *guests, const VpSource *source, gboolean recorded)
{
  g_autoptr (GError) error = NULL;

  guests->session = !recorded && vp_source_is_session (source);
  if (recorded)
    return;
  guests->connection = vp_libvirt_open (source->uri, &error);
  if (guests->connection == NULL) {
    guests->problem = g_strdup (error->message);
    return;
  }
  guests->session = vp_libvirt_is_session (guests->connection);
  (void) virConnectGetLibVersion (guests->connection, &guests->version); /* stays 0, not known */
}

/* A recorded machine has no CPUs but those that were described. */
static VpHost *
load_host (const VpDoctorGuests *guests, const VpSource *source, const VpRoot *root, gboolean recorded, GError **error)
{
  if (!recorded)
    return vp_libvirt_load_host (guests->session, guests->version, error);
  if (source->topology == NULL)
    return NULL;
  unsigned long version = 0;
  (void) virGetVersion (&version, NULL, NULL); /* of the one that we are linked with; stays 0, not known */
  return vp_source_load_recorded (source->topology, root, version, error);
}

static void
plan_all (VpDoctorGuests *guests, const VpProfiles *profiles)
{
  guests->fleet = vp_fleet_new (guests->host, profiles);
  for (guint i = 0; i < guests->all->len; i++) {
    const VpDoctorGuest *guest = guests->all->pdata[i];
    if (guest->domain != NULL)
      vp_fleet_set (guests->fleet, guest->domain, guest->live);
  }
  vp_fleet_settle (guests->fleet);
  for (guint i = 0; i < guests->all->len; i++) {
    VpDoctorGuest *guest = guests->all->pdata[i];
    g_autoptr (GError) error = NULL;
    if (guest->domain == NULL)
      continue;
    guest->plan = vp_plan_new (guest->domain, guests->host, profiles, vp_fleet_find (guests->fleet, guest->uuid),
                               VP_PLAN_DEFAULT, &error);
    if (error != NULL)
      guest->problem = g_strdup (error->message);
  }
}

static gint
compare_guests (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 ((*(VpDoctorGuest *const *) a)->name, (*(VpDoctorGuest *const *) b)->name);
}

VpDoctorGuests *
vp_doctor_guests_read (const VpSource *source, const VpRoot *root, gboolean recorded)
{
  VpDoctorGuests *guests = g_new0 (VpDoctorGuests, 1);
  g_autoptr (GError) host_error = NULL;
  g_autoptr (GError) profiles_error = NULL;

  guests->all = g_ptr_array_new_with_free_func (guest_free);
  open_libvirt (guests, source, recorded);
  if (guests->connection != NULL)
    read_from_libvirt (guests);
  else if (!guests->session)
    read_from_folder (guests, root);
  g_ptr_array_sort (guests->all, compare_guests);
  guests->host = load_host (guests, source, root, recorded, &host_error);
  g_autoptr (VpProfiles) profiles = vp_source_load_profiles (source, guests->session, &profiles_error);
  guests->host_problem = g_strdup (host_error != NULL ? host_error->message : NULL);
  guests->profiles_problem = g_strdup (profiles_error != NULL ? profiles_error->message : NULL);
  if (guests->host != NULL && profiles != NULL)
    plan_all (guests, profiles);
  return guests;
}

const VpDoctorGuest *
vp_doctor_guests_find (const VpDoctorGuests *guests, const char *name)
{
  for (guint i = 0; i < guests->all->len; i++) {
    const VpDoctorGuest *guest = guests->all->pdata[i];
    if (strcmp (guest->name, name) == 0 || g_strcmp0 (guest->uuid, name) == 0)
      return guest;
  }
  return NULL;
}

guint
vp_doctor_guests_count_tagged (const VpDoctorGuests *guests)
{
  guint count = 0;

  for (guint i = 0; i < guests->all->len; i++)
    count += ((const VpDoctorGuest *) guests->all->pdata[i])->tagged ? 1 : 0;
  return count;
}

const VpDomain *
vp_doctor_guest_next (const VpDoctorGuest *guest)
{
  return guest->plan != NULL ? guest->plan->result : guest->domain;
}

gboolean
vp_doctor_guest_locks_memory (const VpDoctorGuest *guest)
{
  const VpDomain *next = vp_doctor_guest_next (guest);

  return guest->n_devices > 0 || (next != NULL && vp_xml_find (next->doc, "memoryBacking/hugepages") != NULL);
}
