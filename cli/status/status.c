/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plans each domain beside the others, and looks at those that run. Prints nothing. */
#include "cli/status/status.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "domain/drift.h"
#include "journal/journal.h"
#include "journal/story.h"

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
  g_clear_pointer (&status->handover, g_ptr_array_unref);
  g_free (status->silent);
  vp_pins_free (status->pins);
  g_free (status);
}

/* What each of them needs. */
typedef struct {
  const VpInput *input; /* borrowed */
  GPtrArray *listed;    /* of VpListed */
  VpFleet *fleet;
  VpRoot *root;
} Context;

static void
context_clear (Context *context)
{
  g_clear_pointer (&context->root, vp_root_free);
  g_clear_pointer (&context->fleet, vp_fleet_free);
  g_clear_pointer (&context->listed, g_ptr_array_unref);
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
read_holds (VpStatus *status, const Context *context, const VpDomain *domain)
{
  g_autofree char *uuid = vp_domain_dup_uuid (domain);
  g_autofree char *folder = vp_libvirt_dup_run_folder (context->input->session);
  g_autoptr (VpJournal) journal = vp_journal_new (context->root, folder);
  g_autoptr (VpHolding) holding = uuid != NULL ? vp_journal_read (journal, uuid, NULL) : NULL;

  if (holding == NULL)
    return;
  status->holds = vp_holding_describe (holding);
  status->silent = g_strdup (holding->silent);
}

/* The story tells of one guest, and of those before it whose card came back meanwhile. */
static void
read_handover (VpStatus *status, const Context *context)
{
  g_autofree char *folder = vp_libvirt_dup_run_folder (context->input->session);
  g_autoptr (VpStory) story = vp_story_load (context->root, folder);
  const GPtrArray *lines = vp_story_get_lines (story);
  g_autofree char *shown = g_strescape (status->name, NULL);
  g_autofree char *mark = g_strdup_printf (" %s: ", shown);

  for (guint i = 0; i < lines->len; i++) {
    const char *space = strchr (lines->pdata[i], ' ');
    if (space == NULL || !g_str_has_prefix (space, mark))
      continue;
    if (status->handover == NULL)
      status->handover = g_ptr_array_new_with_free_func (g_free);
    g_ptr_array_add (status->handover, g_strdup_printf ("%.*s %s", (int) (space - (const char *) lines->pdata[i]),
                                                        (const char *) lines->pdata[i], space + strlen (mark)));
  }
}

static void
look_at_running (VpStatus *status, const VpListed *listed, const Context *context)
{
  const VpDomain *live = listed->live;

  if (live == NULL || status->profile == NULL || !vp_libvirt_is_running (listed->handle))
    return;
  g_autoptr (VpGuestFacts) facts =
    vp_guest_facts_read (context->root, status->name, context->input->session, vp_drift_needs_pages (live));
  status->drift = vp_drift_list (live, context->input->host, facts);
  read_holds (status, context, live);
}

static VpStatus *
status_new (const VpListed *listed, const Context *context)
{
  VpStatus *status = g_new0 (VpStatus, 1);
  g_autoptr (GError) problem = NULL;
  g_autoptr (VpDomain) own = listed->stored == NULL ? vp_libvirt_read (listed->handle, &problem) : NULL;
  const VpDomain *domain = own != NULL ? own : listed->stored;

  status->name = g_strdup (virDomainGetName (listed->handle));
  status->running = listed->active;
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
  if (status->running)
    look_at_running (status, listed, context);
  else
    read_holds (status, context, domain);
  read_handover (status, context);
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
  return status->state != VP_STATUS_UNTAGGED || status->holds != NULL;
}

static void
read_all (const Context *context, GPtrArray *all)
{
  for (guint i = 0; i < context->listed->len; i++) {
    const VpListed *listed = context->listed->pdata[i];
    VpStatus *status = status_new (listed, context);
    if (is_worth_a_line (status, listed->handle))
      g_ptr_array_add (all, status);
    else
      status_free (status);
  }
  g_ptr_array_sort (all, compare);
}

/* NULL: it came after all were listed. */
static const VpListed *
find_listed (const Context *context, virDomainPtr handle)
{
  char uuid[VIR_UUID_STRING_BUFLEN] = "";
  char other[VIR_UUID_STRING_BUFLEN] = "";

  (void) virDomainGetUUIDString (handle, uuid);
  for (guint i = 0; i < context->listed->len; i++) {
    const VpListed *listed = context->listed->pdata[i];
    if (virDomainGetUUIDString (listed->handle, other) == 0 && strcmp (uuid, other) == 0)
      return listed;
  }
  return NULL;
}

static gboolean
read_named (const Context *context, char **names, GPtrArray *all, GError **error)
{
  for (guint i = 0; names[i] != NULL; i++) {
    g_autoptr (virDomain) handle = vp_source_find_domain (context->input->connection, names[i], error);
    const VpListed *listed = handle != NULL ? find_listed (context, handle) : NULL;
    const VpListed unlisted = { .handle = handle };
    if (handle == NULL)
      return FALSE;
    g_ptr_array_add (all, status_new (listed != NULL ? listed : &unlisted, context));
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
  context.listed = vp_libvirt_read_all (input->connection, error);
  if (context.listed == NULL)
    return NULL;
  context.fleet = vp_libvirt_new_fleet (context.listed, input->host, input->profiles, NULL);
  if (names[0] == NULL)
    read_all (&context, all);
  else if (!read_named (&context, names, all, error))
    return NULL;
  return g_steal_pointer (&all);
}
