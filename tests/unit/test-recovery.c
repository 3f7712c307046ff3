/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a define overwrote, from the versions that were seen; and the notes of it on the disk. */
#include <glib/gstdio.h>
#include <string.h>

#include "base/error.h"
#include "domain/write-id.h"
#include "edits/edit-words.h"
#include "edits/intents.h"
#include "edits/recovery.h"

#define ID "11111111-2222-4333-8444-555555555555"
#define OLD_ID "99999999-2222-4333-8444-555555555555"

/* A definition with these devices; `id`: our mark; `pins`: what we add. */
static char *
dup_text (const char *devices, const char *id, gboolean pins)
{
  g_autofree char *state =
    id != NULL ? g_strdup_printf ("<state:state xmlns:state='urn:vfio-profile:state:1' write='%s'/>", id) : NULL;

  return g_strdup_printf ("<domain type='qemu'><name>a</name><metadata>%s</metadata><vcpu>1</vcpu>%s<devices>%s"
                          "</devices></domain>",
                          state != NULL ? state : "", pins ? "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune>" : "",
                          devices);
}

static VpDomain *
new_domain (const char *devices, const char *id, gboolean pins)
{
  g_autofree char *text = dup_text (devices, id, pins);
  g_autoptr (GError) error = NULL;
  VpDomain *domain = vp_domain_parse (text, strlen (text), "a test's", &error);

  g_assert_no_error (error);
  return domain;
}

#define DISK(name) "<disk type='file'><target dev='" name "'/></disk>"

static VpVersion *
new_version (const char *devices, const char *id, gboolean pins)
{
  VpVersion *version = g_new0 (VpVersion, 1);
  char *text = devices != NULL ? dup_text (devices, id, pins) : NULL;

  version->deleted = devices == NULL;
  version->text = text != NULL ? g_bytes_new_take (text, strlen (text)) : NULL;
  return version;
}

typedef struct {
  VpDomain *base;
  VpDomain *written;
  VpWrite write;
  GPtrArray *versions;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  (void) data;
  fixture->base = new_domain (DISK ("vda"), OLD_ID, FALSE);
  fixture->written = new_domain (DISK ("vda"), ID, TRUE);
  fixture->write = (VpWrite){ fixture->base, NULL, fixture->written };
  fixture->versions = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_version_free);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  (void) data;
  vp_domain_free (fixture->base);
  vp_domain_free (fixture->written);
  g_ptr_array_unref (fixture->versions);
}

static void
add (Fixture *fixture, const char *devices, const char *id, gboolean pins)
{
  VpVersion *version = new_version (devices, id, pins);

  version->serial = fixture->versions->len + 1;
  g_ptr_array_add (fixture->versions, version);
}

/* The devices of the sum, where an edit was lost: "vda vdb". */
static void
assert_sum (const Fixture *fixture, const VpLost *lost, const VpDomain *stored, const char *disks)
{
  g_autoptr (GError) error = NULL;
  g_auto (VpOverruled) overruled = { 0 };
  g_autoptr (VpDomain) sum = vp_lost_sum (lost, &fixture->write, stored, &overruled, &error);
  g_autoptr (GString) names = g_string_new (NULL);

  g_assert_no_error (error);
  const xmlNode *devices = vp_xml_child (vp_domain_root (sum), "devices");
  for (const xmlNode *disk = vp_xml_first (devices); disk != NULL; disk = vp_xml_next (disk)) {
    g_autofree char *name = vp_xml_dup_attr (vp_xml_child (disk, "target"), "dev");
    g_string_append_printf (names, "%s%s", names->len > 0 ? " " : "", name);
  }
  g_assert_cmpstr (names->str, ==, disks);
}

static void
test_ours_alone (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, DISK ("vda"), ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_NOTHING);
  g_assert_true (lost->defined && !lost->missed && !lost->followed);
}

