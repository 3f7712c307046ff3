/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One answer for each operation of the qemu hook (vfio-profile-hooks(7)).
 *
 * libvirt's `prepare` asks whether a start is admitted. That is a row of steps, each of which
 * hands on to the next or is the answer itself:
 *
 *   host known ─► ours ─► planned ─► not stale ─► its CPUs claimed ─► the host made ready
 *
 * At `restore` and `migrate` the answer is XML; the others only tell.
 */
#include "daemon/gate/answer.h"

#include <string.h>

#include "base/error.h"
#include "base/gate-protocol.h"
#include "base/list.h"
#include "domain/pins.h"
#include "plan/plan.h"
#include "plan/rules/rule-table.h"

#define GIVE_BACK_SECONDS 60
#define GIVE_BACK_SLACK 10

/* A guest that is about to run, and what was found out about it so far. */
typedef struct {
  const VpGateContext *context;
  const VpHookCall *call;
  const VpDomain *domain; /* the call's */
  char *uuid;             /* NULL: it has none */
  VpNeighbours *incoming; /* that it was to be restored beside; NULL: it is no restore that goes on */
  VpHost *host;
  VpProfiles *profiles;
  VpPlan *plan;
  gboolean unseen; /* it was placed by a daemon before this one: its pins count, not the plan's */
  VpBitmap *cpus;  /* that it holds from here on */
  gboolean refused;
  char *text; /* of the answer; NULL: none */
} VpStart;

