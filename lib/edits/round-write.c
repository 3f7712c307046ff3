/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt has no compare-and-set. Between our read of a definition (B) and our
 * define (R) somebody may write M, which R then overwrites; and after R somebody
 * may write N. The watch has seen them all, in order:
 *
 *     B ── M ── R ── N          lost: M's edit of B
 *
 * Before each define an intent is on the disk (intents.h), and what the watch sees from
 * then on is saved beside it. After it we look at what came between (recovery.h): the sum
 * of it all is planned and defined in turn, until nothing came between. Then the intent
 * goes. One that is there at the beginning was left by a daemon that ended amid this.
 */
#include "edits/round.h"

#include "base/error.h"

/* Then the burst of edits is waited out, and what is left is taken up from the intent. */
#define MAX_ROUNDS 30         /* whoever edits builds on what he wrote, so it is put back at once */
#define MAX_ROUNDS_UNNOTED 50 /* where there is no intent to be taken up */
#define MAX_ROUNDS_LATE 1     /* where the watch may be late, each define amid edits is a risk */

static gboolean
define_result (const VpRound *round, GError **error)
{
  gboolean made = FALSE;

  if (round->plan != NULL && !vp_libvirt_prepare_files (round->plan, round->context->host, &made, error))
    return FALSE;
  if (made) {
    *round->context->wrapper_made = TRUE;
    /* The define would ask it too, but then the time between read and define would be seconds. */
    g_autofree char *wrapper = vp_domain_dup_emulator (round->result);
    vp_libvirt_warm (round->context->connection, wrapper);
  }
  return vp_libvirt_define (round->context->connection, round->result, error);
}

/* The plan of carry, or, where it cannot be planned, carry as it is: an edit is not lost because a profile is wrong. */
static void
plan_carry (VpRound *round, GError **problem)
{
  g_clear_pointer (&round->plan, vp_plan_free);
  g_clear_error (problem);
  round->plan = vp_round_plan (round, round->carry, problem);
  vp_round_set_result (round, round->plan != NULL ? round->plan->result : round->carry);
}

/* B is what stands now, carry that with the edit put back. With an error all is as it was. */
static void
carry_lost (VpRound *round, VpLost *lost, VpDomain **stored, guint64 serial, GError **error)
{
  const VpWrite write = vp_round_get_write (round);
  VpDomain *sum = vp_round_sum (round, lost, &write, *stored, error);

  if (sum == NULL)
    return;
  vp_round_take (&round->carry, sum);
  vp_round_take (&round->theirs, g_steal_pointer (&lost->last));
  vp_round_take (&round->base, g_steal_pointer (stored));
  round->serial = serial;
}

/*
 * libvirt refused the sum. It may take it without our changes, or their version alone. Whoever was refused
 * overwrote nothing.
 */
static gboolean
define_simpler (VpRound *round, GError **error)
{
  const VpDomain *choices[] = { round->carry, round->theirs };
  g_autoptr (GError) first = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (choices); i++) {
    g_autoptr (GError) problem = NULL;
    if (choices[i] == NULL)
      continue;
    vp_round_set_result (round, choices[i]);
    vp_round_note_intent (round);
    if (vp_libvirt_define (round->context->connection, round->result, &problem)) {
      g_clear_pointer (&round->plan, vp_plan_free); /* that is not what stands now */
      if (choices[i] != round->carry)
        vp_round_keep_edit (round, round->carry, first->message); /* it has edits that theirs has not */
      return TRUE;
    }
    if (first == NULL)
      first = g_steal_pointer (&problem);
  }
  vp_round_keep_edit (round, round->carry != NULL ? round->carry : round->theirs, first != NULL ? first->message : "");
  g_propagate_error (error, g_steal_pointer (&first));
  return FALSE;
}

