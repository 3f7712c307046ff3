/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rewrite: a definition in, the prepared definition out. Asks no libvirt. */
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/source.h"
#include "cli/plan/plan-view.h"

/* libvirt refuses an emulator that is not there, and nothing here makes one. */
static void
warn_of_missing_wrapper (const VpPlan *plan, const VpSource *source)
{
  g_autofree char *wrapper = plan->wrapped != NULL ? vp_domain_dup_emulator (plan->result) : NULL;

  if (wrapper != NULL && source->topology == NULL && source->sysfs == NULL &&
      !g_file_test (wrapper, G_FILE_TEST_EXISTS))
    vp_output_warn ("domain '%s': the wrapper %s is not there yet: it is made by 'vfio-profile set' and by "
                    "vfio-profiled, for a domain that libvirt has",
                    plan->domain, wrapper);
}

static gboolean
rewrite (const VpSource *source, const char *path, VpPlanFlags flags, GError **error)
{
  g_autoptr (VpDomain) domain = vp_source_read_file (path, error);
  g_autoptr (VpInput) input = domain != NULL ? vp_input_new (source, FALSE, error) : NULL;
  g_autoptr (VpPlan) plan = input != NULL && vp_input_load (input, error)
                              ? vp_plan_new (domain, input->host, input->profiles, NULL, flags, error)
                              : NULL;

  if (plan == NULL)
    return FALSE;
  vp_plan_warn (plan);
  warn_of_missing_wrapper (plan, source);
  g_autofree char *text = vp_domain_dup_text (plan->result);
  return vp_output_write (text, error);
}

static gboolean
run_rewrite (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  gboolean undo = FALSE;
  gboolean host_only = FALSE;
  const GOptionEntry entries[] = {
    { "undo", 0, 0, G_OPTION_ARG_NONE, &undo, "Put the originals back although the tag stands", NULL },
    { "host-only", 0, 0, G_OPTION_ARG_NONE, &host_only, "Change nothing that the guest sees", NULL },
    G_OPTION_ENTRY_NULL
  };
  const GOptionEntry shared[] = { VP_SOURCE_ENTRIES (&source), G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, shared };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  VpPlanFlags flags = (undo ? VP_PLAN_UNDO : 0) | (host_only ? VP_PLAN_HOST_ONLY : 0);
  return rewrite (&source, argc > 1 ? argv[1] : "-", flags, error);
}

const VpCommand vp_command_rewrite = {
  "rewrite",
  "[FILE]",
  "A filter: a domain's XML in, the prepared XML out",
  "Without FILE, or with \"-\", the XML comes from the standard input. It needs neither libvirt nor root; with "
  "--connect it asks nothing, but takes the folders of that libvirt.",
  0,
  1,
  run_rewrite,
};
