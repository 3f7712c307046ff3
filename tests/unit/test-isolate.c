/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Governors and interrupts of guests that come and go, on made hosts. What asks systemd has a test of its own. */
#include <sys/wait.h>

#include "isolate-host.h"

#define N_IRQS 8 /* of the random test: the journal is synced twice for each */
#define POLICIES "sys/devices/system/cpu/cpufreq"

/* Two CPUs to a policy, as where SMT siblings share a clock: 0-1, 2-3, 4-5, 6-7. */
static void
make_policies (const IsolateHost *host, const char *governor, const char *available)
{
  for (guint cpu = 0; cpu < 8; cpu++) {
    g_autofree char *policy = g_strdup_printf (POLICIES "/policy%u", cpu / 2 * 2);
    g_autofree char *file = g_build_filename (policy, "scaling_governor", NULL);
    g_autofree char *list = g_build_filename (policy, "scaling_available_governors", NULL);
    g_autofree char *preference = g_build_filename (policy, "energy_performance_preference", NULL);
    g_autofree char *link = g_strdup_printf ("sys/devices/system/cpu/cpu%u/cpufreq", cpu);
    g_autofree char *target = g_strdup_printf ("../cpufreq/policy%u", cpu / 2 * 2);
    made_file (host->tree, file, governor);
    made_file (host->tree, list, available);
    made_file (host->tree, preference, "balance_performance\n");
    made_link (host->tree, link, target);
  }
}

static void
assert_governors (const IsolateHost *host, const char *expected)
{
  g_auto (GStrv) list = g_strsplit (expected, " ", -1);

  for (guint i = 0; list[i] != NULL; i++) {
    g_autofree char *file = g_strdup_printf (POLICIES "/policy%u/scaling_governor", i * 2);
    isolate_assert_file (host, file, list[i]);
  }
}

static guint
count_records (const IsolateHost *host, const char *uuid)
{
  g_autoptr (VpHolding) holding = vp_book_dup (host->book, uuid);

  return holding != NULL ? holding->records->len : 0;
}

static void
test_governor (void)
{
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);

  make_policies (host, "schedutil\n", "conservative ondemand userspace powersave performance schedutil \n");
  isolate_start (host, A, "2-4", "governor");
  isolate_assert_warned (host, NULL);
  assert_governors (host, "schedutil performance performance schedutil");
  g_assert_cmpuint (count_records (host, A), ==, 2); /* CPUs 2 and 3 share a policy */
  isolate_assert_file (host, POLICIES "/policy2/energy_performance_preference", "balance_performance");
  isolate_end (host, A);
  assert_governors (host, "schedutil schedutil schedutil schedutil");
  isolate_assert_clean (host);
}

/* Guests that share a policy, in each order in which they may end. */
static void
test_governor_shared (void)
{
  static const char *const orders[][3] = {
    { A, B, C }, { A, C, B }, { B, A, C }, { B, C, A }, { C, A, B }, { C, B, A }
  };

  for (guint i = 0; i < G_N_ELEMENTS (orders); i++) {
    g_autoptr (IsolateHost) host = isolate_host_new (NULL);
    make_policies (host, "powersave\n", "performance powersave\n");
    isolate_start (host, A, "2", "governor");
    isolate_assert_warned (host, NULL);
    isolate_start (host, B, "3", "governor");
    isolate_assert_warned (host, NULL);
    isolate_start (host, C, "2-3", "governor");
    isolate_assert_warned (host, NULL);
    for (guint j = 0; j < 3; j++) {
      assert_governors (host, "powersave performance powersave powersave");
      isolate_end (host, orders[i][j]);
    }
    assert_governors (host, "powersave powersave powersave powersave");
    isolate_assert_clean (host);
  }
}

static void
test_governor_missing (void)
{
  g_autoptr (IsolateHost) virtual = isolate_host_new (NULL);
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);
  g_autoptr (IsolateHost) own = isolate_host_new (NULL);

  isolate_start (virtual, A, "2-3", "governor");
  isolate_assert_warned (virtual, NULL); /* there is nothing to do */

  make_policies (host, "schedutil\n", "powersave schedutil\n");
  isolate_start (host, A, "2-3", "governor");
  isolate_assert_warned (host, "the driver has no 'performance' (it has: powersave schedutil)");
  assert_governors (host, "schedutil schedutil schedutil schedutil");

  /* The administrator's own choice is no change of ours. */
  make_policies (own, "performance\n", "performance powersave\n");
  isolate_start (own, A, "2-3", "governor");
  g_assert_cmpuint (count_records (own, A), ==, 0);
}

