/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt has no compare-and-set. Between our read of a definition (B) and our
 * define (R) somebody may write M, which R then overwrites; and after R somebody
 * may write N. The watch has seen them all, in order:
 *
 *     B ── M ── R ── N          lost: M's edit of B
 *
 * So after each define we look at what came between. Something did: the edit
 * B → M is merged into what stands now (N), that is planned and defined, and the
 * look is repeated until nothing came between.
 */
#include "daemon/keep/prepare.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "base/error.h"
#include "merge/merge.h"
#include "plan/slot.h"

#define REPEAT_SECONDS 2
#define MAX_REPEATS 5
#define MAX_ROUNDS 50 /* each needs an edit in the few milliseconds of the round before */

/* What the round works on. */
typedef struct {
  const VpPrepareContext *context;
  const char *name;
  virDomainPtr domain;
  VpDomain *base;    /* B: what was read */
  guint64 serial;    /* of the last version that is not younger than B */
  VpPlan *plan;      /* of B, or of B with a recovered edit merged in */
  VpWritten *written;
} Round;

static void
round_clear (Round *round)
{
  g_clear_pointer (&round->domain, virDomainFree);
  g_clear_pointer (&round->base, vp_domain_free);
  g_clear_pointer (&round->plan, vp_plan_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Round, round_clear)

/* Everything that the watch saw before this call is older than what is read after it. */
static gboolean
read_base (Round *round, GError **error)
{
  if (!vp_versions_sync (round->context->versions, &round->serial)) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO,
                 "the watch of libvirt's folder did not answer within a second, so an edit could be lost: nothing "
                 "was written");
    return FALSE;
  }
  g_clear_pointer (&round->base, vp_domain_free);
  round->base = vp_libvirt_read (round->domain, error);
  return round->base != NULL;
}

static gboolean
is_same (const VpDomain *a, const VpDomain *b)
{
  g_autofree char *left = vp_xml_dup_unordered (vp_domain_root (a));
  g_autofree char *right = vp_xml_dup_unordered (vp_domain_root (b));

  return strcmp (left, right) == 0;
}

static gboolean
is_same_state (const VpDomain *a, const VpDomain *b)
{
  const xmlNode *left = vp_domain_state (a);
  const xmlNode *right = vp_domain_state (b);

  return left != NULL && right != NULL ? vp_xml_equal (left, right) : left == right;
}

static VpDomain *
parse_version (const VpVersion *version)
{
  gsize length = 0;
  const char *text = version->text != NULL ? g_bytes_get_data (version->text, &length) : NULL;

  return text != NULL ? vp_domain_parse (text, length, "a version of the definition", NULL) : NULL;
}

static gboolean
find_same (const GPtrArray *parsed, const VpDomain *document, guint *position)
{
  for (guint i = 0; i < parsed->len; i++) {
    if (parsed->pdata[i] == NULL || document == NULL || !is_same (parsed->pdata[i], document))
      continue;
    *position = i;
    return TRUE;
  }
  return FALSE;
}

/*
 * Which of the versions is the one that we wrote: the one that reads like it, or, where
 * libvirt completed it (an address for a new device), like what it stored. Should somebody
 * have written between our define and the reading of `stored`, then it is that somebody's
 * version, and ours is taken for an edit that was lost: it is merged again, which changes
 * nothing. The last resort errs to that side too.
 */
static guint
find_ours (const GPtrArray *parsed, const VpDomain *written, const VpDomain *stored)
{
  guint position = 0;

  if (find_same (parsed, written, &position) || find_same (parsed, stored, &position))
    return position;
  for (guint i = parsed->len; i > 0; i--)
    if (parsed->pdata[i - 1] != NULL && is_same_state (parsed->pdata[i - 1], written))
      return i - 1;
  return parsed->len - 1;
}

static void
free_parsed (gpointer domain)
{
  vp_domain_free (domain);
}

