/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options of commands. Knows none of them. */
#include "cli/base/command.h"

#include "config.h"

void
vp_command_print_version (void)
{
  g_print ("vfio-profile %s\n", VP_VERSION);
}

void
vp_command_set_usage (const VpCommand *command, GError **error, const char *format, ...)
{
  va_list values;

  va_start (values, format);
  g_autofree char *text = g_strdup_vprintf (format, values);
  va_end (values);
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s; see 'vfio-profile %s --help'", text, command->name);
}

static gboolean
check_count (const VpCommand *command, int argc, char **argv, GError **error)
{
  if (argc - 1 < command->least)
    vp_command_set_usage (command, error, "%s needs %s", command->name, command->arguments);
  else if (argc - 1 > command->most)
    vp_command_set_usage (command, error, "'%s' is one argument too many", argv[command->most + 1]);
  else
    return TRUE;
  return FALSE;
}

static GOptionContext *
new_context (const VpCommand *command, const GOptionEntry *const groups[2], const GOptionEntry *common)
{
  GOptionContext *context = g_option_context_new (command->arguments);
  g_autofree char *program = g_strdup_printf ("vfio-profile %s", command->name);

  g_set_prgname (program); /* what the usage line begins with */
  g_option_context_set_summary (context, command->summary);
  g_option_context_set_description (context, command->details);
  for (int i = 0; i < 2; i++)
    if (groups[i] != NULL)
      g_option_context_add_main_entries (context, groups[i], NULL);
  g_option_context_add_main_entries (context, common, NULL);
  return context;
}

/* GLib takes a lone "-" for an argument, and "--" out only where an argument beginning with "-" follows. */
static void
drop_separator (int *argc, char **argv)
{
  for (int i = 1; i < *argc; i++) {
    if (!g_str_equal (argv[i], "--"))
      continue;
    for (int j = i; j < *argc; j++)
      argv[j] = argv[j + 1];
    (*argc)--;
    return;
  }
}

gboolean
vp_command_parse (const VpCommand *command, const GOptionEntry *const groups[2], int *argc, char ***argv,
                  gboolean *version, GError **error)
{
  const GOptionEntry common[] = { { "version", 0, 0, G_OPTION_ARG_NONE, version, "Print the version and end", NULL },
                                  G_OPTION_ENTRY_NULL };
  g_autoptr (GOptionContext) context = new_context (command, groups, common);
  g_autoptr (GError) problem = NULL;

  *version = FALSE;
  if (!g_option_context_parse (context, argc, argv, &problem)) {
    vp_command_set_usage (command, error, "%s", problem->message);
    return FALSE;
  }
  drop_separator (argc, *argv);
  if (*version) {
    vp_command_print_version ();
    return TRUE;
  }
  return check_count (command, *argc, *argv, error);
}
