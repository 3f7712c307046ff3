/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One answer for each operation of the qemu hook (vfio-profile-hooks(7)). */
#include "daemon/gate/answer.h"

#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "plan/plan.h"
#include "plan/rules/rule-table.h"

static char *
dup_refusal (const char *domain, const char *reason)
{
  g_autofree char *shown = g_strescape (domain, NULL);

  g_message ("domain '%s': start refused: %s", shown, reason);
  return g_strdup_printf ("vfio-profile: domain '%s': %s", shown, reason);
}

static void
ask_keeper (const VpGateContext *context, const VpHookCall *request, VpAfter after)
{
  context->keeper.request (request->domain, after, context->keeper.data);
}

/* A transient domain has no file; asking libvirt is out of the question here. */
static gboolean
is_persistent (const VpGateContext *context, const char *domain)
{
  g_autofree char *file = g_strconcat (domain, ".xml", NULL);
  g_autofree char *path = g_build_filename (context->config_folder, file, NULL);

  return strchr (domain, '/') == NULL && g_file_test (path, G_FILE_TEST_IS_REGULAR);
}

/* Why a start is stale, before what is done about it; NULL: it is not. */
static char *
dup_stale_reason (const VpGateContext *context, const VpPlan *plan)
{
  const VpPlacement *placement = plan->placement;

  if (vp_plan_is_ready (plan)) {
    /* The snapshot of the host may be some milliseconds old. */
    g_autofree char *offline = placement != NULL && placement->vcpus != NULL
                                 ? vp_admission_dup_offline (context->admission, placement->vcpus, placement->n_vcpus)
                                 : NULL;
    return offline != NULL ? g_strdup_printf ("it is pinned to CPUs that are offline now: %s", offline) : NULL;
  }
  const VpChange *first = plan->changes->pdata[0];
  return g_strdup_printf ("it was edited and is not prepared for '%s' yet (%u change%s, first %s)", plan->profile,
                          plan->changes->len, plan->changes->len == 1 ? "" : "s", first->place);
}

static gboolean
refuse_stale (const VpGateContext *context, const VpHookCall *request, const VpPlan *plan, const char *why,
              gboolean retry, char **text)
{
  g_autofree char *reason = NULL;

  if (!is_persistent (context, request->domain)) {
    reason = g_strdup_printf ("it is transient, so nothing could prepare it for '%s': define it ('virsh define'), or "
                              "put the output of 'vfio-profile rewrite' into 'virsh create'",
                              plan->profile);
  } else {
    reason = g_strdup_printf ("%s: %s", why,
                              retry ? "it is being prepared and started now" : "it is being prepared now, start it again");
    ask_keeper (context, request, retry ? VP_AFTER_PREPARE_AND_START : VP_AFTER_PREPARE);
  }
  *text = dup_refusal (request->domain, reason);
  return FALSE;
}

static gboolean
answer_stale (const VpGateContext *context, const VpHookCall *request, const VpPlan *plan, const char *why,
              char **text)
{
  switch ((VpStale) vp_settings_choice (plan->settings, VP_KEY_START_ON_STALE)) {
    case VP_STALE_START:
      ask_keeper (context, request, VP_AFTER_TUNE_LIVE);
      return TRUE;
    case VP_STALE_RETRY:
      /* Our own second try may find it edited once more: then somebody else has to decide. */
      return refuse_stale (context, request, plan, why, !vp_ledger_is_starting (context->ledger, request->domain),
                           text);
    case VP_STALE_REFUSE:
      break;
  }
  return refuse_stale (context, request, plan, why, FALSE, text);
}

/*
 * Nobody asked for a rule's tag but the rule, so it makes no start fail: the domain starts as it
 * is, without the CPUs that are planned for it.
 */
static void
start_as_it_is (const VpGateContext *context, const VpHookCall *request, VpPlan *plan, const char *why)
{
  g_message ("domain '%s': %s: it starts as it is, and is tuned from its next start on, as its tag is that of rule "
             "'%s'", request->domain, why, plan->rule);
  g_clear_pointer (&plan->placement, vp_placement_free);
  ask_keeper (context, request, VP_AFTER_PREPARE);
}

/*
 * Neighbours that came or went since the definition was prepared make no start stale: it
 * is planned beside those that it was prepared beside.
 */
static VpPlan *
plan_as_prepared (const VpGateContext *context, const VpDomain *domain, const char *uuid, const VpHost *host,
                  const VpProfiles *profiles, GError **error)
{
  g_autoptr (GPtrArray) known = vp_ledger_dup_neighbours (context->ledger, uuid);
  g_autoptr (VpPlan) plan = NULL;

  if (known->len == 0)
    return vp_plan_new (domain, host, profiles, NULL, VP_PLAN_DEFAULT, error);
  for (guint i = 0; i < known->len && (plan == NULL || !vp_plan_is_ready (plan)); i++) {
    g_clear_pointer (&plan, vp_plan_free);
    g_clear_error (error);
    plan = vp_plan_new (domain, host, profiles, known->pdata[i], VP_PLAN_DEFAULT, error);
  }
  return g_steal_pointer (&plan);
}

