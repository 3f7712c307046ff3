/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several domains on one host: from their XML to plans that fit beside each other. */
#include <string.h>

#include "domain/pins.h"
#include "plan/fleet.h"
#include "support.h"

#define PINNED "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'/>"
#define REFUSING                                                                                                       \
  "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:cpu conflict='refuse'/></vfio:profile>"

static char *
dup_uuid (const char *name)
{
  return g_strdup_printf ("00000000-0000-4000-8000-0000000000%02x", (unsigned) name[0]);
}

/* `pins`: of the first vCPUs, as libvirt lists CPUs, one string for each; NULL: none. */
static VpDomain *
guest (const char *name, guint n_vcpus, const char *tag, const char *const *pins)
{
  g_autoptr (GString) tune = g_string_new ("");
  g_autofree char *uuid = dup_uuid (name);

  for (guint i = 0; pins != NULL && pins[i] != NULL; i++)
    g_string_append_printf (tune, "<vcpupin vcpu='%u' cpuset='%s'/>", i, pins[i]);
  g_autofree char *text = g_strdup_printf (
    "<domain type='kvm'><name>%s</name><uuid>%s</uuid><metadata>%s</metadata><memory unit='KiB'>1048576</memory>"
    "<vcpu>%u</vcpu><cputune>%s</cputune><os><type arch='x86_64'>hvm</type></os>"
    "<cpu><topology sockets='1' cores='%u' threads='2'/></cpu></domain>",
    name, uuid, tag, n_vcpus, tune->str, n_vcpus / 2);
  return test_domain (text);
}

/* What a test has: at most four domains, stored and live. */
typedef struct {
  VpHost *host;
  VpProfiles *profiles;
  VpDomain *stored[4];
  VpDomain *live[4];
} World;

static World *
world_new (const char *topology)
{
  World *world = g_new0 (World, 1);

  world->host = test_host (NULL, topology);
  world->profiles = test_profiles ();
  return world;
}

static void
world_free (World *world)
{
  for (guint i = 0; i < G_N_ELEMENTS (world->stored); i++) {
    vp_domain_free (world->stored[i]);
    vp_domain_free (world->live[i]);
  }
  vp_host_unref (world->host);
  vp_profiles_unref (world->profiles);
  g_free (world);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)

static VpFleet *
settle (const World *world, gboolean backwards)
{
  VpFleet *fleet = vp_fleet_new (world->host, world->profiles);
  guint n = G_N_ELEMENTS (world->stored);

  for (guint i = 0; i < n; i++) {
    guint at = backwards ? n - 1 - i : i;
    if (world->stored[at] != NULL || world->live[at] != NULL)
      vp_fleet_set (fleet, world->stored[at], world->live[at]);
  }
  vp_fleet_settle (fleet);
  return fleet;
}

static VpPlan *
plan_in (const World *world, const VpFleet *fleet, guint at)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *uuid = vp_domain_dup_uuid (world->stored[at]);
  VpPlan *plan =
    vp_plan_new (world->stored[at], world->host, world->profiles, vp_fleet_find (fleet, uuid), VP_PLAN_DEFAULT, &error);

  g_assert_no_error (error);
  return plan;
}

static char *
dup_pins (const VpDomain *domain)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (VpPins) pins = vp_pins_read (domain);

  for (guint i = 0; i < pins->vcpus->len; i++)
    g_string_append_printf (text, "%s%d", i > 0 ? " " : "", vp_pins_vcpu_cpu (pins, i));
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
check_pins (const VpPlan *plan, const char *wanted)
{
  g_autofree char *pins = dup_pins (plan->result);

  g_assert_cmpstr (pins, ==, wanted);
}

/* Every domain is defined as planned; a fleet of what is there then changes nothing. */
static void
define_all (World *world)
{
  g_autoptr (VpFleet) fleet = settle (world, FALSE);

  for (guint i = 0; i < G_N_ELEMENTS (world->stored); i++) {
    if (world->stored[i] == NULL)
      continue;
    g_autoptr (VpPlan) plan = plan_in (world, fleet, i);
    vp_domain_free (world->stored[i]);
    world->stored[i] = vp_domain_copy (plan->result);
  }
  g_autoptr (VpFleet) again = settle (world, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (world->stored); i++) {
    if (world->stored[i] == NULL)
      continue;
    g_autoptr (VpPlan) plan = plan_in (world, again, i);
    g_assert_true (vp_plan_is_ready (plan));
  }
}

