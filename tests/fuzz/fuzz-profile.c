/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a profile, as a tag rule and as the switch of one. A file is broken, with a
 * reason that can be shown, or says only what its keys take.
 */
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "profile/tag-match.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static char *folder;

static const char domain_text[] =
  "<domain type='kvm'><name>win10</name><title>games #vfio:input</title>"
  "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><hostdev mode='subsystem' type='pci'><source>"
  "<address domain='0' bus='1' slot='0' function='0'/></source></hostdev></devices></domain>";

static void
remove_folder (void)
{
  const char *const names[] = { "input.conf", "switched.conf", "switched.enabled" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    (void) g_unlink (path);
  }
  (void) g_rmdir (folder);
}

static void
write_file (const char *name, const char *data, size_t size)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents_full (path, data, (gssize) size, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void
make_folder (void)
{
  static const char rule[] = "[rule]\nprofiles=input\n[match]\nname=*\n";

  if (folder != NULL)
    return;
  folder = g_dir_make_tmp ("fuzz-profile-XXXXXX", NULL);
  g_assert_nonnull (folder);
  (void) atexit (remove_folder);
  write_file ("switched.conf", rule, strlen (rule));
}

static void
check_error (const GError *error)
{
  g_assert_true (error->domain == VP_ERROR && g_utf8_validate (error->message, -1, NULL));
}

static void
check_profiles (const VpProfiles *profiles)
{
  g_autoptr (GError) error = NULL;
  const VpProfile *profile = vp_profiles_get (profiles, "input", &error);

  if (profile == NULL) {
    check_error (error);
    return;
  }
  g_assert_true (g_utf8_validate (profile->description, -1, NULL));
  for (int key = 0; key < VP_N_KEYS; key++)
    g_assert_true (profile->settings->values[key] == NULL ||
                   vp_key_check ((VpKey) key, profile->settings->values[key], "input", NULL));
}

static void
check_rule (const VpTagRule *rule, const VpDomain *domain, const VpHost *host)
{
  g_autofree char *reason = NULL;

  if (rule->error != NULL) {
    check_error (rule->error);
    return;
  }
  g_assert_true (g_utf8_validate (rule->description, -1, NULL));
  g_assert_true (rule->hashtag || rule->profiles != NULL);
  VpTagVerdict verdict = vp_tag_rule_fits (rule, domain, host, &reason);
  g_assert_true ((verdict == VP_TAG_VERDICT_YES) == (reason != NULL));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static VpHost *host;
  static VpDomain *domain;
  VpHostSource source = { .wrapper_folder = "/var/lib/vfio-profile/emulators", .libvirt_version = 9000000 };

  make_folder ();
  if (host == NULL) {
    source.topology = vp_topology_load_description ("core:4 pu:2", NULL);
    host = vp_host_load (&source, NULL);
    domain = vp_domain_parse (domain_text, strlen (domain_text), "domain", NULL);
  }
  g_assert_true (host != NULL && domain != NULL);
  write_file ("input.conf", (const char *) data, size);
  write_file ("switched.enabled", (const char *) data, size);
  const char *const folders[] = { folder, NULL };
  g_autoptr (VpProfiles) profiles = vp_profiles_load (folders, NULL);
  g_assert_nonnull (profiles);
  g_assert_true (vp_profiles_load_rules (profiles, folders, NULL));
  check_profiles (profiles);
  const GPtrArray *rules = vp_profiles_get_rules (profiles);
  g_assert_cmpuint (rules->len, ==, 2);
  for (guint i = 0; i < rules->len; i++)
    check_rule (rules->pdata[i], domain, host);
  g_autoptr (VpTagMatch) match = vp_tag_match_new (profiles, domain, host);
  g_assert_nonnull (match);
  vp_tag_match_stands (match, domain);
  return 0;
}
