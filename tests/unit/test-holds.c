/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests take and give back, on a kernel of files. Crashes have a test of their own. */
#include "holds.h"

#include <string.h>

#include "sim-kernel.h"
#include "vp-error.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"

static GMutex log_mutex;
static GString *log_text; /* all that was said, so that a test can look for it */

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  (void) level;
  (void) data;
  g_mutex_lock (&log_mutex);
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      g_string_append_printf (log_text, "%s\n", (const char *) fields[i].value);
  g_mutex_unlock (&log_mutex);
  return G_LOG_WRITER_HANDLED;
}

static void
assert_said (const char *part)
{
  if (strstr (log_text->str, part) == NULL)
    g_error ("'%s' was not said, but:\n%s", part, log_text->str);
}

static gint64
in_ms (gint64 ms)
{
  return g_get_monotonic_time () + ms * G_TIME_SPAN_MILLISECOND;
}

static VpHolds *
load (Sim *sim)
{
  g_autoptr (GError) error = NULL;
  VpHolds *holds = vp_holds_new (sim->root, SIM_HOLDS, &error);

  g_assert_no_error (error);
  return holds;
}

/* `nodes` NULL: any. */
static GArray *
need (guint64 page_kib, guint64 pages, const char *nodes, gboolean strict)
{
  GArray *needs = g_array_new (FALSE, TRUE, sizeof (VpPageNeed));
  VpPageNeed one = { page_kib, pages, vp_list_parse (nodes), strict };

  g_array_set_clear_func (needs, (GDestroyNotify) vp_page_need_clear);
  g_array_append_val (needs, one);
  return needs;
}

static void
take_ok (VpHolds *holds, const char *uuid, guint64 kib, guint64 pages, const char *nodes)
{
  g_autoptr (GArray) needs = need (kib, pages, nodes, TRUE);
  g_autoptr (GError) error = NULL;

  vp_holds_take_pages (holds, uuid, uuid, needs, TRUE, in_ms (2000), &error);
  g_assert_no_error (error);
}

/* The message has all parts, which are separated by "|". */
static void
take_refused (VpHolds *holds, const char *uuid, const GArray *needs, gboolean allocate, gint64 ms, const char *parts)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) list = g_strsplit (parts, "|", -1);

  g_assert_false (vp_holds_take_pages (holds, uuid, uuid, needs, allocate, in_ms (ms), &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_UNFIT);
  for (guint i = 0; list[i] != NULL; i++)
    if (strstr (error->message, list[i]) == NULL)
      g_error ("'%s' is not in: %s", list[i], error->message);
}

static void
release_ok (VpHolds *holds, const char *uuid)
{
  g_assert_true (vp_holds_release (holds, uuid, in_ms (1000)));
}

static void
assert_pool (Sim *sim, int node, guint64 kib, guint64 nr, guint64 free_pages)
{
  g_assert_cmpuint (sim_read (sim, node, kib, "nr_hugepages"), ==, nr);
  g_assert_cmpuint (sim_read (sim, node, kib, "free_hugepages"), ==, free_pages);
}