/* The last version that our define overwrote without knowing it; `deleted`: that was an undefine. */
static VpDomain *
find_lost (const Round *round, gboolean *deleted)
{
  g_autoptr (GPtrArray) versions = vp_versions_list (round->context->versions, round->name, round->serial);
  g_autoptr (GPtrArray) parsed = g_ptr_array_new_with_free_func (free_parsed);

  *deleted = FALSE;
  if (versions->len < 2)
    return NULL; /* ours alone, as nearly always */
  for (guint i = 0; i < versions->len; i++)
    g_ptr_array_add (parsed, parse_version (versions->pdata[i]));
  g_autoptr (VpDomain) stored = vp_libvirt_read (round->domain, NULL);
  guint ours = find_ours (parsed, round->plan->result, stored);
  if (ours == 0)
    return NULL;
  const VpVersion *last = versions->pdata[ours - 1];
  *deleted = last->deleted;
  if (!last->deleted && parsed->pdata[ours - 1] == NULL)
    g_warning ("domain '%s': an edit came between read and define and could not be read in time: it is lost; look at "
               "'virsh dumpxml --inactive'", round->name);
  VpDomain *lost = g_steal_pointer (&parsed->pdata[ours - 1]);
  if (lost != NULL && is_same (lost, round->base))
    g_clear_pointer (&lost, vp_domain_free);
  return lost;
}

static gboolean
define_result (const Round *round, GError **error)
{
  gboolean made = FALSE;

  if (!vp_libvirt_prepare_files (round->plan, round->context->host, &made, error))
    return FALSE;
  if (made) {
    *round->context->wrapper_made = TRUE;
    /* The define would ask it too, but then the time between read and define would be seconds. */
    g_autofree char *wrapper = vp_domain_dup_emulator (round->plan->result);
    vp_libvirt_warm (round->context->connection, wrapper);
  }
  return vp_libvirt_define (round->context->connection, round->plan->result, error);
}

/* Somebody undefined the domain and our define brought it back: let it go again. */
static gboolean
repeat_undefine (const Round *round, GError **error)
{
  unsigned flags = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                   VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;

  if (virDomainUndefineFlags (round->domain, flags) == 0) {
    g_message ("domain '%s': it was undefined while it was prepared: undefined again", round->name);
    return TRUE;
  }
  vp_libvirt_set_error (error, "domain '%s' was undefined while it was prepared, and cannot be undefined again",
                        round->name);
  return FALSE;
}

static VpDomain *
merge (const VpDomain *base, const VpDomain *ours, const VpDomain *theirs, GError **error)
{
  g_autoptr (VpDomain) merged = g_new0 (VpDomain, 1);

  merged->doc = vp_merge_three_way (base->doc, ours->doc, theirs->doc, error);
  return merged->doc != NULL ? g_steal_pointer (&merged) : NULL;
}

static VpPlan *
plan_document (const Round *round, const VpDomain *document, GError **error)
{
  const VpPrepareContext *context = round->context;

  return vp_plan_new (document, context->host, context->profiles, context->neighbours, VP_PLAN_DEFAULT, error);
}

/*
 * B, M, R and N as in the picture above, in the order of time: M's edit of B goes onto R,
 * over what R changed (R may be a recovery, and then M is the younger edit); what was edited
 * since, R to N, goes over that. The round's plan becomes that of the sum.
 */
