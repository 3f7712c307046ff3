/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What anybody may write into a definition, four times as long, takes four times as long: the
 * daemon has one thread for all domains. CPU time of two lengths in one run is held against
 * each other; the least of some tries counts, as the machine has other things to do.
 */
#include <string.h>
#include <time.h>

#include "base/pattern.h"
#include "merge/merge.h"
#include "support.h"

#define TRIES 6
#define MOST_GROWTH                                                                                                    \
  12.0              /* the square would be 16; what no longer fits the caches is slower, and so is a busy machine */
#define STEP_MS 4.0 /* what is faster than that grows as it likes */

typedef char *(*MakeText) (guint n);

static char *
dup_repeated (const char *before, const char *format, guint n, const char *after)
{
  GString *text = g_string_new (before);

  for (guint i = 0; i < n; i++) {
    g_auto (GStrv) parts = g_strsplit (format, "%", -1);
    g_autofree char *number = g_strdup_printf ("%u", i);
    g_autofree char *one = g_strjoinv (number, parts);
    g_string_append (text, one);
  }
  g_string_append (text, after);
  return g_string_free (text, FALSE);
}

#define START "<domain type='kvm'><name>a</name>"
#define TAGGED "<metadata><v:profile xmlns:v='urn:vfio-profile:1' name='pinned'><v:devices trim='yes'/></v:profile>"
#define BODY "<memory>4194304</memory><os><type arch='x86_64'>hvm</type></os>"

static char *
new_description (guint n)
{
  return dup_repeated (START "<description>", "#vfio:nobody ", n, "</description><vcpu>2</vcpu>" BODY "</domain>");
}

static char *
new_title (guint n)
{
  return dup_repeated (START "<title>", "gpu %gpu", n, "</title><vcpu>2</vcpu>" BODY "</domain>");
}

static char *
new_glob (guint n)
{
  return dup_repeated ("", "gpu%", n, "");
}

static char *
new_graphics (guint n)
{
  return dup_repeated (START TAGGED "</metadata><vcpu>2</vcpu>" BODY "<devices>",
                       "<graphics type='vnc' port='%'/><sound model='ich9'/><video/><audio id='%' type='spice'/>", n,
                       "</devices></domain>");
}

static char *
new_hostdevs (guint n)
{
  return dup_repeated (START TAGGED "</metadata><vcpu>2</vcpu>" BODY "<devices>",
                       "<hostdev mode='subsystem' type='pci'><source><address domain='%' bus='1'/></source></hostdev>",
                       n, "</devices></domain>");
}

static char *
new_names (guint n)
{
  g_autofree char *hostdevs =
    dup_repeated (START "<metadata><v:profile xmlns:v='urn:vfio-profile:1' name='vga'/></metadata><vcpu>2</vcpu>" BODY
                        "<devices>",
                  "<hostdev mode='subsystem' type='pci'><source><address domain='%' bus='1'/></source></hostdev>", n,
                  "</devices>");
  g_autofree char *start = g_strconcat (hostdevs, "<q:commandline xmlns:q='" VP_QEMU_NS "'>", NULL);

  return dup_repeated (start, "<q:arg value='-set'/><q:arg value='device.hostdev%.x=1'/>", n,
                       "</q:commandline></domain>");
}

static char *
new_pins (guint n)
{
  g_autofree char *start = g_strdup_printf (START TAGGED "</metadata><vcpu>%u</vcpu>" BODY "<cputune>", n);

  return dup_repeated (start, "<vcpupin vcpu='%' cpuset='0'/>", n, "</cputune></domain>");
}

static char *
new_slots (guint n)
{
  g_autofree char *slots =
    dup_repeated ("",
                  "<s:slot rule='cpu' place=\"cputune/vcpupin[@vcpu='%']\"><s:was position='1'><vcpupin vcpu='%' "
                  "cpuset='1'/></s:was><s:set><vcpupin vcpu='%' cpuset='0'/></s:set></s:slot>",
                  n, "");
  g_autofree char *start = g_strdup_printf (START "<metadata><s:state xmlns:s='urn:vfio-profile:state:1'>%s</s:state>"
                                                  "</metadata><vcpu>%u</vcpu>" BODY "<cputune>",
                                            slots, n);

  return dup_repeated (start, "<vcpupin vcpu='%' cpuset='0'/>", n, "</cputune></domain>");
}

static char *
new_devices (guint n)
{
  return dup_repeated (START "<vcpu>2</vcpu>" BODY "<devices>",
                       "<interface type='network'><mac address='52:54:00:%'/><source network='n%'/></interface>", n,
                       "</devices></domain>");
}

