/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests hold beside hugepages, and the journal, on a kernel of files. */
#include <string.h>

#include "base/error.h"
#include "journal/journal.h"
#include "sim-book.h"

static gboolean
change (VpBook *book, const char *uuid, const char *path, const char *text)
{
  g_autoptr (GError) error = NULL;
  gboolean changed = vp_book_change (book, uuid, uuid, VP_HOLDING_FILE, path, text, sim_in_ms (1000), &error);

  g_assert_no_error (error);
  return changed;
}

static void
assert_file (Sim *sim, const char *path, const char *text)
{
  g_autofree char *now = sim_read_file (sim, path);

  g_assert_cmpstr (now, ==, text);
}

static void
test_files (void)
{
  static const char governor[] = "sys/sim/governor";
  static const char irq[] = "sys/sim/irq";
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GError) error = NULL;

  sim_write_file (sim, governor, "powersave\n");
  sim_write_file (sim, irq, "0-7\n");
  change (book, A, governor, "performance");
  change (book, A, irq, "0-3,6-7");
  change (book, B, governor, "performance"); /* on the same core */
  change (book, B, irq, "0-3");
  sim_release_ok (book, A);
  assert_file (sim, governor, "performance"); /* B still wants it */
  assert_file (sim, irq, "0-3");
  sim_release_ok (book, B);
  assert_file (sim, governor, "powersave");
  assert_file (sim, irq, "0-7");

  change (book, A, irq, "0-3");
  change (book, A, irq, "0-1");
  sim_write_file (sim, irq, "0,1\n"); /* the same in the kernel's words */
  sim_release_ok (book, A);
  assert_file (sim, irq, "0-7");

  change (book, A, governor, "performance");
  sim_write_file (sim, governor, "schedutil\n");
  sim_release_ok (book, A);
  assert_file (sim, governor, "schedutil");
  sim_assert_said ("somebody made it 'schedutil' meanwhile: it stays");
  g_assert_false (vp_book_change (book, A, "a", VP_HOLDING_FILE, "sys/sim/none", "1", sim_in_ms (100), &error));
  g_assert_null (vp_book_dup (book, A));
}

/* A thing that is no file; its D-Bus does not answer for a while. */
typedef struct {
  char *value;
  guint silent; /* that many more calls */
} Slice;

static gboolean
fail_if_silent (Slice *slice, GError **error)
{
  if (slice->silent == 0)
    return FALSE;
  slice->silent--;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "systemd does not answer");
  return TRUE;
}

static gboolean
read_slice (const char *key, char **value, gpointer data, GError **error)
{
  Slice *slice = data;

  g_assert_cmpstr (key, ==, "system.slice AllowedCPUs");
  if (fail_if_silent (slice, error))
    return FALSE;
  *value = g_strdup (slice->value);
  return TRUE;
}

static gboolean
write_slice (const char *key, const char *value, gpointer data, GError **error)
{
  Slice *slice = data;

  g_assert_cmpstr (key, ==, "system.slice AllowedCPUs");
  if (fail_if_silent (slice, error))
    return FALSE;
  g_free (slice->value);
  slice->value = g_strdup (value);
  return TRUE;
}

static void
test_slice (void)
{
  static const char key[] = "system.slice AllowedCPUs";
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GError) error = NULL;
  Slice slice = { g_strdup (""), 0 };
  const VpBookAccess access = { read_slice, write_slice, &slice };

  g_assert_false (vp_book_change (book, A, "a", VP_HOLDING_SLICE, key, "0-1", sim_in_ms (100), &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_HOST);
  g_clear_error (&error);
  vp_book_set_access (book, VP_HOLDING_SLICE, &access);
  g_assert_true (vp_book_change (book, A, "a", VP_HOLDING_SLICE, key, "0-1", sim_in_ms (100), &error));
  g_assert_cmpstr (slice.value, ==, "0-1");
  sim_assert_lines (book, A, "system.slice AllowedCPUs is '0-1', was ''");
  slice.silent = 1;
  g_assert_false (vp_book_release (book, A, sim_in_ms (100)));
  sim_assert_said ("systemd does not answer; it is tried again");
  g_assert_false (vp_book_retry (book));
  g_assert_cmpstr (slice.value, ==, "");
  g_free (slice.value);
}

static void
test_reconcile (void)
{
  static const char *const running[] = { B, NULL };
  g_autoptr (Sim) sim = sim_new (1);

  sim_set_pool (sim, 0, SIM_2M, 10, 1000);
  {
    g_autoptr (VpBook) book = sim_load (sim);
    sim_take_ok (book, A, SIM_2M, 60, "0");
    sim_take_ok (book, B, SIM_2M, 30, "0");
    vp_book_started (book, B);
  }
  g_autoptr (VpBook) book = sim_load (sim);
  sim_assert_pool (sim, 0, SIM_2M, 90, 90); /* libvirt was not asked yet */
  sim_take_ok (book, C, SIM_2M, 10, "0");
  vp_book_reconcile (book, running);
  g_assert_null (vp_book_dup (book, A));
  sim_assert_lines (book, B, "30 hugepages of 2M on node 0\n30 hugepages of 2M on node 0, allocated for it");
  g_assert_false (vp_book_retry (book));
  sim_assert_pool (sim, 0, SIM_2M, 40, 40);
  g_autoptr (VpHolding) c = vp_book_dup (book, C); /* new since the journal was loaded: libvirt's list may be older */
  g_assert_nonnull (c);

  vp_book_begin_reconcile (book);
  sim_take_ok (book, C, SIM_2M, 10, "0");
  vp_book_reconcile (book, (const char *const[]){ NULL });
  g_assert_null (vp_book_dup (book, B));
  g_autoptr (VpHolding) c_again = vp_book_dup (book, C);
  g_assert_nonnull (c_again);
  sim_release_ok (book, C);
  sim_assert_pool (sim, 0, SIM_2M, 10, 10);
}