/* Two edits before ours: the second was made from the first. Nothing came after: it is taken as it is. */
static void
test_edits_before (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, DISK ("vda") DISK ("vdb"), OLD_ID, FALSE);
  add (fixture, DISK ("vdc") DISK ("vdb") DISK ("vda"), OLD_ID, FALSE);
  add (fixture, DISK ("vda"), ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_EDIT);
  g_assert_false (lost->followed || lost->missed || lost->anew);
  assert_sum (fixture, lost, fixture->written, "vdc vdb vda"); /* their order, too */
}

/* The one after ours carries our mark: it was made from it. Ours is the first that has it. */
static void
test_edits_around (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VpDomain) stored = new_domain (DISK ("vda") DISK ("vdz"), ID, TRUE);

  (void) data;
  add (fixture, DISK ("vda") DISK ("vdb"), OLD_ID, FALSE);
  add (fixture, DISK ("vda"), ID, TRUE);
  add (fixture, DISK ("vda") DISK ("vdz"), ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_EDIT);
  g_assert_true (lost->followed);
  assert_sum (fixture, lost, stored, "vda vdb vdz");
}

/* libvirt completes what we write; it is ours all the same. */
static void
test_completed (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, DISK ("vda") DISK ("vdb"), OLD_ID, FALSE);
  add (fixture, "<disk type='file'><target dev='vda'/><address type='pci' slot='3'/></disk><controller type='usb'/>",
       ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_EDIT);
  assert_sum (fixture, lost, fixture->written, "vda vdb");
}

/* It was seen before B was read. */
static void
test_base_itself (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, DISK ("vda"), OLD_ID, FALSE);
  add (fixture, DISK ("vda"), ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_NOTHING);
}

/* An earlier define overwrote vdb, which R was to put back; now vdc came, without it. */
static void
test_carry (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VpDomain) carry = new_domain (DISK ("vda") DISK ("vdb"), OLD_ID, FALSE);

  (void) data;
  fixture->write.carry = carry;
  add (fixture, DISK ("vda") DISK ("vdc"), OLD_ID, FALSE);
  add (fixture, DISK ("vda") DISK ("vdb"), ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_EDIT);
  assert_sum (fixture, lost, fixture->written, "vda vdb vdc");
}

#define DISK_OF(name, file) "<disk type='file'><source file='" file "'/><target dev='" name "'/></disk>"

/* R, without a mark, is the first version without a state, where B had one; where B had none it was not defined yet. */
static void
test_unmarked (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VpDomain) undone = new_domain (DISK ("vda"), NULL, FALSE);
  g_autoptr (VpDomain) restored = new_domain (DISK ("vda") DISK ("vdb"), NULL, FALSE);

  (void) data;
  add (fixture, DISK ("vda") DISK ("vdc"), NULL, FALSE);
  fixture->write = (VpWrite){ fixture->base, NULL, restored };
  g_autoptr (VpLost) first = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_true (first->defined);
  fixture->write = (VpWrite){ undone, restored, restored };
  g_autoptr (VpLost) second = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_false (second->defined);
  add (fixture, DISK ("vda") DISK ("vdb"), NULL, FALSE);
  g_autoptr (VpLost) third = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_true (third->defined);
  g_assert_cmpint (third->kind, ==, VP_LOST_EDIT);
}