/* FALSE with the intent open: whether it was defined is not known, and is looked at when libvirt is there again. */
static gboolean
define_whole (VpRound *round, GError **error)
{
  g_autoptr (GError) problem = NULL;

  if (define_result (round, &problem))
    return TRUE;
  if (virConnectIsAlive (round->context->connection) != 1) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (round->carry != NULL && define_simpler (round, NULL))
    return TRUE;
  vp_round_end_intent (round, round->serial);
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

/* What stands, and all versions until then. */
static GPtrArray *
read_after (const VpRound *round, VpDomain **stored, guint64 *serial, GError **error)
{
  guint64 later = 0;

  if (!vp_round_sync (round, serial, error))
    return NULL;
  *stored = vp_libvirt_read (round->domain, error);
  if (*stored == NULL || !vp_round_sync (round, &later, error))
    return NULL;
  return vp_versions_list (round->context->versions, round->name, round->serial);
}

/* Ours alone, as nearly always; or none, where libvirt writes no file. */
static gboolean
is_undisturbed (const VpRound *round)
{
  const VpWrite write = vp_round_get_write (round);
  g_autoptr (GPtrArray) versions = NULL;
  guint64 now = 0;

  if (!vp_versions_sync (round->context->versions, &now) ||
      vp_versions_missed (round->context->versions, round->serial))
    return FALSE;
  versions = vp_versions_list (round->context->versions, round->name, round->serial);
  if (versions->len > 1)
    return FALSE;
  g_autoptr (VpLost) lost = vp_lost_find (&write, versions);
  return versions->len == 0 || (lost->defined && !lost->missed);
}

/* Undefined since, with all that was in it; or renamed, and what we overwrote has to be kept. */
static gboolean
settle_gone (VpRound *round, GError **error)
{
  g_clear_pointer (&round->carry, vp_domain_free);
  if (round->noted && (!vp_round_resume (round, error) || round->carry != NULL))
    return FALSE;
  vp_round_end_intent (round, G_MAXUINT64);
  return TRUE;
}

/* TRUE: nothing is left to be done. FALSE without an error: the round has something to write. */
static gboolean
settle_write (VpRound *round, GError **error)
{
  g_autoptr (VpDomain) stored = NULL;
  guint64 serial = 0;
  gboolean again = FALSE;

  if (is_undisturbed (round)) {
    vp_round_end_intent (round, round->serial);
    return TRUE;
  }
  if (!vp_round_look_up (round, error))
    return FALSE;
  if (round->domain == NULL)
    return settle_gone (round, error);
  g_autoptr (GPtrArray) versions = read_after (round, &stored, &serial, error);
  if (versions == NULL)
    return FALSE;
  const VpWrite write = vp_round_get_write (round);
  g_autoptr (VpLost) lost = vp_lost_find (&write, versions);
  lost->missed = lost->missed || vp_versions_missed (round->context->versions, round->serial);
  vp_round_log_recovery (round, lost);
  if (lost->kind == VP_LOST_EDIT) {
    carry_lost (round, lost, &stored, serial, error);
    return FALSE;
  }
  if (lost->kind == VP_LOST_UNDEFINE && (!vp_round_repeat_undefine (round, lost, &again, error) || again))
    return FALSE;
  vp_round_end_intent (round, lost->kind == VP_LOST_UNDEFINE ? G_MAXUINT64 : serial);
  return TRUE;
}

/* What was recovered stands already: the edit was one of what our define left alone. */
static gboolean
is_settled (const VpRound *round)
{
  return round->carry != NULL && round->plan != NULL && vp_plan_is_ready (round->plan) &&
         vp_domain_equal (round->carry, round->base);
}

/* FALSE: it is as it shall be, and nothing has to be written. */
static gboolean
plan_step (VpRound *round, GError **problem)
{
  if (round->carry != NULL)
    plan_carry (round, problem);
  if (!is_settled (round))
    return TRUE;
  vp_round_end_intent (round, round->serial);
  return FALSE;
}

gboolean
vp_round_write (VpRound *round, GError **error)
{
  guint most = vp_versions_is_prompt (round->context->versions) ? MAX_ROUNDS : MAX_ROUNDS_LATE;
  g_autoptr (GError) problem = NULL; /* why what was recovered is not prepared */
  g_autoptr (GError) failure = NULL;

  for (guint i = 0; plan_step (round, &problem); i++) {
    /* The intent that is open has all that is known by now. */
    if (i > 0 && round->noted && !vp_round_has_descriptors (error))
      return FALSE;
    vp_round_note_intent (round);
    if (i == (round->noted ? most : MAX_ROUNDS_UNNOTED)) {
      if (!round->noted)
        vp_round_keep_edit (round, round->carry, "it is edited again and again, and the disk takes no note");
      g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                   "it is edited again and again while it is written: trying again in a moment");
      return FALSE;
    }
    if (!define_whole (round, error))
      return FALSE;
    if (round->plan != NULL)
      vp_round_log_plan (round->plan, round->domain, round->written);
    gboolean settled = settle_write (round, &failure);
    if (settled && round->domain != NULL)
      vp_round_drop_mark (round, round->result);
    if (settled || failure != NULL)
      break;
  }
  if (failure == NULL)
    failure = g_steal_pointer (&problem);
  if (failure == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}