static void
make_irq (const IsolateHost *host, guint irq, const char *list, const char *action)
{
  g_autofree char *file = g_strdup_printf ("proc/irq/%u/smp_affinity_list", irq);
  g_autofree char *child = g_strdup_printf ("proc/irq/%u/%s/spurious", irq, action);
  g_autofree char *line = g_strconcat (list, "\n", NULL);

  made_file (host->tree, file, line);
  made_file (host->tree, child, "");
}

static void
assert_irq (const IsolateHost *host, guint irq, const char *list)
{
  g_autofree char *file = g_strdup_printf ("proc/irq/%u/smp_affinity_list", irq);

  isolate_assert_file (host, file, list);
}

static void
make_irqs (IsolateHost *host)
{
  made_file (host->tree, "proc/irq/default_smp_affinity", "ff\n");
  make_irq (host, 0, "0", "timer");
  make_irq (host, 9, "0-7", "acpi");
  make_irq (host, 16, "2", "ehci_hcd:usb1");
  make_irq (host, 17, "2-3,5", "snd_hda_intel:card0");
  make_irq (host, 101, "2", "nvme0q3");
  make_irq (host, 102, "6", "nvme0q7");
}

static void
assert_irqs_as_made (const IsolateHost *host)
{
  isolate_assert_file (host, "proc/irq/default_smp_affinity", "ff");
  assert_irq (host, 0, "0");
  assert_irq (host, 9, "0-7");
  assert_irq (host, 16, "2");
  assert_irq (host, 17, "2-3,5");
  assert_irq (host, 101, "2");
  assert_irq (host, 102, "6");
}

static void
test_irqs (void)
{
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);

  make_irqs (host);
  isolate_start (host, A, "2-3", "irqs");
  isolate_assert_warned (host, NULL); /* what the kernel manages is no news */
  isolate_assert_file (host, "proc/irq/default_smp_affinity", "f3");
  assert_irq (host, 0, "0");
  assert_irq (host, 9, "0-1,4-7");
  assert_irq (host, 16, "0-1,4-7"); /* nothing of its own was left */
  assert_irq (host, 17, "5");
  assert_irq (host, 101, "2");
  g_assert_cmpuint (count_records (host, A), ==, 4);
  isolate_end (host, A);
  assert_irqs_as_made (host);
  isolate_assert_clean (host);
}

static void
test_irqs_two (void)
{
  static const char *const orders[][2] = { { A, B }, { B, A } };

  for (guint i = 0; i < G_N_ELEMENTS (orders); i++) {
    g_autoptr (IsolateHost) host = isolate_host_new (NULL);
    make_irqs (host);
    isolate_start (host, A, "2-3", "irqs");
    isolate_start (host, B, "4-5", "irqs");
    isolate_assert_file (host, "proc/irq/default_smp_affinity", "c3");
    assert_irq (host, 9, "0-1,6-7");
    assert_irq (host, 16, "0-1,6-7");
    assert_irq (host, 17, "0-1,6-7");
    isolate_end (host, orders[i][0]);
    isolate_end (host, orders[i][1]);
    assert_irqs_as_made (host);
    isolate_assert_clean (host);
  }
}

/* C gets the CPUs of A, which ended; then B ends, which had found them without A's. */
static void
test_irqs_late (void)
{
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);

  make_irqs (host);
  isolate_start (host, A, "2-3", "irqs");
  isolate_start (host, B, "4-5", "irqs");
  isolate_end (host, A);
  isolate_start (host, C, "2-3", "irqs");
  isolate_end (host, B);
  assert_irq (host, 9, "0-1,6-7");
  assert_irq (host, 16, "0-1,6-7");
  isolate_assert_file (host, "proc/irq/default_smp_affinity", "c3");
  isolate_end (host, C);
  assert_irqs_as_made (host);
  isolate_assert_clean (host);
}

