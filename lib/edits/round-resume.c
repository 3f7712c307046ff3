/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An intent that an earlier look left: its daemon ended, or could not bring it to an end. */
#include "edits/round.h"

#include <string.h>

#include "base/error.h"
#include "domain/write-id.h"

static gboolean
is_renamed (const VpRound *round)
{
  return strcmp (virDomainGetName (round->domain), round->name) != 0;
}

/* Versions are those of a name, so no define is safe from here: the sum is a person's. */
static gboolean
end_renamed (VpRound *round)
{
  g_autofree char *why = g_strdup_printf ("it is called '%s' by now", virDomainGetName (round->domain));

  vp_round_keep_edit (round, round->carry, why);
  vp_intents_close (round->context->intents, round->name);
  g_clear_pointer (&round->domain, virDomainFree);
  g_clear_pointer (&round->carry, vp_domain_free);
  return TRUE;
}

/* What its daemon did not live to see: that R was defined. */
static void
add_unseen (GPtrArray *versions, const VpIntent *intent, const VpDomain *stored)
{
  g_autofree char *id = vp_write_id_dup (intent->written);
  g_autofree char *present = vp_write_id_dup (stored);
  const VpWrite write = { intent->base, intent->carry, intent->written };
  g_autoptr (VpLost) lost = vp_lost_find (&write, versions);

  if (lost->defined || g_strcmp0 (id, present) != 0)
    return;
  g_autofree char *text = vp_domain_dup_text (intent->written);
  VpVersion *version = g_new0 (VpVersion, 1);
  version->serial = G_MAXUINT64;
  version->missed =
    TRUE; /* libvirt may have made it when nobody watched any more: what came just before is not known */
  version->text = g_bytes_new (text, strlen (text));
  g_ptr_array_add (versions, version);
}

/* R was not written, or nothing of it is left: an edit that it was to put back goes onto what stands. */
static gboolean
carry_on (VpRound *round, const VpIntent *intent, GError **error)
{
  const VpWrite write = { intent->base, NULL, intent->base };
  const VpLost lost = { .kind = VP_LOST_EDIT, .followed = TRUE, .last = intent->carry, .ours = intent->base };

  if (intent->carry == NULL)
    return TRUE;
  vp_round_take (&round->carry, vp_round_sum (round, &lost, &write, round->base, error));
  return round->carry != NULL;
}

/* libvirt's file of the old name goes, and nobody undefined anything. */
static void
drop_renamed (const VpRound *round, GPtrArray *versions)
{
  const VpVersion *last = versions->len > 0 ? versions->pdata[versions->len - 1] : NULL;

  if (is_renamed (round) && last != NULL && last->deleted)
    g_ptr_array_set_size (versions, (int) versions->len - 1);
}

static gboolean
resume_lost (VpRound *round, const VpIntent *intent, GError **error)
{
  const VpWrite write = { intent->base, intent->carry, intent->written };
  g_autoptr (GPtrArray) versions = vp_intents_load_versions (round->context->intents, round->name, intent, error);

  if (versions == NULL)
    return FALSE;
  drop_renamed (round, versions);
  add_unseen (versions, intent, round->base);
  g_autoptr (VpLost) lost = vp_lost_find (&write, versions);
  if (!lost->defined)
    return carry_on (round, intent, error);
  vp_round_log_recovery (round, lost);
  if (lost->kind == VP_LOST_UNDEFINE) {
    gboolean again = FALSE;
    return vp_round_repeat_undefine (round, lost, &again, error);
  }
  if (lost->kind != VP_LOST_EDIT)
    return TRUE;
  lost->followed = lost->followed || lost->ours == NULL || !vp_domain_equal (round->base, lost->ours);
  vp_round_take (&round->carry, vp_round_sum (round, lost, &write, round->base, error));
  round->theirs = g_steal_pointer (&lost->last);
  return round->carry != NULL;
}

/* One that is damaged is a person's from now on, and keeps no domain unprepared. */
gboolean
vp_round_resume (VpRound *round, GError **error)
{
  VpIntents *intents = round->context->intents;
  g_autoptr (GError) problem = NULL;
  g_autoptr (VpIntent) intent = vp_intents_load (intents, round->name, &problem);

  if (g_error_matches (problem, VP_ERROR, VP_ERROR_HOST)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  if (problem != NULL)
    g_warning ("domain '%s': what was noted of its last change cannot be taken up, and an edit may be lost: %s",
               round->name, problem->message);
  if (intent == NULL)
    return TRUE;
  if (round->domain == NULL && !vp_round_look_up_renamed (round, intent->base, error))
    return FALSE;
  if (round->domain == NULL) {
    vp_intents_close (intents, round->name);
    return TRUE;
  }
  if (!vp_round_read_base (round, error) || !resume_lost (round, intent, error))
    return FALSE;
  if (is_renamed (round))
    return end_renamed (round);
  if (round->carry == NULL)
    vp_intents_close (intents, round->name);
  return TRUE;
}
