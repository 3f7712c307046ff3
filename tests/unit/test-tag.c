/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tag, the profile files, and the schema that must say the same as the key table. */
#include <glib/gstdio.h>
#include <libxml/relaxng.h>
#include <string.h>

#include "base/error.h"
#include "profile/tag.h"
#include "support.h"

#define NS "xmlns:vfio='urn:vfio-profile:1'"

static VpTag *
resolve (const char *tag, GError **error)
{
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (VpDomain) domain = test_tagged (tag, "");

  return vp_tag_resolve (vp_domain_tag (domain), profiles, error);
}

static void
expect_error (const char *tag, const char *first, const char *second)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTag) resolved = resolve (tag, &error);

  g_assert_null (resolved);
  g_assert_error (error, VP_ERROR, VP_ERROR_TAG);
  if (strstr (error->message, first) == NULL || strstr (error->message, second) == NULL)
    g_error ("'%s' does not say '%s' and '%s'", error->message, first, second);
}

static void
test_names (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTag) tag = resolve ("<vfio:profile " NS " name='  nvidia \n gaming'/>", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (tag->names, ==, "nvidia gaming");
  /* later ones over earlier ones */
  g_assert_cmpstr (vp_settings_get (tag->settings, VP_KEY_HYPERVISOR_HYPERV), ==, "full");
  g_assert_cmpstr (vp_settings_get (tag->settings, VP_KEY_CPU_PIN), ==, "yes");
  g_assert_cmpstr (vp_settings_get (tag->settings, VP_KEY_START_ON_STALE), ==, "refuse");
}

static void
test_overrides (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTag) tag = resolve ("<vfio:profile " NS " name='pinned'><!-- mine --><vfio:cpu reserve-cores='2'/>"
                                   "<vfio:memory page-size='1G'/></vfio:profile>",
                                   &error);

  g_assert_no_error (error);
  g_assert_cmpstr (vp_settings_get (tag->settings, VP_KEY_CPU_RESERVE_CORES), ==, "2");
  g_assert_cmpstr (vp_settings_get (tag->settings, VP_KEY_MEMORY_PAGE_SIZE), ==, "1G");
  g_assert_cmpint (vp_settings_choice (tag->settings, VP_KEY_MEMORY_PAGE_SIZE), ==, -1);
}

static void
test_errors (void)
{
  expect_error ("<vfio:profile " NS " name='pined'/>", "'pined'", "gaming, nvidia, one-card, pinned, vga");
  expect_error ("<vfio:profile " NS " name=' '/>", "names no profile", "");
  expect_error ("<vfio:profile " NS "/>", "names no profile", "");
  expect_error ("<vfio:profile " NS " name='pinned' nmae='x'/>", "'nmae'", "name");
  expect_error ("<vfio:profile " NS " name='pinned'><vfio:cups pin='yes'/></vfio:profile>", "'cups'",
                "cpu, memory, hypervisor, vga, devices, start");
  expect_error ("<vfio:profile " NS " name='pinned'><vfio:cpu pins='yes'/></vfio:profile>", "'pins'",
                "pin, reserve-cores, kind, cache, topology, numa, conflict, isolate, irqs, governor");
  expect_error ("<vfio:profile " NS " name='pinned'><vfio:cpu pin='maybe'/></vfio:profile>", "'maybe'",
                "no, yes, required");
  expect_error ("<vfio:profile " NS " name='pinned'><vfio:cpu reserve-cores='-1'/></vfio:profile>", "'-1'",
                "a number from 0 to 9999");
  expect_error ("<vfio:profile " NS " name='pinned'><cpu pin='yes'/></vfio:profile>", "<cpu>", "urn:vfio-profile:1");
  expect_error ("<vfio:profile " NS " name='pinned'>text</vfio:profile>", "schema", "");
  expect_error ("<vfio:profile " NS " name='pinned'><vfio:cpu/><vfio:cpu/></vfio:profile>", "schema", "");
  expect_error ("<vfio:profile " NS " name='pinned'/><vfio:profile " NS " name='vga'/>", "second element", "one");
  expect_error ("<vfio:profile " NS " name='../../etc/passwd'/>", "no profile", "");
}

static void
write_profile (const char *folder, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);

  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_assert_cmpint (g_unlink (path), ==, 0);
  }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* /etc hides /usr/share by name; a broken file harms only those that name it. */