static void
assert_lines (VpHolds *holds, const char *uuid, const char *expected)
{
  g_auto (GStrv) lines = vp_holds_describe (holds, uuid);
  g_autofree char *text = g_strjoinv ("\n", lines);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_allocate (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  sim_set_pool (sim, 0, SIM_2M, 0, 5000);
  sim_set_pool (sim, 1, SIM_2M, 100, 5000);
  before = sim_snapshot (sim);
  {
    g_autoptr (VpHolds) holds = load (sim);
    take_ok (holds, A, SIM_2M, 2000, "1"); /* more than is asked for in one write */
    assert_pool (sim, 1, SIM_2M, 2000, 2000);
    assert_pool (sim, 0, SIM_2M, 0, 0);
    assert_lines (holds, A, "2000 hugepages of 2M on node 1, promised\n1900 hugepages of 2M on node 1, allocated for it");
    sim_use (sim, 1, SIM_2M, 2000);
    vp_holds_started (holds, A);
    assert_lines (holds, A, "2000 hugepages of 2M on node 1\n1900 hugepages of 2M on node 1, allocated for it");
    sim_let_go (sim, 1, SIM_2M, 2000);
    release_ok (holds, A);
    assert_lines (holds, A, "");
    release_ok (holds, A); /* again: nothing happens */
  }
  after = sim_snapshot (sim);
  g_assert_cmpstr (after, ==, before);
}

/* The administrator's pages are enough: nothing is allocated, and nothing given back. */
static void
test_pool_first (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, 0, SIM_1G, 8, 5);
  take_ok (holds, A, SIM_1G, 6, "0");
  assert_pool (sim, 0, SIM_1G, 8, 8);
  take_ok (holds, B, SIM_1G, 4, NULL); /* two are left that nobody was promised */
  assert_pool (sim, 0, SIM_1G, 10, 10);
  release_ok (holds, A);
  release_ok (holds, B);
  assert_pool (sim, 0, SIM_1G, 8, 8);
  g_auto (GStrv) journal = vp_root_list (sim->root, SIM_HOLDS);
  g_assert_cmpuint (g_strv_length (journal), ==, 0);
}

static void
test_no_nodes (void)
{
  g_autoptr (Sim) sim = sim_new (0);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, -1, SIM_2M, 3, 100);
  take_ok (holds, A, SIM_2M, 50, NULL);
  assert_pool (sim, -1, SIM_2M, 50, 50);
  release_ok (holds, A);
  assert_pool (sim, -1, SIM_2M, 3, 3);
}

/* Without a node to be on: the same share from each, then from whichever still gives. */
static void
test_spread (void)
{
  g_autoptr (Sim) sim = sim_new (3);
  g_autoptr (VpHolds) holds = load (sim);

  for (int node = 0; node < 3; node++)
    sim_set_pool (sim, node, SIM_2M, 0, node == 1 ? 10 : 1000);
  take_ok (holds, A, SIM_2M, 301, NULL);
  g_assert_cmpuint (sim_read (sim, 1, SIM_2M, "nr_hugepages"), ==, 10);
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "nr_hugepages"), ==, 101);
  g_assert_cmpuint (sim_read (sim, 2, SIM_2M, "nr_hugepages"), ==, 190);
  release_ok (holds, A);
  for (int node = 0; node < 3; node++)
    assert_pool (sim, node, SIM_2M, 0, 0);
}

/* A wish: its node first, others when that has no more. */
static void
test_preferred (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GArray) needs = need (SIM_2M, 100, "1", FALSE);
  g_autoptr (GArray) strict = need (SIM_2M, 100, "1", TRUE);
  g_autoptr (GError) error = NULL;

  sim_set_pool (sim, 0, SIM_2M, 30, 500);
  sim_set_pool (sim, 1, SIM_2M, 0, 60);
  g_assert_true (vp_holds_take_pages (holds, A, "a", needs, TRUE, in_ms (1000), &error));
  assert_pool (sim, 1, SIM_2M, 60, 60);
  assert_pool (sim, 0, SIM_2M, 40, 40);
  release_ok (holds, A);
  assert_pool (sim, 0, SIM_2M, 30, 30);
  assert_pool (sim, 1, SIM_2M, 0, 0);
  take_refused (holds, A, strict, TRUE, 50, "too few hugepages of 2M on node 1: 100 needed, 0 free, 60 allocated|"
                                            "hugepagesz=2M hugepages=1:100");
  assert_pool (sim, 1, SIM_2M, 0, 0);
}

