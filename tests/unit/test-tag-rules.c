/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rule files, whom they fit, and what a plan does with that. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "merge/merge.h"
#include "plan/fleet.h"
#include "profile/tag-match.h"
#include "support.h"

#define TAG(names, rule) "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='" names "' " rule "/>"
#define HOSTDEV(bus, function)                                                                                         \
  "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='" bus                      \
  "' slot='0x00' function='" function "'/></source></hostdev>"
#define NVIDIA HOSTDEV ("0x01", "0x0")
#define NVIDIA_AUDIO HOSTDEV ("0x01", "0x1")
#define AMD HOSTDEV ("0x02", "0x0")
#define ABSENT HOSTDEV ("0x77", "0x0")
#define EFI "<loader readonly='yes' type='pflash'>/x</loader>"

/* Folders of rules that a test fills; gone with it. */
typedef struct {
  char *shipped;
  char *local;
  VpHost *host;
} World;

static void
put (const char *folder, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
set_up (World *world, gconstpointer data)
{
  (void) data;
  world->shipped = g_dir_make_tmp ("vp-rules-XXXXXX", NULL);
  world->local = g_dir_make_tmp ("vp-rules-XXXXXX", NULL);
  world->host = test_host ("howto-2015", TEST_I7_3770K);
}

static void
remove_folder (char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);

  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_assert_cmpint (g_unlink (path), ==, 0);
  }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  g_free (folder);
}

static void
tear_down (World *world, gconstpointer data)
{
  (void) data;
  remove_folder (world->shipped);
  remove_folder (world->local);
  vp_host_unref (world->host);
}

static VpProfiles *
load (const World *world)
{
  VpProfiles *profiles = test_profiles ();
  const char *folders[] = { world->shipped, world->local, "/nonexistent", NULL };
  g_autoptr (GError) error = NULL;

  g_assert_true (vp_profiles_load_rules (profiles, folders, &error));
  g_assert_no_error (error);
  return profiles;
}

static const VpTagRule *
find_rule (const VpProfiles *profiles, const char *name)
{
  const GPtrArray *rules = vp_profiles_get_rules (profiles);

  for (guint i = 0; i < rules->len; i++)
    if (strcmp (((const VpTagRule *) rules->pdata[i])->name, name) == 0)
      return rules->pdata[i];
  g_error ("there is no rule '%s'", name);
}

/* `head` stands beside <name>, `os` inside <os>. */
static VpDomain *
make_domain (const char *head, const char *os, const char *devices)
{
  g_autofree char *text = g_strdup_printf ("<domain type='kvm'>\n  <name>win10</name>\n  %s\n"
                                           "  <memory unit='KiB'>4194304</memory>\n"
                                           "  <vcpu placement='static'>4</vcpu>\n"
                                           "  <os><type arch='x86_64' machine='pc'>hvm</type>%s</os>\n"
                                           "  <cpu><topology sockets='1' dies='1' cores='2' threads='2'/></cpu>\n"
                                           "  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>%s</devices>\n"
                                           "</domain>\n",
                                           head, os, devices);

  return test_domain (text);
}

static VpPlan *
plan_with (const World *world, const VpDomain *domain, VpPlanFlags flags)
{
  g_autoptr (VpProfiles) profiles = load (world);
  g_autoptr (GError) error = NULL;
  VpPlan *plan = vp_plan_new (domain, world->host, profiles, NULL, flags, &error);

  g_assert_no_error (error);
  return plan;
}

/* The tag that a plan leaves: names and rule; NULL: none. */
static void
expect_tag (const VpPlan *plan, const char *names, const char *rule)
{
  const xmlNode *tag = vp_domain_tag (plan->result);
  g_autofree char *got = tag != NULL ? vp_xml_dup_attr (tag, "name") : NULL;
  g_autofree char *got_rule = vp_domain_dup_tag_rule (plan->result);

  g_assert_cmpstr (got, ==, names);
  g_assert_cmpstr (got_rule, ==, rule);
  g_assert_cmpstr (plan->profile, ==, names);
  g_assert_cmpstr (plan->rule, ==, rule);
}

/* Plans, and looks at the tag on the way. */
static VpPlan *
plan_tagged (const World *world, const VpDomain *domain, VpPlanFlags flags, const char *names, const char *rule)
{
  VpPlan *plan = plan_with (world, domain, flags);

  expect_tag (plan, names, rule);
  return plan;
}

