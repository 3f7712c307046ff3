/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a domain definition: parsed, planned, undone, planned again. Must
 * end without a crash, what can be planned must be stable, what had no saved state is undone
 * exactly, and no saved state may give a definition anything but what the rules own.
 */
#include <stdint.h>
#include <string.h>

#include "../owned.h"
#include "base/error.h"
#include "domain/vcpu-request.h"
#include "plan/plan.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

typedef struct {
  VpHost *host;
  VpProfiles *profiles;
} World;

static const World *
get_world (void)
{
  static World world;
  const char *folders[] = { VP_TEST_PROFILES, NULL };
  const char *rules[] = { VP_TEST_RULES, NULL };
  VpHostSource source = { .wrapper_folder = "/var/lib/vfio-profile/emulators", .libvirt_version = 9000000 };

  if (world.host != NULL)
    return &world;
  source.topology = vp_topology_load_description ("pack:2 [numa] l3:2 core:4 pu:2", NULL);
  world.host = vp_host_load (&source, NULL);
  world.profiles = vp_profiles_load (folders, NULL);
  g_assert (world.host != NULL && world.profiles != NULL);
  g_assert (vp_profiles_load_rules (world.profiles, rules, NULL));
  return &world;
}

/* Whatever the state says: what comes back is the rules' own. */
static void
check_undo (const World *world, const VpDomain *domain)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpPlan) undone = vp_plan_new (domain, world->host, world->profiles, NULL, VP_PLAN_UNDO, &error);

  if (undone != NULL && !is_harmless_undo (domain, undone->result))
    g_error ("%s\nmakes\n%s", vp_domain_dup_text (domain), vp_domain_dup_text (undone->result));
}

/* A plan, too, changes what the rules own and nothing else; a tag that a rule gives is one of these. */
static void
check_unowned (const VpDomain *before, const VpDomain *after)
{
  g_autoptr (VpDomain) left = vp_domain_copy (before);
  g_autoptr (VpDomain) right = vp_domain_copy (after);

  while (vp_domain_tag (left) != NULL)
    vp_xml_remove (vp_domain_tag (left));
  while (vp_domain_tag (right) != NULL)
    vp_xml_remove (vp_domain_tag (right));
  g_autofree char *unowned_left = dup_unowned (left, FALSE, TRUE);
  g_autofree char *unowned_right = dup_unowned (right, FALSE, TRUE);
  if (strcmp (unowned_left, unowned_right) != 0)
    g_error ("%s\nmakes\n%s", vp_domain_dup_text (before), vp_domain_dup_text (after));
}

/* An empty <metadata/> says nothing. */
static char *
dup_exact (const VpDomain *domain)
{
  g_autoptr (VpDomain) copy = vp_domain_copy (domain);
  xmlNode *metadata = vp_xml_child (vp_domain_root (copy), "metadata");

  if (metadata != NULL && metadata->properties == NULL && vp_xml_first (metadata) == NULL)
    vp_xml_remove (metadata);
  return vp_xml_dup_unordered (vp_domain_root (copy));
}

/* Where nothing was saved before, and no rule's tag was replaced. */
static void
check_exact (const VpDomain *before, const VpDomain *undone)
{
  g_autofree char *rule = vp_domain_dup_tag_rule (before);
  g_autofree char *text_before = dup_exact (before);
  g_autofree char *text_undone = dup_exact (undone);

  if (rule == NULL && vp_domain_state (before) == NULL && strcmp (text_undone, text_before) != 0)
    g_error ("%s\nmakes\n%s", vp_domain_dup_text (before), vp_domain_dup_text (undone));
}

/* By what libvirt tells one from another in the lists that it has; a metadata element by its namespace. */
static char *
dup_name (const xmlNode *element)
{
  static const char *const keys[] = { "vcpu", "iothread", "cellid", "name", "dev", "id", NULL };
  g_autofree char *value = NULL;

  if (vp_xml_is (element->parent, "metadata"))
    return g_strdup (element->ns != NULL ? (const char *) element->ns->href : "");
  for (guint i = 0; keys[i] != NULL && value == NULL; i++)
    value = vp_xml_dup_attr (element, keys[i]);
  return g_strdup_printf ("%s %s", (const char *) element->name, value != NULL ? value : "");
}

static gboolean
has_text (const xmlNode *element)
{
  for (const xmlNode *child = element->children; child != NULL; child = child->next)
    if ((child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) && !xmlIsBlankNode (child))
      return TRUE;
  return FALSE;
}

/*
 * Of twins libvirt reads the first, and writes one; text beside elements it does not read. No definition
 * that it has is such, and layout and order are not what they were where they are undone.
 */
static gboolean
is_impossible (const xmlNode *parent, guint depth)
{
  static const char *const containers[] = {
    "domain",  "metadata", "memoryBacking", "features",  "kvm",     "hyperv", "cputune",     "numatune", "clock",
    "devices", "cpu",      "numa",          "hugepages", "hostdev", "hidden", "commandline", "override", NULL
  };
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gboolean is_list = vp_xml_is (parent, "devices") || vp_xml_is (parent, "clock");

  if (g_strv_contains (containers, (const char *) parent->name) && has_text (parent))
    return TRUE;
  for (const xmlNode *child = vp_xml_first (parent); child != NULL && depth < 3; child = vp_xml_next (child))
    if ((!g_hash_table_add (names, dup_name (child)) && !is_list) || is_impossible (child, depth + 1))
      return TRUE;
  return FALSE;
}

/* What was planned stays so, at a start and where a guest arrives, and is undone. */
static void
check_plan (const World *world, const VpDomain *domain, const VpPlan *plan)
{
  static const VpPlanFlags flags[] = { VP_PLAN_DEFAULT, VP_PLAN_HOST_ONLY };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (flags); i++) {
    g_autoptr (VpPlan) again = vp_plan_new (plan->result, world->host, world->profiles, NULL, flags[i], &error);
    g_assert_no_error (error);
    if (!vp_plan_is_ready (again))
      g_error ("%s\nmakes\n%s\nwhich changes again at %s", vp_domain_dup_text (domain),
               vp_domain_dup_text (plan->result), ((VpChange *) again->changes->pdata[0])->place);
  }
  g_autoptr (VpPlan) undone = vp_plan_new (plan->result, world->host, world->profiles, NULL, VP_PLAN_UNDO, &error);
  g_assert_no_error (error);
  const xmlNode *state = vp_domain_state (undone->result);
  g_assert (state == NULL || vp_xml_first (state) == NULL); /* a mark of ours is taken away afterwards */
  /* A number of vCPUs that the tag asks for is the domain's own from then on. */
  g_autoptr (VpDomain) asked = vp_domain_copy (domain);
  if (vp_vcpu_request_read (asked) != 0)
    vp_vcpu_request_carry_out (asked, vp_vcpu_request_read (asked));
  check_unowned (asked, plan->result);
  check_exact (asked, undone->result);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const World *world = get_world ();
  g_autoptr (GError) error = NULL;
  g_autoptr (VpDomain) domain = vp_domain_parse ((const char *) data, size, "input", &error);
  gboolean is_possible = domain != NULL && !is_impossible (vp_domain_root (domain), 0);
  g_autoptr (VpPlan) plan =
    domain != NULL ? vp_plan_new (domain, world->host, world->profiles, NULL, VP_PLAN_DEFAULT, &error) : NULL;

  if (is_possible)
    check_undo (world, domain);
  if (plan == NULL)
    g_assert (error != NULL && error->domain == VP_ERROR && g_utf8_validate (error->message, -1, NULL));
  else if (is_possible)
    check_plan (world, domain, plan);
  return 0;
}