static double
now_ms (void)
{
  struct timespec time;

  g_assert_cmpint (clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time), ==, 0);
  return (double) time.tv_sec * 1e3 + (double) time.tv_nsec / 1e6;
}

static double
plan_ms (const char *text)
{
  static VpHost *host;
  static VpProfiles *profiles;
  g_autofree char *folder = g_test_build_filename (G_TEST_DIST, "..", "..", "data", "rules", NULL);
  const char *rules[] = { folder, NULL };

  if (host == NULL) {
    host = test_host ("howto-2015", TEST_I7_3770K);
    profiles = test_profiles ();
    g_assert_true (vp_profiles_load_rules (profiles, rules, NULL));
  }
  double start = now_ms ();
  g_autoptr (VpDomain) domain = vp_domain_parse (text, strlen (text), "grown", NULL);
  g_autoptr (VpPlan) plan = domain != NULL ? vp_plan_new (domain, host, profiles, NULL, VP_PLAN_DEFAULT, NULL) : NULL;
  g_autoptr (VpPlan) again =
    plan != NULL ? vp_plan_new (plan->result, host, profiles, NULL, VP_PLAN_DEFAULT, NULL) : NULL;
  return now_ms () - start;
}

/* An administrator's pattern over what anybody may write. */
static double
glob_ms (const char *text)
{
  double start = now_ms ();

  for (guint i = 0; i < 20; i++)
    g_assert_false (vp_glob_fits ("*gpu*gpu*1*2*none", text));
  g_assert_true (vp_glob_fits ("*g?u*gpu*1*", text));
  return now_ms () - start;
}

/* Theirs turns every device a little, and has one more; ours has lost one. */
static double
merge_ms (const char *text)
{
  g_autoptr (VpDomain) base = vp_domain_parse (text, strlen (text), "base", NULL);
  g_autoptr (VpDomain) ours = vp_domain_copy (base);
  g_autoptr (VpDomain) theirs = vp_domain_copy (base);
  xmlNode *devices = vp_xml_find (theirs->doc, "devices");
  double start = now_ms ();

  for (xmlNode *node = vp_xml_first (devices); node != NULL; node = vp_xml_next (node))
    xmlAddChild (node, vp_xml_new ("model", "type", "virtio", NULL));
  vp_xml_insert (devices, 0, vp_xml_new ("sound", "model", "ich9", NULL));
  vp_xml_remove (vp_xml_first (vp_xml_find (ours->doc, "devices")));
  g_autoptr (xmlDoc) merged = vp_merge_three_way (base->doc, ours->doc, theirs->doc, NULL, NULL);
  g_assert_nonnull (merged);
  return now_ms () - start;
}

static const struct {
  const char *name;
  MakeText make;
  double (*take_ms) (const char *text);
  guint n; /* and four times as many */
} growths[] = {
  { "/growth/description", new_description, plan_ms, 10000 },
  { "/growth/title", new_title, plan_ms, 10000 },
  { "/growth/graphics", new_graphics, plan_ms, 800 },
  { "/growth/glob", new_glob, glob_ms, 4000 },
  { "/growth/hostdevs", new_hostdevs, plan_ms, 3000 },
  { "/growth/names", new_names, plan_ms, 1500 },
  { "/growth/pins", new_pins, plan_ms, 1000 },
  { "/growth/slots", new_slots, plan_ms, 1000 },
  { "/growth/merge", new_devices, merge_ms, 1000 },
};

static void
test_growth (gconstpointer data)
{
  guint which = GPOINTER_TO_UINT (data);
  g_autofree char *text = growths[which].make (growths[which].n);
  g_autofree char *longer = growths[which].make (growths[which].n * 4);
  double less = G_MAXDOUBLE;
  double more = G_MAXDOUBLE;

  (void) growths[which].take_ms (text); /* what is made once */
  for (guint i = 0; i < TRIES; i++) {
    less = MIN (less, growths[which].take_ms (text));
    more = MIN (more, growths[which].take_ms (longer));
    if (more < MOST_GROWTH * MAX (less, STEP_MS))
      break;
  }
  g_test_message ("%u: %.1f ms, %u: %.1f ms", growths[which].n, less, growths[which].n * 4, more);
  g_assert_cmpfloat (more, <, MOST_GROWTH * MAX (less, STEP_MS));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (growths); i++)
    g_test_add_data_func (growths[i].name, GUINT_TO_POINTER (i), test_growth);
  return g_test_run ();
}