static void
start_clear (VpStart *start)
{
  g_clear_pointer (&start->uuid, g_free);
  g_clear_pointer (&start->incoming, vp_neighbours_unref);
  g_clear_pointer (&start->host, vp_host_unref);
  g_clear_pointer (&start->profiles, vp_profiles_unref);
  g_clear_pointer (&start->plan, vp_plan_free);
  g_clear_pointer (&start->cpus, hwloc_bitmap_free);
  g_clear_pointer (&start->text, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpStart, start_clear)

/* FALSE, as it ends the row. */
static gboolean
refuse (VpStart *start, const char *reason)
{
  g_autofree char *shown = g_strescape (start->call->domain, NULL);

  if (strcmp (start->call->operation, VP_GATE_PLAN) != 0)
    g_message ("domain '%s': start refused: %s", shown, reason);
  start->refused = TRUE;
  start->text = g_strdup_printf ("vfio-profile: domain '%s': %s", shown, reason);
  return FALSE;
}

static void
ask_keeper (const VpStart *start, VpAfter after)
{
  const VpGateKeeper *keeper = &start->context->keeper;

  keeper->request (start->call->domain, after, keeper->data);
}

static VpBook *
get_book (const VpStart *start)
{
  return vp_admission_get_book (start->context->admission);
}

/* A transient domain has no file; asking libvirt is out of the question here. */
static gboolean
is_persistent (const VpStart *start)
{
  g_autofree char *file = g_strconcat (start->call->domain, ".xml", NULL);
  g_autofree char *path = g_build_filename (start->context->config_folder, file, NULL);

  return strchr (start->call->domain, '/') == NULL && g_file_test (path, G_FILE_TEST_IS_REGULAR);
}

static gboolean
refuse_stale (VpStart *start, const char *why, gboolean retry)
{
  g_autofree char *reason = NULL;

  if (!is_persistent (start)) {
    reason = g_strdup_printf ("it is transient, so nothing could prepare it for '%s': define it ('virsh define'), or "
                              "put the output of 'vfio-profile rewrite' into 'virsh create'",
                              start->plan->profile);
  } else {
    reason =
      g_strdup_printf ("%s: %s", why,
                       retry ? "it is being prepared and started now" : "it is being prepared now, start it again");
    ask_keeper (start, retry ? VP_AFTER_PREPARE_AND_START : VP_AFTER_PREPARE);
  }
  return refuse (start, reason);
}

/* As its on-stale says. */
static gboolean
settle_stale (VpStart *start, const char *why)
{
  switch ((VpStale) vp_settings_choice (start->plan->settings, VP_KEY_START_ON_STALE)) {
    case VP_STALE_START:
      ask_keeper (start, VP_AFTER_TUNE_LIVE);
      return TRUE;
    case VP_STALE_RETRY:
      /* Our own second try may find it edited once more: then somebody else has to decide. */
      return refuse_stale (start, why, !vp_ledger_is_starting (start->context->ledger, start->call->domain));
    case VP_STALE_REFUSE:
      break;
  }
  return refuse_stale (start, why, FALSE);
}

/* The first step. */
static gboolean
know_host (VpStart *start)
{
  if (vp_ledger_get (start->context->ledger, &start->host, &start->profiles))
    return TRUE;
  g_autofree char *problem = vp_ledger_dup_problem (start->context->ledger);
  g_autofree char *reason = g_strdup_printf ("vfio-profiled knows no host to prepare it for: %s", problem);
  return refuse (start, reason);
}

/* The second: without a tag it went a moment ago, and it is no longer ours to refuse. */
static gboolean
check_tag (VpStart *start)
{
  if (vp_domain_tag (start->domain) != NULL && start->uuid != NULL)
    return TRUE;
  ask_keeper (start, VP_AFTER_PREPARE);
  return FALSE;
}

/*
 * Neighbours that came or went since the definition was prepared make no start stale: it
 * is planned beside those that it was prepared beside.
 */
static VpPlan *
plan_as_prepared (const VpStart *start, GError **error)
{
  g_autoptr (GPtrArray) known = vp_ledger_dup_neighbours (start->context->ledger, start->uuid);
  g_autoptr (VpPlan) plan = NULL;

  if (known->len == 0)
    return vp_plan_new (start->domain, start->host, start->profiles, NULL, VP_PLAN_DEFAULT, error);
  for (guint i = 0; i < known->len && (plan == NULL || !vp_plan_is_ready (plan)); i++) {
    g_clear_pointer (&plan, vp_plan_free);
    g_clear_error (error);
    plan = vp_plan_new (start->domain, start->host, start->profiles, known->pdata[i], VP_PLAN_DEFAULT, error);
  }
  return g_steal_pointer (&plan);
}

/* Profiles that are wrong are no fault of a domain that only a rule gave them. */
static gboolean
settle_without_plan (VpStart *start, const GError *error)
{
  g_autofree char *rule = vp_domain_dup_tag_rule (start->domain);

  if (rule == NULL || error->domain != VP_ERROR || (error->code != VP_ERROR_TAG && error->code != VP_ERROR_PROFILE))
    return refuse (start, error->message);
  g_warning ("domain '%s': it starts as it is, as its tag is that of rule '%s' and cannot be followed: %s",
             start->call->domain, rule, error->message);
  return FALSE;
}

/* The third. A guest that was saved keeps what it saw then, also where its profile changed since. */
static gboolean
plan_start (VpStart *start)
{
  g_autoptr (GError) error = NULL;

  start->plan = start->incoming != NULL ? vp_plan_new (start->domain, start->host, start->profiles, start->incoming,
                                                       VP_PLAN_HOST_ONLY, &error)
                                        : plan_as_prepared (start, &error);
  if (start->plan == NULL && start->incoming == NULL)
    return settle_without_plan (start, error);
  if (start->plan == NULL)
    g_warning ("domain '%s': it goes on as it was saved: %s", start->call->domain, error->message);
  else if (start->plan->settings == NULL)
    ask_keeper (start, VP_AFTER_PREPARE); /* a rule's tag that the rule no longer gives */
  return start->plan != NULL && start->plan->settings != NULL;
}

/* The CPUs that its vCPUs which run are pinned to, one each; NULL: one of them is not. */
static VpBitmap *
new_pinned_set (const VpDomain *domain)
{
  g_autoptr (VpBitmap) set = hwloc_bitmap_alloc ();
  g_autoptr (VpPins) pins = vp_pins_read (domain);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (domain);

  for (guint i = 0; i < pins->vcpus->len; i++) {
    int cpu = vp_pins_vcpu_cpu (pins, i);
    if (!hwloc_bitmap_isset (online, i))
      continue;
    if (cpu < 0)
      return NULL;
    hwloc_bitmap_set (set, (unsigned) cpu);
  }
  return g_steal_pointer (&set);
}

/* All that was put into the definition is still there. */
static gboolean
is_untouched (const VpDomain *domain)
{
  g_autoptr (VpPlaces) places = vp_places_new ((VpDomain *) domain); /* only read */
  g_autoptr (GPtrArray) slots = vp_slots_read (domain, &vp_rules_owners, NULL);

  for (guint i = 0; slots != NULL && i < slots->len; i++)
    if (!vp_slot_is_ours (slots->pdata[i], places))
      return FALSE;
  return slots != NULL && slots->len > 0;
}

/*
 * While this daemon has not prepared it (libvirt's autostart asks us before libvirt says who
 * runs), nobody knows whom the definition was prepared beside: pins that would be elsewhere
 * now are as good as ready, if they are those that were put there.
 */
static gboolean
is_placed_unseen (const VpStart *start)
{
  const VpPlan *plan = start->plan;

  if (vp_plan_is_ready (plan) || vp_ledger_has_prepared (start->context->ledger, start->uuid) ||
      !is_untouched (start->domain))
    return FALSE;
  for (guint i = 0; i < plan->changes->len; i++)
    if (strcmp (((const VpChange *) plan->changes->pdata[i])->rule, "cpu") != 0)
      return FALSE;
  g_autoptr (VpBitmap) pinned = new_pinned_set (start->domain);
  return pinned != NULL;
}

/* Before what is done about it; NULL: it is not stale. */
static char *
dup_stale_reason (const VpStart *start)
{
  const VpPlan *plan = start->plan;
  const VpPlacement *placement = plan->placement;

  if (vp_plan_is_ready (plan)) {
    /* The snapshot of the host may be some milliseconds old. */
    g_autofree char *offline =
      placement != NULL && placement->vcpus != NULL
        ? vp_admission_dup_offline (start->context->admission, placement->vcpus, placement->n_vcpus)
        : NULL;
    return offline != NULL ? g_strdup_printf ("it is pinned to CPUs that are offline now: %s", offline) : NULL;
  }
  const VpChange *first = plan->changes->pdata[0];
  return g_strdup_printf ("it was edited and is not prepared for '%s' yet (%u change%s, first %s)", plan->profile,
                          plan->changes->len, plan->changes->len == 1 ? "" : "s", first->place);
}

/*
 * Nobody asked for a rule's tag but the rule, so it makes no start fail: the domain starts as it
 * is, without the CPUs that are planned for it.
 */
static gboolean
start_as_it_is (VpStart *start, const char *why)
{
  g_message ("domain '%s': %s: it starts as it is, and is tuned from its next start on, as its tag is that of rule "
             "'%s'",
             start->call->domain, why, start->plan->rule);
  g_clear_pointer (&start->plan->placement, vp_placement_free);
  ask_keeper (start, VP_AFTER_PREPARE);
  return TRUE;
}

/* The fourth. */
static gboolean
check_stale (VpStart *start)
{
  start->unseen = is_placed_unseen (start);
  g_autofree char *why = start->unseen ? NULL : dup_stale_reason (start);
  if (why == NULL)
    return TRUE;
  return start->plan->rule != NULL ? start_as_it_is (start, why) : settle_stale (start, why);
}

static VpBitmap *
new_placed_set (const VpPlacement *placement)
{
  VpBitmap *set = hwloc_bitmap_alloc ();

  for (guint i = 0; placement != NULL && placement->vcpus != NULL && i < placement->n_vcpus; i++)
    hwloc_bitmap_set (set, (unsigned) placement->vcpus[i]);
  return set;
}

/* "'b' (2,6), 'c' (3)": the running guests that hold some of these CPUs; NULL: none does. */
static char *
dup_holders (const VpNeighbours *running, hwloc_const_bitmap_t cpus)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (VpBitmap) shared = hwloc_bitmap_alloc ();

  for (guint i = 0; i < running->others->len; i++) {
    const VpNeighbour *other = running->others->pdata[i];
    hwloc_bitmap_and (shared, other->cpus, cpus);
    if (hwloc_bitmap_iszero (shared))
      continue;
    g_autofree char *list = vp_list_dup (shared);
    g_string_append_printf (text, "%s'%s' (%s)", text->len > 0 ? ", " : "", other->name, list);
  }
  return text->len > 0 ? g_string_free (g_steal_pointer (&text), FALSE) : NULL;
}

