/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a command of vfio-profile is, and the one way to read its options. A new
 * command is a new file and a line in the table of main.c.
 *
 * A command returns FALSE with an error: G_OPTION_ERROR is wrong usage (exit 2),
 * every other domain is refused or failed (exit 1). Nobody but main ends the
 * program or prints the error.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpCommand VpCommand;

struct VpCommand {
  const char *name;
  const char *arguments; /* for the usage line; "" for none */
  const char *summary;   /* one line */
  const char *details;   /* more of it, for --help; NULL: nothing */
  int least;             /* arguments that it needs */
  int most;              /* and takes; G_MAXINT for any number */
  gboolean (*run) (const VpCommand *command, int argc, char **argv, GError **error);
};

extern const VpCommand vp_command_set;
extern const VpCommand vp_command_unset;
extern const VpCommand vp_command_undo;
extern const VpCommand vp_command_status;
extern const VpCommand vp_command_plan;
extern const VpCommand vp_command_map;
extern const VpCommand vp_command_groups;
extern const VpCommand vp_command_doctor;
extern const VpCommand vp_command_sequester;
extern const VpCommand vp_command_grant;
extern const VpCommand vp_command_handover;
extern const VpCommand vp_command_rewrite;
extern const VpCommand vp_command_profiles;
extern const VpCommand vp_command_rules;

/*
 * Takes the options out of argv; what stays are argv[1] … argv[argc - 1]. `groups`
 * holds up to two tables beside --version, each ended by G_OPTION_ENTRY_NULL, or NULL.
 * --help ends the program, as GOptionContext does it. `version` says that the version was
 * printed and that there is nothing more to do.
 */
gboolean vp_command_parse (const VpCommand *command, const GOptionEntry *const groups[2], int *argc, char ***argv,
                           gboolean *version, GError **error);

/* On stdout, with the name of the program. */
void vp_command_print_version (void);

/* Sets an error of usage (G_OPTION_ERROR), with the way to the help. */
void vp_command_set_usage (const VpCommand *command, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

G_END_DECLS
