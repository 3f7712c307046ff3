/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts leave the guest's CPUs, for those that no guest has.
 *
 * Guests that come and go in any order: one that starts also notes each file that
 * another guest has changed, though it need not change it itself. So it stands in that
 * file's chain in the journal, and a guest before it that ends hands its old value on
 * instead of writing it, with our CPUs in it.
 *
 * New interrupts, too: default_smp_affinity. Those of the guest's own assigned device
 * come when it has started, and then go to the host's CPUs like all others. That is where
 * they disturb least: from there KVM posts them to a vCPU that runs, while one that comes
 * to the vCPU's own CPU makes it leave the guest.
 */
#include "daemon/hold/isolate-parts.h"

#include <string.h>

#define IRQS "proc/irq"
#define DEFAULT IRQS "/default_smp_affinity"

typedef struct {
  const VpIsolateTask *task;
  VpBitmap *rest;      /* CPUs that are on and no guest's */
  GHashTable *changed; /* files that other guests changed */
  guint n_moved;
  guint n_kept;
  char *reason; /* of the first that was kept */
} Move;

/* Hexadecimal, in groups of 8 digits with commas between them. */
static VpBitmap *
parse_mask (const char *text)
{
  g_auto (GStrv) groups = g_strsplit (text, ",", -1);
  g_autofree char *digits = g_strjoinv ("", groups);
  g_autoptr (VpBitmap) mask = hwloc_bitmap_alloc ();

  if (digits[0] == '\0' || digits[strspn (digits, "0123456789abcdefABCDEF")] != '\0' ||
      hwloc_bitmap_taskset_sscanf (mask, digits) != 0)
    return NULL;
  return g_steal_pointer (&mask);
}

static char *
dup_mask (const VpBitmap *mask)
{
  int last = hwloc_bitmap_last (mask);
  GString *text = g_string_new (NULL);

  for (int group = last / 32; group >= 0; group--)
    g_string_append_printf (text, text->len > 0 ? ",%08lx" : "%lx",
                            hwloc_bitmap_to_ith_ulong (mask, (unsigned) group * 32 / (sizeof (long) * 8)) >>
                                (sizeof (long) == 8 && group % 2 == 1 ? 32 : 0) &
                              0xffffffffUL);
  return g_string_free (text, FALSE);
}

/* One of QEMU's for an assigned device. */
static gboolean
is_assigned (const VpRoot *root, const char *folder)
{
  g_auto (GStrv) names = vp_root_list (root, folder);

  for (guint i = 0; names[i] != NULL; i++)
    if (g_str_has_prefix (names[i], "vfio-"))
      return TRUE;
  return FALSE;
}

/* FALSE: busy until the deadline. */
static gboolean
change (Move *move, const char *file, const char *value, GError **error)
{
  g_autofree char *reason = NULL;

  if (!vp_isolate_change (move->task, VP_HOLDING_FILE, file, value, &reason, error))
    return FALSE;
  if (reason == NULL)
    move->n_moved++;
  else
    move->n_kept++;
  if (move->reason == NULL)
    move->reason = g_steal_pointer (&reason);
  return TRUE;
}

/* Whether the file has to be changed; `cpus` becomes what shall be in it. */
static gboolean
choose (const Move *move, const char *file, hwloc_const_bitmap_t leave, VpBitmap *cpus)
{
  gboolean is_ours = hwloc_bitmap_intersects (cpus, move->task->cpus) != 0;

  if (!is_ours)
    return g_hash_table_contains (move->changed, file);
  hwloc_bitmap_andnot (cpus, cpus, leave);
  if (hwloc_bitmap_iszero (cpus))
    hwloc_bitmap_copy (cpus, move->rest);
  return TRUE;
}

static gboolean
move_one (Move *move, const char *folder, GError **error)
{
  g_autofree char *file = g_build_filename (folder, "smp_affinity_list", NULL);
  g_autoptr (VpBitmap) cpus = vp_isolate_read_list (move->task->ground->root, file);
  g_autoptr (VpBitmap) leave = hwloc_bitmap_alloc ();

  /* Another guest's device stays on that guest's CPUs, if it is there; all else leaves those as well. */
  if (is_assigned (move->task->ground->root, folder))
    hwloc_bitmap_copy (leave, move->task->cpus);
  else
    hwloc_bitmap_not (leave, move->rest);
  if (cpus == NULL || !choose (move, file, leave, cpus))
    return TRUE;
  g_autofree char *list = vp_list_dup (cpus);
  return change (move, file, list, error);
}

