/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has which CPUs and devices: claims, libvirt's lists, the journal, and what comes too late. */
#include <string.h>

#include "base/error.h"
#include "made-claim.h"
#include "sim-book.h"
#include "support.h"

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
  g_autoptr (VpBitmap) all = hwloc_bitmap_alloc ();

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
}

static void
assert_holders (VpBook *book, const char *but, const char *expected)
{
  g_autoptr (VpNeighbours) neighbours = vp_book_new_neighbours (book, but);

  assert_neighbours (neighbours, expected);
}

/* Of a guest whose name is its UUID's first letter. Whether it was made; `expected`: the others of that moment. */
static gboolean
try_claim (VpBook *book, const char *uuid, const char *cpus, gboolean share, const char *expected)
{
  g_autofree char *name = g_strndup (uuid, 1);
  g_autoptr (VpNeighbours) others = vp_book_new_neighbours (book, uuid);
  g_autoptr (VpNeighbours) neighbours = made_claim (book, uuid, name, cpus, NULL, share);

  assert_neighbours (neighbours != NULL ? neighbours : others, expected);
  return neighbours != NULL;
}

static gint
compare_lines (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* "0000:01:00.0 a, 0000:02:00.0 b" */
static void
assert_devices (VpBook *book, const char *but, const char *expected)
{
  g_autoptr (GArray) held = vp_book_dup_devices (book, but);
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

/* As libvirt lists it some seconds from now: "UUID CPU DEVICE", one vCPU each, pinned there; "-": none. */
static void
set_running_in (VpBook *book, gint64 seconds, const char *const *guests)
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
    vp_fleet_set (fleet, NULL, live);
  }
  vp_fleet_settle (fleet);
  vp_book_set_running (book, fleet, g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND);
}

static void
set_running (VpBook *book, const char *const *guests)
{
  set_running_in (book, 0, guests);
}

static const char *const nobody[] = { NULL };

static void
test_claim (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  g_assert_true (try_claim (book, A, "2-3", FALSE, ""));
  g_assert_true (try_claim (book, B, "4-5", FALSE, "a 2-3"));
  assert_holders (book, NULL, "a 2-3, b 4-5");
  assert_holders (book, A, "b 4-5");
  /* Its own are no conflict, and the new claim is in place of the old. */
  g_assert_true (try_claim (book, A, "3,6", FALSE, "b 4-5"));
  assert_holders (book, NULL, "a 3,6, b 4-5");
}

static void
test_conflict (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  g_assert_true (try_claim (book, A, "2-3", FALSE, ""));
  g_assert_false (try_claim (book, B, "3-4", FALSE, "a 2-3"));
  assert_holders (book, NULL, "a 2-3"); /* nothing of it is held */
  g_assert_null (vp_book_dup (book, B));
  g_assert_true (try_claim (book, B, "3-4", TRUE, "a 2-3"));
  assert_holders (book, NULL, "a 2-3, b 3-4");
  g_assert_false (try_claim (book, C, "4", FALSE, "a 2-3, b 3-4"));
}

/* A guest that is not pinned meets nobody, and nobody it. */
static void
test_unpinned (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  g_assert_true (try_claim (book, A, NULL, FALSE, ""));
  assert_holders (book, NULL, "");
  g_assert_true (try_claim (book, B, "0-7", FALSE, ""));
  g_assert_true (try_claim (book, C, NULL, FALSE, "b 0-7"));
}

static void
test_release (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  g_assert_true (try_claim (book, A, "2-3", FALSE, ""));
  sim_release_ok (book, A);
  sim_release_ok (book, A);
  sim_release_ok (book, C);
  assert_holders (book, NULL, "");
  g_assert_true (try_claim (book, B, "2-3", FALSE, ""));
}

/* Of two who want the same device the first gets it, whichever asks first. */
static void
test_devices (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  made_claim_ok (book, A, "a", "2-5,8", "0000:01:00.0 0000:01:00.1");
  made_claim_ok (book, B, "b", NULL, "0000:02:00.0 0000:01:00.1");
  assert_devices (book, A, "");
  assert_devices (book, B, "0000:01:00.0 a, 0000:01:00.1 a");
  sim_release_ok (book, B);
  assert_devices (book, NULL, "0000:01:00.0 a, 0000:01:00.1 a");
  g_autofree char *cpus = vp_book_dup_cpus (book, NULL);
  g_autofree char *others = vp_book_dup_cpus (book, A);
  g_assert_cmpstr (cpus, ==, "2-5,8");
  g_assert_cmpstr (others, ==, "");

  g_autoptr (VpBook) next = sim_load (sim); /* another daemon knows it, too */
  sim_assert_lines (next, A, "CPUs 2-5,8\ndevice 0000:01:00.0\ndevice 0000:01:00.1");
  made_claim_ok (next, B, "b", NULL, "0000:01:00.1");
  assert_devices (next, B, "0000:01:00.0 a, 0000:01:00.1 a");
  sim_release_ok (next, A);
  assert_devices (next, B, "");
}