static void
test_damaged (void)
{
  static const char *const texts[] = {
    "",
    "garbage",
    "[guest]\nversion=2\nname=x\nstate=running\n",
    "[guest]\nversion=1\nname=x\nstate=asleep\n",
    "[guest]\nversion=1\nname=x\nstate=running\n[record-0]\nkind=pages\npending=false\nnode=0\n",
    "[guest]\nversion=1\nname=x\nstate=running\n[record-0]\nkind=pages\npending=false\nnode=0\npage-kib=2048\n"
    "count=99999999999999999\nbase=0\nfrom=0\nto=0\n",
    "[guest]\nversion=1\nname=x\nstate=running\n[record-0]\nkind=file\npending=maybe\nkey=a\nbefore=b\nafter=c\n",
    "[guest]\nversion=1\nname=x\nstate=running\n[use-0]\nnode=-2\npage-kib=1\npages=1\n",
  };
  g_autoptr (Sim) sim = sim_new (1);

  sim_write_file (sim, SIM_HOLDS "/" A ".new", "half of a jour"); /* never came into force */
  sim_write_file (sim, SIM_HOLDS "/README", "not ours");
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *aside = g_strdup_printf (SIM_HOLDS "/" A ".damaged-%u", (guint) i + 1);
    sim_write_file (sim, SIM_HOLDS "/" A, texts[i]);
    g_autoptr (VpBook) book = sim_load (sim);
    g_assert_null (vp_book_dup (book, A));
    g_autofree char *kept = sim_read_file (sim, aside);
    g_autofree char *expected = g_strchomp (g_strdup (texts[i]));
    g_assert_cmpstr (kept, ==, expected);
    sim_assert_said (A ".damaged-");
  }
  g_autofree char *large = g_strnfill (VP_JOURNAL_MAX_BYTES + 1, '#');
  sim_write_file (sim, SIM_HOLDS "/" A, large);
  g_autoptr (VpBook) book = sim_load (sim);
  sim_assert_said ("of at most 262144 bytes, is needed");
  g_assert_null (sim_read_file (sim, SIM_HOLDS "/" A ".new"));
  assert_file (sim, SIM_HOLDS "/README", "not ours");
}

/* Without a journal nothing is touched. */
static void
test_full_disk (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GArray) needs = sim_need (SIM_2M, 20, NULL, FALSE);
  g_autoptr (GError) error = NULL;

  sim_set_pool (sim, 0, SIM_2M, 5, 50);
  sim_write_file (sim, SIM_HOLDS "/" A ".new/in-the-way", ""); /* a folder where the temporary file would be */
  g_assert_false (vp_book_take_pages (book, A, "a", needs, TRUE, sim_in_ms (100), &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_IO);
  sim_assert_pool (sim, 0, SIM_2M, 5, 5);
  g_assert_null (vp_book_dup (book, A));
}

/* A note of one run does not stand for the next; a guest that holds nothing has one, too. */
static void
test_calls (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  vp_book_note_called (book, A, "a", 7);
  g_assert_false (vp_book_note_silent (book, A, "a", 7, "it is gone"));
  g_assert_true (vp_book_note_silent (book, A, "a", 8, "it is gone"));
  g_assert_false (vp_book_note_silent (book, A, "a", 8, "it is gone"));
  g_assert_true (vp_book_note_silent (book, B, "b", 9, "no bit\nor \"label\""));

  g_autoptr (VpBook) next = sim_load (sim); /* another daemon knows it, too */
  g_autoptr (VpHolding) past = vp_book_dup (next, B);
  g_assert_cmpstr (past->silent, ==, "no bit\nor \"label\"");
  g_assert_cmpint (past->run, ==, 9);
  g_assert_false (vp_book_note_silent (next, A, "a", 8, "it is gone"));
  vp_book_note_called (next, A, "a", 10);
  g_autoptr (VpHolding) called = vp_book_dup (next, A);
  g_assert_null (called->silent);
  sim_release_ok (next, A);
  sim_release_ok (next, B);
  g_auto (GStrv) left = vp_book_list (next);
  g_assert_null (left[0]);
}

/* What an earlier run left waits for its end; the guest that runs now is known all the while. */
static void
test_silent_again (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  static const char *const none[] = { NULL };
  static const char *const ours[] = { A, NULL };

  sim_set_pool (sim, 0, SIM_2M, 5, 50);
  sim_take_ok (book, A, SIM_2M, 20, "0");
  vp_book_note_called (book, A, "a", 3);
  vp_book_started (book, A);
  g_assert_true (vp_book_note_silent (book, A, "a", 4, "it is gone"));
  vp_book_begin_reconcile (book);
  vp_book_reconcile (book, ours);
  sim_assert_pool (sim, 0, SIM_2M, 20, 20);
  g_autoptr (VpHolding) past = vp_book_dup (book, A);
  g_assert_cmpstr (past->silent, ==, "it is gone");
  vp_book_begin_reconcile (book);
  vp_book_reconcile (book, none);
  sim_assert_pool (sim, 0, SIM_2M, 5, 5);
  g_assert_null (vp_book_dup (book, A));
}

static const SimTest tests[] = {
  { "files", test_files },
  { "slice", test_slice },
  { "reconcile", test_reconcile },
  { "damaged", test_damaged },
  { "full-disk", test_full_disk },
  { "calls", test_calls },
  { "silent-again", test_silent_again },
};

int
main (int argc, char **argv)
{
  return sim_run_tests (argc, argv, "/book/", tests, G_N_ELEMENTS (tests));
}