static void
test_files (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *shipped = g_dir_make_tmp ("vp-profiles-XXXXXX", &error);
  g_autofree char *local = g_dir_make_tmp ("vp-profiles-XXXXXX", &error);
  const char *folders[] = { shipped, local, "/nonexistent", NULL };

  g_assert_no_error (error);
  write_profile (shipped, "one.conf", "[cpu]\npin=yes\nreserve-cores=3\n");
  write_profile (local, "one.conf", "[profile]\ndescription=Mine\n[cpu]\npin=required\n");
  write_profile (shipped, "two.conf", "[cpu]\npin=yes\n");
  write_profile (shipped, "broken.conf", "[cpu]\npin=perhaps\n");
  write_profile (shipped, "broken2.conf", "no key file at all");
  write_profile (shipped, "broken3.conf", "[cpu]\nspeed=11\n");
  write_profile (shipped, "README", "not a profile");
  g_autoptr (VpProfiles) profiles = vp_profiles_load (folders, &error);
  g_assert_no_error (error);

  const VpProfile *one = vp_profiles_get (profiles, "one", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (one->description, ==, "Mine");
  g_assert_cmpstr (vp_settings_get (one->settings, VP_KEY_CPU_PIN), ==, "required");
  g_assert_cmpstr (vp_settings_get (one->settings, VP_KEY_CPU_RESERVE_CORES), ==, "1");
  g_assert_nonnull (vp_profiles_get (profiles, "two", &error));
  for (guint i = 0; i < 3; i++) {
    static const char *const names[] = { "broken", "broken2", "broken3" };
    g_assert_null (vp_profiles_get (profiles, names[i], &error));
    g_assert_error (error, VP_ERROR, VP_ERROR_PROFILE);
    g_assert_nonnull (strstr (error->message, names[i]));
    g_clear_error (&error);
  }
  g_autoptr (GPtrArray) list = vp_profiles_list (profiles);
  g_assert_cmpuint (list->len, ==, 5);
  remove_folder (shipped);
  remove_folder (local);
}

static void
test_shipped (void)
{
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (GPtrArray) list = vp_profiles_list (profiles);

  g_assert_cmpuint (list->len, >=, 4);
  for (guint i = 0; i < list->len; i++) {
    const VpProfile *profile = list->pdata[i];
    g_assert_no_error (profile->error);
    g_assert_cmpstr (profile->description, !=, "");
  }
}

/* Other names, and what the user wrote for this domain alone stays. */
static void
test_set (void)
{
  g_autoptr (VpDomain) domain =
    test_tagged ("<vfio:profile " NS " name='pinned'><!-- mine --><vfio:cpu reserve-cores='2'/></vfio:profile>", "");
  g_autoptr (VpDomain) bare = test_domain ("<domain type='kvm'><name>a</name></domain>");

  vp_domain_set_tag (domain, "nvidia vga");
  g_assert_true (vp_xml_attr_is (vp_domain_tag (domain), "name", "nvidia vga"));
  g_assert_nonnull (vp_xml_child_ns (vp_domain_tag (domain), VP_TAG_NS, "cpu"));
  vp_domain_set_tag (domain, NULL);
  g_assert_null (vp_domain_tag (domain));
  vp_domain_set_tag (bare, "pinned");
  g_assert_true (vp_xml_attr_is (vp_domain_tag (bare), "name", "pinned"));
  vp_domain_set_tag (bare, NULL);
  g_assert_null (vp_xml_find (bare->doc, "metadata"));
}

/* What the key table takes the schema must take, and the other way round. */
static void
check_value (VpKey key, const char *value, gboolean good)
{
  const VpKeyInfo *info = vp_key_info (key);
  g_autofree char *escaped = g_markup_escape_text (value, -1);
  g_autofree char *tag = g_strdup_printf ("<vfio:profile " NS " name='pinned'><vfio:%s %s=\"%s\"/></vfio:profile>",
                                          info->section, info->name, escaped);
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "..", "data", "vfio-profile-tag.rng", NULL);
  g_autoptr (VpDomain) domain = test_tagged (tag, "");
  xmlDoc *doc = xmlNewDoc (BAD_CAST "1.0");
  xmlRelaxNGParserCtxt *parser = xmlRelaxNGNewParserCtxt (path);
  xmlRelaxNG *schema = xmlRelaxNGParse (parser);
  xmlRelaxNGValidCtxt *validation = xmlRelaxNGNewValidCtxt (schema);

  xmlDocSetRootElement (doc, xmlDocCopyNode (vp_domain_tag (domain), doc, 1));
  gboolean in_schema = xmlRelaxNGValidateDoc (validation, doc) == 0;
  gboolean in_table = vp_key_check (key, value, "test", NULL);
  xmlRelaxNGFreeValidCtxt (validation);
  xmlRelaxNGFree (schema);
  xmlRelaxNGFreeParserCtxt (parser);
  xmlFreeDoc (doc);
  if (in_table != good || in_schema != good)
    g_error ("%s.%s='%s': table says %d, schema says %d, expected %d", info->section, info->name, value, in_table,
             in_schema, good);
}

