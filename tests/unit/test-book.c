/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hugepages that guests take and give back, on a kernel of files. Crashes have a test of their own. */
#include <string.h>

#include "sim-book.h"

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
    g_autoptr (VpBook) book = sim_load (sim);
    sim_take_ok (book, A, SIM_2M, 2000, "1"); /* more than is asked for in one write */
    sim_assert_pool (sim, 1, SIM_2M, 2000, 2000);
    sim_assert_pool (sim, 0, SIM_2M, 0, 0);
    sim_assert_lines (book, A,
                      "2000 hugepages of 2M on node 1, promised\n"
                      "1900 hugepages of 2M on node 1, allocated for it");
    sim_use (sim, 1, SIM_2M, 2000);
    vp_book_started (book, A);
    sim_assert_lines (book, A, "2000 hugepages of 2M on node 1\n1900 hugepages of 2M on node 1, allocated for it");
    sim_let_go (sim, 1, SIM_2M, 2000);
    sim_release_ok (book, A);
    sim_assert_lines (book, A, "");
    sim_release_ok (book, A); /* again: nothing happens */
  }
  after = sim_snapshot (sim);
  g_assert_cmpstr (after, ==, before);
}

/* The administrator's pages are enough: nothing is allocated, and nothing given back. */
static void
test_pool_first (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, 0, SIM_1G, 8, 5);
  sim_take_ok (book, A, SIM_1G, 6, "0");
  sim_assert_pool (sim, 0, SIM_1G, 8, 8);
  sim_take_ok (book, B, SIM_1G, 4, NULL); /* two are left that nobody was promised */
  sim_assert_pool (sim, 0, SIM_1G, 10, 10);
  sim_release_ok (book, A);
  sim_release_ok (book, B);
  sim_assert_pool (sim, 0, SIM_1G, 8, 8);
  g_auto (GStrv) journal = vp_root_list (sim->root, SIM_HOLDS);
  g_assert_cmpuint (g_strv_length (journal), ==, 0);
}

static void
test_no_nodes (void)
{
  g_autoptr (Sim) sim = sim_new (0);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, -1, SIM_2M, 3, 100);
  sim_take_ok (book, A, SIM_2M, 50, NULL);
  sim_assert_pool (sim, -1, SIM_2M, 50, 50);
  sim_release_ok (book, A);
  sim_assert_pool (sim, -1, SIM_2M, 3, 3);
}

/* Without a node to be on: the same share from each, then from whichever still gives. */
static void
test_spread (void)
{
  g_autoptr (Sim) sim = sim_new (3);
  g_autoptr (VpBook) book = sim_load (sim);

  for (int node = 0; node < 3; node++)
    sim_set_pool (sim, node, SIM_2M, 0, node == 1 ? 10 : 1000);
  sim_take_ok (book, A, SIM_2M, 301, NULL);
  g_assert_cmpuint (sim_read (sim, 1, SIM_2M, "nr_hugepages"), ==, 10);
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "nr_hugepages"), ==, 101);
  g_assert_cmpuint (sim_read (sim, 2, SIM_2M, "nr_hugepages"), ==, 190);
  sim_release_ok (book, A);
  for (int node = 0; node < 3; node++)
    sim_assert_pool (sim, node, SIM_2M, 0, 0);
}

/* A wish: its node first, others when that has no more. */
static void
test_preferred (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GArray) needs = sim_need (SIM_2M, 100, "1", FALSE);
  g_autoptr (GArray) strict = sim_need (SIM_2M, 100, "1", TRUE);
  g_autoptr (GError) error = NULL;

  sim_set_pool (sim, 0, SIM_2M, 30, 500);
  sim_set_pool (sim, 1, SIM_2M, 0, 60);
  g_assert_true (vp_book_take_pages (book, A, "a", needs, TRUE, sim_in_ms (1000), &error));
  sim_assert_pool (sim, 1, SIM_2M, 60, 60);
  sim_assert_pool (sim, 0, SIM_2M, 40, 40);
  sim_release_ok (book, A);
  sim_assert_pool (sim, 0, SIM_2M, 30, 30);
  sim_assert_pool (sim, 1, SIM_2M, 0, 0);
  sim_take_refused (book, A, strict, TRUE, 50,
                    "too few hugepages of 2M on node 1: 100 needed, 0 free, 60 allocated|"
                    "hugepagesz=2M hugepages=1:100");
  sim_assert_pool (sim, 1, SIM_2M, 0, 0);
}

