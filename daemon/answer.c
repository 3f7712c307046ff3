/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One answer for each operation of the qemu hook (vfio-profile-hooks(7)). */
#include "answer.h"

#include <string.h>

#include "vp-plan.h"

static char *
dup_refusal (const char *domain, const char *reason)
{
  g_autofree char *shown = g_strescape (domain, NULL);

  g_message ("domain '%s': start refused: %s", shown, reason);
  return g_strdup_printf ("vfio-profile: domain '%s': %s", shown, reason);
}

/* A transient domain has no file; asking libvirt is out of the question here. */
static gboolean
is_persistent (const VpGateContext *context, const char *domain)
{
  g_autofree char *file = g_strconcat (domain, ".xml", NULL);
  g_autofree char *path = g_build_filename (context->config_folder, file, NULL);

  return strchr (domain, '/') == NULL && g_file_test (path, G_FILE_TEST_IS_REGULAR);
}

static gboolean
refuse_stale (const VpGateContext *context, const VpGateRequest *request, const VpPlan *plan, gboolean retry,
              char **text)
{
  const VpChange *first = plan->changes->pdata[0];
  g_autofree char *reason = NULL;

  if (!is_persistent (context, request->domain)) {
    reason = g_strdup_printf ("it is transient, so nothing could prepare it for '%s': define it ('virsh define'), or "
                              "put the output of 'vfio-profile rewrite' into 'virsh create'",
                              plan->profile);
  } else {
    reason = g_strdup_printf ("it was edited and is not prepared for '%s' yet (%u change%s, first %s): %s",
                              plan->profile, plan->changes->len, plan->changes->len == 1 ? "" : "s", first->place,
                              retry ? "it is being prepared and started now" : "it is being prepared now, start it again");
    vp_keeper_request (context->keeper, request->domain, retry ? VP_AFTER_PREPARE_AND_START : VP_AFTER_PREPARE);
  }
  *text = dup_refusal (request->domain, reason);
  return FALSE;
}

static gboolean
answer_stale (const VpGateContext *context, const VpGateRequest *request, const VpPlan *plan, char **text)
{
  switch ((VpStale) vp_settings_choice (plan->settings, VP_KEY_START_ON_STALE)) {
    case VP_STALE_START:
      vp_keeper_request (context->keeper, request->domain, VP_AFTER_TUNE_LIVE);
      return TRUE;
    case VP_STALE_RETRY:
      /* Our own second try may find it edited once more: then somebody else has to decide. */
      return refuse_stale (context, request, plan, !vp_ledger_is_starting (context->ledger, request->domain), text);
    case VP_STALE_REFUSE:
      break;
  }
  return refuse_stale (context, request, plan, FALSE, text);
}

static gboolean
answer_prepare (const VpGateContext *context, const VpGateRequest *request, const VpDomain *domain,
                const VpHost *host, const VpProfiles *profiles, char **text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpPlan) plan = NULL;

  if (vp_domain_tag (domain) == NULL) {
    /* The tag went a moment ago. It is no longer ours to refuse. */
    vp_keeper_request (context->keeper, request->domain, VP_AFTER_PREPARE);
    return TRUE;
  }
  /* A guest that was saved keeps what it saw then, also where its profile changed since. */
  gboolean incoming = vp_ledger_take_incoming (context->ledger, request->domain);
  plan = vp_plan_new (domain, host, profiles, incoming ? VP_PLAN_HOST_ONLY : VP_PLAN_DEFAULT, &error);
  if (incoming && plan == NULL) {
    g_warning ("domain '%s': it goes on as it was saved: %s", request->domain, error->message);
    return TRUE;
  }
  if (plan == NULL) {
    *text = dup_refusal (request->domain, error->message);
    return FALSE;
  }
  return vp_plan_is_ready (plan) || answer_stale (context, request, plan, text);
}

/* A true filter: what depends on this host is made right, what the guest sees stays as it was saved. */
static gboolean
answer_filter (const VpGateContext *context, const VpGateRequest *request, const VpDomain *domain, const VpHost *host,
               const VpProfiles *profiles, char **text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpPlan) plan = vp_plan_new (domain, host, profiles, VP_PLAN_HOST_ONLY, &error);

  vp_ledger_note_incoming (context->ledger, request->domain);
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
vp_gate_answer (const VpGateContext *context, const VpGateRequest *request, char **text)
{
  gboolean is_prepare = strcmp (request->operation, "prepare") == 0;
  gboolean is_filter = strcmp (request->operation, "restore") == 0 || strcmp (request->operation, "migrate") == 0;
  g_autoptr (GError) error = NULL;
  g_autoptr (VpHost) host = NULL;
  g_autoptr (VpProfiles) profiles = NULL;

  *text = NULL;
  if (!is_prepare && !is_filter)
    return TRUE;
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
  return is_prepare ? answer_prepare (context, request, domain, host, profiles, text)
                    : answer_filter (context, request, domain, host, profiles, text);
}
