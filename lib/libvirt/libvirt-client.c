/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The border to libvirt: its errors become ours here and nowhere else. */
#include "libvirt/libvirt-client.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/gate-protocol.h"
#include "config.h"
#include "host/wrapper.h"

void
vp_libvirt_set_error (GError **error, const char *format, ...)
{
  virErrorPtr problem = virGetLastError ();
  va_list values;

  va_start (values, format);
  g_autofree char *what = g_strdup_vprintf (format, values);
  va_end (values);
  g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT, "%s: %s", what,
               problem != NULL && problem->message != NULL ? problem->message : "libvirt gave no reason");
}

static void
ignore_error (void *data, virErrorPtr problem)
{
  (void) data, (void) problem;
}

void
vp_libvirt_be_silent (void)
{
  virSetErrorFunc (NULL, ignore_error);
}

virConnectPtr
vp_libvirt_open (const char *uri, GError **error)
{
  g_autoptr (virConnect) connection = virConnectOpen (uri);

  if (connection == NULL) {
    vp_libvirt_set_error (error, "cannot connect to libvirt at %s", uri != NULL ? uri : "its default URI");
    return NULL;
  }
  g_autofree char *actual = virConnectGetURI (connection);
  if (actual == NULL || !(g_str_has_prefix (actual, "qemu:///"))) {
    g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT,
                 "%s is not QEMU's libvirt on this host: run this on the host itself, with qemu:///system or "
                 "qemu:///session",
                 actual != NULL ? actual : "the connection");
    return NULL;
  }
  return g_steal_pointer (&connection);
}

gboolean
vp_libvirt_is_session (virConnectPtr connection)
{
  g_autofree char *uri = virConnectGetURI (connection);

  return uri != NULL && g_str_has_prefix (uri, "qemu:///session");
}

static void
free_domain (gpointer domain)
{
  vp_libvirt_free_domain (domain);
}

GPtrArray *
vp_libvirt_domains_new (void)
{
  return g_ptr_array_new_with_free_func (free_domain);
}

GPtrArray *
vp_libvirt_list (virConnectPtr connection, unsigned flags, GError **error)
{
  virDomainPtr *domains = NULL;
  int n = virConnectListAllDomains (connection, &domains, flags);

  if (n < 0) {
    vp_libvirt_set_error (error, "cannot list libvirt's domains");
    return NULL;
  }
  GPtrArray *list = vp_libvirt_domains_new ();
  for (int i = 0; i < n; i++)
    g_ptr_array_add (list, domains[i]);
  free (domains);
  return list;
}

static char *
dup_xml (virDomainPtr domain, unsigned flags, const char *what, GError **error)
{
  char *text = virDomainGetXMLDesc (domain, flags);

  if (text == NULL)
    vp_libvirt_set_error (error, "cannot read %s '%s'", what, virDomainGetName (domain));
  return text;
}

static VpDomain *
parse_xml (virDomainPtr domain, const char *text, const char *what, GError **error)
{
  g_autofree char *words = g_strdup_printf ("%s '%s'", what, virDomainGetName (domain));

  return text != NULL ? vp_domain_parse (text, strlen (text), words, error) : NULL;
}

char *
vp_libvirt_dup_stored (virDomainPtr domain, GError **error)
{
  return dup_xml (domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, "the definition of domain", error);
}

VpDomain *
vp_libvirt_read (virDomainPtr domain, GError **error)
{
  g_autofree char *text = vp_libvirt_dup_stored (domain, error);

  return parse_xml (domain, text, "the definition of domain", error);
}

gboolean
vp_libvirt_is_running (virDomainPtr domain)
{
  int state = VIR_DOMAIN_NOSTATE;

  return virDomainGetState (domain, &state, NULL, 0) == 0 && state == VIR_DOMAIN_RUNNING;
}

char *
vp_libvirt_dup_live (virDomainPtr domain, GError **error)
{
  return dup_xml (domain, 0, "the running domain", error);
}

VpDomain *
vp_libvirt_read_live (virDomainPtr domain, GError **error)
{
  g_autofree char *text = vp_libvirt_dup_live (domain, error);

  return parse_xml (domain, text, "the running domain", error);
}

gboolean
vp_libvirt_define (virConnectPtr connection, const VpDomain *domain, GError **error)
{
  g_autofree char *text = vp_domain_dup_text (domain);
  g_autoptr (virDomain) defined = virDomainDefineXMLFlags (connection, text, 0);

  if (defined != NULL)
    return TRUE;
  g_autofree char *name = vp_domain_dup_name (domain);
  vp_libvirt_set_error (error, "cannot define domain '%s'", name);
  return FALSE;
}

