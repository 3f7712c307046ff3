/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vfio-profile: finds the command, prints its error, ends. */
#include <errno.h>
#include <libxml/parser.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli/base/command.h"
#include "cli/base/output.h"
#include "config.h"
#include "libvirt/libvirt-client.h"

#define EXIT_USAGE 2

static const VpCommand *const commands[] = {
  &vp_command_set,    &vp_command_unset,   &vp_command_undo,      &vp_command_status, &vp_command_plan,
  &vp_command_groups, &vp_command_doctor,  &vp_command_sequester, &vp_command_grant,  &vp_command_handover,
  &vp_command_map,    &vp_command_rewrite, &vp_command_profiles,  &vp_command_rules,  NULL,
};

static void
print_help (void)
{
  g_print ("Usage:\n  vfio-profile COMMAND [OPTION…] [ARGUMENT…]\n\n"
           "Tuned profiles for libvirt domains with assigned graphics cards.\n\nCommands:\n");
  for (guint i = 0; commands[i] != NULL; i++) {
    g_autofree char *left = g_strdup_printf ("%s %s", commands[i]->name, commands[i]->arguments);
    g_print ("  %s%*s  %s\n", left, MAX (0, 22 - (int) g_utf8_strlen (left, -1)), "", commands[i]->summary);
  }
  g_print ("\nOptions:\n  -h, --help              Show help options\n"
           "  --version               Print the version and end\n\n"
           "'vfio-profile COMMAND --help' explains a command; see also vfio-profile(1).\n");
}

static const VpCommand *
find_command (const char *name)
{
  for (guint i = 0; commands[i] != NULL; i++)
    if (strcmp (commands[i]->name, name) == 0)
      return commands[i];
  return NULL;
}

static int
fail (int status, const char *message)
{
  g_autofree char *clean = vp_output_dup_clean (message);

  g_printerr ("vfio-profile: %s\n", clean);
  return status;
}

/* What the library logs is for a person who waits, not for a journal. */
static GLogWriterOutput
write_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  (void) data;
  if (level > G_LOG_LEVEL_WARNING)
    return G_LOG_WRITER_HANDLED;
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      vp_output_warn ("%s", (const char *) fields[i].value);
  return G_LOG_WRITER_HANDLED;
}

static int
run (const VpCommand *command, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (!command->run (command, argc, argv, &error))
    return fail (error->domain == G_OPTION_ERROR ? EXIT_USAGE : EXIT_FAILURE, error->message);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  g_log_set_writer_func (write_log, NULL, NULL);
  xmlInitParser ();
  vp_libvirt_be_silent ();
  int status = EXIT_SUCCESS;
  if (argc < 2)
    return fail (EXIT_USAGE, "which command? See 'vfio-profile --help'");
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0) {
    print_help ();
  } else if (strcmp (argv[1], "--version") == 0) {
    vp_command_print_version ();
  } else {
    const VpCommand *command = find_command (argv[1]);
    g_autofree char *unknown = g_strdup_printf ("there is no command '%s'; see 'vfio-profile --help'", argv[1]);
    status = command != NULL ? run (command, argc - 1, argv + 1) : fail (EXIT_USAGE, unknown);
  }
  /* g_print says nothing of a full disk. */
  if (status == EXIT_SUCCESS && (fflush (stdout) == EOF || ferror (stdout)))
    return fail (EXIT_FAILURE, "cannot write the output: the standard output is full or closed");
  return status;
}