/* The CPUs that its vCPUs are pinned to, one each; NULL: one of them is not. */
static hwloc_bitmap_t
new_pinned_set (const VpDomain *domain)
{
  hwloc_bitmap_t set = hwloc_bitmap_alloc ();
  guint n = vp_domain_vcpus (domain, NULL);

  for (guint i = 0; i < n; i++) {
    int cpu = vp_domain_vcpu_pin (domain, i);
    if (cpu < 0) {
      hwloc_bitmap_free (set);
      return NULL;
    }
    hwloc_bitmap_set (set, (unsigned) cpu);
  }
  return set;
}

/* All that was put into the definition is still there. */
static gboolean
is_untouched (const VpDomain *domain)
{
  g_autoptr (GPtrArray) slots = vp_slots_read (domain, &vp_rules_owners, NULL);

  for (guint i = 0; slots != NULL && i < slots->len; i++)
    if (!vp_slot_is_ours (slots->pdata[i], domain))
      return FALSE;
  return slots != NULL && slots->len > 0;
}

/*
 * While this daemon has not prepared it (libvirt's autostart asks us before libvirt says who
 * runs), nobody knows whom the definition was prepared beside: pins that would be elsewhere
 * now are as good as ready, if they are those that were put there.
 */
static gboolean
is_placed_unseen (const VpGateContext *context, const VpDomain *domain, const char *uuid, const VpPlan *plan)
{
  if (vp_plan_is_ready (plan) || vp_ledger_has_prepared (context->ledger, uuid) || !is_untouched (domain))
    return FALSE;
  for (guint i = 0; i < plan->changes->len; i++)
    if (strcmp (((const VpChange *) plan->changes->pdata[i])->rule, "cpu") != 0)
      return FALSE;
  hwloc_bitmap_t pinned = new_pinned_set (domain);
  gboolean is_pinned = pinned != NULL;
  hwloc_bitmap_free (pinned);
  return is_pinned;
}

static hwloc_bitmap_t
new_cpu_set (const int *cpus, guint n)
{
  hwloc_bitmap_t set = hwloc_bitmap_alloc ();

  for (guint i = 0; i < n; i++)
    hwloc_bitmap_set (set, (unsigned) cpus[i]);
  return set;
}

/* "'b' (2,6), 'c' (3)": the running guests that hold some of these CPUs; NULL: none does. */
static char *
dup_holders (const VpNeighbours *running, hwloc_const_bitmap_t cpus)
{
  g_autoptr (GString) text = g_string_new (NULL);
  hwloc_bitmap_t shared = hwloc_bitmap_alloc ();

  for (guint i = 0; i < running->others->len; i++) {
    const VpNeighbour *other = running->others->pdata[i];
    hwloc_bitmap_and (shared, other->cpus, cpus);
    if (hwloc_bitmap_iszero (shared))
      continue;
    g_autofree char *list = vp_list_dup (shared);
    g_string_append_printf (text, "%s'%s' (%s)", text->len > 0 ? ", " : "", other->name, list);
  }
  hwloc_bitmap_free (shared);
  return text->len > 0 ? g_string_free (g_steal_pointer (&text), FALSE) : NULL;
}

/* Whether the guest can be placed so that it meets nobody who runs now. */
static gboolean
can_avoid (const VpDomain *domain, const VpHost *host, const VpProfiles *profiles, const VpNeighbours *running)
{
  g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, running, VP_PLAN_HOST_ONLY, NULL);

  if (plan == NULL || plan->placement == NULL || plan->placement->vcpus == NULL)
    return FALSE;
  hwloc_bitmap_t cpus = new_cpu_set (plan->placement->vcpus, plan->placement->n_vcpus);
  gboolean meets = hwloc_bitmap_intersects (cpus, running->taken);
  hwloc_bitmap_free (cpus);
  return !meets;
}

/* Those of the plan, which the definition has, or will have once it runs; where it was placed unseen, its own. */
static hwloc_bitmap_t
new_claim (const VpDomain *domain, const VpPlan *plan, gboolean unseen)
{
  const VpPlacement *placement = plan->placement;
  hwloc_bitmap_t cpus = unseen ? new_pinned_set (domain) : NULL;

  if (cpus != NULL)
    return cpus;
  return placement != NULL && placement->vcpus != NULL ? new_cpu_set (placement->vcpus, placement->n_vcpus)
                                                       : hwloc_bitmap_alloc ();
}