static gboolean
set_element (virDomainPtr domain, const char *text, const char *ns, GError **error)
{
  if (virDomainSetMetadata (domain, VIR_DOMAIN_METADATA_ELEMENT, text, text != NULL ? "vfio" : NULL, ns,
                            VIR_DOMAIN_AFFECT_CONFIG) == 0)
    return TRUE;
  vp_libvirt_set_error (error, "cannot change the metadata of domain '%s'", virDomainGetName (domain));
  return FALSE;
}

gboolean
vp_libvirt_remove_state (virDomainPtr domain, GError **error)
{
  return set_element (domain, NULL, VP_STATE_NS, error);
}

/* libvirt declares the namespace itself, and gives it to all that has none. */
static void
drop_namespaces (xmlNode *node)
{
  xmlSetNs (node, NULL);
  for (xmlAttr *attr = node->properties; attr != NULL; attr = attr->next)
    attr->ns = NULL;
  for (xmlNode *child = vp_xml_first (node); child != NULL; child = vp_xml_next (child))
    drop_namespaces (child);
  g_clear_pointer (&node->nsDef, xmlFreeNsList);
}

gboolean
vp_libvirt_set_tag (virDomainPtr domain, const VpDomain *tagged, GError **error)
{
  const xmlNode *tag = vp_domain_tag (tagged);
  g_autoptr (xmlNode) bare = tag != NULL ? vp_xml_dup_node (tag) : NULL;

  if (bare != NULL)
    drop_namespaces (bare);
  g_autofree char *text = bare != NULL ? vp_xml_dup_line (bare) : NULL;
  return set_element (domain, text, VP_TAG_NS, error);
}

char *
vp_libvirt_dup_wrapper_folder (gboolean session)
{
  return session ? g_build_filename (g_get_user_data_dir (), "vfio-profile", "emulators", NULL)
                 : g_strdup (VP_STATE_FOLDER "/emulators");
}

GStrv
vp_libvirt_list_rule_folders (gboolean session)
{
  g_autofree char *own = g_build_filename (g_get_user_config_dir (), "vfio-profile", "rules.d", NULL);
  const char *folders[] = { VP_RULES_SHIPPED, VP_RULES_LOCAL, session ? own : NULL, NULL };

  return g_strdupv ((GStrv) folders);
}

char *
vp_libvirt_dup_run_folder (gboolean session)
{
  return session ? g_strdup_printf (VP_GATE_RUNTIME_DIR "/%u/vfio-profile", (unsigned) getuid ())
                 : g_strdup (VP_RUN_FOLDER);
}

char *
vp_libvirt_dup_config_folder (gboolean session)
{
  return session ? g_build_filename (g_get_user_config_dir (), "libvirt", "qemu", NULL) : g_strdup (VP_LIBVIRT_CONFIG);
}

VpProfiles *
vp_libvirt_load_profiles (gboolean session, GError **error)
{
  g_auto (GStrv) rules = vp_libvirt_list_rule_folders (session);
  g_autofree char *own = g_build_filename (g_get_user_config_dir (), "vfio-profile", "profiles.d", NULL);
  const char *folders[] = { VP_PROFILES_SHIPPED, VP_PROFILES_LOCAL, session ? own : NULL, NULL };

  g_autoptr (VpProfiles) profiles = vp_profiles_load (folders, error);
  if (profiles == NULL || !vp_profiles_load_rules (profiles, (const char *const *) rules, error))
    return NULL;
  vp_profiles_set_limits (profiles, vp_limits_load (VP_LIMITS_FILE));
  if (session)
    vp_profiles_limit_folder (profiles, own);
  return g_steal_pointer (&profiles);
}

VpHost *
vp_libvirt_load_host (gboolean session, unsigned long libvirt_version, GError **error)
{
  g_autoptr (VpRoot) root = vp_root_open ("/", error);
  g_autofree char *folder = vp_libvirt_dup_wrapper_folder (session);
  VpHostSource source = { .root = root, .wrapper_folder = folder, .libvirt_version = libvirt_version };

  if (root == NULL)
    return NULL;
  /* Without this folder hwloc would make up a machine of as many lone CPUs as the C library counts. */
  g_autofree char *online = vp_root_dup_text (root, "sys/devices/system/cpu/online");
  if (online == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "cannot read which CPUs this host has: /sys/devices/system/cpu/online is not there");
    return NULL;
  }
  return vp_host_load (&source, error);
}

static gboolean
has_uuid (virDomainPtr domain, const char *uuid)
{
  char text[VIR_UUID_STRING_BUFLEN] = "";

  return uuid != NULL && virDomainGetUUIDString (domain, text) == 0 && strcmp (text, uuid) == 0;
}

