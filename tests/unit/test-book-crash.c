/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fault injection. A child does what a daemon does for a guest, on a kernel of
 * files, and dies at step 1, 2, 3 … of all writes to the journal and the kernel: before each
 * and after each, between a file's write and its rename, and amid a pool's growth.
 * Each time the next daemon finds the guest gone, or finds it running until it
 * ends; then everything is as it was before the guest.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "made-claim.h"
#include "sim-book.h"

#define GUEST A
#define OTHER B
#define CRASHED 77
#define GOVERNOR "sys/sim/governor"
#define IRQ "sys/sim/irq"
#define MOST_STEPS 2000u

typedef struct {
  const char *name;
  guint least_steps;                       /* that it must have, or it did not do what it is for */
  void (*set_up) (Sim *sim, VpBook *book); /* before the guest: what must be there afterwards */
  void (*run) (Sim *sim, VpBook *book);
} Scenario;

static gboolean
take (VpBook *book, const char *uuid, guint64 kib, guint64 pages, const char *nodes, gint64 ms)
{
  g_autoptr (GArray) needs = g_array_new (FALSE, TRUE, sizeof (VpPageNeed));
  VpPageNeed need = { kib, pages, vp_list_parse (nodes), nodes != NULL };

  g_array_set_clear_func (needs, (GDestroyNotify) vp_page_need_clear);
  g_array_append_val (needs, need);
  return vp_book_take_pages (book, uuid, uuid, needs, TRUE, sim_in_ms (ms), NULL);
}

static void
give_back (VpBook *book, const char *uuid)
{
  (void) vp_book_release (book, uuid, sim_in_ms (1000));
  for (guint i = 0; i < 100 && vp_book_retry (book); i++)
    continue;
  g_assert_false (vp_book_retry (book));
}

/* All pages that are in use are let go: those of the guest; no other one maps any here. */
static void
let_all_go (Sim *sim, int node, guint64 kib)
{
  guint64 used = sim_read (sim, node, kib, "nr_hugepages") - sim_read (sim, node, kib, "free_hugepages");

  sim_let_go (sim, node, kib, used);
}

static void
end_guest (Sim *sim)
{
  for (int node = 0; node < 2; node++) {
    let_all_go (sim, node, SIM_2M);
    let_all_go (sim, node, SIM_1G);
  }
}

/* The whole life of a guest: pool first, then three writes of the kernel's. */
static void
set_up_plain (Sim *sim, VpBook *book)
{
  (void) book;
  sim_set_pool (sim, 0, SIM_2M, 100, 3000);
}

static void
run_plain (Sim *sim, VpBook *book)
{
  g_assert_true (take (book, GUEST, SIM_2M, 1300, "0", 1000));
  sim_use (sim, 0, SIM_2M, 1300);
  vp_book_started (book, GUEST);
  end_guest (sim);
  give_back (book, GUEST);
}

static void
run_small (Sim *sim, VpBook *book)
{
  g_assert_true (take (book, GUEST, SIM_2M, 103, "0", 1000));
  sim_use (sim, 0, SIM_2M, 103);
  vp_book_started (book, GUEST);
  end_guest (sim);
  give_back (book, GUEST);
}

static void
set_up_refused (Sim *sim, VpBook *book)
{
  (void) book;
  sim_set_pool (sim, 0, SIM_2M, 10, 20);
}

static void
run_refused (Sim *sim, VpBook *book)
{
  (void) sim;
  g_assert_false (take (book, GUEST, SIM_2M, 50, "0", 30));
}

static void
set_up_compaction (Sim *sim, VpBook *book)
{
  (void) book;
  sim_set_pool (sim, 0, SIM_2M, 0, 8);
  sim_set_knob (sim, "compact-at", 2);
  sim_set_knob (sim, "compact-gain", 10);
}

static void
run_compaction (Sim *sim, VpBook *book)
{
  (void) sim;
  g_assert_true (take (book, GUEST, SIM_2M, 16, "0", 5000));
  give_back (book, GUEST);
}

static void
set_up_spread (Sim *sim, VpBook *book)
{
  (void) book;
  sim_set_pool (sim, 0, SIM_1G, 1, 2);
  sim_set_pool (sim, 1, SIM_1G, 0, 20);
}

static void
run_spread (Sim *sim, VpBook *book)
{
  g_assert_true (take (book, GUEST, SIM_1G, 9, NULL, 1000));
  sim_use (sim, 1, SIM_1G, 4);
  vp_book_started (book, GUEST);
  end_guest (sim);
  give_back (book, GUEST);
}

