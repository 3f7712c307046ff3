/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a look at one domain is: an intent that is left, a plan of what stands, and its define. */
#include "edits/prepare.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "base/error.h"
#include "edits/round.h"

#define REPEAT_SECONDS 2
#define MAX_REPEATS 5
#define MAX_READS 50  /* each needs an edit in the few milliseconds of the read before */
#define MAX_REREADS 3 /* for what came while the intent was written; then the define goes on over it */

/* Whether somebody may have edited what was read since. */
static gboolean
has_news (const VpRound *round)
{
  guint64 now = 0;

  return !vp_versions_sync (round->context->versions, &now) ||
         vp_versions_came (round->context->versions, round->name, round->serial);
}

/*
 * TRUE with a plan of what stands now: the watch says so, or the definition reads the same for a second time.
 * `has_base`: the first time is over.
 */
static gboolean
plan_present (VpRound *round, gboolean has_base, GError **error)
{
  for (guint i = 0; i < MAX_READS; i++) {
    if ((i > 0 || !has_base) && !vp_round_read_base (round, error))
      return FALSE;
    g_clear_pointer (&round->plan, vp_plan_free);
    round->plan = vp_round_plan (round, round->base, error);
    if (round->plan == NULL)
      return FALSE;
    if (vp_plan_is_ready (round->plan) || !has_news (round))
      return TRUE;
    g_autoptr (VpDomain) again = vp_libvirt_read (round->domain, error);
    if (again == NULL)
      return FALSE;
    if (vp_domain_equal (again, round->base))
      return TRUE;
  }
  g_set_error (error, VP_ERROR, VP_ERROR_BUSY, "the definition changed during each of %d reads in a row", MAX_READS);
  return FALSE;
}

void
vp_written_clear (VpWritten *written)
{
  g_clear_pointer (&written->digest, g_free);
  g_clear_pointer (&written->warnings, g_free);
}

/*
 * Our define comes back as an event. Should libvirt store something that we plan
 * differently again, that would never end: the same text five times within
 * seconds is not written once more.
 */
static gboolean
note_written (VpWritten *written, const VpDomain *result)
{
  g_autofree char *text = vp_xml_dup_unordered (vp_domain_root (result));
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
  gint64 now = g_get_monotonic_time ();

  if (g_strcmp0 (digest, written->digest) == 0 && now - written->at < REPEAT_SECONDS * G_TIME_SPAN_SECOND)
    written->repeats++;
  else
    written->repeats = 0;
  g_free (written->digest);
  written->digest = g_steal_pointer (&digest);
  written->at = now;
  return written->repeats < MAX_REPEATS;
}

/* It was undefined since it was looked up: no failure, and nothing to say. */
static gboolean
is_gone (virDomainPtr domain)
{
  int persistent = virDomainIsPersistent (domain);

  return persistent == 0 || (persistent < 0 && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN);
}

/* Gone with all its versions; what came after this look is another look's. */
static gboolean
forget_gone (const VpRound *round, VpPrepareOutcome *outcome)
{
  vp_intents_forget (round->context->intents, round->name);
  vp_versions_forget (round->context->versions, round->name, round->serial);
  *outcome = VP_PREPARE_GONE;
  return TRUE;
}

static gboolean
write_plan (VpRound *round, VpPrepareOutcome *outcome, GError **error)
{
  gboolean made = FALSE;

  for (guint i = 0; !vp_plan_is_ready (round->plan); i++) {
    if (i == 0 && !note_written (round->written, round->plan->result)) {
      *outcome = VP_PREPARE_REPEATED;
      return TRUE;
    }
    vp_round_set_result (round, round->plan->result);
    vp_round_note_intent (round);
    *outcome = VP_PREPARE_DEFINED;
    /* The intent took the time of some writes to the disk. */
    if (i == MAX_REREADS || !has_news (round))
      return vp_round_write (round, error);
    if (!plan_present (round, FALSE, error)) {
      vp_round_end_intent (round, round->serial);
      return FALSE;
    }
  }
  vp_round_end_intent (round, round->serial);
  *outcome = VP_PREPARE_READY;
  vp_round_drop_mark (round, round->base);
  if (!vp_libvirt_prepare_files (round->plan, round->context->host, &made, error))
    return FALSE;
  *round->context->wrapper_made = made;
  return TRUE;
}

/* What an earlier look left, if anything; the domain may be another one after that. */
static gboolean
take_up (VpRound *round, GError **error)
{
  gboolean there = round->domain != NULL;

  if (!vp_intents_has (round->context->intents, round->name))
    return TRUE;
  if (!vp_round_resume (round, error) || (round->carry != NULL && !vp_round_write (round, error)))
    return FALSE;
  g_clear_pointer (&round->carry, vp_domain_free);
  return !there || vp_round_look_up (round, error);
}

/* What was read for this look, if nobody wrote it since and nothing is left of an earlier look. */
static gboolean
take_seen (VpRound *round)
{
  const VpPrepareContext *context = round->context;
  VpSeen *seen = context->seen;

  if (seen == NULL || seen->stored == NULL || vp_intents_has (context->intents, round->name) ||
      !vp_round_has_descriptors (NULL) || vp_versions_came (context->versions, round->name, seen->serial))
    return FALSE;
  round->domain = g_steal_pointer (&seen->handle);
  round->base = g_steal_pointer (&seen->stored);
  round->serial = seen->serial;
  return TRUE;
}

void
vp_seen_clear (VpSeen *seen)
{
  g_clear_pointer (&seen->handle, vp_libvirt_free_domain);
  g_clear_pointer (&seen->stored, vp_domain_free);
  g_clear_pointer (&seen->live, vp_domain_free);
}

gboolean
vp_prepare_domain (const VpPrepareContext *context, const char *name, VpWritten *written, VpPrepareOutcome *outcome,
                   GError **error)
{
  g_auto (VpRound) round = { .context = context, .name = name, .written = written };

  if (!vp_round_sync (&round, &round.serial, error))
    return FALSE;
  gboolean is_seen = take_seen (&round);
  if (!is_seen && (!vp_round_look_up (&round, error) || !take_up (&round, error)))
    return FALSE;
  if (round.domain == NULL)
    return forget_gone (&round, outcome);
  if (plan_present (&round, is_seen, error))
    return write_plan (&round, outcome, error);
  vp_versions_forget (context->versions, name, round.serial);
  if (!is_gone (round.domain))
    return FALSE;
  g_clear_error (error);
  *outcome = VP_PREPARE_GONE;
  return TRUE;
}