/* One in the middle shares a CPU with the first, so it changes nothing; it is kept free all the same. */
static void
test_irqs_middle (void)
{
  static const char *const roles[][3] = {
    { A, B, C }, { A, C, B }, { B, A, C }, { B, C, A }, { C, A, B }, { C, B, A }
  };

  for (guint i = 0; i < G_N_ELEMENTS (roles); i++) {
    g_autoptr (IsolateHost) host = isolate_host_new (NULL);
    make_irqs (host);
    isolate_start (host, roles[i][0], "4-5", "irqs");
    isolate_start (host, roles[i][1], "5", "irqs");
    isolate_start (host, roles[i][2], "6-7", "irqs");
    isolate_end (host, roles[i][0]);
    isolate_end (host, roles[i][2]);
    assert_irq (host, 9, "0-3,6-7");
    isolate_end (host, roles[i][1]);
    assert_irqs_as_made (host);
  }
}

static void
test_irqs_assigned (void)
{
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);

  make_irqs (host);
  make_irq (host, 30, "0-7", "vfio-msix[0](0000:01:00.0)");
  make_irq (host, 31, "4", "vfio-msi[0](0000:02:00.0)");
  isolate_start (host, A, "2-3", ""); /* it asks for nothing, but has them */
  isolate_start (host, B, "4-5", "irqs");
  assert_irq (host, 30, "0-3,6-7"); /* A's device may go on coming to A's CPUs */
  assert_irq (host, 31, "0-1,6-7");
  assert_irq (host, 9, "0-1,6-7");
}

static void
test_irqs_obstacles (void)
{
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);
  g_autoptr (IsolateHost) full = isolate_host_new (NULL);
  g_autoptr (IsolateHost) managed = isolate_host_new (NULL);

  make_irqs (host);
  made_file (host->tree, "proc/812/comm", "irqbalance\n");
  isolate_start (host, A, "2-3", "irqs");
  isolate_assert_warned (host, "IRQBALANCE_BANNED_CPULIST=2-3");
  isolate_start (host, B, NULL, "irqs");
  isolate_assert_warned (host, "cpu.pin");

  make_irqs (full);
  made_claim_ok (full->book, B, "b", "0-3", NULL);
  isolate_start (full, A, "4-7", "irqs");
  isolate_assert_warned (full, "none is left");
  assert_irqs_as_made (full);

  make_irq (managed, 101, "2", "nvme0q3");
  make_irq (managed, 102, "3", "nvme0q4");
  isolate_start (managed, A, "2-3", "irqs");
  isolate_assert_warned (managed, "none of the 2 interrupts");
}

/* More CPUs than fit in one group of the mask. */
static void
test_irqs_wide (void)
{
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);

  made_file (host->tree, "sys/devices/system/cpu/online", "0-99\n");
  made_file (host->tree, "proc/irq/default_smp_affinity", "f,ffffffff,ffffffff,ffffffff\n");
  isolate_start (host, A, "0,31-32,95-97", "irqs");
  isolate_assert_file (host, "proc/irq/default_smp_affinity", "c,7fffffff,fffffffe,7ffffffe");
  isolate_end (host, A);
  isolate_assert_file (host, "proc/irq/default_smp_affinity", "f,ffffffff,ffffffff,ffffffff");
}

/* Nothing that can be moved comes to the CPUs of one who runs. */
static void
assert_free (const IsolateHost *host, hwloc_const_bitmap_t cpus)
{
  for (guint irq = 0; irq < N_IRQS; irq++) {
    g_autofree char *file = g_strdup_printf ("proc/irq/%u/smp_affinity_list", irq);
    g_autofree char *text = isolate_read (host, file);
    hwloc_bitmap_t now = vp_list_parse (text);
    g_assert_nonnull (now);
    if (hwloc_bitmap_intersects (now, cpus))
      g_error ("%s is '%s'", file, text);
    hwloc_bitmap_free (now);
  }
}