/* From here to its release the guest holds its CPUs; no overlap is silent. */
static gboolean
claim_cpus (const VpGateContext *context, const VpHookCall *request, const VpDomain *domain, const char *uuid,
            hwloc_const_bitmap_t cpus, const VpHost *host, const VpProfiles *profiles, const VpPlan *plan,
            char **text)
{
  gboolean share = vp_settings_choice (plan->settings, VP_KEY_CPU_CONFLICT) == VP_CONFLICT_SHARE;
  gboolean claimed = FALSE;
  g_autoptr (GArray) devices = vp_domain_device_addresses (domain);
  const VpRunning claim = { uuid, request->domain, cpus, devices };
  VpBook *book = vp_admission_get_book (context->admission);
  g_autoptr (VpNeighbours) running = vp_book_claim (book, &claim, share, &claimed);
  g_autofree char *holders = dup_holders (running, cpus);
  if (holders == NULL)
    return TRUE;
  g_autofree char *why = g_strdup_printf ("its CPUs are those of guests that run: %s", holders);
  gboolean avoidable = can_avoid (domain, host, profiles, running);
  if (!claimed && avoidable && plan->rule != NULL)
    vp_neighbours_unref (vp_book_claim (book, &claim, TRUE, &claimed)); /* for as long as it takes to tune it */
  if (claimed) {
    g_message ("domain '%s': %s: %s", request->domain, why,
               avoidable ? "it gets others once it runs" : "they are shared, there are no others left");
    if (avoidable)
      ask_keeper (context, request, VP_AFTER_TUNE_LIVE);
    return TRUE;
  }
  if (avoidable)
    return answer_stale (context, request, plan, why, text);
  g_autofree char *reason = g_strdup_printf ("%s, there are no others left, and cpu.conflict is refuse: stop one of "
                                             "them, or give one of them fewer vCPUs", why);
  *text = dup_refusal (request->domain, reason);
  return FALSE;
}

/* The last step: what only now can be known of the host, and what is taken from it. */
static gboolean
ready_host (const VpGateContext *context, const VpHookCall *request, const VpDomain *domain, const char *uuid,
            hwloc_const_bitmap_t cpus, const VpPlan *plan, char **text)
{
  g_autoptr (GArray) held = vp_book_dup_devices (vp_admission_get_book (context->admission), uuid);
  const VpAdmissionRequest asked = { uuid, request->domain, domain, plan, cpus, held, request->wait, request->data };
  g_autofree char *refusal = vp_admission_admit (context->admission, &asked);

  if (refusal == NULL)
    return TRUE;
  *text = dup_refusal (request->domain, refusal);
  return FALSE;
}

/* Profiles that are wrong are no fault of a domain that only a rule gave them. */
static gboolean
answer_without_plan (const VpHookCall *request, const VpDomain *domain, const GError *error, char **text)
{
  g_autofree char *rule = vp_domain_dup_tag_rule (domain);

  if (rule == NULL || error->domain != VP_ERROR ||
      (error->code != VP_ERROR_TAG && error->code != VP_ERROR_PROFILE)) {
    *text = dup_refusal (request->domain, error->message);
    return FALSE;
  }
  g_warning ("domain '%s': it starts as it is, as its tag is that of rule '%s' and cannot be followed: %s",
             request->domain, rule, error->message);
  return TRUE;
}

static gboolean
answer_prepare (const VpGateContext *context, const VpHookCall *request, const VpDomain *domain,
                const VpHost *host, const VpProfiles *profiles, char **text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpPlan) plan = NULL;
  g_autofree char *uuid = vp_domain_dup_uuid (domain);

  if (vp_domain_tag (domain) == NULL || uuid == NULL) {
    /* The tag went a moment ago. It is no longer ours to refuse. */
    ask_keeper (context, request, VP_AFTER_PREPARE);
    return TRUE;
  }
  /* A guest that was saved keeps what it saw then, also where its profile changed since. */
  g_autoptr (VpNeighbours) incoming = vp_ledger_take_incoming (context->ledger, request->domain);
  plan = incoming != NULL ? vp_plan_new (domain, host, profiles, incoming, VP_PLAN_HOST_ONLY, &error)
                          : plan_as_prepared (context, domain, uuid, host, profiles, &error);
  if (incoming != NULL && plan == NULL) {
    g_warning ("domain '%s': it goes on as it was saved: %s", request->domain, error->message);
    return TRUE;
  }
  if (plan == NULL)
    return answer_without_plan (request, domain, error, text);
  if (plan->settings == NULL) {
    /* A rule's tag that the rule no longer gives. */
    ask_keeper (context, request, VP_AFTER_PREPARE);
    return TRUE;
  }
  gboolean unseen = is_placed_unseen (context, domain, uuid, plan);
  g_autofree char *why = unseen ? NULL : dup_stale_reason (context, plan);
  if (why != NULL && plan->rule != NULL)
    start_as_it_is (context, request, plan, why);
  else if (why != NULL && !answer_stale (context, request, plan, why, text))
    return FALSE;
  hwloc_bitmap_t cpus = new_claim (domain, plan, unseen);
  gboolean ready = claim_cpus (context, request, domain, uuid, cpus, host, profiles, plan, text) &&
                   ready_host (context, request, domain, uuid, cpus, plan, text);
  hwloc_bitmap_free (cpus);
  return ready;
}

