/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status: which domains have profiles, and whether they are ready. Writes nothing. */
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/pins.h"
#include "cli/base/source.h"
#include "config.h"
#include "daemon/hold/hold.h"
#include "domain/drift.h"

typedef enum { STATE_UNTAGGED, STATE_READY, STATE_STALE, STATE_INVALID } State;

static const struct {
  const char *name;
  VpStyle style;
} states[] = {
  [STATE_UNTAGGED] = { "untagged", VP_STYLE_DIM },
  [STATE_READY] = { "ready", VP_STYLE_GOOD },
  [STATE_STALE] = { "stale", VP_STYLE_WARN },
  [STATE_INVALID] = { "invalid", VP_STYLE_BAD },
};

/* One line of the table. */
typedef struct {
  char *name;
  char *profile; /* as the tag says it; NULL: no tag */
  char *rule;    /* that put the tag there; NULL: it is the domain's own */
  State state;
  gboolean running;
  guint n_changes;
  char *why;     /* NULL when there is nothing to explain */
  GPtrArray *warnings; /* of char *: the plan's; NULL where there is none */
  GPtrArray *drift;    /* of char *: where a guest that runs is not as planned; NULL: it does not run */
  GStrv holds;         /* what it holds of the host; NULL: nothing, or not for us to read */
  char *silent;        /* it was started past the hook, and why; NULL: it was not, or the same */
  VpPins *pins;  /* of the definition as it is; NULL when it could not be read */
} Report;

static void
report_free (gpointer data)
{
  Report *report = data;

  g_free (report->name);
  g_free (report->profile);
  g_free (report->rule);
  g_free (report->why);
  g_clear_pointer (&report->warnings, g_ptr_array_unref);
  g_clear_pointer (&report->drift, g_ptr_array_unref);
  g_strfreev (report->holds);
  g_free (report->silent);
  vp_pins_free (report->pins);
  g_free (report);
}

/* What all reports need; the host and the profiles are read once. */
typedef struct {
  virConnectPtr connection;
  VpHost *host;
  VpProfiles *profiles;
  VpFleet *fleet;
  VpRoot *root;
  gboolean session;
} Context;

static void
context_clear (Context *context)
{
  g_clear_pointer (&context->root, vp_root_free);
  g_clear_pointer (&context->fleet, vp_fleet_free);
  g_clear_pointer (&context->profiles, vp_profiles_unref);
  g_clear_pointer (&context->host, vp_host_unref);
  g_clear_pointer (&context->connection, virConnectClose);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Context, context_clear)

static void
judge (Report *report, const VpDomain *domain, const Context *context)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *uuid = vp_domain_dup_uuid (domain);
  g_autoptr (VpPlan) plan = vp_plan_new (domain, context->host, context->profiles,
                                         vp_fleet_find (context->fleet, uuid), VP_PLAN_DEFAULT, &problem);

  if (plan == NULL) {
    report->state = STATE_INVALID;
    report->why = g_strdup (problem->message);
    return;
  }
  report->n_changes = plan->changes->len;
  report->warnings = g_ptr_array_ref (plan->warnings);
  if (!vp_plan_is_ready (plan)) {
    const VpChange *first = plan->changes->pdata[0];
    report->state = STATE_STALE;
    report->why = g_strdup_printf ("%u change%s, the first at %s: %s", report->n_changes,
                                   report->n_changes == 1 ? "" : "s", first->place, first->reason);
  } else {
    report->state = report->profile != NULL ? STATE_READY : STATE_UNTAGGED;
  }
}

/* The daemon's journal is root's; whoever may not read it sees nothing held. */
static void
read_holds (Report *report, const Context *context, const char *uuid)
{
  g_autofree char *folder = vp_libvirt_dup_run_folder (context->session);
  g_autofree char *path = g_build_filename (folder + 1, "holds", uuid, NULL);
  g_autofree char *text = vp_root_load_own (context->root, path, VP_HOLD_MAX_BYTES, NULL);
  g_autoptr (VpHold) hold = text != NULL ? vp_hold_parse (uuid, text, NULL) : NULL;

  if (hold == NULL)
    return;
  report->holds = vp_hold_describe (hold);
  report->silent = g_strdup (hold->silent);
}

