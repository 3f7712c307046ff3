/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* doctor: looks at the host, and at one guest. Changes nothing. */
#include "base/error.h"
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/doctor/doctor-run.h"

static gboolean
show (const VpDoctor *doctor, gboolean json, GError **error)
{
  guint failed = vp_doctor_count (doctor, VP_CHECK_FAIL);

  if (!json)
    vp_doctor_print (doctor);
  else if (!vp_output_json (vp_doctor_to_json (doctor), error))
    return FALSE;
  if (failed == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "%u check%s failed", failed, failed == 1 ? "" : "s");
  return FALSE;
}

static gboolean
run_doctor (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  g_autofree char *root = NULL;
  gboolean json = FALSE;
  const GOptionEntry entries[] = { { "json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
                                   { "root", 0, 0, G_OPTION_ARG_FILENAME, &root,
                                     "Look at a recorded machine: /sys, /proc, /etc … as they are in DIR", "DIR" },
                                   { "topology", 0, 0, G_OPTION_ARG_FILENAME, &source.topology,
                                     "Its CPUs, with --root (as for plan)", "FILE-OR-SYNTHETIC" },
                                   G_OPTION_ENTRY_NULL };
  const GOptionEntry shared[] = { VP_SOURCE_ENTRY_CONNECT (&source), VP_SOURCE_ENTRY_PROFILES (&source),
                                  G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, shared };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (source.topology != NULL && root == NULL) {
    vp_command_set_usage (command, error, "doctor takes --topology only with --root");
    return FALSE;
  }
  const VpDoctorQuestion question = { &source, root, argc > 1 ? argv[1] : NULL };
  g_autoptr (VpDoctor) doctor = vp_doctor_run (&question, error);
  return doctor != NULL && show (doctor, json, error);
}

const VpCommand vp_command_doctor = {
  "doctor",
  "[DOMAIN]",
  "Check the host, and with DOMAIN all that its start needs",
  "Exits with 1 where a check says FAIL. Root sees more than others.",
  0,
  1,
  run_doctor,
};