static void
ignore_problem (void *data, const char *format, ...)
{
  (void) data, (void) format;
}

static void
test_schema (void)
{
  static const char *const bad[] = {
    "", "perhaps", "-1", "12345", "2 M", "0M", "yes\nno", "a,b", "1234567890123", NULL
  };

  xmlSetGenericErrorFunc (NULL, ignore_problem);
  for (VpKey key = 0; key < VP_N_KEYS; key++) {
    const VpKeyInfo *info = vp_key_info (key);
    check_value (key, info->fallback, TRUE);
    for (guint i = 0; info->choices[i] != NULL; i++)
      check_value (key, info->choices[i], TRUE);
    for (guint i = 0; bad[i] != NULL; i++) {
      if (key == VP_KEY_HYPERVISOR_VENDOR_ID && i > 0 && i < 4)
        continue; /* good ones for a text */
      if (key == VP_KEY_HYPERVISOR_VENDOR_ID && strcmp (bad[i], "0M") == 0)
        continue;
      check_value (key, bad[i], FALSE);
    }
  }
  check_value (VP_KEY_CPU_RESERVE_CORES, "9999", TRUE);
  check_value (VP_KEY_MEMORY_PAGE_SIZE, "64K", TRUE);
  check_value (VP_KEY_MEMORY_PAGE_SIZE, "1g", FALSE);
  check_value (VP_KEY_HYPERVISOR_VENDOR_ID, "AuthenticAMD", TRUE);
  check_value (VP_KEY_HYPERVISOR_VENDOR_ID, "with space", FALSE);
  xmlSetGenericErrorFunc (NULL, NULL);
}

/* Each key has a line in the file that is shipped, and so a policy that somebody thought of. */
static void
test_limits_shipped (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "..", "data", "vfio-profile.conf", NULL);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (VpLimits) limits = vp_limits_load (path);
  g_autoptr (VpLimits) built_in = vp_limits_new ();

  g_assert_no_error (vp_limits_get_error (limits));
  g_assert_cmpstr (vp_limits_get_source (limits), ==, path);
  g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &error);
  g_assert_no_error (error);
  for (VpKey key = 0; key < VP_N_KEYS; key++) {
    g_autofree char *name = g_strdup_printf ("%s.%s", vp_key_info (key)->section, vp_key_info (key)->name);
    if (!g_key_file_has_key (file, "overrides", name, NULL))
      g_error ("%s has no limit in data/vfio-profile.conf", name);
    g_assert_cmpstr (vp_limits_get (limits, key), ==, vp_limits_get (built_in, key));
    /* A tag can say the default of all but those: a profile that names less is narrower than it. */
    if (key == VP_KEY_DEVICES_HANDOVER_UNITS || key == VP_KEY_DEVICES_HANDOVER_SESSIONS)
      continue;
    g_assert_true (vp_limits_check (limits, key, vp_key_info (key)->fallback, "test", &error));
    g_assert_no_error (error);
  }
  g_assert_cmpuint (vp_limits_get_keep (limits).percent, ==, 10);
}

static VpLimits *
limits_of (const char *folder, const char *text)
{
  g_autofree char *path = g_build_filename (folder, "limits.conf", NULL);

  write_profile (folder, "limits.conf", text);
  return vp_limits_load (path);
}

static void
expect_limit (const VpLimits *limits, VpKey key, const char *good, const char *bad)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (vp_limits_check (limits, key, good, "test", NULL));
  g_assert_false (vp_limits_check (limits, key, bad, "test", &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_TAG);
  g_assert_nonnull (strstr (error->message, bad));
  g_assert_nonnull (strstr (error->message, vp_limits_get (limits, key)));
  g_assert_nonnull (strstr (error->message, vp_limits_get_source (limits)));
}