/* The kernel has too few: all goes back, and the numbers are right. */
static void
test_refused (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GArray) needs = need (SIM_2M, 200, "0", TRUE);

  sim_set_pool (sim, 0, SIM_2M, 40, 100);
  g_autofree char *before = sim_snapshot (sim);
  take_refused (holds, A, needs, TRUE, 100,
                "too few hugepages of 2M on node 0: 200 needed, 40 free, 100 allocated in |tries with memory compacted|"
                "less memory|another page size|hugepagesz=2M hugepages=0:200");
  g_autofree char *after = sim_snapshot (sim);
  g_assert_cmpstr (after, ==, before);
  g_assert_cmpuint (sim_get_knob (sim, "compacted"), >, 1);
  take_refused (holds, A, needs, FALSE, 100, "200 needed, 40 free, 0 allocated (memory.allocate is no)");
  g_autofree char *last = sim_snapshot (sim);
  g_assert_cmpstr (last, ==, before);
}

static void
test_other_refusals (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GArray) no_size = need (64, 200, NULL, FALSE);
  g_autoptr (GArray) no_node = need (SIM_2M, 200, "7", TRUE);
  g_autoptr (GArray) huge = need (SIM_1G, 1000, "0", TRUE);

  sim_set_pool (sim, 0, SIM_1G, 0, 2000);
  take_refused (holds, A, no_size, TRUE, 0, "hugepages of 64K on this host|the kernel has sizes 2M, 1G");
  take_refused (holds, A, no_node, TRUE, 0, "hugepages of 2M on node 7");
  /* More than the node has memory (32 GiB): not tried, the host would swap for nothing. */
  take_refused (holds, A, huge, TRUE, 0, "1000 needed, 0 free, 0 allocated");
  assert_pool (sim, 0, SIM_1G, 0, 0);
}

static void
test_compaction (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, 0, SIM_2M, 0, 50);
  sim_set_knob (sim, "compact-at", 3);
  sim_set_knob (sim, "compact-gain", 60);
  sim_write_file (sim, "sys/devices/system/node/node0/compact", "");
  take_ok (holds, A, SIM_2M, 100, "0");
  g_assert_cmpuint (sim_get_knob (sim, "compacted"), ==, 3);
  assert_pool (sim, 0, SIM_2M, 100, 100);
  release_ok (holds, A);
  assert_pool (sim, 0, SIM_2M, 0, 0);
}

/* A write that fails for a while is tried again, when taking and when giving back. */
static void
test_busy_kernel (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GArray) needs = need (SIM_2M, 20, NULL, FALSE);

  sim_set_pool (sim, 0, SIM_2M, 5, 50);
  sim_set_knob (sim, "refuse", 2);
  take_ok (holds, A, SIM_2M, 20, "0");
  sim_set_knob (sim, "refuse", 2);
  g_assert_false (vp_holds_release (holds, A, in_ms (100)));
  assert_said ("Device or resource busy; it is tried again");
  assert_pool (sim, 0, SIM_2M, 20, 20);
  g_assert_true (vp_holds_retry (holds));
  g_assert_false (vp_holds_retry (holds));
  assert_pool (sim, 0, SIM_2M, 5, 5);

  sim_set_knob (sim, "slow", 6); /* 15 pages: three writes */
  take_ok (holds, A, SIM_2M, 20, "0");
  g_assert_false (vp_holds_release (holds, A, in_ms (100)));
  assert_said ("9 of 15 hugepages of 2M on node 0 are not given back yet: the kernel keeps them");
  assert_pool (sim, 0, SIM_2M, 14, 14);
  g_assert_true (vp_holds_retry (holds));
  g_assert_false (vp_holds_retry (holds));
  assert_pool (sim, 0, SIM_2M, 5, 5);
  sim_set_knob (sim, "refuse", 1000);
  take_refused (holds, A, needs, TRUE, 50, "the kernel said: Device or resource busy");
}

/* Pages that are still in use when the guest is released: the kernel frees them as they are let go. */
static void
test_pages_in_use (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, 0, SIM_2M, 10, 90);
  take_ok (holds, A, SIM_2M, 50, "0");
  sim_use (sim, 0, SIM_2M, 50);
  vp_holds_started (holds, A);
  sim_let_go (sim, 0, SIM_2M, 20);
  release_ok (holds, A);
  assert_said ("20 of its hugepages of 2M on node 0 are still in use");
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "surplus_hugepages"), ==, 20);
  sim_let_go (sim, 0, SIM_2M, 30);
  assert_pool (sim, 0, SIM_2M, 10, 10);
}

