/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a domain definition: parsed, planned, undone, planned again. Must
 * end without a crash, what can be planned must be stable, and no saved state may give a
 * definition anything but what the rules own.
 */
#include <stdint.h>
#include <string.h>

#include "../owned.h"
#include "base/error.h"
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

  g_assert (undone == NULL || is_harmless_undo (domain, undone->result));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const World *world = get_world ();
  g_autoptr (GError) error = NULL;
  g_autoptr (VpDomain) domain = vp_domain_parse ((const char *) data, size, "input", &error);
  g_autoptr (VpPlan) plan =
    domain != NULL ? vp_plan_new (domain, world->host, world->profiles, NULL, VP_PLAN_DEFAULT, &error) : NULL;

  if (domain != NULL)
    check_undo (world, domain);
  if (plan == NULL) {
    g_assert (error != NULL && error->domain == VP_ERROR && g_utf8_validate (error->message, -1, NULL));
    return 0;
  }
  g_autoptr (VpPlan) again = vp_plan_new (plan->result, world->host, world->profiles, NULL, VP_PLAN_DEFAULT, &error);
  g_assert_no_error (error);
  g_assert (vp_plan_is_ready (again));
  g_autoptr (VpPlan) filtered =
    vp_plan_new (plan->result, world->host, world->profiles, NULL, VP_PLAN_HOST_ONLY, &error);
  g_assert_no_error (error);
  g_assert (vp_plan_is_ready (filtered));
  g_autoptr (VpPlan) undone = vp_plan_new (plan->result, world->host, world->profiles, NULL, VP_PLAN_UNDO, &error);
  g_assert_no_error (error);
  g_assert (vp_domain_state (undone->result) == NULL);
  return 0;
}