/* What a domain gets from the rules that are there, from nothing. */
static void
expect_given (const World *world, const char *head, const char *os, const char *devices, const char *names,
              const char *rule)
{
  g_autoptr (VpDomain) domain = make_domain (head, os, devices);
  g_autoptr (VpPlan) plan = plan_with (world, domain, VP_PLAN_DEFAULT);

  expect_tag (plan, names, rule);
}

static void
expect_broken (const char *text, const char *first, const char *second)
{
  g_autofree char *folder = g_dir_make_tmp ("vp-rules-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "x.conf", NULL);

  put (folder, "x.conf", text);
  g_autoptr (VpTagRule) rule = vp_tag_rule_load ("x", path);
  if (rule->error == NULL || strstr (rule->error->message, first) == NULL ||
      strstr (rule->error->message, second) == NULL || strstr (rule->error->message, path) == NULL)
    g_error ("\"%s\": '%s' does not say '%s' and '%s'", text, rule->error != NULL ? rule->error->message : "no error",
             first, second);
  g_assert_true (rule->error->domain == VP_ERROR);
  remove_folder (g_steal_pointer (&folder));
}

static void
test_broken_files (void)
{
  g_autofree char *large = g_strnfill (65 * 1024, '#');

  expect_broken ("", "no [match]", "name=*");
  expect_broken ("[rule]\nprofiles=vga\n", "no [match]", "");
  expect_broken ("[match]\nname=*\n", "rule.profiles is missing", "");
  expect_broken ("[rule]\nprofiles=vga\n[match]\nhashtag=yes\n", "hashtag", "must not");
  expect_broken ("[rule]\nprofiles= \n[match]\nname=*\n", "rule.profiles is empty", "");
  expect_broken ("[rule]\nprofiles=../x\n[match]\nname=*\n", "'../x'", "no name of a profile");
  expect_broken ("[rule]\nprofile=vga\n", "'profile'", "description, enabled, profiles, profiles-bios");
  expect_broken ("[rule]\nenabled=true\n", "'true'", "yes, no");
  expect_broken ("[match]\nnames=x\n", "'names'",
                 "hashtag, device-class, device-vendor, name, title, description, firmware");
  expect_broken ("[match]\ndevice-class=gpu\n", "'gpu'", "display, audio, network");
  expect_broken ("[match]\ndevice-vendor=10zz\n", "'10zz'", "nvidia, amd, intel");
  expect_broken ("[match]\nfirmware=bios;uefi\n", "'uefi'", "bios, efi");
  expect_broken ("[match]\nname=;\n", "match.name is empty", "");
  expect_broken ("[matches]\n", "'matches'", "rule, match");
  expect_broken ("no key file", "", "");
  expect_broken ("[match]\nname=\xff\n", "", "");
  expect_broken (large, "66560", "65536");
}

static void
test_files (const World *world)
{
  put (world->shipped, "50-b.conf", "[rule]\nprofiles=vga\ndescription=B\n[match]\nname=b*\n");
  put (world->shipped, "10-a.conf", "[rule]\nprofiles=vga\nenabled=no\n[match]\nname=a*\n");
  put (world->shipped, "70-c.conf", "[rule]\nprofiles=vga\n[match]\nname=c*\n");
  put (world->local, "50-b.conf", "[rule]\nprofiles=pinned\n[match]\nname=b*\n");
  put (world->shipped, "README", "no rule");
  put (world->shipped, "a b.conf", "no rule");
  put (world->local, "10-a.enabled", "yes\n");
  put (world->local, "70-c.enabled", "no");
  put (world->local, "99-nothing.enabled", "yes");
  put (world->local, "80-odd.conf", "[rule]\nprofiles=pined\n[match]\nname=d*\n");
  put (world->local, "81-odd.conf", "[rule]\nprofiles=vga\nprofiles-bios=pined\n[match]\nname=d*\n");
  put (world->local, "90-odd.conf", "[rule]\nprofiles=vga\n[match]\nname=d*\n");
  put (world->local, "90-odd.enabled", "perhaps");
  g_autoptr (VpProfiles) profiles = load (world);
  const GPtrArray *rules = vp_profiles_get_rules (profiles);

  g_assert_cmpuint (rules->len, ==, 6);
  for (guint i = 1; i < rules->len; i++)
    g_assert_cmpstr (((const VpTagRule *) rules->pdata[i - 1])->name, <, ((const VpTagRule *) rules->pdata[i])->name);
  const VpTagRule *a = find_rule (profiles, "10-a");
  g_assert_true (a->enabled && !a->shipped_enabled);
  g_assert_true (g_str_has_prefix (a->switch_path, world->local));
  const VpTagRule *b = find_rule (profiles, "50-b");
  g_assert_cmpstr (b->profiles[0], ==, "pinned"); /* the whole file, not key by key */
  g_assert_cmpstr (b->description, ==, "");
  g_assert_null (b->switch_path);
  g_assert_false (find_rule (profiles, "70-c")->enabled);
  for (guint i = 3; i < 5; i++) {
    const VpTagRule *rule = rules->pdata[i];
    g_assert_error (rule->error, VP_ERROR, VP_ERROR_TAG);
    g_assert_nonnull (strstr (rule->error->message, "'pined'"));
    g_assert_nonnull (strstr (rule->error->message, rule->path));
  }
  g_assert_nonnull (strstr (find_rule (profiles, "90-odd")->error->message, "neither yes nor no"));
}

/* As they are shipped: the hashtag on, the GPU off. */
static void
test_shipped (const World *world)
{
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autofree char *folder = g_test_build_filename (G_TEST_DIST, "..", "..", "data", "rules", NULL);
  const char *folders[] = { folder, world->local, NULL };
  g_autoptr (GError) error = NULL;

  g_assert_true (vp_profiles_load_rules (profiles, folders, &error));
  const GPtrArray *rules = vp_profiles_get_rules (profiles);
  g_assert_cmpuint (rules->len, ==, 3);
  for (guint i = 0; i < rules->len; i++) {
    g_assert_no_error (((const VpTagRule *) rules->pdata[i])->error);
    g_assert_cmpstr (((const VpTagRule *) rules->pdata[i])->description, !=, "");
  }
  g_assert_true (find_rule (profiles, "10-hashtag")->enabled);
  g_assert_false (find_rule (profiles, "50-gpu")->enabled);

  put (world->local, "50-gpu.enabled", "yes\n");
  g_assert_true (vp_profiles_load_rules (profiles, folders, &error));
  static const struct {
    const char *head;
    const char *os;
    const char *devices;
    const char *names;
    const char *rule;
  } cases[] = {
    { "", "", NVIDIA, "gaming vga", "50-gpu" },
    { "", EFI, NVIDIA, "gaming", "50-gpu" },
    { "", EFI, NVIDIA_AUDIO AMD, "gaming", "50-gpu" },
    { "", EFI, NVIDIA_AUDIO, NULL, NULL },
    { "", "", "", NULL, NULL },
    { "<title>#vfio:pinned</title>", EFI, NVIDIA, "pinned", "10-hashtag" },
    { "<description>leave it: #vfio:none</description>", EFI, NVIDIA, NULL, NULL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (VpDomain) domain = make_domain (cases[i].head, cases[i].os, cases[i].devices);
    g_autoptr (VpPlan) plan = vp_plan_new (domain, world->host, profiles, NULL, VP_PLAN_DEFAULT, &error);
    g_assert_no_error (error);
    expect_tag (plan, cases[i].names, cases[i].rule);
  }
}

static void
test_matches (const World *world)
{
  put (world->local, "10-card.conf", "[rule]\nprofiles=nvidia\n[match]\ndevice-class=DISPLAY\ndevice-vendor=nvidia\n");
  put (world->local, "20-sound.conf", "[rule]\nprofiles=pinned\n[match]\ndevice-class=04??\ndevice-vendor=1*\n");
  put (world->local, "30-text.conf", "[rule]\nprofiles=vga\n[match]\ntitle=Play*;*machine\ndescription=*one\\nword*\n");
  put (world->local, "40-name.conf", "[rule]\nprofiles=pinned vga\n[match]\nname=lin*; win??\nfirmware=efi\n");
  expect_given (world, "", "", NVIDIA, "nvidia", "10-card");
  expect_given (world, "", "", NVIDIA NVIDIA_AUDIO, "nvidia", "10-card");
  /* Class and vendor are those of one device. */
  expect_given (world, "", "", AMD NVIDIA_AUDIO, "pinned", "20-sound");
  expect_given (world, "", "", AMD, NULL, NULL);
  expect_given (world, "<title>my machine</title><description>one\nword</description>", "", "", "vga", "30-text");
  expect_given (world, "<title>my machines</title><description>one\nword</description>", "", "", NULL, NULL);
  expect_given (world, "<title>Play</title>", "", "", NULL, NULL);
  expect_given (world, "", EFI, "", "pinned vga", "40-name");
  expect_given (world, "", "", "", NULL, NULL);
}

static void
test_hashtags (const World *world)
{
  static const struct {
    const char *head;
    const char *names;
    const char *warning; /* NULL: none */
  } cases[] = {
    { "<description>#vfio:pinned</description>", "pinned", NULL },
    { "<title>A #vfio:vga</title><description>x\n#vfio:pinned, #vfio:vga.</description>", "vga pinned", NULL },
    { "<description>(#VFIO:gaming).</description>", "gaming", NULL },
    { "<description>#vfio:gaming...</description>", "gaming", NULL },
    { "<description>no#vfio:pinned ##vfio:pinned #vfiopinned</description>", NULL, NULL },
    { "<description>#vfio:pined</description>", NULL, "'pined'" },
    { "<description>#vfio:pinned #vfio:pined</description>", NULL, "'pined'" },
    { "<description>#vfio:Pinned</description>", NULL, "'Pinned'" },
    { "<description>#vfio: pinned</description>", NULL, "without a space" },
    { "<description>#vfio:gäming</description>", NULL, "'g'" },
    { "<description>#vfio:none</description>", NULL, NULL },
    { "<description>#vfio:pinned #vfio:none</description>", NULL, NULL },
  };

  put (world->local, "10-hashtag.conf", "[match]\nhashtag=yes\n");
  put (world->local, "20-all.conf", "[rule]\nprofiles=nvidia\n[match]\nname=*\n[rule]\nenabled=no\n");
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (VpDomain) domain = make_domain (cases[i].head, "", "");
    g_autoptr (VpPlan) plan = plan_with (world, domain, VP_PLAN_DEFAULT);
    expect_tag (plan, cases[i].names, cases[i].names != NULL ? "10-hashtag" : NULL);
    if (cases[i].warning != NULL ? !test_warns (plan, cases[i].warning) : plan->warnings->len != 0)
      g_error ("%s: %u warnings, first: %s", cases[i].head, plan->warnings->len,
               plan->warnings->len > 0 ? (const char *) plan->warnings->pdata[0] : "-");
  }
  /* A wrong word keeps the rules behind it off, too: somebody meant something else. */
  put (world->local, "20-all.enabled", "yes");
  expect_given (world, "<title>#vfio:pined</title>", "", "", NULL, NULL);
  expect_given (world, "<title>#vfio:none</title>", "", "", NULL, NULL);
  expect_given (world, "", "", "", "nvidia", "20-all");
}

/* Megabytes of words are looked at in no time. */
static void
test_many_hashtags (const World *world)
{
  g_autoptr (GString) head = g_string_new ("<description>");

  put (world->local, "10-hashtag.conf", "[match]\nhashtag=yes\ndescription=*a*b*c*d*zzz\n[rule]\n");
  put (world->local, "20-hashtag.conf", "[match]\nhashtag=yes\n");
  for (guint i = 0; i < 500000; i++)
    g_string_append_printf (head, "#vfio:abcd%u ", i);
  g_string_append (head, "</description>");
  g_autoptr (VpDomain) domain = make_domain (head->str, "", "");
  gint64 begin = g_get_monotonic_time ();
  g_autoptr (VpPlan) plan = plan_tagged (world, domain, VP_PLAN_DEFAULT, NULL, NULL);
  g_assert_true (test_warns (plan, "'abcd0'"));
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 5 * G_TIME_SPAN_SECOND);
}

