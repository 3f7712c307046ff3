/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Properties that hold for every definition of the corpus on several hosts:
 * rewriting is idempotent, undo gives back the original, libvirt's schema accepts
 * the result, and nothing that no rule owns was touched.
 */
#include <libxml/relaxng.h>
#include <string.h>

#include "../owned.h"
#include "support.h"

#define LIBVIRT_SCHEMA "/usr/share/libvirt/schemas/domain.rng"

static const struct {
  const char *sysfs;
  const char *topology;
} hosts[] = {
  { "howto-2015", TEST_I7_3770K },
  { "no-iommu", TEST_RYZEN_3900X },
  { "numa-2node", "pack:2 [numa(memory=68719476736)] l3:2 core:4 pu:2" },
};

static xmlRelaxNG *schema;

static void
assert_valid (const VpDomain *domain, const char *path)
{
  if (schema == NULL)
    return;
  xmlRelaxNGValidCtxt *validation = xmlRelaxNGNewValidCtxt (schema);
  int problem = xmlRelaxNGValidateDoc (validation, domain->doc);
  xmlRelaxNGFreeValidCtxt (validation);
  if (problem != 0)
    g_error ("%s, rewritten, does not follow libvirt's schema:\n%s", path, vp_domain_dup_text (domain));
}

static void
check_on_host (const char *path, const VpDomain *domain, const VpHost *host, gboolean trims)
{
  g_autoptr (VpPlan) first = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) second = test_plan (first->result, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) undone = test_plan (first->result, host, VP_PLAN_UNDO);
  g_autofree char *before = vp_domain_dup_text (domain);
  g_autofree char *after = vp_domain_dup_text (undone->result);
  gboolean own_cells = vp_xml_find (domain->doc, "cpu/numa") != NULL;
  g_autofree char *unowned_before = dup_unowned (domain, own_cells, trims);
  g_autofree char *unowned_after = dup_unowned (first->result, own_cells, trims);
  g_autofree char *canonical_before = vp_xml_dup_unordered (vp_domain_root (domain));
  g_autofree char *canonical_after = vp_xml_dup_unordered (vp_domain_root (undone->result));

  if (!vp_plan_is_ready (second))
    g_error ("%s: rewritten twice, it changes again at %s", path, ((VpChange *) second->changes->pdata[0])->place);
  g_assert_true (vp_domain_equal (first->result, second->result));
  g_assert_cmpstr (canonical_after, ==, canonical_before);
  g_assert_cmpstr (unowned_after, ==, unowned_before);
  assert_valid (first->result, path);
  /* A domain without a tag is not touched at all. */
  if (vp_domain_tag (domain) == NULL)
    g_assert_true (vp_plan_is_ready (first));
}

static void
test_file (gconstpointer data)
{
  const char *path = data;
  g_autoptr (VpDomain) domain = test_domain_load (path);

  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++) {
    g_autoptr (VpHost) host = test_host (hosts[i].sysfs, hosts[i].topology);
    check_on_host (path, domain, host, FALSE);
  }
  if (schema == NULL)
    g_test_message ("libvirt's schema is not installed: the result was not held against it");
}

static void
assert_gone (const VpDomain *domain, const char *path, const char *place)
{
  if (vp_xml_find (domain->doc, place) != NULL)
    g_error ("%s, trimmed, still has %s", path, place);
}

/* Whatever tag it had, if any: one that trims, and changes little else. */
static void
test_trim (gconstpointer data)
{
  const char *path = data;
  g_autoptr (VpDomain) domain = test_domain_load (path);
  g_autoptr (VpHost) host = test_host (hosts[0].sysfs, hosts[0].topology);

  g_autoptr (VpPlan) bare = test_plan (domain, host, VP_PLAN_UNDO); /* a recorded one may carry a state */
  vp_domain_set_tag (bare->result, NULL);
  vp_domain_set_tag (bare->result, "vga");
  xmlNode *tag = vp_domain_tag (bare->result);
  xmlNode *devices = xmlNewChild (tag, tag->ns, BAD_CAST "devices", NULL);
  xmlNewProp (devices, BAD_CAST "trim", BAD_CAST "yes");
  check_on_host (path, bare->result, host, TRUE);

  g_autoptr (VpPlan) plan = test_plan (bare->result, host, VP_PLAN_DEFAULT);
  gboolean graphics = vp_xml_find (plan->result->doc, "devices/graphics") != NULL;
  assert_gone (plan->result, path, "devices/video[2]");
  if (graphics || vp_xml_find (plan->result->doc, "devices/video") != NULL)
    g_assert_nonnull (vp_xml_find (plan->result->doc, "devices/video/model[@type='none']"));
  if (!graphics)
    for (guint i = 4; i < G_N_ELEMENTS (owned_trim); i++)
      assert_gone (plan->result, path, owned_trim[i]);
}

/* Definitions that must be refused, with nothing made of them. */
static void
test_bad_file (gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (VpHost) host = test_host (hosts[0].sysfs, hosts[0].topology);
  g_autoptr (VpDomain) domain = test_domain_load (data);
  g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, NULL, VP_PLAN_DEFAULT, &error);

  g_assert_null (plan);
  g_assert_nonnull (error);
  g_assert_true (error->domain == g_quark_from_string ("vp-error-quark"));
  g_test_message ("%s", error->message);
}

static guint
add_files (const char *folder, const char *suite, GTestDataFunc test)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  guint count = 0;

  g_assert_no_error (error);
  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir)) {
    if (!g_str_has_suffix (name, ".xml"))
      continue;
    g_autofree char *id = g_strconcat (suite, name, NULL);
    g_test_add_data_func_full (id, g_build_filename (folder, name, NULL), test, g_free);
    count++;
  }
  return count;
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_autofree char *good = g_test_build_filename (G_TEST_DIST, "..", "data", "domains", NULL);
  g_autofree char *bad = g_test_build_filename (G_TEST_DIST, "..", "data", "domains", "bad", NULL);

  if (g_file_test (LIBVIRT_SCHEMA, G_FILE_TEST_EXISTS)) {
    xmlRelaxNGParserCtxt *parser = xmlRelaxNGNewParserCtxt (LIBVIRT_SCHEMA);
    schema = xmlRelaxNGParse (parser);
    xmlRelaxNGFreeParserCtxt (parser);
    g_assert_nonnull (schema);
  }
  g_autofree char *examples = g_test_build_filename (G_TEST_DIST, "..", "..", "examples", NULL);
  g_assert_cmpuint (add_files (examples, "/corpus/examples/", test_file), >=, 3);
  guint count = add_files (good, "/corpus/", test_file);
  g_assert_cmpuint (add_files (good, "/corpus/trim/", test_trim), ==, count);
  g_assert_cmpuint (count, >=, 40);
  g_assert_cmpuint (add_files (bad, "/corpus/bad/", test_bad_file), >=, 5);
  int result = g_test_run ();
  xmlRelaxNGFree (schema);
  return result;
}