/* A kernel that says no, and one that gives back a little at a time. */
static void
set_up_busy (Sim *sim, VpBook *book)
{
  (void) book;
  sim_set_pool (sim, 0, SIM_2M, 3, 40);
  sim_set_knob (sim, "refuse", 2);
  sim_set_knob (sim, "slow", 4);
}

static void
run_busy (Sim *sim, VpBook *book)
{
  g_assert_true (take (book, GUEST, SIM_2M, 15, "0", 5000));
  sim_set_knob (sim, "refuse", 1);
  give_back (book, GUEST);
}

/* Another guest has pages in the same pool, and goes on running. */
static void
set_up_beside (Sim *sim, VpBook *book)
{
  sim_set_pool (sim, 0, SIM_2M, 10, 100);
  g_assert_true (take (book, OTHER, SIM_2M, 30, "0", 1000));
  vp_book_started (book, OTHER);
}

static void
run_beside (Sim *sim, VpBook *book)
{
  g_assert_true (take (book, GUEST, SIM_2M, 60, "0", 1000));
  sim_use (sim, 0, SIM_2M, 60);
  vp_book_started (book, GUEST);
  end_guest (sim);
  give_back (book, GUEST);
}

static void
change (VpBook *book, const char *uuid, const char *path, const char *text)
{
  g_assert_true (vp_book_change (book, uuid, uuid, VP_HOLDING_FILE, path, text, sim_in_ms (1000), NULL));
}

static void
set_up_files (Sim *sim, VpBook *book)
{
  sim_write_file (sim, GOVERNOR, "powersave\n");
  sim_write_file (sim, IRQ, "0-7\n");
  (void) book;
}

static void
run_files (Sim *sim, VpBook *book)
{
  sim_set_pool (sim, 0, SIM_2M, 0, 10);
  made_claim_ok (book, GUEST, "guest", "2-5", "0000:01:00.0");
  change (book, GUEST, GOVERNOR, "performance");
  change (book, GUEST, IRQ, "0-1,6-7");
  vp_book_started (book, GUEST);
  give_back (book, GUEST);
}

static void
set_up_small_pool (Sim *sim, VpBook *book)
{
  sim_set_pool (sim, 0, SIM_2M, 0, 10);
  set_up_files (sim, book);
}

/* Two guests on one core, in the order in which they came and left, and the other way round. */
static void
run_heirs (Sim *sim, VpBook *book)
{
  (void) sim;
  change (book, GUEST, GOVERNOR, "performance");
  change (book, OTHER, GOVERNOR, "performance");
  change (book, GUEST, IRQ, "0-3");
  change (book, OTHER, IRQ, "0-1");
  give_back (book, GUEST);
  give_back (book, OTHER);
}

/* The guest ends while another one is starting on its pages, which it then gives back later. */
static void
run_promised (Sim *sim, VpBook *book)
{
  g_assert_true (take (book, GUEST, SIM_2M, 130, "0", 1000));
  sim_use (sim, 0, SIM_2M, 130);
  vp_book_started (book, GUEST);
  end_guest (sim);
  g_assert_true (take (book, OTHER, SIM_2M, 120, "0", 1000));
  g_assert_false (vp_book_release (book, GUEST, sim_in_ms (1000)));
  sim_use (sim, 0, SIM_2M, 120);
  vp_book_started (book, OTHER);
  g_assert_false (vp_book_retry (book));
  end_guest (sim);
  give_back (book, OTHER);
}

static const Scenario scenarios[] = {
  { "plain", 40, set_up_plain, run_plain },
  { "refused", 20, set_up_refused, run_refused },
  { "compaction", 40, set_up_compaction, run_compaction },
  { "spread", 40, set_up_spread, run_spread },
  { "busy", 60, set_up_busy, run_busy },
  { "beside", 30, set_up_beside, run_beside },
  { "promised", 40, set_up_plain, run_promised },
  { "files", 30, set_up_small_pool, run_files },
  { "heirs", 30, set_up_files, run_heirs },
};

static Sim *
new_host (const Scenario *scenario)
{
  Sim *sim = sim_new (2);
  g_autoptr (VpBook) book = sim_load (sim);

  scenario->set_up (sim, book);
  return sim;
}

static void
recover_gone (Sim *sim, const char *const *others)
{
  g_autoptr (VpBook) book = sim_load (sim);

  vp_book_reconcile (book, others);
  give_back (book, GUEST);
}