/* Guests come and go as they like; the daemon starts anew now and then. */
static void
test_random (void)
{
  static const char *const uuids[] = { A, B, C };
  static const char *const cpus[] = { "1-2", "3-4", "5-6", "2-3", "4-6", "1", "6-7" };
  const char *held[3] = { NULL, NULL, NULL };
  g_autoptr (IsolateHost) host = isolate_host_new (NULL);
  g_autofree char *before[N_IRQS] = { NULL };

  make_policies (host, "powersave\n", "performance powersave\n");
  for (guint irq = 0; irq < N_IRQS; irq++) {
    g_autofree char *list = g_strdup_printf ("%d-%d", g_test_rand_int_range (0, 4), g_test_rand_int_range (4, 8));
    make_irq (host, irq, irq % 3 == 0 ? "0-7" : list, "eth0");
    before[irq] = g_strdup (irq % 3 == 0 ? "0-7" : list);
  }
  for (guint round = 0; round < 60; round++) {
    guint guest = (guint) g_test_rand_int_range (0, 3);
    const char *wanted = cpus[g_test_rand_int_range (0, G_N_ELEMENTS (cpus))];
    if (held[guest] != NULL)
      isolate_end (host, uuids[guest]);
    else
      isolate_start (host, uuids[guest], wanted, "irqs governor");
    held[guest] = held[guest] != NULL ? NULL : wanted;
    if (g_test_rand_int_range (0, 10) == 0) {
      isolate_host_stop (host);
      isolate_host_start (host);
    }
    for (guint i = 0; i < 3; i++) {
      hwloc_bitmap_t set = vp_list_parse (held[i]);
      if (set != NULL)
        assert_free (host, set);
      hwloc_bitmap_free (set);
    }
  }
  for (guint i = 0; i < 3; i++)
    if (held[i] != NULL)
      isolate_end (host, uuids[i]);
  for (guint irq = 0; irq < N_IRQS; irq++) {
    assert_irq (host, irq, before[irq]);
    g_free (before[irq]);
    before[irq] = NULL;
  }
  assert_governors (host, "powersave powersave powersave powersave");
  isolate_assert_clean (host);
}

/* A daemon that was killed in the middle, at each change of a file in turn. */
typedef struct {
  IsolateHost *host;
  guint left;
} Killer;

static void
maybe_die (const char *what, const char *path, gpointer data)
{
  Killer *killer = data;

  (void) what;
  (void) path;
  if (--killer->left == 0)
    _exit (77);
}

static int
write_or_refuse (const char *path, const char *text, gpointer data)
{
  const Killer *killer = data;

  return isolate_host_write (path, text, killer->host);
}

static gboolean
run_until (IsolateHost *host, guint step)
{
  int status = 0;
  pid_t child = fork ();

  g_assert_cmpint (child, >=, 0);
  if (child == 0) {
    Killer killer = { host, step };
    const VpRootShim shim = { .step = maybe_die, .write = write_or_refuse, .data = &killer };
    vp_root_set_shim (host->root, &shim);
    isolate_start (host, A, "2-3", "irqs governor");
    isolate_end (host, A);
    _exit (0);
  }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_true (WEXITSTATUS (status) == 0 || WEXITSTATUS (status) == 77);
  return WEXITSTATUS (status) == 77;
}

static void
test_crash (void)
{
  static const char *const nobody[] = { NULL };
  gboolean died = TRUE;
  guint steps = 0;

  for (guint step = 1; died; step++) {
    g_autoptr (IsolateHost) host = isolate_host_new (NULL);
    make_irqs (host);
    make_policies (host, "powersave\n", "performance powersave\n");
    died = run_until (host, step);
    isolate_host_stop (host);
    isolate_host_start (host);
    vp_book_reconcile (host->book, nobody);
    assert_irqs_as_made (host);
    assert_governors (host, "powersave powersave powersave powersave");
    isolate_assert_clean (host);
    steps = step;
  }
  g_assert_cmpuint (steps, >, 50);
  g_test_message ("killed at %u steps", steps - 1);
}

static GLogWriterOutput
ignore_messages (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  return level == G_LOG_LEVEL_MESSAGE ? G_LOG_WRITER_HANDLED : g_log_writer_default (level, fields, n_fields, data);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (ignore_messages, NULL, NULL);
  g_test_add_func ("/isolate/governor", test_governor);
  g_test_add_func ("/isolate/governor/shared", test_governor_shared);
  g_test_add_func ("/isolate/governor/missing", test_governor_missing);
  g_test_add_func ("/isolate/irqs", test_irqs);
  g_test_add_func ("/isolate/irqs/two", test_irqs_two);
  g_test_add_func ("/isolate/irqs/late", test_irqs_late);
  g_test_add_func ("/isolate/irqs/middle", test_irqs_middle);
  g_test_add_func ("/isolate/irqs/assigned", test_irqs_assigned);
  g_test_add_func ("/isolate/irqs/obstacles", test_irqs_obstacles);
  g_test_add_func ("/isolate/irqs/wide", test_irqs_wide);
  g_test_add_func ("/isolate/random", test_random);
  g_test_add_func ("/isolate/crash", test_crash);
  return g_test_run ();
}
