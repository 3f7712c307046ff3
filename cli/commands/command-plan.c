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

static VpDomain *
read_domain (const VpInput *input, const char *file, const char *name, GError **error)
{
  if (file != NULL)
    return vp_source_read_file (file, error);
  g_autoptr (virDomain) domain = vp_source_find_domain (input->connection, name, error);
  return domain != NULL ? vp_libvirt_read (domain, error) : NULL;
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
plan_domain (const VpInput *input, const VpDomain *domain, GError **error)
{
  const VpSource *source = input->source;

  if (input->connection == NULL || source->topology != NULL || source->sysfs != NULL)
    return vp_plan_new (domain, input->host, input->profiles, NULL, VP_PLAN_DEFAULT, error);
  return vp_input_plan (input, domain, error);
}

static gboolean
plan_and_show (const VpSource *source, const Options *options, const char *name, GError **error)
{
  g_autoptr (VpInput) input = vp_input_new (source, options->file == NULL, error);
  g_autoptr (VpDomain) domain = input != NULL ? read_domain (input, options->file, name, error) : NULL;

  if (domain == NULL)
    return FALSE;
  g_autoptr (VpPlan) plan = vp_input_load (input, error) ? plan_domain (input, domain, error) : NULL;
  if (plan != NULL)
    return show (plan, domain, options, options->file != NULL ? options->file : name, error);
  g_autofree char *own_name = vp_domain_dup_name (domain);
  g_prefix_error (error, "domain '%s': ", own_name);
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
  const GOptionEntry entries[] = { { "file", 'f', 0, G_OPTION_ARG_FILENAME, &options.file,
                                     "Plan the definition in FILE (\"-\": standard input); needs no libvirt", "FILE" },
                                   { "diff", 'd', 0, G_OPTION_ARG_NONE, &options.diff,
                                     "Show the definition's difference as well", NULL },
                                   { "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "Print JSON", NULL },
                                   G_OPTION_ENTRY_NULL };
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
  "plan",
  "DOMAIN | --file FILE",
  "Show what would change in a definition, and why",
  "With --topology and without --sysfs nothing is known of the host but its CPUs.",
  0,
  1,
  run_plan,
};