static void
test_side_by_side (void)
{
  g_autoptr (World) world = world_new (TEST_I7_3770K);

  world->stored[0] = guest ("a", 2, PINNED, NULL);
  world->stored[1] = guest ("b", 4, PINNED, NULL);
  for (int backwards = 0; backwards < 2; backwards++) {
    g_autoptr (VpFleet) fleet = settle (world, backwards);
    g_autoptr (VpPlan) a = plan_in (world, fleet, 0);
    g_autoptr (VpPlan) b = plan_in (world, fleet, 1);
    check_pins (b, "2 6 3 7"); /* the larger one is placed first */
    check_pins (a, "1 5");
    g_assert_cmpuint (a->warnings->len + b->warnings->len, ==, 0);
  }
  define_all (world);
}

/* A guest of somebody else's pins, and one that is pinned to all CPUs, which is no pin. */
static void
test_untagged (void)
{
  static const char *const two_cores[] = { "2-3,6-7,^6", "6-7", NULL };
  static const char *const all[] = { "0-7", "0-7", NULL };
  g_autoptr (World) world = world_new (TEST_I7_3770K);

  world->stored[0] = guest ("a", 2, PINNED, NULL);
  world->stored[1] = guest ("b", 2, "", two_cores);
  world->live[1] = vp_domain_copy (world->stored[1]);
  world->stored[2] = guest ("c", 2, "", all);
  world->live[2] = vp_domain_copy (world->stored[2]);
  g_autoptr (VpFleet) running = settle (world, FALSE);
  g_autoptr (VpPlan) plan = plan_in (world, running, 0);
  check_pins (plan, "1 5");
  g_assert_cmpuint (plan->warnings->len, ==, 0);

  /* Stopped, it is left alone as well as long as there is room. */
  g_clear_pointer (&world->live[1], vp_domain_free);
  g_autoptr (VpFleet) stopped = settle (world, FALSE);
  g_autoptr (VpPlan) beside = plan_in (world, stopped, 0);
  check_pins (beside, "1 5");
}

/* Two that cannot run side by side are told of each other, by name and CPU. */
static void
test_overlap (void)
{
  g_autoptr (World) world = world_new (TEST_I7_3770K);

  world->stored[0] = guest ("a", 6, PINNED, NULL);
  world->stored[1] = guest ("b", 6, REFUSING, NULL);
  g_autoptr (VpFleet) stopped = settle (world, FALSE);
  g_autoptr (VpPlan) a = plan_in (world, stopped, 0);
  g_autoptr (VpPlan) b = plan_in (world, stopped, 1);
  g_assert_true (test_warns (a, "are planned for domain 'b' as well: the two share them while both run"));
  g_assert_true (test_warns (b, "are planned for domain 'a' as well: they cannot run at the same time"));
  define_all (world);

  world->live[0] = vp_domain_copy (world->stored[0]);
  g_autoptr (VpFleet) running = settle (world, FALSE);
  g_autoptr (VpPlan) beside = plan_in (world, running, 1);
  g_assert_true (test_warns (beside, "are those of domain 'a', which runs"));
  define_all (world);
}

/* A guest that starts holds what it has; a stopped one that was planned there makes way, and stays away. */
static void
test_makes_way (void)
{
  static const char *const there[] = { "2", "6", NULL };
  g_autoptr (World) world = world_new (TEST_I7_3770K);

  world->stored[0] = guest ("a", 2, PINNED, there);
  define_all (world);
  g_autofree char *before = dup_pins (world->stored[0]);
  g_assert_cmpstr (before, ==, "2 6");
  world->live[1] = guest ("b", 2, "", there); /* transient */
  define_all (world);
  g_autofree char *beside = dup_pins (world->stored[0]);
  g_assert_cmpstr (beside, ==, "3 7");
  g_clear_pointer (&world->live[1], vp_domain_free);
  define_all (world);
  g_autofree char *after = dup_pins (world->stored[0]);
  g_assert_cmpstr (after, ==, "3 7");
}