/* Two commands attached a disk as vdb, and both succeeded: one alone can be, and the other is there to be looked at. */
static void
test_overruled (Fixture *fixture, gconstpointer data)
{
  static const struct {
    const char *last;
    const char *stored; /* NULL: ours */
    const char *carry;  /* NULL: none */
    const char *words;
    const char *loser; /* in it; NULL: none */
  } cases[] = {
    { DISK ("vda") DISK_OF ("vdb", "/m"), DISK ("vda") DISK_OF ("vdb", "/n"), NULL, "disk 'vdb' in two versions",
      "/m" },
    { DISK ("vda") DISK_OF ("vdb", "/m"), NULL, DISK ("vda") DISK_OF ("vdb", "/c"), "disk 'vdb' in two versions",
      "/c" },
    { DISK ("vda") DISK_OF ("vdb", "/m"), DISK ("vda") DISK_OF ("vdb", "/m"), NULL, NULL, NULL },
    { DISK ("vda") DISK_OF ("vdb", "/m"), DISK ("vda") DISK_OF ("vdc", "/n"), NULL, NULL, NULL },
    { DISK_OF ("vda", "/m"), DISK_OF ("vda", "/n") DISK ("vdb"), NULL, "disk 'vda' in two versions", "/m" },
    { "<disk type='block'><target dev='vda'/></disk>", "<disk type='dir'><target dev='vda'/></disk>", NULL,
      "disk 'vda' set twice", NULL },
    { DISK_OF ("vda", "/m"), "", NULL, "disk 'vda' removed and changed", NULL },
    { DISK ("vda") "<rng><boot order='1'/></rng>", DISK ("vda") "<hub><boot order='1'/></hub>", NULL,
      "rng, whose boot another has", NULL },
  };

  (void) data;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (VpDomain) stored = new_domain (cases[i].stored != NULL ? cases[i].stored : DISK ("vda"), ID, TRUE);
    g_autoptr (VpDomain) carry = cases[i].carry != NULL ? new_domain (cases[i].carry, OLD_ID, FALSE) : NULL;
    g_auto (VpOverruled) overruled = { 0 };
    g_ptr_array_set_size (fixture->versions, 0);
    fixture->write.carry = carry;
    add (fixture, cases[i].last, OLD_ID, FALSE);
    add (fixture, DISK ("vda"), ID, TRUE);
    if (cases[i].stored != NULL)
      add (fixture, cases[i].stored, ID, TRUE);
    g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
    g_autoptr (VpDomain) sum = vp_lost_sum (lost, &fixture->write, stored, &overruled, NULL);
    g_assert_nonnull (sum);
    g_autofree char *sum_text = vp_domain_dup_text (sum);
    g_assert_true (cases[i].stored == NULL || cases[i].stored[0] != '\0' || strstr (sum_text, "vda") == NULL);
    g_assert_cmpstr (overruled.words, ==, cases[i].words);
    g_assert_cmpint (overruled.loser != NULL, ==, cases[i].loser != NULL);
    g_autofree char *text = overruled.loser != NULL ? vp_domain_dup_text (overruled.loser) : NULL;
    g_assert_true (text == NULL || strstr (text, cases[i].loser) != NULL);
  }
}

static void
test_undefined (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, NULL, NULL, FALSE);
  add (fixture, DISK ("vda"), ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_UNDEFINE);

  /* Somebody defined it since: it is to stay. */
  add (fixture, DISK ("vdx"), NULL, FALSE);
  g_autoptr (VpLost) stays = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (stays->kind, ==, VP_LOST_NOTHING);
}

/* No edit of B: nothing of B comes back with it. */
static void
test_defined_anew (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, NULL, NULL, FALSE);
  add (fixture, DISK ("vdx"), NULL, FALSE);
  add (fixture, DISK ("vda"), ID, TRUE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_EDIT);
  g_assert_true (lost->anew);
  assert_sum (fixture, lost, fixture->written, "vdx");
}

static void
test_undefined_after (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, DISK ("vda") DISK ("vdb"), OLD_ID, FALSE);
  add (fixture, DISK ("vda"), ID, TRUE);
  add (fixture, NULL, NULL, FALSE);
  add (fixture, DISK ("vdx"), NULL, FALSE);
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_cmpint (lost->kind, ==, VP_LOST_NOTHING);
}

static void
test_missed (Fixture *fixture, gconstpointer data)
{
  (void) data;
  add (fixture, DISK ("vda"), ID, TRUE);
  ((VpVersion *) fixture->versions->pdata[0])->missed = TRUE;
  g_autoptr (VpLost) lost = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_true (lost->missed && lost->defined);
  g_ptr_array_set_size (fixture->versions, 0);
  g_autoptr (VpLost) unseen = vp_lost_find (&fixture->write, fixture->versions);
  g_assert_true (unseen->missed && !unseen->defined);
}