/* A change like others, with its reason; stable; and gone byte for byte with the match. */
static void
check_whole_way (const World *world, const char *head)
{
  g_autoptr (VpDomain) domain = make_domain (head, EFI, NVIDIA);
  g_autofree char *before = vp_domain_dup_text (domain);
  g_autofree char *switch_path = vp_tag_rule_dup_switch (world->local, "50-gpu");

  put (world->local, "50-gpu.enabled", "yes");
  g_autoptr (VpPlan) first = plan_with (world, domain, VP_PLAN_DEFAULT);
  const VpChange *change = test_change (first, "metadata/profile");
  g_assert_cmpstr (change->rule, ==, "rules");
  g_assert_null (change->from);
  g_assert_cmpstr (change->to, ==, "gaming (rule 50-gpu)");
  g_assert_cmpstr (change->reason, ==, "rule 50-gpu: an NVIDIA GPU is assigned (0000:01:00.0)");
  g_assert_false (change->guest_visible);
  g_assert_nonnull (vp_xml_find (first->result->doc, "cputune/vcpupin[@vcpu='0']"));
  g_autoptr (VpPlan) again = plan_with (world, first->result, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (again));
  expect_tag (again, "gaming", "50-gpu");

  put (world->local, "50-gpu.enabled", "no");
  g_autoptr (VpPlan) undone = plan_with (world, first->result, VP_PLAN_DEFAULT);
  g_autofree char *after = vp_domain_dup_text (undone->result);
  change = test_change (undone, "metadata/profile");
  g_assert_cmpstr (change->from, ==, "gaming (rule 50-gpu)");
  g_assert_null (change->to);
  g_assert_nonnull (strstr (change->reason, "50-gpu"));
  g_assert_cmpstr (after, ==, before);
  expect_tag (undone, NULL, NULL);
  g_autoptr (VpPlan) by_hand = plan_with (world, first->result, VP_PLAN_UNDO);
  g_autofree char *by_hand_text = vp_domain_dup_text (by_hand->result);
  g_assert_cmpstr (by_hand_text, ==, before);
  g_assert_nonnull (test_change (by_hand, "metadata/profile"));
  g_assert_cmpint (g_unlink (switch_path), ==, 0);
}

