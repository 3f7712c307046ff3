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
vp_source_load_host (const VpSource *source, gboolean session, unsigned long libvirt_version, GError **error)
{
  g_autoptr (VpRoot) root = NULL;

  if (source->topology == NULL && source->sysfs == NULL)
    return vp_libvirt_load_host (session, libvirt_version, error);
  if (source->sysfs != NULL) {
    root = vp_root_open_sysfs (source->sysfs, error);
    if (root == NULL)
      return NULL;
  }
  /* A recorded host is not this user's: its wrappers are where a system's are. */
  g_autofree char *folder = vp_libvirt_dup_wrapper_folder (FALSE);
  VpHostSource host = { .root = root, .wrapper_folder = folder, .libvirt_version = libvirt_version };
  if (source->topology != NULL) {
    host.topology = vp_topology_load_description (source->topology, error);
    if (host.topology == NULL)
      return NULL;
    g_autofree char *isolated = root != NULL ? vp_root_dup_text (root, "sys/devices/system/cpu/isolated") : NULL;
    if (isolated != NULL && !vp_topology_set_isolated (host.topology, isolated, error)) {
      vp_topology_free (host.topology);
      return NULL;
    }
  }
  return vp_host_load (&host, error);
}

unsigned long
vp_source_libvirt_version (void)
{
  unsigned long version = 0;

  (void) virGetVersion (&version, NULL, NULL); /* stays 0, not known */
  return version;
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