static void
look_at_running (Report *report, virDomainPtr handle, const Context *context)
{
  gboolean is_ours = report->profile != NULL && vp_libvirt_is_running (handle);
  g_autoptr (VpDomain) live = is_ours ? vp_libvirt_read_live (handle, NULL) : NULL;

  if (live == NULL)
    return;
  g_autofree char *uuid = vp_domain_dup_uuid (live);
  g_autoptr (VpGuestFacts) facts =
    vp_guest_facts_read (context->root, report->name, context->session, vp_drift_needs_pages (live));
  report->drift = vp_drift_list (live, context->host, facts);
  if (uuid != NULL)
    read_holds (report, context, uuid);
}

static Report *
report_new (virDomainPtr handle, const Context *context)
{
  Report *report = g_new0 (Report, 1);
  g_autoptr (GError) problem = NULL;
  g_autoptr (VpDomain) domain = vp_libvirt_read (handle, &problem);

  report->name = g_strdup (virDomainGetName (handle));
  report->running = virDomainIsActive (handle) == 1;
  if (domain == NULL) {
    report->state = STATE_INVALID;
    report->why = g_strdup (problem->message);
    return report;
  }
  const xmlNode *tag = vp_domain_tag (domain);
  report->profile = tag != NULL ? vp_xml_dup_attr (tag, "name") : NULL;
  if (tag != NULL && report->profile == NULL)
    report->profile = g_strdup ("");
  report->rule = vp_domain_dup_tag_rule (domain);
  report->pins = vp_pins_read (domain);
  judge (report, domain, context);
  look_at_running (report, handle, context);
  return report;
}

static gint
compare_reports (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 ((*(Report *const *) a)->name, (*(Report *const *) b)->name);
}

/* One that vanished since it was listed is no error. */
static gboolean
is_worth_a_line (const Report *report, virDomainPtr handle)
{
  if (report->state == STATE_INVALID && report->pins == NULL)
    return virDomainIsActive (handle) >= 0 || virGetLastErrorCode () != VIR_ERR_NO_DOMAIN;
  return report->state != STATE_UNTAGGED;
}

static gboolean
report_all (const Context *context, GPtrArray *reports, GError **error)
{
  g_autoptr (GPtrArray) handles = vp_libvirt_list (context->connection, 0, error);

  if (handles == NULL)
    return FALSE;
  for (guint i = 0; i < handles->len; i++) {
    Report *report = report_new (handles->pdata[i], context);
    if (is_worth_a_line (report, handles->pdata[i]))
      g_ptr_array_add (reports, report);
    else
      report_free (report);
  }
  g_ptr_array_sort (reports, compare_reports);
  return TRUE;
}

static gboolean
report_named (const Context *context, char **names, GPtrArray *reports, GError **error)
{
  for (guint i = 0; names[i] != NULL; i++) {
    g_autoptr (virDomain) handle = vp_source_find_domain (context->connection, names[i], error);
    if (handle == NULL)
      return FALSE;
    g_ptr_array_add (reports, report_new (handle, context));
  }
  return TRUE;
}

static json_object *
report_to_json (const Report *report)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "domain", vp_output_json_string (report->name));
  json_object_object_add (object, "profile", vp_output_json_string (report->profile));
  json_object_object_add (object, "tag_rule", vp_output_json_string (report->rule));
  json_object_object_add (object, "state", vp_output_json_string (states[report->state].name));
  json_object_object_add (object, "running", json_object_new_boolean (report->running));
  json_object_object_add (object, "changes", json_object_new_uint64 (report->n_changes));
  json_object_object_add (object, "reason", vp_output_json_string (report->why));
  json_object_object_add (object, "warnings", vp_output_json_strings (report->warnings));
  json_object_object_add (object, "drift", vp_output_json_strings (report->drift));
  json_object_object_add (object, "holds", vp_output_json_strv (report->holds));
  json_object_object_add (object, "hook_silent", vp_output_json_string (report->silent));
  json_object_object_add (object, "pins", report->pins != NULL ? vp_pins_to_json (report->pins) : NULL);
  return object;
}