static void
test_whole_way (const World *world)
{
  put (world->local, "50-gpu.conf", "[rule]\nenabled=no\nprofiles=gaming\n[match]\ndevice-class=display\n");
  check_whole_way (world, "");
  check_whole_way (world, "<metadata>\n    <x:y xmlns:x=\"urn:x\"/>\n  </metadata>");
  check_whole_way (world, "<metadata>\n    <!-- mine -->\n  </metadata>\n  <title>t</title>");
}

static void
test_own_tag_wins (const World *world)
{
  put (world->local, "10-all.conf", "[rule]\nprofiles=gaming\n[match]\nname=*\n");
  g_autoptr (VpDomain) domain = make_domain ("<metadata>" TAG ("vga", "") "</metadata>", "", "");
  g_autoptr (VpPlan) plan = plan_tagged (world, domain, VP_PLAN_DEFAULT, "vga", NULL);
  g_autoptr (VpPlan) undone = plan_with (world, domain, VP_PLAN_UNDO);
  g_assert_nonnull (vp_domain_tag (undone->result));

  /* Set by hand over a rule's, it is the user's own, with the overrides that were in it. */
  g_autoptr (VpDomain) bare = make_domain ("", "", "");
  g_autoptr (VpPlan) given = plan_tagged (world, bare, VP_PLAN_DEFAULT, "gaming", "10-all");
  g_autoptr (VpDomain) edited = vp_domain_copy (given->result);
  vp_domain_set_tag (edited, "pinned");
  g_autoptr (VpPlan) own = plan_tagged (world, edited, VP_PLAN_DEFAULT, "pinned", NULL);
  g_assert_null (test_change (own, "metadata/profile"));
  vp_domain_set_tag (edited, NULL);
  g_autoptr (VpPlan) back = plan_tagged (world, edited, VP_PLAN_DEFAULT, "gaming", "10-all");
  g_assert_null (vp_xml_find (edited->doc, "metadata/profile"));
}