/* With the neighbours that it was prepared beside a definition stays ready, whoever comes and goes. */
static void
test_as_prepared (void)
{
  static const char *const there[] = { "3", "7", NULL };
  g_autoptr (World) world = world_new (TEST_I7_3770K);
  g_autofree char *uuid = dup_uuid ("a");
  g_autoptr (GError) error = NULL;

  world->stored[0] = guest ("a", 2, PINNED, NULL);
  define_all (world);
  g_autoptr (VpFleet) before = settle (world, FALSE);
  g_autoptr (VpNeighbours) seen = vp_neighbours_ref (vp_fleet_find (before, uuid));
  world->live[1] = guest ("b", 2, "", there);
  g_autoptr (VpFleet) after = settle (world, FALSE);
  g_assert_false (vp_neighbours_equal (seen, vp_fleet_find (after, uuid)));
  g_autoptr (VpPlan) as_prepared =
    vp_plan_new (world->stored[0], world->host, world->profiles, seen, VP_PLAN_DEFAULT, &error);
  g_assert_no_error (error);
  g_assert_true (vp_plan_is_ready (as_prepared));
  g_autoptr (VpPlan) moved = plan_in (world, after, 0);
  g_assert_false (vp_plan_is_ready (moved));
}

/* CPUs that go offline take nobody's definition with them: new pins; those that come back move nobody. */
static void
test_hot_plug (void)
{
  static const char *const lost[] = { "3", "7", NULL };
  g_autoptr (World) world = world_new (TEST_I7_3770K);

  world->stored[0] = guest ("a", 2, PINNED, lost);
  world->stored[1] = guest ("b", 2, PINNED, NULL);
  define_all (world);
  vp_host_unref (world->host);
  world->host = test_host (NULL, "pack:1 l3:1 core:3 pu:2(indexes=0,4,1,5,2,6)");
  define_all (world);
  g_autofree char *a = dup_pins (world->stored[0]);
  g_autofree char *b = dup_pins (world->stored[1]);
  g_assert_cmpstr (a, ==, "1 5");
  g_assert_cmpstr (b, ==, "2 6");
  vp_host_unref (world->host);
  world->host = test_host (NULL, TEST_I7_3770K);
  define_all (world);
  g_autofree char *a_again = dup_pins (world->stored[0]);
  g_autofree char *b_again = dup_pins (world->stored[1]);
  g_assert_cmpstr (a_again, ==, a);
  g_assert_cmpstr (b_again, ==, b);
}

static void
test_hostile_pins (void)
{
  static const char *const odd[] = { "0-4294967295", "", "a", "5-2", "99999", "^1", "1,,2", "70000-80000", NULL };
  g_autoptr (World) world = world_new (TEST_I7_3770K);

  world->stored[0] = guest ("a", 2, PINNED, NULL);
  world->stored[1] = guest ("b", 8, "", odd);
  world->live[1] = vp_domain_copy (world->stored[1]);
  g_autoptr (VpFleet) fleet = settle (world, FALSE);
  g_autoptr (VpPlan) plan = plan_in (world, fleet, 0);
  check_pins (plan, "3 7");
}

/* A fleet that was changed, and one of the same domains made anew, say the same of each. */
static void
check_like_new (const World *world, const VpFleet *fleet)
{
  g_autoptr (VpFleet) anew = settle (world, TRUE);

  for (guint i = 0; i < G_N_ELEMENTS (world->stored); i++) {
    const VpDomain *any = world->stored[i] != NULL ? world->stored[i] : world->live[i];
    g_autofree char *uuid = any != NULL ? vp_domain_dup_uuid (any) : NULL;
    if (uuid != NULL)
      g_assert_true (vp_neighbours_equal (vp_fleet_find (fleet, uuid), vp_fleet_find (anew, uuid)));
  }
}

static void
check_moved (const VpFleet *fleet, const char *wanted)
{
  const GPtrArray *moved = vp_fleet_get_moved (fleet);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < moved->len; i++)
    g_string_append (text, moved->pdata[i]);
  g_assert_cmpstr (text->str, ==, wanted);
}

