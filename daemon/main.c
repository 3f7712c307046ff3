/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vfio-profiled: options, signals, the loop. See daemon.c for what runs in it. */
#include <glib-unix.h>
#include <libvirt/libvirt.h>
#include <libxml/parser.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "config.h"
#include "daemon/daemon.h"
#include "libvirt/libvirt-client.h"

typedef struct {
  gboolean session;
  gboolean verbose;
  gboolean version;
} Options;

static gboolean
parse_options (int *argc, char ***argv, Options *options)
{
  GOptionEntry entries[] = {
    { "session", 0, 0, G_OPTION_ARG_NONE, &options->session, "Keep the domains of qemu:///session, as this user", NULL },
    { "verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose, "Log more", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version and end", NULL },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, "Keeps libvirt domains with a <vfio:profile> tag prepared, and answers "
                                         "libvirt's qemu hook.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    g_printerr ("vfio-profiled: %s; see 'vfio-profiled --help'\n", error->message);
    return FALSE;
  }
  if (*argc > 1) {
    g_printerr ("vfio-profiled: '%s' is one argument too many; see 'vfio-profiled --help'\n", (*argv)[1]);
    return FALSE;
  }
  return TRUE;
}

static gboolean
on_quit (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_reload (gpointer data)
{
  (void) sd_notify (0, "RELOADING=1");
  vp_daemon_reload (data);
  (void) sd_notify (0, "READY=1");
  return G_SOURCE_CONTINUE;
}

static int
run (gboolean session)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  g_autoptr (VpDaemon) daemon = vp_daemon_new (session, &error);

  if (daemon == NULL) {
    g_critical ("%s", error->message);
    return EXIT_FAILURE;
  }
  g_unix_signal_add (SIGTERM, on_quit, loop);
  g_unix_signal_add (SIGINT, on_quit, loop);
  g_unix_signal_add (SIGHUP, on_reload, daemon);
  (void) sd_notify (0, "READY=1");
  g_main_loop_run (loop);
  (void) sd_notify (0, "STOPPING=1");
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  Options options = { 0 };

  setlocale (LC_CTYPE, "");
  if (!parse_options (&argc, &argv, &options))
    return 2;
  if (options.version) {
    g_print ("vfio-profiled %s\n", VP_VERSION);
    return EXIT_SUCCESS;
  }
  if (!options.session && geteuid () != 0) {
    g_printerr ("vfio-profiled: the system's domains need root; for your own, use --session\n");
    return EXIT_FAILURE;
  }
  g_log_set_debug_enabled (options.verbose);
  g_log_writer_default_set_use_stderr (TRUE);
  umask (022);
  xmlInitParser ();
  vp_libvirt_be_silent ();
  if (virInitialize () != 0 || virEventRegisterDefaultImpl () != 0) {
    g_critical ("libvirt's client library cannot be initialised");
    return EXIT_FAILURE;
  }
  return run (options.session);
}
