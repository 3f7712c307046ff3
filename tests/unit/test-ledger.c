/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon's threads share: who holds what, and beside whom definitions were prepared. */
#include <string.h>

#include "base/list.h"
#include "daemon/gate/ledger.h"
#include "support.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"

/* Of a guest whose name is its UUID's first letter; `device` NULL: none. */
typedef struct {
  hwloc_bitmap_t cpus;
  GArray *devices;
  char *name;
  VpRunning running;
} Claim;

static Claim *
claim_new (const char *uuid, const char *cpus, const char *device)
{
  Claim *claim = g_new0 (Claim, 1);
  VpPciAddress address = { 0 };

  claim->cpus = cpus != NULL ? vp_list_parse (cpus) : hwloc_bitmap_alloc ();
  claim->devices = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  claim->name = g_strndup (uuid, 1);
  if (device != NULL) {
    g_assert_true (vp_pci_address_parse (device, &address));
    g_array_append_val (claim->devices, address);
  }
  claim->running = (VpRunning){ uuid, claim->name, claim->cpus, claim->devices };
  return claim;
}

static void
claim_free (Claim *claim)
{
  hwloc_bitmap_free (claim->cpus);
  g_array_unref (claim->devices);
  g_free (claim->name);
  g_free (claim);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Claim, claim_free)

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(const VpNeighbour *const *) a)->name, (*(const VpNeighbour *const *) b)->name);
}

/* "a 2-3, b 4" */
static void
assert_neighbours (const VpNeighbours *neighbours, const char *expected)
{
  g_autoptr (GString) text = g_string_new (NULL);
  hwloc_bitmap_t all = hwloc_bitmap_alloc ();

  g_ptr_array_sort (neighbours->others, compare_names);
  for (guint i = 0; i < neighbours->others->len; i++) {
    const VpNeighbour *other = neighbours->others->pdata[i];
    g_autofree char *list = vp_list_dup (other->cpus);
    g_assert_true (other->running);
    hwloc_bitmap_or (all, all, other->cpus);
    g_string_append_printf (text, "%s%s %s", i > 0 ? ", " : "", other->name, list);
  }
  g_assert_cmpstr (text->str, ==, expected);
  g_assert_true (hwloc_bitmap_isequal (all, neighbours->taken));
  g_assert_true (hwloc_bitmap_iszero (neighbours->planned));
  g_assert_cmpuint (neighbours->n_vcpus, ==, 0);
  hwloc_bitmap_free (all);
}

static void
assert_holders (VpLedger *ledger, const char *but, const char *expected)
{
  g_autoptr (VpNeighbours) neighbours = vp_ledger_new_neighbours (ledger, but);

  assert_neighbours (neighbours, expected);
}

/* Whether it was made; `expected`: the others of that moment. */
static gboolean
try_claim (VpLedger *ledger, const char *uuid, const char *cpus, gboolean share, const char *expected)
{
  g_autoptr (Claim) claim = claim_new (uuid, cpus, NULL);
  gboolean claimed = FALSE;
  g_autoptr (VpNeighbours) neighbours = vp_ledger_claim (ledger, &claim->running, share, &claimed);

  assert_neighbours (neighbours, expected);
  return claimed;
}

static gint
compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* "0000:01:00.0 a, 0000:02:00.0 b" */
static void
assert_devices (VpLedger *ledger, const char *but, const char *expected)
{
  g_autoptr (GArray) held = vp_ledger_dup_devices (ledger, but);
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < held->len; i++) {
    const VpDeviceHeld *one = &g_array_index (held, VpDeviceHeld, i);
    g_autofree char *address = vp_pci_address_dup_text (&one->address);
    g_ptr_array_add (lines, g_strdup_printf ("%s %s", address, one->domain));
  }
  g_ptr_array_sort (lines, compare_lines);
  g_ptr_array_add (lines, NULL);
  g_autofree char *text = g_strjoinv (", ", (char **) lines->pdata);
  g_assert_cmpstr (text, ==, expected);
}

