/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status: which domains have profiles, and whether they are ready. Writes nothing. */
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/status/status.h"

static gboolean
run_status (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  gboolean json = FALSE;
  const GOptionEntry entries[] = { { "json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
                                   VP_SOURCE_ENTRY_CONNECT (&source),
                                   G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  g_autoptr (VpInput) input = vp_input_new (&source, TRUE, error);
  g_autoptr (GPtrArray) all =
    input != NULL && vp_input_load (input, error) ? vp_status_read (input, argv + 1, error) : NULL;
  if (all == NULL)
    return FALSE;
  if (json)
    return vp_output_json (vp_status_to_json (all), error);
  vp_status_print (all);
  return TRUE;
}

const VpCommand vp_command_status = {
  "status",
  "[DOMAIN…]",
  "Show domains with profiles: ready or not and why, running or not, pins",
  "Without DOMAIN it lists all that have a tag, or that still have something to put back.",
  0,
  G_MAXINT,
  run_status,
};