static void
test_running (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  static const char *const two[] = { A " 2 0000:01:00.0", B " 4 -", NULL };
  static const char *const one[] = { B " 5 0000:02:00.0", NULL };

  set_running (book, two);
  assert_holders (book, NULL, "a 2, b 4");
  assert_devices (book, NULL, "0000:01:00.0 a");
  set_running (book, one);
  assert_holders (book, NULL, "b 5");
  assert_devices (book, NULL, "0000:02:00.0 b");
}

/* Nothing was taken for it: it is in no file, nobody gives anything back, and its silence is news. */
static void
test_seen (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  static const char *const it_runs[] = { A " 2 -", NULL };

  set_running (book, it_runs);
  g_auto (GStrv) uuids = vp_book_list (book);
  g_assert_null (uuids[0]);
  g_assert_null (vp_book_dup (book, A));
  vp_book_started (book, A);
  vp_book_begin_reconcile (book);
  vp_book_reconcile (book, nobody);
  assert_holders (book, NULL, "a 2");
  g_assert_false (vp_book_retry (book));
  g_auto (GStrv) files = vp_root_list (sim->root, SIM_HOLDS);
  g_assert_null (files[0]);

  g_assert_true (vp_book_note_silent (book, A, "a", 4, "it is gone"));
  assert_holders (book, NULL, "a 2");
  sim_release_ok (book, A);
  assert_holders (book, NULL, "");
}

/* libvirt does not list a guest that is being started. */
static void
test_claim_outlives_list (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  static const char *const it_runs[] = { A " 6 -", NULL };

  g_assert_true (try_claim (book, A, "2-3", FALSE, ""));
  set_running (book, nobody);
  assert_holders (book, NULL, "a 2-3");
  set_running (book, it_runs); /* now the list knows better */
  assert_holders (book, NULL, "a 6");
  set_running (book, nobody);
  assert_holders (book, NULL, "");
}

/* A start that nobody heard of again. Its device is given back by a release alone. */
static void
test_claim_expires (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  made_claim_ok (book, A, "a", "2-3", "0000:01:00.0");
  set_running_in (book, 100, nobody);
  assert_holders (book, NULL, "a 2-3");
  set_running_in (book, 130, nobody);
  assert_holders (book, NULL, "");
  assert_devices (book, B, "0000:01:00.0 a");
  g_assert_true (try_claim (book, B, "2", FALSE, ""));
  sim_release_ok (book, A);
  assert_devices (book, B, "");
}

/* A list that was asked for before the release comes after it. */
static void
test_late_list (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  static const char *const it_runs[] = { A " 2 0000:01:00.0", NULL };

  set_running (book, it_runs);
  sim_release_ok (book, A);
  set_running (book, it_runs);
  assert_holders (book, NULL, "");
  assert_devices (book, NULL, "");
  set_running (book, it_runs); /* still */
  assert_holders (book, NULL, "");
  set_running (book, nobody); /* the list is as late as that no more */
  set_running (book, it_runs);
  assert_holders (book, NULL, "a 2");
}

static void
test_claimed_after_release (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  static const char *const it_runs[] = { A " 2 -", NULL };

  set_running (book, it_runs);
  sim_release_ok (book, A);
  g_assert_true (try_claim (book, A, "2", FALSE, ""));
  set_running (book, it_runs);
  assert_holders (book, NULL, "a 2");
}

/* Of the journal, before libvirt is there to be asked. Devices stay until it says that the guest runs no more. */
static void
test_remember (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  {
    g_autoptr (VpBook) last = sim_load (sim);
    made_claim_ok (last, A, "a", "2-3", "0000:01:00.0");
  }
  g_autoptr (VpBook) book = sim_load (sim);

  assert_holders (book, NULL, "a 2-3");
  assert_holders (book, A, "");
  g_assert_false (try_claim (book, B, "3", FALSE, "a 2-3"));
  set_running (book, nobody);
  assert_holders (book, NULL, "");
  assert_devices (book, NULL, "0000:01:00.0 a");
  vp_book_reconcile (book, nobody);
  assert_devices (book, NULL, "");
}