/* --- the notes on the disk --- */

static void
remove_below (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *below = g_build_filename (path, name, NULL);
    remove_below (below);
  }
  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
test_intent (Fixture *fixture, gconstpointer data)
{
  g_autofree char *above = g_dir_make_tmp ("vp-intents-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename (above, "intents", NULL);
  g_autoptr (VpIntents) intents = vp_intents_new (folder, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (VpVersion) late = new_version (NULL, NULL, FALSE);

  (void) data;
  g_assert_nonnull (intents);
  vp_intents_note_version (intents, "a", late); /* nobody asked for it */
  add (fixture, DISK ("vda") DISK ("vdb"), OLD_ID, FALSE);
  fixture->write.carry = fixture->base;
  g_assert_true (vp_intents_open (intents, "a", &fixture->write, fixture->versions, &error));
  g_assert_no_error (error);
  late->serial = 12;
  late->missed = TRUE;
  vp_intents_note_version (intents, "a", late);
  vp_intents_note_version (intents, "b", late);

  /* Another process takes it up. */
  g_autoptr (VpIntents) next = vp_intents_new (folder, NULL);
  g_auto (GStrv) names = vp_intents_list (next);
  g_assert_cmpuint (g_strv_length (names), ==, 1);
  g_autoptr (VpIntent) intent = vp_intents_load (next, "a", &error);
  g_assert_no_error (error);
  g_assert_true (vp_domain_equal (intent->base, fixture->base));
  g_assert_true (vp_domain_equal (intent->carry, fixture->base));
  g_assert_true (vp_domain_equal (intent->written, fixture->written));
  g_autoptr (GPtrArray) versions = vp_intents_load_versions (next, "a", intent, NULL);
  g_assert_cmpuint (versions->len, ==, 2);
  const VpVersion *first = versions->pdata[0];
  const VpVersion *last = versions->pdata[1];
  g_assert_true (g_bytes_equal (first->text, ((VpVersion *) fixture->versions->pdata[0])->text));
  g_assert_true (last->deleted && last->missed && last->serial == 12);

  vp_intents_close (next, "a");
  g_assert_false (vp_intents_has (next, "a"));
  g_assert_null (vp_intents_load (next, "a", &error));
  g_assert_no_error (error);
  vp_intents_forget (next, "a");
  g_auto (GStrv) none = vp_intents_list (next);
  g_assert_cmpuint (g_strv_length (none), ==, 0);
  remove_below (above);
}

/* The versions of the intent before it say nothing about this one. */
static void
test_next_intent (Fixture *fixture, gconstpointer data)
{
  g_autofree char *above = g_dir_make_tmp ("vp-intents-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename (above, "intents", NULL);
  g_autoptr (VpIntents) intents = vp_intents_new (folder, NULL);
  g_autoptr (VpDomain) again = new_domain (DISK ("vdq"), "aaaaaaaa-2222-4333-8444-555555555555", TRUE);
  const VpWrite second = { fixture->written, NULL, again };

  (void) data;
  add (fixture, DISK ("vdb"), OLD_ID, FALSE);
  g_assert_true (vp_intents_open (intents, "..", &fixture->write, fixture->versions, NULL)); /* an odd name */
  g_ptr_array_set_size (fixture->versions, 0);
  g_assert_true (vp_intents_open (intents, "..", &second, fixture->versions, NULL));
  g_autoptr (VpIntent) intent = vp_intents_load (intents, "..", NULL);
  g_assert_true (vp_domain_equal (intent->written, again));
  g_assert_null (intent->carry);
  g_autoptr (GPtrArray) versions = vp_intents_load_versions (intents, "..", intent, NULL);
  g_assert_cmpuint (versions->len, ==, 0);
  remove_below (above);
}

/* A damaged intent is set aside and named; an edit for a person is a file that only its owner reads. */
static void
test_damaged_and_kept (Fixture *fixture, gconstpointer data)
{
  g_autofree char *above = g_dir_make_tmp ("vp-intents-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename (above, "intents", NULL);
  g_autofree char *path = g_build_filename (folder, "d-a", "intent", NULL);
  g_autoptr (VpIntents) intents = vp_intents_new (folder, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) problem = NULL;
  GStatBuf info;

  (void) data;
  g_assert_true (vp_intents_open (intents, "a", &fixture->write, fixture->versions, NULL));
  g_assert_true (g_file_set_contents (path, "[intent]\nbase=<domain", -1, NULL));
  g_assert_null (vp_intents_load (intents, "a", &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "intent.damaged-"));
  g_assert_false (vp_intents_has (intents, "a"));

  g_autofree char *kept = vp_intents_keep (intents, "a", fixture->base, NULL);
  g_assert_nonnull (kept);
  g_assert_cmpint (g_stat (kept, &info), ==, 0);
  g_assert_cmpuint (info.st_mode & 07777, ==, 0600);
  g_autofree char *longest = g_strnfill (247, 'n'); /* with ".xml.new" behind it, all that a file system takes */
  g_autofree char *kept_longest = vp_intents_keep (intents, longest, fixture->base, NULL);
  g_assert_true (g_file_test (kept_longest, G_FILE_TEST_EXISTS));

  /* Nobody fills the disk with them. */
  for (guint i = 2; i < 500; i++) {
    g_autofree char *another = g_strdup_printf ("%s-%u", kept, i);
    g_assert_true (g_file_set_contents_full (another, "", 0, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  }
  g_assert_null (vp_intents_keep (intents, "a", fixture->base, &problem));
  g_assert_nonnull (strstr (problem->message, "kept has 500 files"));
  remove_below (above);
}

/* --- words --- */

static void
assert_words (const char *before, const char *after, const char *words)
{
  g_autoptr (VpDomain) old = before != NULL ? new_domain (before, NULL, FALSE) : NULL;
  g_autoptr (VpDomain) new = new_domain (after, NULL, FALSE);
  g_autofree char *text = vp_edit_dup_words (old, new);

  g_assert_cmpstr (text, ==, words);
}

static void
test_words (Fixture *fixture, gconstpointer data)
{
  (void) fixture, (void) data;
  assert_words (NULL, DISK ("vda"), "it was defined anew");
  assert_words (DISK ("vda"), DISK ("vda") DISK ("vdb"), "disk 'vdb' added");
  assert_words (DISK ("vda") DISK ("vdb"), DISK ("vdb"), "disk 'vda' removed");
  assert_words (DISK ("vda") DISK ("vdb"), DISK ("vdb") DISK ("vda"), "the order of elements");
  assert_words ("<graphics type='vnc' passwd='secret'/>", "<graphics type='vnc' passwd='other'/>", "graphics changed");
  assert_words ("", "<a/><b/><c/><d/><e/><f/><g/><h/><i/><j/>",
                "a added, b added, c added, d added, e added, f added, g added, h added, and 2 more");
}

static const struct {
  const char *name;
  void (*func) (Fixture *fixture, gconstpointer data);
} tests[] = {
  { "ours-alone", test_ours_alone },
  { "edits-before", test_edits_before },
  { "edits-around", test_edits_around },
  { "completed", test_completed },
  { "base-itself", test_base_itself },
  { "carry", test_carry },
  { "unmarked", test_unmarked },
  { "overruled", test_overruled },
  { "undefined", test_undefined },
  { "defined-anew", test_defined_anew },
  { "undefined-after", test_undefined_after },
  { "missed", test_missed },
  { "intent", test_intent },
  { "next-intent", test_next_intent },
  { "damaged-and-kept", test_damaged_and_kept },
  { "words", test_words },
};

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strconcat ("/recovery/", tests[i].name, NULL);
    g_test_add (path, Fixture, NULL, set_up, tests[i].func, tear_down);
  }
  return g_test_run ();
}
