/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the steps of a look share: reading, noting, logging. Decides nothing. */
#include "edits/round.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <sys/resource.h>

#include "base/error.h"
#include "domain/write-id.h"
#include "edits/edit-words.h"

#define SPARE_DESCRIPTORS 16 /* what the watch, the intent and the gate open at one time */

void
vp_round_clear (VpRound *round)
{
  g_clear_pointer (&round->domain, virDomainFree);
  g_clear_pointer (&round->base, vp_domain_free);
  g_clear_pointer (&round->carry, vp_domain_free);
  g_clear_pointer (&round->theirs, vp_domain_free);
  g_clear_pointer (&round->plan, vp_plan_free);
  g_clear_pointer (&round->result, vp_domain_free);
}

void
vp_round_take (VpDomain **place, VpDomain *document)
{
  g_clear_pointer (place, vp_domain_free);
  *place = document;
}

/* Everything that the watch saw before this call is older than what is read after it. */
gboolean
vp_round_sync (const VpRound *round, guint64 *serial, GError **error)
{
  if (vp_versions_sync (round->context->versions, serial))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO,
               "the watch of libvirt's folder did not answer within a second, so an edit could be lost: nothing was "
               "written");
  return FALSE;
}

gboolean
vp_round_has_descriptors (GError **error)
{
  g_autoptr (GDir) open_ones = g_dir_open ("/proc/self/fd", 0, NULL);
  struct rlimit limit;
  rlim_t used = 0;

  while (open_ones != NULL && g_dir_read_name (open_ones) != NULL)
    used++;
  if (open_ones != NULL && getrlimit (RLIMIT_NOFILE, &limit) == 0 && used + SPARE_DESCRIPTORS <= limit.rlim_cur)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "no file can be opened, so an edit could be lost: nothing was written: %s",
               g_strerror (EMFILE));
  return FALSE;
}

gboolean
vp_round_read_base (VpRound *round, GError **error)
{
  if (!vp_round_has_descriptors (error) || !vp_round_sync (round, &round->serial, error))
    return FALSE;
  vp_round_take (&round->base, vp_libvirt_read (round->domain, error));
  return round->base != NULL;
}

VpPlan *
vp_round_plan (const VpRound *round, const VpDomain *document, GError **error)
{
  const VpPrepareContext *context = round->context;

  return vp_plan_new (document, context->host, context->profiles, context->neighbours, context->flags, error);
}

/*
 * Where nothing is in the metadata, libvirt leaves an empty element behind when the mark is taken away again. So an
 * undo goes without one; but an edit that is put back onto what is undone could not be told from others' edits then.
 */
static gboolean
needs_mark (const VpRound *round, const VpDomain *result)
{
  const xmlNode *metadata = vp_xml_child (vp_domain_root (result), "metadata");

  return (metadata != NULL && vp_xml_first (metadata) != NULL) || vp_domain_state (round->base) == NULL;
}

void
vp_round_set_result (VpRound *round, const VpDomain *result)
{
  g_autofree char *id = vp_write_id_new ();

  vp_round_take (&round->result, vp_domain_copy (result));
  if (needs_mark (round, result))
    vp_write_id_set (round->result, id);
}

VpWrite
vp_round_get_write (const VpRound *round)
{
  return (VpWrite){ round->base, round->carry, round->result };
}

/* One that was seen before the intent was open, but after its versions were listed. */
static void
note_since (const VpRound *round, guint known)
{
  g_autoptr (GPtrArray) versions = vp_versions_list (round->context->versions, round->name, round->serial);

  for (guint i = known; i < versions->len; i++)
    vp_intents_note_version (round->context->intents, round->name, versions->pdata[i]);
}

/*
 * What came since B is saved with the intent, so that nothing which is overwritten from here on is in our memory
 * alone. A disk that is full is no reason to leave all domains unprepared: then memory has to do.
 */
void
vp_round_note_intent (VpRound *round)
{
  g_autoptr (GPtrArray) versions = vp_versions_list (round->context->versions, round->name, round->serial);
  g_autoptr (GError) problem = NULL;
  const VpWrite write = vp_round_get_write (round);

  round->noted = vp_intents_open (round->context->intents, round->name, &write, versions, &problem);
  if (round->noted)
    note_since (round, versions->len);
  else
    g_warning ("domain '%s': written without a note of it, so a daemon that is killed in this moment could lose an "
               "edit: %s",
               round->name, problem->message);
}

/* Without its intent the domain's next versions are not saved, and its last ones are not needed. */
void
vp_round_end_intent (const VpRound *round, guint64 serial)
{
  vp_intents_close (round->context->intents, round->name);
  vp_versions_forget (round->context->versions, round->name, serial);
}

static gboolean
take_domain (VpRound *round, virDomainPtr domain, GError **error)
{
  round->domain = domain;
  int persistent = round->domain != NULL ? virDomainIsPersistent (round->domain) : -1;
  if (persistent == 1)
    return TRUE;
  gboolean is_gone = persistent == 0 || virGetLastErrorCode () == VIR_ERR_NO_DOMAIN;
  if (!is_gone)
    vp_libvirt_set_error (error, "cannot look up domain '%s'", round->name);
  g_clear_pointer (&round->domain, virDomainFree);
  return is_gone;
}