/* Whether the guest can be placed so that it meets nobody who runs now. */
static gboolean
can_avoid (const VpStart *start, const VpNeighbours *running)
{
  g_autoptr (VpPlan) plan = vp_plan_new (start->domain, start->host, start->profiles, running, VP_PLAN_HOST_ONLY, NULL);

  if (plan == NULL || plan->placement == NULL || plan->placement->vcpus == NULL)
    return FALSE;
  g_autoptr (VpBitmap) cpus = new_placed_set (plan->placement);
  return !hwloc_bitmap_intersects (cpus, running->taken);
}

/* Gives the guests that have CPUs already. */
static VpNeighbours *
claim (const VpStart *start, gboolean share, gboolean *claimed)
{
  g_autoptr (GArray) devices = vp_domain_device_addresses (start->domain);
  const VpRunning wanted = { start->uuid, start->call->domain, start->cpus, devices };

  return vp_book_claim (get_book (start), &wanted, share, claimed);
}

/* No overlap is silent. */
static gboolean
settle_overlap (VpStart *start, const VpNeighbours *running, const char *holders, gboolean claimed)
{
  g_autofree char *why = g_strdup_printf ("its CPUs are those of guests that run: %s", holders);
  gboolean avoidable = can_avoid (start, running);

  if (!claimed && avoidable && start->plan->rule != NULL)
    vp_neighbours_unref (claim (start, TRUE, &claimed)); /* for as long as it takes to tune it */
  if (claimed) {
    g_message ("domain '%s': %s: %s", start->call->domain, why,
               avoidable ? "it gets others once it runs" : "they are shared, there are no others left");
    if (avoidable)
      ask_keeper (start, VP_AFTER_TUNE_LIVE);
    return TRUE;
  }
  if (avoidable)
    return settle_stale (start, why);
  g_autofree char *reason = g_strdup_printf ("%s, there are no others left, and cpu.conflict is refuse: stop one of "
                                             "them, or give one of them fewer vCPUs",
                                             why);
  return refuse (start, reason);
}