static gboolean
plan_recovery (Round *round, const VpDomain *lost, GError **error)
{
  g_autoptr (VpDomain) before = g_steal_pointer (&round->base);
  const VpDomain *written = round->plan->result;

  if (!read_base (round, error))
    return FALSE;
  g_autoptr (VpDomain) recovered = merge (before, written, lost, error);
  g_autoptr (VpDomain) sum = recovered != NULL ? merge (written, recovered, round->base, error) : NULL;
  if (sum == NULL)
    return FALSE;
  VpPlan *plan = plan_document (round, sum, error);
  vp_plan_free (round->plan);
  round->plan = plan;
  return plan != NULL;
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

static void
log_plan (const VpPlan *plan, virDomainPtr domain, VpWritten *written)
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

/* Defines the round's plan, and again for as long as it finds that an edit came between. */
static gboolean
write_until_whole (Round *round, GError **error)
{
  for (guint i = 0; i < MAX_ROUNDS; i++) {
    gboolean deleted = FALSE;
    guint64 now = 0;

    if (!define_result (round, error))
      return FALSE;
    log_plan (round->plan, round->domain, round->written);
    if (!vp_versions_sync (round->context->versions, &now))
      g_warning ("domain '%s': the watch of libvirt's folder is late: an edit of this moment could be lost",
                 round->name);
    g_autoptr (VpDomain) lost = find_lost (round, &deleted);
    if (deleted)
      return repeat_undefine (round, error);
    if (lost == NULL) {
      vp_versions_forget (round->context->versions, round->name, round->serial);
      return TRUE;
    }
    g_message ("domain '%s': an edit that came between read and define was recovered", round->name);
    if (!plan_recovery (round, lost, error))
      return FALSE;
  }
  g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT, "domain '%s' was edited during each of %d defines in a row",
               round->name, MAX_ROUNDS);
  return FALSE;
}

/* TRUE with a plan of what stands now; the definition is read twice so that the plan is of the latest. */
static gboolean
plan_present (Round *round, GError **error)
{
  for (guint i = 0; i < MAX_ROUNDS; i++) {
    if (!read_base (round, error))
      return FALSE;
    g_clear_pointer (&round->plan, vp_plan_free);
    round->plan = plan_document (round, round->base, error);
    if (round->plan == NULL)
      return FALSE;
    if (vp_plan_is_ready (round->plan))
      return TRUE;
    g_autoptr (VpDomain) again = vp_libvirt_read (round->domain, error);
    if (again == NULL)
      return FALSE;
    if (vp_domain_equal (again, round->base))
      return TRUE;
  }
  g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT, "the definition changed during each of %d reads in a row",
               MAX_ROUNDS);
  return FALSE;
}

void
vp_written_clear (VpWritten *written)
{
  g_clear_pointer (&written->text, g_free);
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
  gint64 now = g_get_monotonic_time ();

  if (g_strcmp0 (text, written->text) == 0 && now - written->at < REPEAT_SECONDS * G_TIME_SPAN_SECOND)
    written->repeats++;
  else
    written->repeats = 0;
  g_free (written->text);
  written->text = g_steal_pointer (&text);
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

gboolean
vp_prepare_domain (const VpPrepareContext *context, const char *name, VpWritten *written, VpPrepareOutcome *outcome,
                   GError **error)
{
  g_auto (Round) round = { .context = context, .name = name, .written = written };

  round.domain = virDomainLookupByName (context->connection, name);
  if (round.domain == NULL || virDomainIsPersistent (round.domain) != 1) {
    *outcome = VP_PREPARE_GONE;
    return TRUE;
  }
  if (!plan_present (&round, error)) {
    if (!is_gone (round.domain))
      return FALSE;
    g_clear_error (error);
    *outcome = VP_PREPARE_GONE;
    return TRUE;
  }
  if (vp_plan_is_ready (round.plan)) {
    gboolean made = FALSE;
    *outcome = VP_PREPARE_READY;
    vp_versions_forget (context->versions, name, round.serial);
    if (!vp_libvirt_prepare_files (round.plan, context->host, &made, error))
      return FALSE;
    *context->wrapper_made = made;
    return TRUE;
  }
  if (!note_written (written, round.plan->result)) {
    *outcome = VP_PREPARE_REPEATED;
    return TRUE;
  }
  *outcome = VP_PREPARE_DEFINED;
  return write_until_whole (&round, error);
}
