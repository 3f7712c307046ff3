/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan: what would change, and why. Writes nothing anywhere. */
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/source.h"
#include "cli/plan/plan-view.h"

typedef struct {
  char *file; /* NULL: a domain of libvirt's */
  gboolean diff;
  gboolean json;
} Options;

/* What is planned, and for which libvirt. */
typedef struct {
  VpDomain *domain;
  virConnectPtr connection; /* NULL: the definition comes from a file */
  gboolean session;
  unsigned long libvirt_version;
} Subject;

static void
subject_clear (Subject *subject)
{
  g_clear_pointer (&subject->domain, vp_domain_free);
  g_clear_pointer (&subject->connection, virConnectClose);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Subject, subject_clear)

static gboolean
read_subject (const VpSource *source, const Options *options, const char *name, Subject *subject, GError **error)
{
  if (options->file != NULL) {
    subject->session = vp_source_is_session (source);
    subject->libvirt_version = vp_source_libvirt_version ();
    subject->domain = vp_source_read_file (options->file, error);
    return subject->domain != NULL;
  }
  subject->connection = vp_libvirt_open (source->uri, error);
  g_autoptr (virDomain) domain =
    subject->connection != NULL ? vp_source_find_domain (subject->connection, name, error) : NULL;
  if (domain == NULL)
    return FALSE;
  subject->session = vp_libvirt_is_session (subject->connection);
  (void) virConnectGetLibVersion (subject->connection, &subject->libvirt_version); /* stays 0, not known */
  subject->domain = vp_libvirt_read (domain, error);
  return subject->domain != NULL;
}

static gboolean
show (const VpPlan *plan, const VpDomain *before, const Options *options, const char *name, GError **error)
{
  if (options->json)
    return vp_output_json (vp_plan_to_json (plan), error);
  vp_plan_print (plan);
  if (options->diff && !vp_plan_is_ready (plan)) {
    g_print ("\n");
    if (!vp_plan_print_diff (plan, before, name, error))
      return FALSE;
  }
  vp_plan_warn (plan);
  return TRUE;
}

/* The other guests count where their libvirt and their host are the ones that are planned for. */
static VpPlan *
plan_subject (const VpSource *source, const Subject *subject, const VpHost *host, const VpProfiles *profiles,
              GError **error)
{
  g_autofree char *uuid = vp_domain_dup_uuid (subject->domain);

  if (subject->connection == NULL || source->topology != NULL || source->sysfs != NULL)
    return vp_plan_new (subject->domain, host, profiles, NULL, VP_PLAN_DEFAULT, error);
  g_autoptr (VpFleet) fleet = vp_libvirt_load_fleet (subject->connection, host, profiles, NULL, error);
  if (fleet == NULL)
    return NULL;
  return vp_plan_new (subject->domain, host, profiles, vp_fleet_find (fleet, uuid), VP_PLAN_DEFAULT, error);
}

static gboolean
plan_and_show (const VpSource *source, const Options *options, const char *name, GError **error)
{
  g_auto (Subject) subject = { 0 };

  if (!read_subject (source, options, name, &subject, error))
    return FALSE;
  g_autoptr (VpProfiles) profiles = vp_source_load_profiles (source, subject.session, error);
  g_autoptr (VpHost) host =
    profiles != NULL ? vp_source_load_host (source, subject.session, subject.libvirt_version, error) : NULL;
  g_autoptr (VpPlan) plan = host != NULL ? plan_subject (source, &subject, host, profiles, error) : NULL;

  if (plan != NULL)
    return show (plan, subject.domain, options, options->file != NULL ? options->file : name, error);
  g_autofree char *subject_name = vp_domain_dup_name (subject.domain);
  g_prefix_error (error, "domain '%s': ", subject_name);
  return FALSE;
}

static gboolean
check_options (const VpCommand *command, const Options *options, int argc, GError **error)
{
  if (options->file == NULL && argc < 2)
    vp_command_set_usage (command, error, "plan needs a DOMAIN or --file");
  else if (options->file != NULL && argc > 1)
    vp_command_set_usage (command, error, "plan takes a DOMAIN or --file, not both");
  else if (options->diff && options->json)
    vp_command_set_usage (command, error, "plan takes --diff or --json, not both");
  else
    return TRUE;
  return FALSE;
}

static gboolean
run_plan (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  Options options = { 0 };
  const GOptionEntry entries[] = {
    { "file", 'f', 0, G_OPTION_ARG_FILENAME, &options.file,
      "Plan the definition in FILE (\"-\": standard input); needs no libvirt", "FILE" },
    { "diff", 'd', 0, G_OPTION_ARG_NONE, &options.diff, "Show the definition's difference as well", NULL },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "Print JSON", NULL },
    G_OPTION_ENTRY_NULL
  };
  const GOptionEntry shared[] = { VP_SOURCE_ENTRIES (&source), G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, shared };
  gboolean version = FALSE;
  gboolean parsed = vp_command_parse (command, groups, &argc, &argv, &version, error);
  g_autofree char *file = options.file;

  if (!parsed || version)
    return version;
  return check_options (command, &options, argc, error) && plan_and_show (&source, &options, argv[1], error);
}

const VpCommand vp_command_plan = {
  "plan", "DOMAIN | --file FILE", "Show what would change in a definition, and why",
  "With --topology and without --sysfs nothing is known of the host but its CPUs.", 0, 1, run_plan,
};