/*
 * A ends while B is starting on its pages: they are not taken from under B. Then C, which needs new pages
 * although the pool has surplus.
 */
static void
test_promise_outlives_release (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, 0, SIM_2M, 0, 200);
  take_ok (holds, A, SIM_2M, 50, "0");
  sim_use (sim, 0, SIM_2M, 50);
  vp_holds_started (holds, A);
  sim_let_go (sim, 0, SIM_2M, 50); /* it died; libvirt has not told us yet */
  take_ok (holds, B, SIM_2M, 40, "0");
  assert_pool (sim, 0, SIM_2M, 50, 50);
  g_assert_false (vp_holds_release (holds, A, in_ms (100)));
  assert_said ("a guest that is starting was promised them");
  assert_pool (sim, 0, SIM_2M, 40, 40);
  sim_use (sim, 0, SIM_2M, 40);
  vp_holds_started (holds, B);
  g_assert_false (vp_holds_retry (holds));
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "surplus_hugepages"), ==, 40);

  take_ok (holds, C, SIM_2M, 30, "0");
  assert_pool (sim, 0, SIM_2M, 70, 30);
  sim_use (sim, 0, SIM_2M, 30);
  vp_holds_started (holds, C);
  sim_let_go (sim, 0, SIM_2M, 40);
  release_ok (holds, B);
  sim_let_go (sim, 0, SIM_2M, 30);
  release_ok (holds, C);
  assert_pool (sim, 0, SIM_2M, 0, 0);
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "sim_room"), ==, 200);
}

static void
test_administrator (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, 0, SIM_2M, 100, 1000);
  take_ok (holds, A, SIM_2M, 150, "0");
  sim_admin (sim, 0, SIM_2M, 300); /* larger: 150 more than there were */
  release_ok (holds, A);
  assert_pool (sim, 0, SIM_2M, 250, 250);

  sim_admin (sim, 0, SIM_2M, 100);
  take_ok (holds, A, SIM_2M, 150, "0");
  sim_admin (sim, 0, SIM_2M, 120); /* smaller, but not than it was: what is above that goes */
  release_ok (holds, A);
  assert_pool (sim, 0, SIM_2M, 100, 100);
  assert_said ("20 of the 50 pages allocated for it are there to give back");

  take_ok (holds, A, SIM_2M, 150, "0");
  sim_admin (sim, 0, SIM_2M, 60); /* smaller than it was: it stays */
  release_ok (holds, A);
  assert_pool (sim, 0, SIM_2M, 60, 60);

  sim_admin (sim, 0, SIM_2M, 100);
  take_ok (holds, A, SIM_2M, 150, "0");
  take_ok (holds, B, SIM_2M, 30, "0");
  sim_admin (sim, 0, SIM_2M, 150); /* B's 30 are not A's to give */
  release_ok (holds, A);
  assert_pool (sim, 0, SIM_2M, 130, 130);
  release_ok (holds, B);
  assert_pool (sim, 0, SIM_2M, 100, 100);
}

/* Mapped by somebody, not touched yet: free by the kernel's count alone. */
static void
test_reserved (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, 0, SIM_2M, 50, 100);
  sim_write_file (sim, "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "30\n");
  take_ok (holds, A, SIM_2M, 40, "0");
  assert_pool (sim, 0, SIM_2M, 70, 70);
  release_ok (holds, A);
  assert_pool (sim, 0, SIM_2M, 50, 50);
}

typedef struct {
  VpHolds *holds;
  const char *uuid;
  char *message; /* NULL: it got its pages */
} Start;

static gpointer
start_guest (gpointer data)
{
  Start *start = data;
  g_autoptr (GArray) needs = need (SIM_2M, 100, "0", TRUE);
  g_autoptr (GError) error = NULL;

  if (!vp_holds_take_pages (start->holds, start->uuid, start->uuid, needs, TRUE, in_ms (100), &error))
    start->message = g_strdup (error->message);
  return NULL;
}