static void
listed_free (gpointer data)
{
  VpListed *listed = data;

  vp_domain_free (listed->stored);
  vp_domain_free (listed->live);
  vp_libvirt_free_domain (listed->handle);
  g_free (listed);
}

/* Of UUIDs; NULL and an error. */
static GHashTable *
list_transient (virConnectPtr connection, GError **error)
{
  g_autoptr (GPtrArray) domains = vp_libvirt_list (connection, VIR_CONNECT_LIST_DOMAINS_TRANSIENT, error);
  GHashTable *uuids = domains != NULL ? g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) : NULL;

  for (guint i = 0; uuids != NULL && i < domains->len; i++) {
    char text[VIR_UUID_STRING_BUFLEN] = "";
    (void) virDomainGetUUIDString (domains->pdata[i], text);
    g_hash_table_add (uuids, g_strdup (text));
  }
  return uuids;
}

GPtrArray *
vp_libvirt_read_all (virConnectPtr connection, GError **error)
{
  g_autoptr (GPtrArray) domains = vp_libvirt_list (connection, 0, error);
  g_autoptr (GHashTable) transient = domains != NULL ? list_transient (connection, error) : NULL;

  if (transient == NULL)
    return NULL;
  GPtrArray *all = g_ptr_array_new_with_free_func (listed_free);
  g_ptr_array_set_free_func (domains, NULL); /* they are handed on */
  for (guint i = 0; i < domains->len; i++) {
    VpListed *listed = g_new0 (VpListed, 1);
    char uuid[VIR_UUID_STRING_BUFLEN] = "";
    listed->handle = domains->pdata[i];
    (void) virDomainGetUUIDString (listed->handle, uuid);
    listed->active = virDomainGetID (listed->handle) != G_MAXUINT;
    listed->stored = g_hash_table_contains (transient, uuid) ? NULL : vp_libvirt_read (listed->handle, NULL);
    listed->live = listed->active ? vp_libvirt_read_live (listed->handle, NULL) : NULL;
    g_ptr_array_add (all, listed);
  }
  return all;
}

VpFleet *
vp_libvirt_new_fleet (const GPtrArray *all, const VpHost *host, const VpProfiles *profiles, const VpDomain *instead)
{
  g_autofree char *uuid = instead != NULL ? vp_domain_dup_uuid (instead) : NULL;
  VpFleet *fleet = vp_fleet_new (host, profiles);

  for (guint i = 0; i < all->len; i++) {
    const VpListed *listed = all->pdata[i];
    /* One that cannot be read is gone, or is no neighbour that we could know. */
    if (listed->stored != NULL || listed->live != NULL)
      vp_fleet_set (fleet, has_uuid (listed->handle, uuid) ? instead : listed->stored, listed->live);
  }
  vp_fleet_settle (fleet);
  return fleet;
}

VpFleet *
vp_libvirt_load_fleet (virConnectPtr connection, const VpHost *host, const VpProfiles *profiles,
                       const VpDomain *instead, GError **error)
{
  g_autoptr (GPtrArray) all = vp_libvirt_read_all (connection, error);

  return all != NULL ? vp_libvirt_new_fleet (all, host, profiles, instead) : NULL;
}

GStrv
vp_libvirt_list_running (virConnectPtr connection, GError **error)
{
  g_autoptr (GPtrArray) domains = vp_libvirt_list (connection, VIR_CONNECT_LIST_DOMAINS_ACTIVE, error);

  if (domains == NULL)
    return NULL;
  GStrv uuids = g_new0 (char *, (gsize) domains->len + 1);
  for (guint i = 0; i < domains->len; i++) {
    uuids[i] = g_new0 (char, VIR_UUID_STRING_BUFLEN);
    (void) virDomainGetUUIDString (domains->pdata[i], uuids[i]); /* "" is nobody's */
  }
  return uuids;
}

gboolean
vp_libvirt_prepare_files (const VpPlan *plan, const VpHost *host, gboolean *changed, GError **error)
{
  *changed = FALSE;
  return plan->wrapped == NULL || vp_wrapper_refresh (host->wrapper_folder, plan->wrapped, changed, error);
}

void
vp_libvirt_warm (virConnectPtr connection, const char *emulator)
{
  g_autofree char *capabilities = virConnectGetDomainCapabilities (connection, emulator, NULL, NULL, NULL, 0);

  if (capabilities == NULL) {
    g_autoptr (GError) error = NULL;
    vp_libvirt_set_error (&error, "libvirt cannot probe the emulator %s", emulator);
    g_warning ("%s", error->message);
  }
}
