/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal as its three readers have it, and what the daemon does to its files. */
#include <string.h>

#include "base/error.h"
#include "journal/journal.h"
#include "made-tree.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define LEAST "[guest]\nversion=1\nname=win10\nstate=running\n"

static void
assert_list (const VpJournal *journal, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) uuids = vp_journal_list (journal, &error);
  g_assert_no_error (error);
  g_autofree char *text = g_strjoinv (" ", uuids);

  g_assert_cmpstr (text, ==, expected);
}

/* Nothing is there until a daemon was; a slash before the folder makes no difference. */
static void
test_empty (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autoptr (VpJournal) journal = vp_journal_new (tree->root, "/run/vfio-profile");
  g_autoptr (GError) error = NULL;

  assert_list (journal, "");
  g_assert_null (vp_journal_read (journal, A, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_IO);
  g_clear_error (&error);
  g_assert_false (vp_journal_open (journal, &error)); /* the run folder is systemd's to make */
  g_assert_error (error, VP_ERROR, VP_ERROR_IO);
}

static void
test_write (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autoptr (VpJournal) journal = vp_journal_new (tree->root, "run");
  g_autoptr (VpJournal) reader = vp_journal_new (tree->root, "/run");
  g_autoptr (GError) error = NULL;

  made_file (tree, "run/holds/README", "not ours");
  made_file (tree, "run/holds/" B ".new", "half of a jour");
  g_assert_true (vp_journal_open (journal, &error));
  g_assert_no_error (error);
  assert_list (journal, "");
  g_assert_true (vp_journal_write (journal, B, LEAST, &error));
  g_assert_true (vp_journal_write (journal, A, LEAST "cpus=8,2-5\ndevices=0000:01:00.0;\n", &error));
  assert_list (reader, A " " B);
  g_autoptr (VpHolding) holding = vp_journal_read (reader, A, &error);
  g_assert_no_error (error);
  g_auto (GStrv) lines = vp_holding_describe (holding);
  g_autofree char *text = g_strjoinv ("; ", lines);
  g_assert_cmpstr (text, ==, "CPUs 2-5,8; device 0000:01:00.0");
  g_assert_true (vp_journal_write (journal, A, NULL, &error));
  g_assert_true (vp_journal_write (journal, A, NULL, &error)); /* it is gone already */
  assert_list (reader, B);
  g_auto (GStrv) files = vp_root_list (tree->root, "run/holds");
  g_assert_cmpuint (g_strv_length (files), ==, 2);
}

/* A guest that has ended, and a desktop that is not back. */
static void
test_ended (void)
{
  g_autoptr (VpHolding) holding = vp_holding_new (A, "win10");

  (void) vp_holding_add_record (holding, VP_HOLDING_HANDOVER, "unit lightdm.service", "active", "");
  holding->state = VP_HOLDING_RUNNING;
  g_auto (GStrv) runs = vp_holding_describe (holding);
  g_assert_cmpstr (runs[0], ==, "a card that the host let go: unit lightdm.service, was active");
  holding->state = VP_HOLDING_RELEASING;
  g_auto (GStrv) ended = vp_holding_describe (holding);
  g_assert_cmpstr (ended[0], ==, "unit lightdm.service is not back yet");
}

static void
test_damaged (void)
{
  static const char *const texts[] = { "", LEAST "cpus=all\n", LEAST "devices=0000:01:00.0;somewhere;\n" };
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autoptr (VpJournal) journal = vp_journal_new (tree->root, "run");

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *expected = g_strdup_printf (A ".damaged-%u", i + 1);
    g_autoptr (GError) error = NULL;
    made_file (tree, "run/holds/" A, texts[i]);
    g_assert_null (vp_journal_read (journal, A, &error));
    g_assert_true (strstr (error->message, "run/holds/" A) != NULL);
    g_autofree char *aside = vp_journal_set_aside (journal, A);
    g_assert_cmpstr (aside, ==, expected);
    assert_list (journal, "");
  }
  g_assert_null (vp_journal_set_aside (journal, A)); /* there is nothing any more */
}

/* Somebody else may have written it. */
static void
test_not_own (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autoptr (VpJournal) journal = vp_journal_new (tree->root, "run");
  g_autofree char *path = g_build_filename (tree->folder, "run/holds", A, NULL);
  g_autoptr (GError) error = NULL;

  made_file (tree, "run/holds/" A, LEAST);
  g_assert_cmpint (g_chmod (path, 0666), ==, 0);
  g_assert_null (vp_journal_read (journal, A, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_IO);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/journal/empty", test_empty);
  g_test_add_func ("/journal/write", test_write);
  g_test_add_func ("/journal/ended", test_ended);
  g_test_add_func ("/journal/damaged", test_damaged);
  g_test_add_func ("/journal/not-own", test_not_own);
  return g_test_run ();
}