/* Two starts for the last pages: one gets them all, the other the numbers. */
static void
test_race (void)
{
  for (guint round = 0; round < 10; round++) {
    g_autoptr (Sim) sim = sim_new (1);
    g_autoptr (VpHolds) holds = load (sim);
    Start starts[] = { { holds, A, NULL }, { holds, B, NULL } };
    GThread *threads[G_N_ELEMENTS (starts)];

    sim_set_pool (sim, 0, SIM_2M, 30, 120);
    for (gsize i = 0; i < G_N_ELEMENTS (starts); i++)
      threads[i] = g_thread_new ("start", start_guest, &starts[i]);
    for (gsize i = 0; i < G_N_ELEMENTS (starts); i++)
      (void) g_thread_join (threads[i]);
    const Start *loser = starts[0].message != NULL ? &starts[0] : &starts[1];
    const Start *winner = starts[0].message != NULL ? &starts[1] : &starts[0];
    g_assert_null (winner->message);
    g_assert_nonnull (strstr (loser->message, "100 needed, 0 free (100 more are promised to guests that are starting), "
                                              "50 allocated"));
    assert_pool (sim, 0, SIM_2M, 100, 100);
    release_ok (holds, winner->uuid);
    assert_pool (sim, 0, SIM_2M, 30, 30);
    g_free (loser->message);
  }
}

static gpointer
end_later (gpointer data)
{
  g_usleep (50 * G_TIME_SPAN_MILLISECOND);
  (void) vp_holds_release (data, A, in_ms (0));
  return NULL;
}

/* A guest that ends while another one is short: what it gives back helps, though the start holds the lock. */
static void
test_wait_for_release (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);

  sim_set_pool (sim, 0, SIM_2M, 0, 100);
  take_ok (holds, A, SIM_2M, 100, "0");
  GThread *thread = g_thread_new ("end", end_later, holds);
  take_ok (holds, B, SIM_2M, 60, "0"); /* A's pages are promised until it is released */
  (void) g_thread_join (thread);
  while (vp_holds_retry (holds))
    g_usleep (1000);
  assert_pool (sim, 0, SIM_2M, 60, 60);
  release_ok (holds, B);
  assert_pool (sim, 0, SIM_2M, 0, 0);
}

/* libvirt gave up, and releases while the pages are still being allocated. */
static void
test_release_amid_take (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GArray) needs = need (SIM_2M, 100, NULL, FALSE);

  sim_set_pool (sim, 0, SIM_2M, 0, 50);
  GThread *thread = g_thread_new ("end", end_later, holds);
  take_refused (holds, A, needs, TRUE, 5000, "the start was given up while its hugepages were allocated");
  (void) g_thread_join (thread);
  g_assert_false (vp_holds_retry (holds));
  assert_pool (sim, 0, SIM_2M, 0, 0);
  g_assert_null (vp_holds_dup (holds, A));
}

