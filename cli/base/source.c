/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading what a command works on. */
#include "cli/base/source.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

void
vp_source_clear (VpSource *source)
{
  g_clear_pointer (&source->uri, g_free);
  g_clear_pointer (&source->topology, g_free);
  g_clear_pointer (&source->sysfs, g_free);
  g_clear_pointer (&source->profiles, g_strfreev);
  g_clear_pointer (&source->rules, g_strfreev);
}

gboolean
vp_source_is_session (const VpSource *source)
{
  return source->uri != NULL ? g_str_has_prefix (source->uri, "qemu:///session") : geteuid () != 0;
}

GStrv
vp_source_list_rule_folders (const VpSource *source, gboolean session)
{
  return source->rules != NULL ? g_strdupv (source->rules) : vp_libvirt_list_rule_folders (session);
}

/* A standard folder may be missing; one that was named may not. */
static gboolean
check_folders (char *const *folders, const char *what, GError **error)
{
  for (guint i = 0; folders != NULL && folders[i] != NULL; i++) {
    if (g_file_test (folders[i], G_FILE_TEST_IS_DIR))
      continue;
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "there is no folder of %s %s", what, folders[i]);
    return FALSE;
  }
  return TRUE;
}

/* Profiles of a test or of another host know nothing of this one's rules. */
VpProfiles *
vp_source_load_profiles (const VpSource *source, gboolean session, GError **error)
{
  if (!check_folders (source->profiles, "profiles", error) || !check_folders (source->rules, "rules", error))
    return NULL;
  g_autoptr (VpProfiles) profiles = source->profiles != NULL
                                      ? vp_profiles_load ((const char *const *) source->profiles, error)
                                      : vp_libvirt_load_profiles (session, error);
  if (profiles == NULL || source->rules == NULL)
    return g_steal_pointer (&profiles);
  return vp_profiles_load_rules (profiles, (const char *const *) source->rules, error) ? g_steal_pointer (&profiles)
                                                                                       : NULL;
}

VpHost *
vp_source_load_recorded (const char *topology, const VpRoot *root, unsigned long libvirt_version, GError **error)
{
  g_autofree char *folder = vp_libvirt_dup_wrapper_folder (FALSE);
  g_autofree char *isolated = root != NULL ? vp_root_dup_text (root, "sys/devices/system/cpu/isolated") : NULL;
  g_autoptr (VpTopology) described = topology != NULL ? vp_topology_load_description (topology, error) : NULL;

  if (topology != NULL &&
      (described == NULL || (isolated != NULL && !vp_topology_set_isolated (described, isolated, error))))
    return NULL;
  const VpHostSource host = {
    .topology = g_steal_pointer (&described), .root = root, .wrapper_folder = folder, .libvirt_version = libvirt_version
  };
  return vp_host_load (&host, error);
}

/* One byte more than is allowed is enough to know. */
static GByteArray *
read_all (int fd, const char *what, GError **error)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint8 chunk[64 * 1024];
  gssize got = 0;

  do {
    got = read (fd, chunk, sizeof chunk);
    if (got > 0)
      g_byte_array_append (bytes, chunk, (guint) got);
  } while ((got > 0 && bytes->len <= VP_XML_MAX_BYTES) || (got < 0 && errno == EINTR));
  if (got < 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot read %s: %s", what, g_strerror (errno));
    return NULL;
  }
  if (bytes->len > VP_XML_MAX_BYTES) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "%s is larger than %u bytes, the most that is read", what,
                 VP_XML_MAX_BYTES);
    return NULL;
  }
  return g_steal_pointer (&bytes);
}

VpDomain *
vp_source_read_file (const char *path, GError **error)
{
  gboolean is_stdin = strcmp (path, "-") == 0;
  const char *what = is_stdin ? "the standard input" : path;
  int fd = is_stdin ? STDIN_FILENO : open (path, O_RDONLY | O_CLOEXEC);

  if (fd < 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot open %s: %s", path, g_strerror (errno));
    return NULL;
  }
  g_autoptr (GByteArray) bytes = read_all (fd, what, error);
  if (!is_stdin)
    (void) close (fd); /* only ever read from */
  return bytes != NULL ? vp_domain_parse ((const char *) bytes->data, bytes->len, what, error) : NULL;
}

virDomainPtr
vp_source_find_domain (virConnectPtr connection, const char *name, GError **error)
{
  virDomainPtr domain = virDomainLookupByName (connection, name);

  if (domain == NULL && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN)
    domain = virDomainLookupByUUIDString (connection, name);
  if (domain != NULL)
    return domain;
  GError *problem = NULL;
  int code = virGetLastErrorCode ();
  vp_libvirt_set_error (&problem, "cannot look up domain '%s'", name);
  if (code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_INVALID_ARG) {
    g_clear_error (&problem);
    g_autofree char *uri = virConnectGetURI (connection); /* which forgets the last error */
    g_set_error (&problem, VP_ERROR, VP_ERROR_LIBVIRT, "there is no domain '%s' at %s%s", name, uri,
                 vp_libvirt_is_session (connection) ? "; the system's domains are at -c qemu:///system" : "");
  }
  g_propagate_error (error, problem);
  return NULL;
}

void
vp_input_free (VpInput *input)
{
  if (input == NULL)
    return;
  g_clear_pointer (&input->host, vp_host_unref);
  g_clear_pointer (&input->profiles, vp_profiles_unref);
  g_clear_pointer (&input->connection, virConnectClose);
  g_free (input);
}

VpInput *
vp_input_new (const VpSource *source, gboolean asks, GError **error)
{
  g_autoptr (VpInput) input = g_new0 (VpInput, 1);

  input->source = source;
  if (!asks) {
    input->session = vp_source_is_session (source);
    (void) virGetVersion (&input->libvirt_version, NULL, NULL); /* stays 0, not known */
    return g_steal_pointer (&input);
  }
  input->connection = vp_libvirt_open (source->uri, error);
  if (input->connection == NULL)
    return NULL;
  input->session = vp_libvirt_is_session (input->connection);
  (void) virConnectGetLibVersion (input->connection, &input->libvirt_version); /* the same */
  return g_steal_pointer (&input);
}

gboolean
vp_input_load_host (VpInput *input, GError **error)
{
  const VpSource *source = input->source;
  g_autoptr (VpRoot) root = source->sysfs != NULL ? vp_root_open_sysfs (source->sysfs, error) : NULL;

  if (source->sysfs != NULL && root == NULL)
    return FALSE;
  input->host = source->topology != NULL || root != NULL
                  ? vp_source_load_recorded (source->topology, root, input->libvirt_version, error)
                  : vp_libvirt_load_host (input->session, input->libvirt_version, error);
  return input->host != NULL;
}

gboolean
vp_input_load (VpInput *input, GError **error)
{
  input->profiles = vp_source_load_profiles (input->source, input->session, error);
  return input->profiles != NULL && vp_input_load_host (input, error);
}

VpPlan *
vp_input_plan (const VpInput *input, const VpDomain *domain, GError **error)
{
  g_autofree char *uuid = vp_domain_dup_uuid (domain);
  g_autoptr (VpFleet) fleet = vp_libvirt_load_fleet (input->connection, input->host, input->profiles, domain, error);

  if (fleet == NULL)
    return NULL;
  return vp_plan_new (domain, input->host, input->profiles, vp_fleet_find (fleet, uuid), VP_PLAN_DEFAULT, error);
}
