/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans each domain beside the others, and looks at those that run. Prints nothing. */
#include "cli/status/status.h"

#include <libvirt/virterror.h>

#include "domain/drift.h"
#include "journal/journal.h"

static void
status_free (gpointer data)
{
  VpStatus *status = data;

  g_free (status->name);
  g_free (status->profile);
  g_free (status->rule);
  g_free (status->why);
  g_clear_pointer (&status->warnings, g_ptr_array_unref);
  g_clear_pointer (&status->drift, g_ptr_array_unref);
  g_strfreev (status->holds);
  g_free (status->silent);
  vp_pins_free (status->pins);
  g_free (status);
}

/* What each of them needs. */
typedef struct {
  const VpInput *input; /* borrowed */
  VpFleet *fleet;
  VpRoot *root;
} Context;

static void
context_clear (Context *context)
{
  g_clear_pointer (&context->root, vp_root_free);
  g_clear_pointer (&context->fleet, vp_fleet_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Context, context_clear)

static void
judge (VpStatus *status, const VpDomain *domain, const Context *context)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *uuid = vp_domain_dup_uuid (domain);
  g_autoptr (VpPlan) plan = vp_plan_new (domain, context->input->host, context->input->profiles,
                                         vp_fleet_find (context->fleet, uuid), VP_PLAN_DEFAULT, &problem);

  if (plan == NULL) {
    status->state = VP_STATUS_INVALID;
    status->why = g_strdup (problem->message);
    return;
  }
  status->n_changes = plan->changes->len;
  status->warnings = g_ptr_array_ref (plan->warnings);
  if (!vp_plan_is_ready (plan)) {
    const VpChange *first = plan->changes->pdata[0];
    status->state = VP_STATUS_STALE;
    status->why = g_strdup_printf ("%u change%s, the first at %s: %s", status->n_changes,
                                   status->n_changes == 1 ? "" : "s", first->place, first->reason);
  } else {
    status->state = status->profile != NULL ? VP_STATUS_READY : VP_STATUS_UNTAGGED;
  }
}

/* The daemon's journal is root's; whoever may not read it sees nothing held. */
static void
read_holds (VpStatus *status, const Context *context, const char *uuid)
{
  g_autofree char *folder = vp_libvirt_dup_run_folder (context->input->session);
  g_autoptr (VpJournal) journal = vp_journal_new (context->root, folder);
  g_autoptr (VpHolding) holding = vp_journal_read (journal, uuid, NULL);

  if (holding == NULL)
    return;
  status->holds = vp_holding_describe (holding);
  status->silent = g_strdup (holding->silent);
}

static void
look_at_running (VpStatus *status, virDomainPtr handle, const Context *context)
{
  gboolean is_ours = status->profile != NULL && vp_libvirt_is_running (handle);
  g_autoptr (VpDomain) live = is_ours ? vp_libvirt_read_live (handle, NULL) : NULL;

  if (live == NULL)
    return;
  g_autofree char *uuid = vp_domain_dup_uuid (live);
  g_autoptr (VpGuestFacts) facts =
    vp_guest_facts_read (context->root, status->name, context->input->session, vp_drift_needs_pages (live));
  status->drift = vp_drift_list (live, context->input->host, facts);
  if (uuid != NULL)
    read_holds (status, context, uuid);
}

static VpStatus *
status_new (virDomainPtr handle, const Context *context)
{
  VpStatus *status = g_new0 (VpStatus, 1);
  g_autoptr (GError) problem = NULL;
  g_autoptr (VpDomain) domain = vp_libvirt_read (handle, &problem);

  status->name = g_strdup (virDomainGetName (handle));
  status->running = virDomainIsActive (handle) == 1;
  if (domain == NULL) {
    status->state = VP_STATUS_INVALID;
    status->why = g_strdup (problem->message);
    return status;
  }
  const xmlNode *tag = vp_domain_tag (domain);
  status->profile = tag != NULL ? vp_xml_dup_attr (tag, "name") : NULL;
  if (tag != NULL && status->profile == NULL)
    status->profile = g_strdup ("");
  status->rule = vp_domain_dup_tag_rule (domain);
  status->pins = vp_pins_read (domain);
  judge (status, domain, context);
  look_at_running (status, handle, context);
  return status;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 ((*(VpStatus *const *) a)->name, (*(VpStatus *const *) b)->name);
}

/* One that vanished since it was listed is no error. */
static gboolean
is_worth_a_line (const VpStatus *status, virDomainPtr handle)
{
  if (status->state == VP_STATUS_INVALID && status->pins == NULL)
    return virDomainIsActive (handle) >= 0 || virGetLastErrorCode () != VIR_ERR_NO_DOMAIN;
  return status->state != VP_STATUS_UNTAGGED;
}

static gboolean
read_all (const Context *context, GPtrArray *all, GError **error)
{
  g_autoptr (GPtrArray) handles = vp_libvirt_list (context->input->connection, 0, error);

  if (handles == NULL)
    return FALSE;
  for (guint i = 0; i < handles->len; i++) {
    VpStatus *status = status_new (handles->pdata[i], context);
    if (is_worth_a_line (status, handles->pdata[i]))
      g_ptr_array_add (all, status);
    else
      status_free (status);
  }
  g_ptr_array_sort (all, compare);
  return TRUE;
}

static gboolean
read_named (const Context *context, char **names, GPtrArray *all, GError **error)
{
  for (guint i = 0; names[i] != NULL; i++) {
    g_autoptr (virDomain) handle = vp_source_find_domain (context->input->connection, names[i], error);
    if (handle == NULL)
      return FALSE;
    g_ptr_array_add (all, status_new (handle, context));
  }
  return TRUE;
}

GPtrArray *
vp_status_read (const VpInput *input, char **names, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (status_free);
  g_auto (Context) context = { .input = input, .root = vp_root_open ("/", error) };

  if (context.root == NULL)
    return NULL;
  context.fleet = vp_libvirt_load_fleet (input->connection, input->host, input->profiles, NULL, error);
  if (context.fleet == NULL ||
      !(names[0] != NULL ? read_named (&context, names, all, error) : read_all (&context, all, error)))
    return NULL;
  return g_steal_pointer (&all);
}