static void
test_devices (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);
  static const char *const both[] = { "0000:01:00.0", "0000:01:00.1", NULL };
  static const char *const other[] = { "0000:02:00.0", "0000:01:00.1", NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *holder = NULL;
  g_autofree char *address = NULL;

  g_assert_true (vp_holds_claim_devices (holds, A, "win10", both, &holder, &address, &error));
  g_assert_true (vp_holds_claim_devices (holds, A, "win10", both, &holder, &address, &error));
  g_assert_false (vp_holds_claim_devices (holds, B, "linux", other, &holder, &address, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (holder, ==, "win10");
  g_assert_cmpstr (address, ==, "0000:01:00.1");
  g_assert_null (vp_holds_dup (holds, B)); /* none of them, not the free one either */
  g_clear_pointer (&holder, g_free);
  g_clear_pointer (&address, g_free);

  g_assert_true (vp_holds_set_cpus (holds, A, "win10", "2-5,8", &error));
  g_autofree char *cpus = vp_holds_dup_cpus (holds, NULL);
  g_autofree char *others = vp_holds_dup_cpus (holds, A);
  g_assert_cmpstr (cpus, ==, "2-5,8");
  g_assert_cmpstr (others, ==, "");

  g_autoptr (VpHolds) next = load (sim); /* another daemon knows it, too */
  assert_lines (next, A, "CPUs 2-5,8\ndevice 0000:01:00.0\ndevice 0000:01:00.1");
  release_ok (next, A);
  g_assert_true (vp_holds_claim_devices (next, B, "linux", other, &holder, &address, &error));
}

static gboolean
change (VpHolds *holds, const char *uuid, const char *path, const char *text)
{
  g_autoptr (GError) error = NULL;
  gboolean changed = vp_holds_change_file (holds, uuid, uuid, path, text, in_ms (1000), &error);

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
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GError) error = NULL;

  sim_write_file (sim, governor, "powersave\n");
  sim_write_file (sim, irq, "0-7\n");
  change (holds, A, governor, "performance");
  change (holds, A, irq, "0-3,6-7");
  change (holds, B, governor, "performance"); /* on the same core */
  change (holds, B, irq, "0-3");
  release_ok (holds, A);
  assert_file (sim, governor, "performance"); /* B still wants it */
  assert_file (sim, irq, "0-3");
  release_ok (holds, B);
  assert_file (sim, governor, "powersave");
  assert_file (sim, irq, "0-7");

  change (holds, A, irq, "0-3");
  change (holds, A, irq, "0-1");
  sim_write_file (sim, irq, "0,1\n"); /* the same in the kernel's words */
  release_ok (holds, A);
  assert_file (sim, irq, "0-7");

  change (holds, A, governor, "performance");
  sim_write_file (sim, governor, "schedutil\n");
  release_ok (holds, A);
  assert_file (sim, governor, "schedutil");
  assert_said ("somebody made it 'schedutil' meanwhile: it stays");
  g_assert_false (vp_holds_change_file (holds, A, "a", "sys/sim/none", "1", in_ms (100), &error));
  g_assert_null (vp_holds_dup (holds, A));
}

static gboolean
undo_slice (const VpHoldRecord *record, gpointer data, GError **error)
{
  guint *calls = data;

  g_assert_cmpstr (record->key, ==, "system.slice AllowedCPUs");
  g_assert_cmpstr (record->before, ==, "");
  g_assert_cmpstr (record->after, ==, "0-1");
  if (++*calls > 1)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "systemd does not answer");
  return FALSE;
}

static void
test_slice (void)
{
  static const char key[] = "system.slice AllowedCPUs";
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GError) error = NULL;
  guint calls = 0;

  vp_holds_set_undo (holds, VP_HOLD_SLICE, undo_slice, &calls);
  g_assert_true (vp_holds_note_pending (holds, A, "a", VP_HOLD_SLICE, key, "", "0,1", in_ms (100), &error));
  g_assert_true (vp_holds_note_done (holds, A, VP_HOLD_SLICE, key, "0-1", in_ms (100), &error));
  assert_lines (holds, A, "system.slice AllowedCPUs is '0-1', was ''");
  g_assert_false (vp_holds_release (holds, A, in_ms (100)));
  assert_said ("systemd does not answer; it is tried again");
  g_assert_false (vp_holds_retry (holds));
  g_assert_cmpuint (calls, ==, 2);
}