/* Another rule, other profiles, a rule that is gone, a name that somebody changed in the tag. */
static void
test_changes (const World *world)
{
  static const char *const tags[] = {
    TAG ("pinned", "rule='50-b'"), TAG ("vga", "rule='10-was'"), TAG ("vga", "rule=''"),
    TAG ("pined", "rule='50-b'"),  TAG ("vga", "rule='50-b'"),
  };

  put (world->local, "50-b.conf", "[rule]\nprofiles=vga\n[match]\nname=win10\n");
  for (gsize i = 0; i < G_N_ELEMENTS (tags); i++) {
    g_autofree char *head = g_strdup_printf ("<metadata>%s</metadata>", tags[i]);
    g_autoptr (VpDomain) domain = make_domain (head, "", "");
    g_autoptr (VpPlan) plan = plan_tagged (world, domain, VP_PLAN_DEFAULT, "vga", "50-b");
    g_assert_cmpint (test_change (plan, "metadata/profile") == NULL, ==, i + 1 == G_N_ELEMENTS (tags));
  }
  g_autoptr (VpDomain) kept = make_domain ("<metadata>"
                                           "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='x' "
                                           "rule='50-b'><vfio:cpu pin='yes'/></vfio:profile></metadata>",
                                           "", "");
  g_autoptr (VpPlan) with_override = plan_tagged (world, kept, VP_PLAN_DEFAULT, "vga", "50-b");
  g_assert_nonnull (with_override->placement);
}