/* The kernel has too few: all goes back, and the numbers are right. */
static void
test_refused (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GArray) needs = sim_need (SIM_2M, 200, "0", TRUE);

  sim_set_pool (sim, 0, SIM_2M, 40, 100);
  g_autofree char *before = sim_snapshot (sim);
  sim_take_refused (book, A, needs, TRUE, 100,
                    "too few hugepages of 2M on node 0: 200 needed, 40 free, 100 allocated in | with memory compacted|"
                    "less memory|another page size|hugepagesz=2M hugepages=0:200");
  g_autofree char *after = sim_snapshot (sim);
  g_assert_cmpstr (after, ==, before);
  g_assert_cmpuint (sim_get_knob (sim, "compacted"), >, 0);
  sim_take_refused (book, A, needs, FALSE, 100, "200 needed, 40 free, 0 allocated (memory.allocate is no)");
  g_autofree char *last = sim_snapshot (sim);
  g_assert_cmpstr (last, ==, before);
}

static void
test_other_refusals (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GArray) no_size = sim_need (64, 200, NULL, FALSE);
  g_autoptr (GArray) no_node = sim_need (SIM_2M, 200, "7", TRUE);
  g_autoptr (GArray) huge = sim_need (SIM_1G, 1000, "0", TRUE);

  sim_set_pool (sim, 0, SIM_1G, 0, 2000);
  sim_take_refused (book, A, no_size, TRUE, 0, "hugepages of 64K on this host|the kernel has sizes 2M, 1G");
  sim_take_refused (book, A, no_node, TRUE, 0, "hugepages of 2M on node 7");
  /* More than the node has memory (32 GiB): not tried, the host would swap for nothing. */
  sim_take_refused (book, A, huge, TRUE, 600000,
                    "1000 needed, 0 free, 0 allocated, for that is more than there is memory");
  sim_assert_pool (sim, 0, SIM_1G, 0, 0);
}

static void
test_compaction (void)
{
  g_autoptr (Sim) sim = sim_new (2);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, 0, SIM_2M, 0, 50);
  sim_set_knob (sim, "compact-at", 3);
  sim_set_knob (sim, "compact-gain", 60);
  sim_write_file (sim, "sys/devices/system/node/node0/compact", "");
  sim_take_ok (book, A, SIM_2M, 100, "0");
  g_assert_cmpuint (sim_get_knob (sim, "compacted"), ==, 3);
  sim_assert_pool (sim, 0, SIM_2M, 100, 100);
  sim_release_ok (book, A);
  sim_assert_pool (sim, 0, SIM_2M, 0, 0);
}

/* A write that fails for a while is tried again, when taking and when giving back. */
static void
test_busy_kernel (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GArray) needs = sim_need (SIM_2M, 20, NULL, FALSE);

  sim_set_pool (sim, 0, SIM_2M, 5, 50);
  sim_set_knob (sim, "refuse", 2);
  sim_take_ok (book, A, SIM_2M, 20, "0");
  sim_set_knob (sim, "refuse", 2);
  g_assert_false (vp_book_release (book, A, sim_in_ms (100)));
  sim_assert_said ("Device or resource busy; it is tried again");
  sim_assert_pool (sim, 0, SIM_2M, 20, 20);
  g_assert_true (vp_book_retry (book));
  g_assert_false (vp_book_retry (book));
  sim_assert_pool (sim, 0, SIM_2M, 5, 5);

  sim_set_knob (sim, "slow", 6); /* 15 pages: three writes */
  sim_take_ok (book, A, SIM_2M, 20, "0");
  g_assert_false (vp_book_release (book, A, sim_in_ms (100)));
  sim_assert_said ("9 of 15 hugepages of 2M on node 0 are not given back yet: the kernel keeps them");
  sim_assert_pool (sim, 0, SIM_2M, 14, 14);
  g_assert_true (vp_book_retry (book));
  g_assert_false (vp_book_retry (book));
  sim_assert_pool (sim, 0, SIM_2M, 5, 5);
  sim_set_knob (sim, "refuse", 1000);
  sim_take_refused (book, A, needs, TRUE, 50, "the kernel said: Device or resource busy");
}

/* Pages that are still in use when the guest is released: the kernel frees them as they are let go. */
static void
test_pages_in_use (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, 0, SIM_2M, 10, 90);
  sim_take_ok (book, A, SIM_2M, 50, "0");
  sim_use (sim, 0, SIM_2M, 50);
  vp_book_started (book, A);
  sim_let_go (sim, 0, SIM_2M, 20);
  sim_release_ok (book, A);
  sim_assert_said ("20 of its hugepages of 2M on node 0 are still in use");
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "surplus_hugepages"), ==, 20);
  sim_let_go (sim, 0, SIM_2M, 30);
  sim_assert_pool (sim, 0, SIM_2M, 10, 10);
}