/* The file counts for what it mentions; a fault in it never lets more through than what is built in. */
static void
test_limits_files (void)
{
  static const char *const damaged[] = { "no key file",
                                         "[overrides]\nmemory.deadline=at most much\n",
                                         "[overrides]\ncpu.pin=at most 3\n",
                                         "[overrides]\ncpu.isolate=perhaps\n",
                                         "[overrides]\ncpu.speed=any\n",
                                         "[overrides]\nisolate=any\n",
                                         "[memory]\nkeep-available=much\n",
                                         "[memory]\nkeep-available=100%\n",
                                         "[override]\ncpu.isolate=any\n",
                                         "[overrides]\ncpu.isolate=any\nx=1\n",
                                         "[memory]\nkeep=1\n" };
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("vp-limits-XXXXXX", &error);
  g_autoptr (VpLimits) none = vp_limits_load ("/nonexistent/vfio-profile.conf");
  g_autoptr (VpLimits) own = limits_of (folder, "[overrides]\nmemory.deadline=at most 120\ncpu.isolate=any\n"
                                                "cpu.pin=no, yes\nvga.method=none\n[memory]\nkeep-available=2G\n");

  g_assert_no_error (vp_limits_get_error (none));
  g_assert_nonnull (strstr (vp_limits_get_source (none), "there is no /nonexistent/vfio-profile.conf"));
  expect_limit (none, VP_KEY_MEMORY_DEADLINE, "60", "61");
  expect_limit (none, VP_KEY_CPU_RESERVE_CORES, "1", "0");
  expect_limit (none, VP_KEY_CPU_ISOLATE, "no", "yes");
  expect_limit (none, VP_KEY_CPU_IRQS, "keep", "move");
  g_assert_no_error (vp_limits_get_error (own));
  expect_limit (own, VP_KEY_MEMORY_DEADLINE, "120", "121");
  expect_limit (own, VP_KEY_CPU_PIN, "yes", "required");
  expect_limit (own, VP_KEY_CPU_IRQS, "keep", "move"); /* as built in */
  g_assert_true (vp_limits_check (own, VP_KEY_CPU_ISOLATE, "yes", "test", NULL));
  g_assert_false (vp_limits_check (own, VP_KEY_VGA_METHOD, "wrapper", "test", NULL));
  g_assert_cmpuint (vp_limits_get_keep (own).kib, ==, 2 * 1024 * 1024);
  g_assert_cmpuint (vp_limits_get_keep (own).percent, ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (damaged); i++) {
    g_autoptr (VpLimits) limits = limits_of (folder, damaged[i]);
    g_assert_error (vp_limits_get_error (limits), VP_ERROR, VP_ERROR_PROFILE);
    g_assert_nonnull (strstr (vp_limits_get_error (limits)->message, "limits.conf"));
    g_assert_nonnull (strstr (vp_limits_get_source (limits), "is damaged"));
    for (VpKey key = 0; key < VP_N_KEYS; key++)
      g_assert_cmpstr (vp_limits_get (limits, key), ==, vp_limits_get (none, key));
    g_assert_cmpuint (vp_limits_get_keep (limits).percent, ==, 10);
  }
  remove_folder (folder);
}

/* An ordinary user's own profiles go no further than a tag; others do. */
static void
test_limits_folder (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *local = g_dir_make_tmp ("vp-profiles-XXXXXX", &error);
  g_autofree char *own = g_dir_make_tmp ("vp-profiles-XXXXXX", &error);
  const char *folders[] = { local, own, NULL };

  write_profile (local, "quiet.conf", "[cpu]\nisolate=yes\n[memory]\ndeadline=999\n");
  write_profile (own, "mine.conf", "[memory]\ndeadline=999\n");
  write_profile (own, "good.conf", "[memory]\ndeadline=30\n");
  g_autoptr (VpProfiles) profiles = vp_profiles_load (folders, &error);
  vp_profiles_limit_folder (profiles, own);
  g_assert_nonnull (vp_profiles_get (profiles, "quiet", &error));
  g_assert_nonnull (vp_profiles_get (profiles, "good", &error));
  g_assert_no_error (error);
  g_assert_null (vp_profiles_get (profiles, "mine", &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_PROFILE);
  g_assert_nonnull (strstr (error->message, "mine.conf: memory.deadline='999' is beyond the limit 'at most 60'"));

  /* What a profile says a tag may repeat, and no more. */
  g_autoptr (VpDomain) same = test_tagged ("<vfio:profile " NS " name='quiet'><vfio:cpu isolate='yes'/>"
                                           "<vfio:memory deadline='999'/></vfio:profile>",
                                           "");
  g_autoptr (VpDomain) more = test_tagged ("<vfio:profile " NS " name='quiet'><vfio:memory deadline='998'/>"
                                           "</vfio:profile>",
                                           "");
  g_clear_error (&error);
  g_autoptr (VpTag) tag = vp_tag_resolve (vp_domain_tag (same), profiles, &error);
  g_assert_no_error (error);
  g_assert_null (vp_tag_resolve (vp_domain_tag (more), profiles, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_TAG);
  remove_folder (local);
  remove_folder (own);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tag/names", test_names);
  g_test_add_func ("/tag/overrides", test_overrides);
  g_test_add_func ("/tag/errors", test_errors);
  g_test_add_func ("/tag/set", test_set);
  g_test_add_func ("/tag/schema", test_schema);
  g_test_add_func ("/limits/shipped", test_limits_shipped);
  g_test_add_func ("/limits/files", test_limits_files);
  g_test_add_func ("/limits/folder", test_limits_folder);
  g_test_add_func ("/profiles/files", test_files);
  g_test_add_func ("/profiles/shipped", test_shipped);
  return g_test_run ();
}