static gboolean
move_new_ones (Move *move, GError **error)
{
  g_autofree char *text = vp_root_dup_text (move->task->ground->root, DEFAULT);
  g_autoptr (VpBitmap) cpus = text != NULL ? parse_mask (text) : NULL;
  g_autoptr (VpBitmap) leave = hwloc_bitmap_alloc ();
  guint kept = move->n_kept;

  hwloc_bitmap_not (leave, move->rest);
  if (cpus == NULL || !choose (move, DEFAULT, leave, cpus))
    return TRUE;
  g_autofree char *mask = dup_mask (cpus);
  if (!change (move, DEFAULT, mask, error))
    return FALSE;
  if (move->n_kept > kept)
    vp_isolate_warn (move->task, "new interrupts may come to its CPUs: %s", move->reason);
  return TRUE;
}

static gboolean
move_all (Move *move, GError **error)
{
  g_auto (GStrv) names = vp_root_list (move->task->ground->root, IRQS);

  if (!move_new_ones (move, error))
    return FALSE;
  move->n_moved = move->n_kept = 0;
  g_clear_pointer (&move->reason, g_free);
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *folder = g_build_filename (IRQS, names[i], NULL);
    if (!g_ascii_isdigit (names[i][0]))
      continue;
    if (g_get_monotonic_time () > move->task->deadline) {
      vp_isolate_warn (move->task, "there was no time to move interrupt %s and those after it off its CPUs", names[i]);
      break;
    }
    if (!move_one (move, folder, error))
      return FALSE;
  }
  return TRUE;
}

static void
report (const Move *move)
{
  if (move->n_kept == 0)
    return;
  if (move->n_moved == 0)
    vp_isolate_warn (move->task, "none of the %u interrupts that may come to its CPUs could be moved: %s", move->n_kept,
                     move->reason);
  else
    g_message ("domain '%s': %u interrupts were moved off its CPUs; %u stay, which the kernel does not let anybody "
               "move (the first: %s)",
               move->task->name, move->n_moved, move->n_kept, move->reason);
}

static gboolean
has_process (const VpRoot *root, const char *name)
{
  g_auto (GStrv) pids = vp_root_list (root, "proc");

  for (guint i = 0; pids[i] != NULL; i++) {
    g_autofree char *file = g_ascii_isdigit (pids[i][0]) ? g_build_filename ("proc", pids[i], "comm", NULL) : NULL;
    g_autofree char *comm = file != NULL ? vp_root_dup_text (root, file) : NULL;
    if (g_strcmp0 (comm, name) == 0)
      return TRUE;
  }
  return FALSE;
}

static void
warn_of_balancer (const VpIsolateTask *task)
{
  g_autofree char *list = vp_list_dup (task->cpus);

  if (has_process (task->ground->root, "irqbalance"))
    vp_isolate_warn (task,
                     "irqbalance runs and moves interrupts back to its CPUs: put "
                     "IRQBALANCE_BANNED_CPULIST=%s into /etc/default/irqbalance (or "
                     "/etc/sysconfig/irqbalance) and restart it",
                     list);
}

gboolean
vp_isolate_move_interrupts (const VpIsolateTask *task, GError **error)
{
  g_autofree char *others = vp_book_dup_cpus (task->ground->book, task->uuid);
  g_autoptr (VpBitmap) taken = vp_list_parse (others);
  g_autoptr (VpBitmap) rest = vp_isolate_read_online (task->ground->root);
  g_autoptr (GHashTable) changed = vp_isolate_list_changed (task, VP_HOLDING_FILE);
  Move move = { .task = task, .rest = rest, .changed = changed };

  if (taken != NULL)
    hwloc_bitmap_andnot (rest, rest, taken);
  hwloc_bitmap_andnot (rest, rest, task->cpus);
  if (hwloc_bitmap_iszero (rest)) {
    vp_isolate_warn (task, "interrupts stay on its CPUs: guests have all CPUs, none is left to move them to");
    return TRUE;
  }
  warn_of_balancer (task);
  gboolean in_time = move_all (&move, error);
  if (in_time)
    report (&move);
  g_free (move.reason);
  return in_time;
}