/*
 * A ends while B is starting on its pages: they are not taken from under B. Then C, which needs new pages
 * although the pool has surplus.
 */
static void
test_promise_outlives_release (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, 0, SIM_2M, 0, 200);
  sim_take_ok (book, A, SIM_2M, 50, "0");
  sim_use (sim, 0, SIM_2M, 50);
  vp_book_started (book, A);
  sim_let_go (sim, 0, SIM_2M, 50); /* it died; libvirt has not told us yet */
  sim_take_ok (book, B, SIM_2M, 40, "0");
  sim_assert_pool (sim, 0, SIM_2M, 50, 50);
  g_assert_false (vp_book_release (book, A, sim_in_ms (100)));
  sim_assert_said ("a guest that is starting was promised them");
  sim_assert_pool (sim, 0, SIM_2M, 40, 40);
  sim_use (sim, 0, SIM_2M, 40);
  vp_book_started (book, B);
  g_assert_false (vp_book_retry (book));
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "surplus_hugepages"), ==, 40);

  sim_take_ok (book, C, SIM_2M, 30, "0");
  sim_assert_pool (sim, 0, SIM_2M, 70, 30);
  sim_use (sim, 0, SIM_2M, 30);
  vp_book_started (book, C);
  sim_let_go (sim, 0, SIM_2M, 40);
  sim_release_ok (book, B);
  sim_let_go (sim, 0, SIM_2M, 30);
  sim_release_ok (book, C);
  sim_assert_pool (sim, 0, SIM_2M, 0, 0);
  g_assert_cmpuint (sim_read (sim, 0, SIM_2M, "sim_room"), ==, 200);
}

static void
test_administrator (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, 0, SIM_2M, 100, 1000);
  sim_take_ok (book, A, SIM_2M, 150, "0");
  sim_admin (sim, 0, SIM_2M, 300); /* larger: 150 more than there were */
  sim_release_ok (book, A);
  sim_assert_pool (sim, 0, SIM_2M, 250, 250);

  sim_admin (sim, 0, SIM_2M, 100);
  sim_take_ok (book, A, SIM_2M, 150, "0");
  sim_admin (sim, 0, SIM_2M, 120); /* smaller, but not than it was: what is above that goes */
  sim_release_ok (book, A);
  sim_assert_pool (sim, 0, SIM_2M, 100, 100);
  sim_assert_said ("20 of the 50 pages allocated for it are there to give back");

  sim_take_ok (book, A, SIM_2M, 150, "0");
  sim_admin (sim, 0, SIM_2M, 60); /* smaller than it was: it stays */
  sim_release_ok (book, A);
  sim_assert_pool (sim, 0, SIM_2M, 60, 60);

  sim_admin (sim, 0, SIM_2M, 100);
  sim_take_ok (book, A, SIM_2M, 150, "0");
  sim_take_ok (book, B, SIM_2M, 30, "0");
  sim_admin (sim, 0, SIM_2M, 150); /* B's 30 are not A's to give */
  sim_release_ok (book, A);
  sim_assert_pool (sim, 0, SIM_2M, 130, 130);
  sim_release_ok (book, B);
  sim_assert_pool (sim, 0, SIM_2M, 100, 100);
}

/* Mapped by somebody, not touched yet: free by the kernel's count alone. */
static void
test_reserved (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, 0, SIM_2M, 50, 100);
  sim_write_file (sim, "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "30\n");
  sim_take_ok (book, A, SIM_2M, 40, "0");
  sim_assert_pool (sim, 0, SIM_2M, 70, 70);
  sim_release_ok (book, A);
  sim_assert_pool (sim, 0, SIM_2M, 50, 50);
}

typedef struct {
  VpBook *book;
  const char *uuid;
  char *message; /* NULL: it got its pages */
} Start;

static gpointer
start_guest (gpointer data)
{
  Start *start = data;
  g_autoptr (GArray) needs = sim_need (SIM_2M, 100, "0", TRUE);
  g_autoptr (GError) error = NULL;

  if (!vp_book_take_pages (start->book, start->uuid, start->uuid, needs, TRUE, sim_in_ms (100), &error))
    start->message = g_strdup (error->message);
  return NULL;
}

