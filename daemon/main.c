/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vfio-profiled: options, signals, the loop, the end. See daemon.c for what runs in the loop.
 *
 * The main thread may be waiting for a libvirt that does not answer, so it is not the one that hears
 * SIGTERM. A thread does that waits for nobody: it stops starts and answers, sends the main thread
 * home, and where that does not come in time ends the program without it. Nothing is lost by that:
 * the journal of what guests hold is written before the host is touched, so what a cut leaves is what
 * a crash leaves, and the next daemon reads it.
 */
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
  GOptionEntry entries[] = { { "session", 0, 0, G_OPTION_ARG_NONE, &options->session,
                               "Keep the domains of qemu:///session, as this user", NULL },
                             { "verbose", 'v', 0, G_OPTION_ARG_NONE, &options->verbose, "Log more", NULL },
                             { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version and end",
                               NULL },
                             G_OPTION_ENTRY_NULL };
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

/* From the signal to the end, whatever hangs. systemd would kill us after 90 s, a person's patience ends before. */
#define END_MS 1700

typedef struct {
  VpDaemon *daemon;
  GMainLoop *main_loop;
  GMainLoop *loop; /* of the thread */
  GThread *thread;
  gboolean asked;
  gboolean idle; /* written before the main loop is told to end: nothing is in flight */
} Ending;

static gboolean
quit_main (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static gboolean
on_overdue (gpointer data)
{
  (void) data;
  g_warning ("the main thread does not come back, most likely as libvirt does not answer: ended without it");
  _exit (EXIT_SUCCESS);
}

static void
add_source (const Ending *ending, GSource *source, GSourceFunc function)
{
  g_source_set_callback (source, function, (gpointer) ending, NULL);
  g_source_attach (source, g_main_loop_get_context (ending->loop));
  g_source_unref (source);
}

static gboolean
on_quit (gpointer data)
{
  Ending *ending = data;

  if (ending->asked)
    return G_SOURCE_CONTINUE;
  ending->asked = TRUE;
  (void) sd_notify (0, "STOPPING=1");
  add_source (ending, g_timeout_source_new (END_MS), on_overdue);
  ending->idle = vp_daemon_stop (ending->daemon);
  /* Not at once: that would be lost if the main loop did not run yet. */
  g_idle_add_full (G_PRIORITY_HIGH, quit_main, ending->main_loop, NULL);
  return G_SOURCE_CONTINUE;
}

static gpointer
end_thread (gpointer data)
{
  g_main_loop_run (data);
  return NULL;
}

static void
ending_init (Ending *ending, VpDaemon *daemon, GMainLoop *main_loop)
{
  g_autoptr (GMainContext) context = g_main_context_new ();

  ending->daemon = daemon;
  ending->main_loop = main_loop;
  ending->loop = g_main_loop_new (context, FALSE);
  add_source (ending, g_unix_signal_source_new (SIGTERM), on_quit);
  add_source (ending, g_unix_signal_source_new (SIGINT), on_quit);
  ending->thread = g_thread_new ("end", end_thread, ending->loop);
}

/* After a quit, so the thread's loop runs. */
static void
ending_clear (Ending *ending)
{
  g_main_loop_quit (ending->loop);
  g_thread_join (ending->thread);
  g_main_loop_unref (ending->loop);
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
  VpDaemon *daemon = vp_daemon_new (session, &error);
  Ending ending = { 0 };

  if (daemon == NULL) {
    g_critical ("%s", error->message);
    return EXIT_FAILURE;
  }
  ending_init (&ending, daemon, loop);
  g_unix_signal_add (SIGHUP, on_reload, daemon);
  (void) sd_notify (0, "READY=1");
  g_main_loop_run (loop);
  if (!ending.idle)
    _exit (EXIT_SUCCESS); /* threads go on: nothing may be freed, by nobody's exit handlers either */
  vp_daemon_free (daemon);
  ending_clear (&ending);
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
