/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* handover: what would step back from the card of a domain, and what did not come back. The daemon does both. */
#include "base/gate-protocol.h"
#include "cli/base/command.h"
#include "cli/base/daemon-question.h"
#include "cli/base/output.h"
#include "cli/base/source.h"

static gboolean
show (const char *operation, const char *domain, const char *xml, GError **error)
{
  g_autofree char *text = vp_daemon_ask (operation, domain, xml, error);
  g_auto (GStrv) lines = g_strsplit (text != NULL ? text : "", "\n", -1);

  for (guint i = 0; lines[i] != NULL && lines[i][0] != '\0'; i++) {
    g_autofree char *clean = vp_output_dup_clean (lines[i]);
    g_print ("%s\n", clean);
  }
  return text != NULL;
}

static gboolean
show_plan (const VpSource *source, const char *name, GError **error)
{
  g_autoptr (VpInput) input = vp_input_new (source, TRUE, error);
  g_autoptr (virDomain) handle = input != NULL ? vp_source_find_domain (input->connection, name, error) : NULL;
  g_autoptr (VpDomain) domain = handle != NULL ? vp_libvirt_read (handle, error) : NULL;

  if (domain == NULL)
    return FALSE;
  g_autofree char *xml = vp_domain_dup_text (domain);
  return show (VP_GATE_PLAN, virDomainGetName (handle), xml, error);
}

static gboolean
run_handover (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  gboolean dry_run = FALSE;
  gboolean give_back = FALSE;
  const GOptionEntry entries[] = { { "dry-run", 'n', 0, G_OPTION_ARG_NONE, &dry_run,
                                     "Show what a start of DOMAIN would stop, in order, and why", NULL },
                                   { "give-back", 0, 0, G_OPTION_ARG_NONE, &give_back,
                                     "Bring back what did not come back by itself, where the guest has ended", NULL },
                                   VP_SOURCE_ENTRY_CONNECT (&source),
                                   G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (dry_run == give_back || dry_run != (argc == 2)) {
    vp_command_set_usage (command, error, "handover takes --dry-run and a DOMAIN, or --give-back alone");
    return FALSE;
  }
  return dry_run ? show_plan (&source, argv[1], error) : show (VP_GATE_GIVE_BACK, NULL, NULL, error);
}

const VpCommand vp_command_handover = {
  "handover",
  "DOMAIN | --give-back",
  "Show what steps back from a domain's card, or bring it back",
  "With devices.handover in its profile the host's desktop steps back when DOMAIN starts, and returns when it has ended."
  "\nBoth ask vfio-profiled, and need root.",
  0,
  1,
  run_handover,
};