/* At restore and migrate, and where no rules were loaded, a rule's tag is a tag like others. */
static void
test_left_alone (const World *world)
{
  g_autoptr (VpDomain) tagged = make_domain ("<metadata>" TAG ("pinned", "rule='gone'") "</metadata>", "", "");
  g_autoptr (VpDomain) bare = make_domain ("", "", "");

  put (world->local, "10-all.conf", "[rule]\nprofiles=gaming\n[match]\nname=*\n");
  g_autoptr (VpPlan) moved = plan_tagged (world, tagged, VP_PLAN_HOST_ONLY, "pinned", "gone");
  g_autoptr (VpPlan) arrived = plan_tagged (world, bare, VP_PLAN_HOST_ONLY, NULL, NULL);
  g_assert_true (vp_plan_is_ready (arrived));
  g_autoptr (VpPlan) both = plan_with (world, tagged, VP_PLAN_HOST_ONLY | VP_PLAN_UNDO);
  g_assert_nonnull (vp_domain_tag (both->result));
  g_autoptr (VpPlan) without = test_plan (tagged, world->host, VP_PLAN_DEFAULT);
  expect_tag (without, "pinned", "gone");
}

/* Whether the rule fits nobody can say: what it gave stays, and others get nothing from it. */
static void
test_unknown (const World *world)
{
  g_autoptr (VpDomain) tagged = make_domain ("<metadata>" TAG ("pinned", "rule='20-gpu'") "</metadata>", "", ABSENT);
  g_autoptr (VpDomain) bare = make_domain ("", "", ABSENT);

  put (world->local, "20-gpu.conf", "[rule]\nprofiles=gaming\n[match]\ndevice-class=display\nname=win*\n");
  g_autoptr (VpPlan) kept = plan_tagged (world, tagged, VP_PLAN_DEFAULT, "pinned", "20-gpu");
  g_autoptr (VpPlan) none = plan_tagged (world, bare, VP_PLAN_DEFAULT, NULL, NULL);

  put (world->local, "20-gpu.conf", "[rule]\nprofiles=gamings\n[match]\ndevice-class=display\nname=win*\n");
  put (world->local, "10-other.conf", "[rule\n");
  put (world->local, "30-all.conf", "[rule]\nprofiles=vga\n[match]\nname=*\n");
  g_autoptr (VpPlan) broken = plan_tagged (world, tagged, VP_PLAN_DEFAULT, "pinned", "20-gpu");
  g_assert_true (test_warns (broken, "'gamings'"));
  g_autoptr (VpPlan) next = plan_tagged (world, bare, VP_PLAN_DEFAULT, "vga", "30-all");
  /* A rule with another reason not to fit is not in doubt. */
  put (world->local, "20-gpu.conf", "[rule]\nprofiles=gaming\n[match]\ndevice-class=display\nname=lin*\n");
  g_autoptr (VpPlan) sure = plan_tagged (world, tagged, VP_PLAN_DEFAULT, "vga", "30-all");
}