/* As libvirt lists it: "UUID CPU DEVICE", one vCPU each, pinned there; "-": none. */
static void
set_running (VpLedger *ledger, const char *const *guests)
{
  g_autoptr (VpHost) host = test_host (NULL, TEST_I7_3770K);
  g_autoptr (VpProfiles) profiles = test_profiles ();
  g_autoptr (VpFleet) fleet = vp_fleet_new (host, profiles);

  for (guint i = 0; guests[i] != NULL; i++) {
    g_auto (GStrv) words = g_strsplit (guests[i], " ", 3);
    VpPciAddress address = { 0 };
    gboolean has_device = vp_pci_address_parse (words[2], &address);
    g_autofree char *device = has_device
                                ? g_strdup_printf ("<devices><hostdev mode='subsystem' type='pci'><source><address "
                                                   "domain='0' bus='0x%02x' slot='0x%02x' function='0x%x'/></source>"
                                                   "</hostdev></devices>",
                                                   address.bus, address.slot, address.function)
                                : g_strdup ("");
    g_autofree char *text = g_strdup_printf ("<domain type='kvm' id='1'><name>%c</name><uuid>%s</uuid>"
                                             "<memory>4096</memory><vcpu>1</vcpu>"
                                             "<cputune><vcpupin vcpu='0' cpuset='%s'/></cputune>%s</domain>",
                                             words[0][0], words[0], words[1], device);
    g_autoptr (VpDomain) live = test_domain (text);
    vp_fleet_add (fleet, NULL, live);
  }
  vp_fleet_settle (fleet);
  vp_ledger_set_running (ledger, fleet);
}

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

static void
test_claim (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();

  g_assert_true (try_claim (ledger, A, "2-3", FALSE, ""));
  g_assert_true (try_claim (ledger, B, "4-5", FALSE, "a 2-3"));
  assert_holders (ledger, NULL, "a 2-3, b 4-5");
  assert_holders (ledger, A, "b 4-5");
  /* Its own are no conflict, and the new claim is in place of the old. */
  g_assert_true (try_claim (ledger, A, "3,6", FALSE, "b 4-5"));
  assert_holders (ledger, NULL, "a 3,6, b 4-5");
}

static void
test_conflict (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();

  g_assert_true (try_claim (ledger, A, "2-3", FALSE, ""));
  g_assert_false (try_claim (ledger, B, "3-4", FALSE, "a 2-3"));
  assert_holders (ledger, NULL, "a 2-3"); /* nothing of it is held */
  g_assert_true (try_claim (ledger, B, "3-4", TRUE, "a 2-3"));
  assert_holders (ledger, NULL, "a 2-3, b 3-4");
  g_assert_false (try_claim (ledger, C, "4", FALSE, "a 2-3, b 3-4"));
}

/* A guest that is not pinned meets nobody, and nobody it. */
static void
test_unpinned (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();

  g_assert_true (try_claim (ledger, A, NULL, FALSE, ""));
  assert_holders (ledger, NULL, "");
  g_assert_true (try_claim (ledger, B, "0-7", FALSE, ""));
  g_assert_true (try_claim (ledger, C, NULL, FALSE, "b 0-7"));
}

static void
test_release (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();

  g_assert_true (try_claim (ledger, A, "2-3", FALSE, ""));
  vp_ledger_release (ledger, A);
  vp_ledger_release (ledger, A);
  vp_ledger_release (ledger, C);
  assert_holders (ledger, NULL, "");
  g_assert_true (try_claim (ledger, B, "2-3", FALSE, ""));
}

static void
test_devices (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  g_autoptr (Claim) first = claim_new (A, "2", "0000:01:00.0");
  g_autoptr (Claim) second = claim_new (B, NULL, "0000:02:00.0");
  g_autoptr (VpNeighbours) of_first = NULL;
  gboolean claimed = FALSE;

  assert_devices (ledger, NULL, "");
  of_first = vp_ledger_claim (ledger, &first->running, FALSE, &claimed);
  g_assert_true (claimed);
  vp_ledger_remember (ledger, &second->running); /* also one without CPUs */
  assert_devices (ledger, NULL, "0000:01:00.0 a, 0000:02:00.0 b");
  assert_devices (ledger, A, "0000:02:00.0 b");
  assert_devices (ledger, B, "0000:01:00.0 a");
  vp_ledger_release (ledger, B);
  assert_devices (ledger, NULL, "0000:01:00.0 a");
}

static void
test_running (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  static const char *const two[] = { A " 2 0000:01:00.0", B " 4 -", NULL };
  static const char *const one[] = { B " 5 0000:02:00.0", NULL };

  set_running (ledger, two);
  assert_holders (ledger, NULL, "a 2, b 4");
  assert_devices (ledger, NULL, "0000:01:00.0 a");
  set_running (ledger, one);
  assert_holders (ledger, NULL, "b 5");
  assert_devices (ledger, NULL, "0000:02:00.0 b");
}