static void
change (World *world, VpFleet *fleet, guint at, VpDomain *stored, VpDomain *live)
{
  const char name[] = { (char) ('a' + (int) at), '\0' };
  g_autofree char *uuid = dup_uuid (name);

  vp_domain_free (world->stored[at]);
  vp_domain_free (world->live[at]);
  world->stored[at] = stored;
  world->live[at] = live;
  if (stored != NULL || live != NULL)
    vp_fleet_set (fleet, stored, live);
  else
    vp_fleet_remove (fleet, uuid, name);
  vp_fleet_settle (fleet);
  check_like_new (world, fleet);
}

/* Change by change it is what it would be made at once, and who moved is said: nobody else has to be planned anew. */
static void
test_changes (void)
{
  static const char *const of_c[] = { "1", "5", NULL };
  g_autoptr (World) world = world_new (TEST_I7_3770K);
  g_autoptr (VpFleet) fleet = vp_fleet_new (world->host, world->profiles);

  vp_fleet_remove (fleet, "00000000-0000-4000-8000-000000000000", "z");
  change (world, fleet, 0, guest ("a", 2, PINNED, NULL), NULL);
  check_moved (fleet, "a");
  change (world, fleet, 1, guest ("b", 2, PINNED, NULL), NULL);
  check_moved (fleet, "ab"); /* the emulator of a has fewer CPUs */
  vp_fleet_settle (fleet);
  check_moved (fleet, "");
  change (world, fleet, 2, guest ("c", 2, "", of_c), guest ("c", 2, "", of_c));
  g_autofree char *uuid = dup_uuid ("a");
  vp_fleet_remove (fleet, uuid, "before"); /* as it was called before: that name is gone, and it is not */
  check_like_new (world, fleet);
  change (world, fleet, 3, NULL, guest ("d", 2, PINNED, NULL));
  change (world, fleet, 1, guest ("b", 4, PINNED, NULL), NULL);
  change (world, fleet, 0, guest ("a", 2, "", NULL), NULL);
  change (world, fleet, 0, guest ("a", 8, PINNED, NULL), NULL);
  change (world, fleet, 2, NULL, NULL);
  change (world, fleet, 0, NULL, NULL);
}

/* Many on few CPUs, where each is in others' way: one more moves nobody, and asks for little. */
static void
test_crowd (void)
{
  g_autoptr (World) world = world_new (TEST_I7_3770K);
  g_autoptr (VpFleet) fleet = vp_fleet_new (world->host, world->profiles);

  for (guint i = 0; i < 50; i++) {
    const char name[] = { (char) ('A' + (int) i), '\0' };
    g_autoptr (VpDomain) domain = guest (name, 2, PINNED, NULL);
    vp_fleet_set (fleet, domain, NULL);
  }
  vp_fleet_settle (fleet);
  g_assert_cmpuint (vp_fleet_get_moved (fleet)->len, ==, 50);
  g_autoptr (VpDomain) more = guest ("z", 2, PINNED, NULL);
  vp_fleet_set (fleet, more, NULL);
  vp_fleet_settle (fleet);
  check_moved (fleet, "z");

  /* Some are named, the rest is a number: each of a crowd would name each other one in the log. */
  g_autofree char *uuid = dup_uuid ("z");
  g_autoptr (VpPlan) plan =
    vp_plan_new (more, world->host, world->profiles, vp_fleet_find (fleet, uuid), VP_PLAN_DEFAULT, NULL);
  g_assert_true (test_warns (plan, " more domains as well"));
  g_assert_cmpuint (plan->warnings->len, <, 16);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fleet/side-by-side", test_side_by_side);
  g_test_add_func ("/fleet/untagged", test_untagged);
  g_test_add_func ("/fleet/overlap", test_overlap);
  g_test_add_func ("/fleet/makes-way", test_makes_way);
  g_test_add_func ("/fleet/as-prepared", test_as_prepared);
  g_test_add_func ("/fleet/hot-plug", test_hot_plug);
  g_test_add_func ("/fleet/hostile-pins", test_hostile_pins);
  g_test_add_func ("/fleet/changes", test_changes);
  g_test_add_func ("/fleet/crowd", test_crowd);
  return g_test_run ();
}