/* A plan that fails leaves the tag to nobody: the error is that of the profile. */
static void
test_error (const World *world)
{
  g_autoptr (VpDomain) domain =
    make_domain ("<metadata><vfio:other xmlns:vfio='urn:vfio-profile:1'/></metadata>", "", "");
  g_autoptr (VpProfiles) profiles = NULL;
  g_autoptr (GError) error = NULL;

  put (world->local, "10-all.conf", "[rule]\nprofiles=pinned\n[match]\nname=*\n");
  profiles = load (world);
  g_assert_null (vp_plan_new (domain, world->host, profiles, NULL, VP_PLAN_DEFAULT, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_TAG);
  g_assert_nonnull (strstr (error->message, "<other>"));
}

/* The fleet places a domain as it will be tagged, before the tag is there. */
static void
test_fleet (const World *world)
{
  static const char uuid[] = "<uuid>11111111-1111-1111-1111-111111111111</uuid>";
  g_autofree char *word = g_strconcat (uuid, "<title>#vfio:pinned</title>", NULL);
  g_autofree char *own =
    g_strconcat (uuid, "<metadata>" TAG ("vga", "") "</metadata>", "<title>#vfio:pinned</title>", NULL);
  g_autofree char *gone = g_strconcat (uuid, "<metadata>" TAG ("pinned", "rule='10-x'") "</metadata>", NULL);
  const struct {
    const char *head;
    gboolean placed;
  } cases[] = { { word, TRUE }, { own, FALSE }, { gone, FALSE }, { uuid, FALSE } };

  put (world->local, "10-hashtag.conf", "[match]\nhashtag=yes\n");
  g_autoptr (VpProfiles) profiles = load (world);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (VpDomain) domain = make_domain (cases[i].head, "", "");
    g_autoptr (VpFleet) fleet = vp_fleet_new (world->host, profiles);
    vp_fleet_set (fleet, domain, NULL);
    vp_fleet_settle (fleet);
    g_assert_cmpint (vp_fleet_find (fleet, "11111111-1111-1111-1111-111111111111") != NULL, ==, cases[i].placed);
  }
}

/* What comes of the two edits of one definition is `names`, as somebody's own tag. */
static void
expect_merged (const World *world, const VpDomain *base, const VpDomain *ours, const VpDomain *theirs,
               const char *names)
{
  g_autoptr (GError) error = NULL;
  VpDomain merged = { vp_merge_three_way (base->doc, ours->doc, theirs->doc, NULL, &error) };

  g_assert_no_error (error);
  g_autoptr (VpPlan) plan = plan_tagged (world, &merged, VP_PLAN_DEFAULT, names, NULL);
  xmlFreeDoc (merged.doc);
}

/* Somebody sets a tag in the very moment in which a rule does: it is somebody's own. */
static void
test_merge (const World *world)
{
  g_autoptr (VpDomain) base = make_domain ("", "", "");
  g_autoptr (VpDomain) theirs = vp_domain_copy (base);

  put (world->local, "10-all.conf", "[rule]\nprofiles=pinned\n[match]\nname=*\n");
  vp_domain_set_tag (theirs, "vga");
  g_autoptr (VpPlan) ours = plan_with (world, base, VP_PLAN_DEFAULT);
  expect_merged (world, base, ours->result, theirs, "vga");

  /* The same over a tag that the rule had given before. */
  g_autoptr (VpDomain) edited = vp_domain_copy (ours->result);
  vp_domain_set_tag (edited, "nvidia");
  put (world->local, "10-all.conf", "[rule]\nprofiles=vga\n[match]\nname=*\n");
  g_autoptr (VpPlan) newer = plan_with (world, ours->result, VP_PLAN_DEFAULT);
  expect_merged (world, ours->result, newer->result, edited, "nvidia");
}

typedef struct {
  const char *path;
  void (*func) (const World *world);
} Test;

static void
run_test (World *world, gconstpointer data)
{
  ((const Test *) data)->func (world);
}

int
main (int argc, char **argv)
{
  static const Test tests[] = {
    { "/rules/files", test_files },
    { "/rules/shipped", test_shipped },
    { "/rules/matches", test_matches },
    { "/rules/hashtags", test_hashtags },
    { "/rules/many-hashtags", test_many_hashtags },
    { "/rules/whole-way", test_whole_way },
    { "/rules/own-tag-wins", test_own_tag_wins },
    { "/rules/changes", test_changes },
    { "/rules/left-alone", test_left_alone },
    { "/rules/unknown", test_unknown },
    { "/rules/error", test_error },
    { "/rules/fleet", test_fleet },
    { "/rules/merge", test_merge },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rules/broken-files", test_broken_files);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, World, &tests[i], set_up, run_test, tear_down);
  return g_test_run ();
}
