/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon's threads share: the host, and beside whom definitions were prepared. */
#include "daemon/gate/ledger.h"
#include "support.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"

static void
test_snapshot (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpProfiles) profiles = NULL;
  VpHost *first = test_host (NULL, TEST_I7_3770K);
  VpHost *second = test_host (NULL, TEST_RYZEN_3900X);

  g_assert_false (vp_ledger_get (ledger, &host, &profiles));
  g_assert_null (host);
  g_assert_null (profiles);
  vp_ledger_set (ledger, first, test_profiles ());
  g_assert_true (vp_ledger_get (ledger, &host, &profiles));
  g_assert_true (host == first);
  vp_ledger_set (ledger, second, test_profiles ());
  g_assert_cmpuint (host->topology->n_pus, ==, 8); /* who has the old one goes on with it */
  vp_host_unref (host);
  vp_profiles_unref (profiles);
  g_assert_true (vp_ledger_get (ledger, &host, &profiles));
  g_assert_true (host == second);
}

static void
test_problem (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  g_autofree char *before = vp_ledger_dup_problem (ledger);

  g_assert_cmpstr (before, ==, "this host was not read yet");
  vp_ledger_set_problem (ledger, "no profiles");
  vp_ledger_set_problem (ledger, "no topology");
  g_autofree char *after = vp_ledger_dup_problem (ledger);
  g_assert_cmpstr (after, ==, "no topology");
}

static void
test_starting (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();

  g_assert_false (vp_ledger_is_starting (ledger, "a"));
  g_assert_true (vp_ledger_begin_start (ledger, "a"));
  g_assert_false (vp_ledger_begin_start (ledger, "a"));
  g_assert_true (vp_ledger_is_starting (ledger, "a"));
  g_assert_false (vp_ledger_is_starting (ledger, "b"));
  vp_ledger_end_start (ledger, "a");
  g_assert_false (vp_ledger_is_starting (ledger, "a"));
  vp_ledger_end_start (ledger, "a"); /* once more harms nobody */
  g_assert_true (vp_ledger_begin_start (ledger, "a"));
}

static void
test_incoming (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  VpNeighbours *first = vp_neighbours_new ();
  VpNeighbours *second = vp_neighbours_new ();

  g_assert_null (vp_ledger_take_incoming (ledger, "a"));
  vp_ledger_note_incoming (ledger, "a", first);
  vp_ledger_note_incoming (ledger, "a", second); /* the last one counts */
  g_assert_null (vp_ledger_take_incoming (ledger, "b"));
  g_autoptr (VpNeighbours) taken = vp_ledger_take_incoming (ledger, "a");
  g_assert_true (taken == second);
  g_assert_null (vp_ledger_take_incoming (ledger, "a"));
}

static void
test_prepared (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  VpNeighbours *first = vp_neighbours_new ();
  VpNeighbours *second = vp_neighbours_new ();

  g_assert_false (vp_ledger_has_prepared (ledger, A));
  vp_ledger_end_prepare (ledger, A, TRUE); /* none was begun */
  g_assert_false (vp_ledger_has_prepared (ledger, A));
  g_autoptr (GPtrArray) none = vp_ledger_dup_neighbours (ledger, A);
  g_assert_cmpuint (none->len, ==, 0);

  vp_ledger_begin_prepare (ledger, A, first);
  g_assert_false (vp_ledger_has_prepared (ledger, A));
  g_autoptr (GPtrArray) begun = vp_ledger_dup_neighbours (ledger, A);
  g_assert_cmpuint (begun->len, ==, 1);
  g_assert_true (begun->pdata[0] == first);

  vp_ledger_end_prepare (ledger, A, TRUE);
  g_assert_true (vp_ledger_has_prepared (ledger, A));
  g_assert_false (vp_ledger_has_prepared (ledger, B));
  vp_ledger_begin_prepare (ledger, A, second);
  g_autoptr (GPtrArray) both = vp_ledger_dup_neighbours (ledger, A);
  g_assert_cmpuint (both->len, ==, 2);
  g_assert_true (both->pdata[0] == first);
  g_assert_true (both->pdata[1] == second);

  vp_ledger_end_prepare (ledger, A, FALSE);
  g_autoptr (GPtrArray) old = vp_ledger_dup_neighbours (ledger, A);
  g_assert_cmpuint (old->len, ==, 1);
  g_assert_true (old->pdata[0] == first);
  g_assert_true (vp_ledger_has_prepared (ledger, A));
}

static void
test_prepared_anew (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  VpNeighbours *last = vp_neighbours_new ();

  vp_ledger_begin_prepare (ledger, A, vp_neighbours_new ());
  vp_ledger_begin_prepare (ledger, A, vp_neighbours_new ()); /* the first came to nothing, and did not say so */
  vp_ledger_end_prepare (ledger, A, TRUE);
  vp_ledger_begin_prepare (ledger, A, last);
  vp_ledger_end_prepare (ledger, A, TRUE);
  g_autoptr (GPtrArray) known = vp_ledger_dup_neighbours (ledger, A);
  g_assert_cmpuint (known->len, ==, 1);
  g_assert_true (known->pdata[0] == last);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ledger/snapshot", test_snapshot);
  g_test_add_func ("/ledger/problem", test_problem);
  g_test_add_func ("/ledger/starting", test_starting);
  g_test_add_func ("/ledger/incoming", test_incoming);
  g_test_add_func ("/ledger/prepared", test_prepared);
  g_test_add_func ("/ledger/prepared-anew", test_prepared_anew);
  return g_test_run ();
}