gboolean
vp_round_look_up (VpRound *round, GError **error)
{
  g_clear_pointer (&round->domain, virDomainFree); /* it takes libvirt's last error away */
  return take_domain (round, virDomainLookupByName (round->context->connection, round->name), error);
}

gboolean
vp_round_look_up_renamed (VpRound *round, const VpDomain *version, GError **error)
{
  g_autofree char *uuid = vp_domain_dup_uuid (version);

  g_clear_pointer (&round->domain, virDomainFree);
  return uuid == NULL || take_domain (round, virDomainLookupByUUIDString (round->context->connection, uuid), error);
}

/*
 * An undo leaves the mark alone in a state of its own. This overwrites nobody: libvirt changes
 * the metadata of what stands, under a lock of its own.
 */
void
vp_round_drop_mark (const VpRound *round, const VpDomain *present)
{
  g_autoptr (GError) error = NULL;

  if (!vp_write_id_is_alone (present) || vp_libvirt_remove_state (round->domain, &error))
    return;
  if (virDomainIsPersistent (round->domain) == 1)
    g_warning ("domain '%s': undone, but our mark stays in its metadata: %s", round->name, error->message);
}

void
vp_round_log_recovery (const VpRound *round, const VpLost *lost)
{
  if (lost->kind == VP_LOST_EDIT) {
    g_autofree char *words = vp_edit_dup_words (lost->anew ? NULL : round->base, lost->last);
    g_message ("domain '%s': an edit that came between read and define was recovered: %s", round->name, words);
  }
  if (lost->missed)
    g_warning ("domain '%s': an edit came between read and define and could not be read in time: it may be lost; look "
               "at 'virsh dumpxml --inactive %s'",
               round->name, round->name);
}

void
vp_round_keep_edit (const VpRound *round, const VpDomain *edit, const char *why)
{
  g_autoptr (GError) error = NULL;

  if (edit == NULL)
    return;
  g_autofree char *path = vp_intents_keep (round->context->intents, round->name, edit, &error);
  if (path != NULL)
    g_warning ("domain '%s': an edit that was overwritten cannot be put back (%s): it is in %s, for 'virsh define'",
               round->name, why, path);
  else
    g_warning ("domain '%s': an edit that was overwritten cannot be put back (%s), nor be kept in a file: %s",
               round->name, why, error->message);
}

VpDomain *
vp_round_sum (const VpRound *round, const VpLost *lost, const VpWrite *write, const VpDomain *stored, GError **error)
{
  g_auto (VpOverruled) overruled = { 0 };
  VpDomain *sum = vp_lost_sum (lost, write, stored, &overruled, error);

  if (sum == NULL || overruled.words == NULL)
    return sum;
  g_autofree char *words = g_strdup_printf ("%s: the later edit stands", overruled.words);
  if (overruled.loser != NULL)
    vp_round_keep_edit (round, overruled.loser, words);
  else
    g_message ("domain '%s': edits were made at once: %s", round->name, words);
  return sum;
}

/* "cpu, memory": the rules that change something. */
static char *
dup_rules (const VpPlan *plan)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const char *rule = "";

  for (guint i = 0; i < plan->changes->len; i++) {
    const VpChange *change = plan->changes->pdata[i];
    if (strcmp (rule, change->rule) == 0)
      continue;
    rule = change->rule;
    g_string_append_printf (text, "%s%s", text->len > 0 ? ", " : "", rule);
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
log_warnings (const VpPlan *plan, VpWritten *written)
{
  g_ptr_array_add (plan->warnings, NULL);
  g_autofree char *warnings = g_strjoinv ("; ", (char **) plan->warnings->pdata);
  g_ptr_array_set_size (plan->warnings, (int) plan->warnings->len - 1);

  if (warnings[0] != '\0' && g_strcmp0 (warnings, written->warnings) != 0)
    g_message ("domain '%s': %s", plan->domain, warnings);
  g_free (written->warnings);
  written->warnings = g_steal_pointer (&warnings);
}

void
vp_round_log_plan (const VpPlan *plan, virDomainPtr domain, VpWritten *written)
{
  g_autofree char *rules = dup_rules (plan);
  g_autofree char *by = plan->rule != NULL ? g_strdup_printf (" (rule '%s')", plan->rule) : g_strdup ("");
  const char *plural = plan->changes->len == 1 ? "" : "s";
  /* Whoever starts a domain of which a rule, but no person said anything, is not kept waiting for it. */
  gboolean late = plan->rule != NULL && virDomainIsActive (domain) == 1;

  if (plan->profile != NULL)
    g_message ("domain '%s': prepared for '%s'%s: %u change%s (%s)%s%s%s", plan->domain, plan->profile, by,
               plan->changes->len, plural, rules, plan->placement != NULL ? ": " : "",
               plan->placement != NULL ? plan->placement->summary : "",
               late ? "; it runs as it was started, and is tuned from its next start on" : "");
  else
    g_message ("domain '%s': undone: %u change%s (%s), the originals are back", plan->domain, plan->changes->len,
               plural, rules);
  log_warnings (plan, written);
}