/* Two starts for the last pages: one gets them all, the other the numbers. */
static void
test_race (void)
{
  for (guint round = 0; round < 10; round++) {
    g_autoptr (Sim) sim = sim_new (1);
    g_autoptr (VpBook) book = sim_load (sim);
    Start starts[] = { { book, A, NULL }, { book, B, NULL } };
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
    sim_assert_pool (sim, 0, SIM_2M, 100, 100);
    sim_release_ok (book, winner->uuid);
    sim_assert_pool (sim, 0, SIM_2M, 30, 30);
    g_free (loser->message);
  }
}

static gpointer
end_later (gpointer data)
{
  g_usleep (50 * G_TIME_SPAN_MILLISECOND);
  (void) vp_book_release (data, A, sim_in_ms (0));
  return NULL;
}

/* A guest that ends while another one is short: what it gives back helps, though the start holds the lock. */
static void
test_wait_for_release (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);

  sim_set_pool (sim, 0, SIM_2M, 0, 100);
  sim_take_ok (book, A, SIM_2M, 100, "0");
  GThread *thread = g_thread_new ("end", end_later, book);
  sim_take_ok (book, B, SIM_2M, 60, "0"); /* A's pages are promised until it is released */
  (void) g_thread_join (thread);
  while (vp_book_retry (book))
    g_usleep (1000);
  sim_assert_pool (sim, 0, SIM_2M, 60, 60);
  sim_release_ok (book, B);
  sim_assert_pool (sim, 0, SIM_2M, 0, 0);
}

/* libvirt gave up, and releases while the pages are still being allocated. */
static void
test_release_amid_take (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GArray) needs = sim_need (SIM_2M, 100, NULL, FALSE);

  sim_set_pool (sim, 0, SIM_2M, 0, 50);
  GThread *thread = g_thread_new ("end", end_later, book);
  sim_take_refused (book, A, needs, TRUE, 5000, "the start was given up while its hugepages were allocated");
  (void) g_thread_join (thread);
  g_assert_false (vp_book_retry (book));
  sim_assert_pool (sim, 0, SIM_2M, 0, 0);
  g_assert_null (vp_book_dup (book, A));
}

static void
set_memory (Sim *sim, guint64 available_mib, guint64 hugepages_mib)
{
  g_autofree char *text = g_strdup_printf ("MemTotal: 10240000 kB\nMemAvailable: %" G_GUINT64_FORMAT
                                           " kB\nHugetlb: %" G_GUINT64_FORMAT " kB\nHugepagesize: 2048 kB\n",
                                           available_mib * 1024, hugepages_mib * 1024);

  sim_write_file (sim, "proc/meminfo", text);
}

/* 10000 MiB of memory; a tenth of what is not in the host's own hugepages stays. */
static void
test_keep (void)
{
  g_autoptr (Sim) sim = sim_new (1);
  g_autoptr (VpBook) book = sim_load (sim);
  g_autoptr (GArray) too_many = sim_need (SIM_2M, 3501, "0", TRUE);

  sim_set_pool (sim, 0, SIM_2M, 0, 5000);
  vp_book_set_keep (book, (VpMemoryKeep){ .percent = 10 });
  set_memory (sim, 8000, 0);
  sim_take_refused (book, A, too_many, TRUE, 100,
                    "3501 needed, 0 free, 0 allocated: the missing 3501 take 7002 MiB, 8000 MiB of memory are "
                    "available, and 1000 MiB have to stay so (keep-available=10% in |vfio-profile.conf)");
  sim_assert_pool (sim, 0, SIM_2M, 0, 0);
  sim_take_ok (book, A, SIM_2M, 3500, "0");
  /* What a guest got counts as it did before; with the host's own pool less has to stay. */
  set_memory (sim, 1000, 7000);
  sim_take_refused (book, B, too_many, TRUE, 0, "1000 MiB have to stay so");
  set_memory (sim, 1000, 8000);
  sim_take_refused (book, B, too_many, TRUE, 0, "900 MiB have to stay so");
  sim_release_ok (book, A);
  /* What is free in the pool is no matter of memory. */
  sim_admin (sim, 0, SIM_2M, 3501);
  set_memory (sim, 0, 7002);
  sim_take_ok (book, B, SIM_2M, 3501, "0");
  vp_book_set_keep (book, (VpMemoryKeep){ .kib = 2 * SIM_1G });
  sim_take_refused (book, A, too_many, TRUE, 0, "2048 MiB have to stay so (keep-available=2G in ");
}

static const SimTest tests[] = {
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
  { "keep", test_keep },
};

int
main (int argc, char **argv)
{
  return sim_run_tests (argc, argv, "/book/", tests, G_N_ELEMENTS (tests));
}