/* FALSE: it came to its end. */
static gboolean
run_until (Sim *host, guint step, void (*func) (Sim *sim, gconstpointer data), gconstpointer data)
{
  int status = 0;
  pid_t child = fork ();

  g_assert_cmpint (child, >=, 0);
  if (child == 0) {
    Sim *sim = sim_new_at (host->path);
    sim->exit_at = step;
    func (sim, data);
    _exit (0);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_true (WEXITSTATUS (status) == CRASHED || WEXITSTATUS (status) == 0);
  return WEXITSTATUS (status) == CRASHED;
}

static void
run_scenario (Sim *sim, gconstpointer data)
{
  const Scenario *scenario = data;

  scenario->run (sim, sim_load (sim));
}

static void
run_recovery (Sim *sim, gconstpointer data)
{
  recover_gone (sim, data);
}

static const char *const nobody[] = { NULL };
static const char *const other[] = { OTHER, NULL };
static const char *const both[] = { GUEST, OTHER, NULL };

static gboolean
has_other (const Scenario *scenario)
{
  return scenario->set_up == set_up_beside;
}

static gboolean
crash_then_gone (const Scenario *scenario, guint step)
{
  g_autoptr (Sim) sim = new_host (scenario);
  g_autofree char *before = sim_snapshot (sim);
  gboolean crashed = run_until (sim, step, run_scenario, scenario);

  end_guest (sim);
  recover_gone (sim, has_other (scenario) ? other : nobody);
  g_autofree char *after = sim_snapshot (sim);
  if (strcmp (after, before) != 0)
    g_error ("%s, step %u, gone: before:\n%safter:\n%s", scenario->name, step, before, after);
  return crashed;
}

static void
crash_then_runs (const Scenario *scenario, guint step)
{
  g_autoptr (Sim) sim = new_host (scenario);
  g_autofree char *before = sim_snapshot (sim);

  (void) run_until (sim, step, run_scenario, scenario);
  {
    g_autoptr (VpBook) book = sim_load (sim);
    vp_book_reconcile (book, both);
    g_autoptr (VpHolding) holding = vp_book_dup (book, GUEST);
    g_assert_true (holding == NULL || holding->state == VP_HOLDING_RUNNING);
    end_guest (sim);
    if (!has_other (scenario))
      give_back (book, OTHER);
    give_back (book, GUEST);
  }
  g_autofree char *after = sim_snapshot (sim);
  if (strcmp (after, before) != 0)
    g_error ("%s, step %u, running: before:\n%safter:\n%s", scenario->name, step, before, after);
}

static void
test_each_step (gconstpointer data)
{
  const Scenario *scenario = data;
  guint step = 1;

  for (; step < MOST_STEPS && crash_then_gone (scenario, step); step++)
    crash_then_runs (scenario, step);
  g_test_message ("%u steps", step - 1);
  g_assert_cmpuint (step, >, scenario->least_steps);
  g_assert_cmpuint (step, <, MOST_STEPS);
}

/* The next daemon dies as well, amid its clearing up; every other step of both will do. */
static void
test_twice (void)
{
  static const Scenario small = { "twice", 0, set_up_plain, run_small };
  guint rounds = 0;
  gboolean crashed = TRUE;

  for (guint step = 1; crashed; step += 2) {
    gboolean again = TRUE;
    for (guint second = 1; again; second += 2, rounds++) {
      g_autoptr (Sim) sim = new_host (&small);
      g_autofree char *before = sim_snapshot (sim);
      crashed = run_until (sim, step, run_scenario, &small);
      end_guest (sim);
      again = run_until (sim, second, run_recovery, nobody);
      recover_gone (sim, nobody);
      g_autofree char *after = sim_snapshot (sim);
      if (strcmp (after, before) != 0)
        g_error ("step %u, then %u: before:\n%safter:\n%s", step, second, before, after);
    }
  }
  g_test_message ("%u times", rounds);
  g_assert_cmpuint (rounds, >, 100);
}

static GLogWriterOutput
drop_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default (level, fields, n_fields, data) : G_LOG_WRITER_HANDLED;
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL); /* a busy kernel is warned of */
  g_log_set_writer_func (drop_log, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (scenarios); i++) {
    g_autofree char *path = g_strconcat ("/book/crash/", scenarios[i].name, NULL);
    g_test_add_data_func (path, &scenarios[i], test_each_step);
  }
  g_test_add_func ("/book/crash/twice", test_twice);
  return g_test_run ();
}