static gboolean
print_json (const GPtrArray *reports, GError **error)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < reports->len; i++)
    json_object_array_add (array, report_to_json (reports->pdata[i]));
  return vp_output_json (array, error);
}

static void
note (VpTable *table, const char *what, const char *text)
{
  g_autofree char *line = g_strconcat (what, text, NULL);

  vp_table_note (table, line);
}

static void
print_table (const GPtrArray *reports)
{
  static const char *const heads[] = { "DOMAIN", "PROFILE", "STATE", "RUNNING", "PINS", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);

  for (guint i = 0; i < reports->len; i++) {
    const Report *report = reports->pdata[i];
    g_autofree char *pins = report->pins != NULL ? vp_pins_dup_text (report->pins) : NULL;
    g_autofree char *profile = report->rule != NULL
                                 ? g_strdup_printf ("%s (rule %s)", report->profile, report->rule)
                                 : g_strdup (report->profile);
    const char *cells[] = { report->name, profile, states[report->state].name, report->running ? "yes" : "no",
                            pins, NULL };
    vp_table_add (table, 2, states[report->state].style, cells);
    if (report->why != NULL)
      vp_table_note (table, report->why);
    if (report->silent != NULL)
      note (table, "started past the hook, as ", report->silent);
    for (guint j = 0; report->warnings != NULL && j < report->warnings->len; j++)
      vp_table_note (table, report->warnings->pdata[j]);
    for (guint j = 0; report->drift != NULL && j < report->drift->len; j++)
      note (table, "not as planned: ", report->drift->pdata[j]);
    for (guint j = 0; report->holds != NULL && report->holds[j] != NULL; j++)
      note (table, "holds ", report->holds[j]);
  }
  vp_table_print (table);
}

static gboolean
context_open (Context *context, const VpSource *source, GError **error)
{
  unsigned long version = 0;

  context->connection = vp_libvirt_open (source->uri, error);
  if (context->connection == NULL)
    return FALSE;
  gboolean session = vp_libvirt_is_session (context->connection);
  context->session = session;
  context->root = vp_root_open ("/", error);
  if (context->root == NULL)
    return FALSE;
  (void) virConnectGetLibVersion (context->connection, &version); /* stays 0, not known */
  context->profiles = vp_source_load_profiles (source, session, error);
  context->host = context->profiles != NULL ? vp_source_load_host (source, session, version, error) : NULL;
  context->fleet = context->host != NULL
                     ? vp_libvirt_load_fleet (context->connection, context->host, context->profiles, NULL, error)
                     : NULL;
  return context->fleet != NULL;
}

static gboolean
run_status (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  g_auto (Context) context = { 0 };
  g_autoptr (GPtrArray) reports = g_ptr_array_new_with_free_func (report_free);
  gboolean json = FALSE;
  const GOptionEntry entries[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
    VP_SOURCE_ENTRY_CONNECT (&source),
    G_OPTION_ENTRY_NULL
  };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (!context_open (&context, &source, error))
    return FALSE;
  if (argc > 1 ? !report_named (&context, argv + 1, reports, error) : !report_all (&context, reports, error))
    return FALSE;
  if (json)
    return print_json (reports, error);
  print_table (reports);
  return TRUE;
}

const VpCommand vp_command_status = {
  "status", "[DOMAIN…]", "Show domains with profiles: ready or not and why, running or not, pins",
  "Without DOMAIN it lists all that have a tag, or that still have something to put back.", 0, G_MAXINT, run_status,
};