/*
 * The fifth: the CPUs of the plan, which the definition has, or will have once it runs; where it
 * was placed unseen, its own. From here to its release the guest holds them.
 */
static gboolean
claim_cpus (VpStart *start)
{
  gboolean share = vp_settings_choice (start->plan->settings, VP_KEY_CPU_CONFLICT) == VP_CONFLICT_SHARE;
  gboolean claimed = FALSE;

  start->cpus = start->unseen ? new_pinned_set (start->domain) : new_placed_set (start->plan->placement);
  g_autoptr (VpNeighbours) running = claim (start, share, &claimed);
  g_autofree char *holders = dup_holders (running, start->cpus);
  return holders == NULL || settle_overlap (start, running, holders, claimed);
}

/* The last: what only now can be known of the host, and what is taken from it. */
static gboolean
ready_host (VpStart *start)
{
  const VpHookCall *call = start->call;
  g_autoptr (GArray) held = vp_book_dup_devices (get_book (start), start->uuid);
  const VpAdmissionRequest asked = { start->uuid, call->domain, start->domain, start->plan,
                                     start->cpus, held,         call->wait,    call->data };
  g_autofree char *refusal = vp_admission_admit (start->context->admission, &asked);

  return refusal == NULL || refuse (start, refusal);
}

static void
answer_admission (VpStart *start)
{
  static gboolean (*const steps[]) (VpStart *) = {
    know_host, check_tag, plan_start, check_stale, claim_cpus, ready_host
  };

  for (guint i = 0; i < G_N_ELEMENTS (steps) && steps[i](start); i++)
    ;
  if (!start->refused)
    vp_admission_note_called (start->context->admission, start->domain);
}