static gboolean
answer_end (const VpGateContext *context, const char *uuid)
{
  vp_admission_release (context->admission, uuid);
  return TRUE;
}

static gboolean
answer_started (const VpGateContext *context, const char *uuid)
{
  vp_admission_started (context->admission, uuid);
  return TRUE;
}

/* Those that need a UUID and nothing else; they never fail. */
static const struct {
  const char *operation;
  gboolean (*answer) (const VpGateContext *context, const char *uuid);
} notices[] = { { "started", answer_started }, { "stopped", answer_end }, { "release", answer_end } };

static gboolean
answer_notice (const VpGateContext *context, const VpHookCall *request)
{
  for (guint i = 0; i < G_N_ELEMENTS (notices); i++) {
    if (strcmp (request->operation, notices[i].operation) != 0)
      continue;
    g_autoptr (VpDomain) domain = vp_domain_parse (request->xml, request->xml_length, "the domain", NULL);
    g_autofree char *uuid = domain != NULL ? vp_domain_dup_uuid (domain) : NULL;
    return uuid == NULL || notices[i].answer (context, uuid);
  }
  return TRUE;
}

/* A true filter: what depends on this host is made right, what the guest sees stays as it was saved. */
static gboolean
answer_filter (const VpGateContext *context, const VpHookCall *request, const VpDomain *domain, const VpHost *host,
               const VpProfiles *profiles, char **text)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *uuid = vp_domain_dup_uuid (domain);
  VpNeighbours *running = vp_book_new_neighbours (vp_admission_get_book (context->admission), uuid);
  g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, running, VP_PLAN_HOST_ONLY, &error);

  if (plan != NULL && plan->placement != NULL && plan->placement->vcpus != NULL) {
    running->n_vcpus = plan->placement->n_vcpus;
    running->vcpus = g_memdup2 (plan->placement->vcpus, running->n_vcpus * sizeof *running->vcpus);
  }
  vp_ledger_note_incoming (context->ledger, request->domain, running);
  if (plan == NULL) {
    g_warning ("domain '%s': %s as it was saved: %s", request->domain, request->operation, error->message);
    return TRUE;
  }
  if (vp_plan_is_ready (plan))
    return TRUE;
  g_message ("domain '%s': made right for this host at %s: %u change%s", request->domain, request->operation,
             plan->changes->len, plan->changes->len == 1 ? "" : "s");
  *text = vp_domain_dup_text (plan->result);
  return TRUE;
}

gboolean
vp_gate_answer (const VpGateContext *context, const VpHookCall *request, char **text)
{
  gboolean is_prepare = strcmp (request->operation, "prepare") == 0;
  gboolean is_filter = strcmp (request->operation, "restore") == 0 || strcmp (request->operation, "migrate") == 0;
  g_autoptr (GError) error = NULL;
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpProfiles) profiles = NULL;

  *text = NULL;
  if (!is_prepare && !is_filter)
    return answer_notice (context, request);
  g_autoptr (VpDomain) domain = vp_domain_parse (request->xml, request->xml_length, "the domain", &error);
  if (domain == NULL) {
    *text = dup_refusal (request->domain, error->message);
    return FALSE;
  }
  if (!vp_ledger_get (context->ledger, &host, &profiles)) {
    g_autofree char *problem = vp_ledger_dup_problem (context->ledger);
    g_autofree char *reason = g_strdup_printf ("vfio-profiled knows no host to prepare it for: %s", problem);
    *text = dup_refusal (request->domain, reason);
    if (is_filter)
      g_clear_pointer (text, g_free); /* it is restored as it was saved */
    return is_filter;
  }
  if (is_filter)
    return answer_filter (context, request, domain, host, profiles, text);
  if (!answer_prepare (context, request, domain, host, profiles, text))
    return FALSE;
  vp_admission_note_called (context->admission, domain);
  return TRUE;
}

void
vp_gate_withdraw (const VpGateContext *context, const VpHookCall *request)
{
  VpHookCall release = *request;

  if (strcmp (request->operation, "prepare") != 0)
    return;
  release.operation = "release";
  g_message ("domain '%s': the hook went away before it was answered: nothing is held for it", request->domain);
  answer_notice (context, &release);
}