/* libvirt does not list a guest that is being started. */
static void
test_claim_outlives_list (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  static const char *const nobody[] = { NULL };
  static const char *const it_runs[] = { A " 6 -", NULL };

  g_assert_true (try_claim (ledger, A, "2-3", FALSE, ""));
  set_running (ledger, nobody);
  assert_holders (ledger, NULL, "a 2-3");
  set_running (ledger, it_runs); /* now the list knows better */
  assert_holders (ledger, NULL, "a 6");
  set_running (ledger, nobody);
  assert_holders (ledger, NULL, "");
}

/* A list that was asked for before the release comes after it. */
static void
test_late_list (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  static const char *const it_runs[] = { A " 2 0000:01:00.0", NULL };
  static const char *const nobody[] = { NULL };

  set_running (ledger, it_runs);
  vp_ledger_release (ledger, A);
  set_running (ledger, it_runs);
  assert_holders (ledger, NULL, "");
  assert_devices (ledger, NULL, "");
  set_running (ledger, it_runs); /* still */
  assert_holders (ledger, NULL, "");
  set_running (ledger, nobody); /* the list is as late as that no more */
  set_running (ledger, it_runs);
  assert_holders (ledger, NULL, "a 2");
}

static void
test_claimed_after_release (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  static const char *const it_runs[] = { A " 2 -", NULL };

  set_running (ledger, it_runs);
  vp_ledger_release (ledger, A);
  g_assert_true (try_claim (ledger, A, "2", FALSE, ""));
  set_running (ledger, it_runs);
  assert_holders (ledger, NULL, "a 2");
}

/* Of the journal, before libvirt is there to be asked. */
static void
test_remember (void)
{
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  g_autoptr (Claim) claim = claim_new (A, "2-3", "0000:01:00.0");
  static const char *const nobody[] = { NULL };

  vp_ledger_remember (ledger, &claim->running);
  assert_holders (ledger, NULL, "a 2-3");
  assert_holders (ledger, A, "");
  g_assert_false (try_claim (ledger, B, "3", FALSE, "a 2-3"));
  set_running (ledger, nobody);
  assert_holders (ledger, NULL, "");
  assert_devices (ledger, NULL, "");
}

/* Threads that claim the same CPU, one at a time: no two have it at once. */
typedef struct {
  VpLedger *ledger;
  const char *uuid;
  gint *holders;
  gint *turns;
} Contender;

static gpointer
contend (gpointer data)
{
  const Contender *contender = data;
  g_autoptr (Claim) claim = claim_new (contender->uuid, "2", NULL);

  for (guint done = 0; done < 200;) {
    gboolean claimed = FALSE;
    g_autoptr (VpNeighbours) others = vp_ledger_claim (contender->ledger, &claim->running, FALSE, &claimed);
    if (!claimed) {
      g_assert_cmpuint (others->others->len, ==, 1);
      g_thread_yield ();
      continue;
    }
    g_assert_cmpint (g_atomic_int_add (contender->holders, 1), ==, 0);
    g_atomic_int_inc (contender->turns);
    g_assert_cmpint (g_atomic_int_add (contender->holders, -1), ==, 1);
    vp_ledger_release (contender->ledger, contender->uuid);
    done++;
  }
  return NULL;
}

static void
test_threads (void)
{
  static const char *const uuids[] = { A, B, C };
  g_autoptr (VpLedger) ledger = vp_ledger_new ();
  GThread *threads[G_N_ELEMENTS (uuids)];
  Contender contenders[G_N_ELEMENTS (uuids)];
  gint holders = 0;
  gint turns = 0;

  for (guint i = 0; i < G_N_ELEMENTS (uuids); i++) {
    contenders[i] = (Contender){ ledger, uuids[i], &holders, &turns };
    threads[i] = g_thread_new ("contender", contend, &contenders[i]);
  }
  for (guint i = 0; i < G_N_ELEMENTS (uuids); i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (turns, ==, 600);
  assert_holders (ledger, NULL, "");
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
  g_test_add_func ("/ledger/claim", test_claim);
  g_test_add_func ("/ledger/conflict", test_conflict);
  g_test_add_func ("/ledger/unpinned", test_unpinned);
  g_test_add_func ("/ledger/release", test_release);
  g_test_add_func ("/ledger/devices", test_devices);
  g_test_add_func ("/ledger/running", test_running);
  g_test_add_func ("/ledger/claim-outlives-list", test_claim_outlives_list);
  g_test_add_func ("/ledger/late-list", test_late_list);
  g_test_add_func ("/ledger/claimed-after-release", test_claimed_after_release);
  g_test_add_func ("/ledger/remember", test_remember);
  g_test_add_func ("/ledger/threads", test_threads);
  return g_test_run ();
}