static gboolean
read_later (const char *key, char **value, gpointer data, GError **error)
{
  gboolean *answers = data;

  (void) key;
  *value = *answers ? g_strdup ("x") : NULL;
  if (!*answers)
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "nobody answers");
  return *answers;
}

static gboolean
write_nothing (const char *key, const char *value, gpointer data, GError **error)
{
  (void) key, (void) value, (void) data, (void) error;
  return TRUE;
}

/* What could not be given back yet is, and the start that came meanwhile keeps what it was admitted with. */
static void
test_claimed_amid_release (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  gboolean answers = TRUE;
  const VpBookAccess access = { read_later, write_nothing, &answers };
  static const char *const it_runs[] = { B " 2 -", NULL };

  vp_book_set_access (book, VP_HOLDING_SLICE, &access);
  made_claim_ok (book, A, "a", "2", "0000:01:00.0");
  made_claim_ok (book, B, "b", "3", NULL);
  g_assert_true (vp_book_change (book, A, "a", VP_HOLDING_SLICE, "unit", "x", sim_in_ms (100), NULL));
  g_assert_true (vp_book_change (book, B, "b", VP_HOLDING_SLICE, "unit", "x", sim_in_ms (100), NULL));
  answers = FALSE;
  g_assert_false (vp_book_release (book, A, sim_in_ms (100)));
  g_assert_false (vp_book_release (book, B, sim_in_ms (100)));
  assert_holders (book, NULL, "");
  made_claim_ok (book, A, "a", "4", "0000:02:00.0");
  set_running (book, nobody);
  set_running (book, it_runs); /* it was started anew, and has no profile any more */
  answers = TRUE;
  g_assert_false (vp_book_retry (book));
  assert_holders (book, NULL, "a 4, b 2");
  assert_devices (book, NULL, "0000:02:00.0 a");
  g_assert_null (vp_book_dup (book, B));
  sim_release_ok (book, A);
  assert_holders (book, NULL, "b 2");
}

/* Threads that claim the same CPU, one at a time: no two have it at once. */
typedef struct {
  VpBook *book;
  const char *uuid;
  gint *holders;
  gint *turns;
} Contender;

static gpointer
contend (gpointer data)
{
  const Contender *contender = data;

  for (guint done = 0; done < 100;) {
    g_autoptr (VpNeighbours) others = made_claim (contender->book, contender->uuid, "x", "2", NULL, FALSE);
    if (others == NULL) {
      g_thread_yield ();
      continue;
    }
    g_assert_cmpuint (others->others->len, ==, 0);
    g_assert_cmpint (g_atomic_int_add (contender->holders, 1), ==, 0);
    g_atomic_int_inc (contender->turns);
    g_assert_cmpint (g_atomic_int_add (contender->holders, -1), ==, 1);
    sim_release_ok (contender->book, contender->uuid);
    done++;
  }
  return NULL;
}

static void
test_threads (void)
{
  static const char *const uuids[] = { A, B, C };
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  GThread *threads[G_N_ELEMENTS (uuids)];
  Contender contenders[G_N_ELEMENTS (uuids)];
  gint holders = 0;
  gint turns = 0;

  for (guint i = 0; i < G_N_ELEMENTS (uuids); i++) {
    contenders[i] = (Contender){ book, uuids[i], &holders, &turns };
    threads[i] = g_thread_new ("contender", contend, &contenders[i]);
  }
  for (guint i = 0; i < G_N_ELEMENTS (uuids); i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (turns, ==, 300);
  assert_holders (book, NULL, "");
}

static const SimTest tests[] = {
  { "claim", test_claim },
  { "conflict", test_conflict },
  { "unpinned", test_unpinned },
  { "release", test_release },
  { "devices", test_devices },
  { "running", test_running },
  { "seen", test_seen },
  { "claim-outlives-list", test_claim_outlives_list },
  { "claim-expires", test_claim_expires },
  { "late-list", test_late_list },
  { "claimed-after-release", test_claimed_after_release },
  { "remember", test_remember },
  { "claimed-amid-release", test_claimed_amid_release },
  { "threads", test_threads },
};

int
main (int argc, char **argv)
{
  return sim_run_tests (argc, argv, "/book/guests/", tests, G_N_ELEMENTS (tests));
}