/* A true filter: what depends on this host is made right, what the guest sees stays as it was saved. */
static void
answer_filter (VpStart *start)
{
  const VpHookCall *call = start->call;
  g_autoptr (GError) error = NULL;

  if (!vp_ledger_get (start->context->ledger, &start->host, &start->profiles))
    return; /* it goes on as it was saved */
  g_autoptr (VpNeighbours) running = vp_book_new_neighbours (get_book (start), start->uuid);
  start->plan = vp_plan_new (start->domain, start->host, start->profiles, running, VP_PLAN_HOST_ONLY, &error);
  const VpPlacement *placement = start->plan != NULL ? start->plan->placement : NULL;
  if (placement != NULL && placement->vcpus != NULL) {
    running->n_vcpus = placement->n_vcpus;
    running->vcpus = g_memdup2 (placement->vcpus, running->n_vcpus * sizeof *running->vcpus);
  }
  if (start->uuid != NULL)
    vp_ledger_note_incoming (start->context->ledger, start->uuid, vp_neighbours_ref (running));
  if (start->plan == NULL)
    g_warning ("domain '%s': %s as it was saved: %s", call->domain, call->operation, error->message);
  else if (!vp_plan_is_ready (start->plan)) {
    g_message ("domain '%s': made right for this host at %s: %u change%s", call->domain, call->operation,
               start->plan->changes->len, start->plan->changes->len == 1 ? "" : "s");
    start->text = vp_domain_dup_text (start->plan->result);
  }
}

/* For a person who asks beforehand: in the same words as a start is answered, and nothing is done or noted. */
static void
answer_handover (VpStart *start)
{
  const VpHookCall *call = start->call;

  if (!know_host (start) || !check_tag (start) || !plan_start (start)) {
    if (start->text == NULL)
      start->text = g_strdup ("it has no profile: nothing would be stopped\n");
    return;
  }
  g_autoptr (GArray) held = vp_book_dup_devices (get_book (start), start->uuid);
  const VpAdmissionRequest asked = { start->uuid, call->domain, start->domain, start->plan,
                                     NULL,        held,         call->wait,    call->data };
  start->text = vp_admission_dup_handover (start->context->admission, &asked, &start->refused);
}

/* What is told and not asked needs a UUID and nothing else, and never fails. */
static const struct {
  const char *name;
  void (*answer) (VpStart *start);
  void (*note) (VpAdmission *admission, const char *uuid);
} operations[] = {
  { "prepare", answer_admission, NULL },     { "restore", answer_filter, NULL },
  { "migrate", answer_filter, NULL },        { "started", NULL, vp_admission_started },
  { "stopped", NULL, vp_admission_release }, { "release", NULL, vp_admission_release },
  { VP_GATE_PLAN, answer_handover, NULL },
};

gboolean
vp_gate_answer (const VpGateContext *context, const VpHookCall *call, char **text)
{
  g_auto (VpStart) start = { .context = context, .call = call };
  g_autoptr (GError) error = NULL;
  guint i = 0;

  *text = NULL;
  if (strcmp (call->operation, VP_GATE_GIVE_BACK) == 0) {
    call->wait (GIVE_BACK_SECONDS + GIVE_BACK_SLACK, call->data);
    return vp_admission_give_back (context->admission, GIVE_BACK_SECONDS, text);
  }
  g_autoptr (VpDomain) domain = vp_domain_parse (call->xml, call->xml_length, "the domain", &error);
  start.domain = domain;
  start.uuid = domain != NULL ? vp_domain_dup_uuid (domain) : NULL;
  /* Only the prepare behind it passes by it. Whatever else is asked: that restore came to nothing. */
  start.incoming = start.uuid != NULL ? vp_ledger_take_incoming (context->ledger, start.uuid) : NULL;
  while (i < G_N_ELEMENTS (operations) && strcmp (call->operation, operations[i].name) != 0)
    i++;
  if (i == G_N_ELEMENTS (operations))
    return TRUE;
  if (operations[i].note != NULL && start.uuid != NULL)
    operations[i].note (context->admission, start.uuid);
  else if (operations[i].answer != NULL && domain == NULL)
    refuse (&start, error->message);
  else if (operations[i].answer != NULL)
    operations[i].answer (&start);
  *text = g_steal_pointer (&start.text);
  return !start.refused;
}

void
vp_gate_withdraw (const VpGateContext *context, const VpHookCall *call)
{
  gboolean is_prepare = strcmp (call->operation, "prepare") == 0;
  VpHookCall notice = *call;
  g_autofree char *nothing = NULL;

  if (is_prepare)
    g_message ("domain '%s': the hook went away before it was answered: nothing is held for it", call->domain);
  notice.operation = is_prepare ? "release" : ""; /* a restore left its pass, and whatever is asked takes that */
  (void) vp_gate_answer (context, &notice, &nothing);
}