static void
test_reconcile (void)
{
  static const char *const running[] = { B, NULL };
  g_autoptr (Sim) sim = sim_new (1);

  sim_set_pool (sim, 0, SIM_2M, 10, 1000);
  {
    g_autoptr (VpHolds) holds = load (sim);
    take_ok (holds, A, SIM_2M, 60, "0");
    take_ok (holds, B, SIM_2M, 30, "0");
    vp_holds_started (holds, B);
  }
  g_autoptr (VpHolds) holds = load (sim);
  assert_pool (sim, 0, SIM_2M, 90, 90); /* libvirt was not asked yet */
  take_ok (holds, C, SIM_2M, 10, "0");
  vp_holds_reconcile (holds, running);
  g_assert_null (vp_holds_dup (holds, A));
  assert_lines (holds, B, "30 hugepages of 2M on node 0\n30 hugepages of 2M on node 0, allocated for it");
  g_assert_false (vp_holds_retry (holds));
  assert_pool (sim, 0, SIM_2M, 40, 40);
  g_autoptr (VpHold) c = vp_holds_dup (holds, C); /* new since the journal was loaded: libvirt's list may be older */
  g_assert_nonnull (c);

  vp_holds_begin_reconcile (holds);
  take_ok (holds, C, SIM_2M, 10, "0");
  vp_holds_reconcile (holds, (const char *const[]){ NULL });
  g_assert_null (vp_holds_dup (holds, B));
  g_autoptr (VpHold) c_again = vp_holds_dup (holds, C);
  g_assert_nonnull (c_again);
  release_ok (holds, C);
  assert_pool (sim, 0, SIM_2M, 10, 10);
}

static void
test_damaged (void)
{
  static const char *const texts[] = {
    "", "garbage", "[guest]\nversion=2\nname=x\nstate=running\n", "[guest]\nversion=1\nname=x\nstate=asleep\n",
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
    g_autoptr (VpHolds) holds = load (sim);
    g_assert_null (vp_holds_dup (holds, A));
    g_autofree char *kept = sim_read_file (sim, aside);
    g_autofree char *expected = g_strchomp (g_strdup (texts[i]));
    g_assert_cmpstr (kept, ==, expected);
    assert_said (A ".damaged-");
  }
  g_autofree char *large = g_strnfill (VP_HOLD_MAX_BYTES + 1, '#');
  sim_write_file (sim, SIM_HOLDS "/" A, large);
  g_autoptr (VpHolds) holds = load (sim);
  assert_said ("of at most 262144 bytes, is needed");
  g_assert_null (sim_read_file (sim, SIM_HOLDS "/" A ".new"));
  assert_file (sim, SIM_HOLDS "/README", "not ours");
}

/* Without a journal nothing is touched. */
static void
test_full_disk (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpHolds) holds = load (sim);
  g_autoptr (GArray) needs = need (SIM_2M, 20, NULL, FALSE);
  g_autoptr (GError) error = NULL;

  sim_set_pool (sim, 0, SIM_2M, 5, 50);
  sim_write_file (sim, SIM_HOLDS "/" A ".new/in-the-way", ""); /* a folder where the temporary file would be */
  g_assert_false (vp_holds_take_pages (holds, A, "a", needs, TRUE, in_ms (100), &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_IO);
  assert_pool (sim, 0, SIM_2M, 5, 5);
  g_assert_null (vp_holds_dup (holds, A));
}

static const struct {
  const char *name;
  void (*func) (void);
} tests[] = {
  { "allocate", test_allocate },
  { "pool-first", test_pool_first },
  { "no-nodes", test_no_nodes },
  { "spread", test_spread },
  { "preferred", test_preferred },
  { "refused", test_refused },
  { "other-refusals", test_other_refusals },
  { "compaction", test_compaction },
  { "busy-kernel", test_busy_kernel },
  { "pages-in-use", test_pages_in_use },
  { "promise-outlives-release", test_promise_outlives_release },
  { "administrator", test_administrator },
  { "reserved", test_reserved },
  { "race", test_race },
  { "wait-for-release", test_wait_for_release },
  { "release-amid-take", test_release_amid_take },
  { "devices", test_devices },
  { "files", test_files },
  { "slice", test_slice },
  { "reconcile", test_reconcile },
  { "damaged", test_damaged },
  { "full-disk", test_full_disk },
};

int
main (int argc, char **argv)
{
  log_text = g_string_new (NULL);
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL); /* warnings are what is tested */
  g_log_set_writer_func (keep_log, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *path = g_strconcat ("/holds/", tests[i].name, NULL);
    g_test_add_func (path, tests[i].func);
  }
  int result = g_test_run ();
  g_string_free (log_text, TRUE);
  return result;
}
