/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-bus.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/prctl.h>

struct FakeBus {
  char *folder;
  char *address;
  GSubprocess *daemon; /* NULL: stopped */
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
  FakeBusFunc serve;
  gpointer data;
  GMutex mutex; /* of `ready` */
  GCond changed;
  gboolean ready;
};

static gboolean
on_running (gpointer data)
{
  FakeBus *bus = data;

  g_mutex_lock (&bus->mutex);
  bus->ready = TRUE;
  g_cond_signal (&bus->changed);
  g_mutex_unlock (&bus->mutex);
  return G_SOURCE_REMOVE;
}

static gpointer
serve_thread (gpointer data)
{
  FakeBus *bus = data;
  g_autoptr (GError) error = NULL;

  g_main_context_push_thread_default (bus->context);
  GDBusConnection *connection =
    g_dbus_connection_new_for_address_sync (bus->address,
                                            G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                              G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                            NULL, NULL, &error);
  g_assert_no_error (error);
  bus->serve (connection, bus->data);
  g_autoptr (GSource) first = g_idle_source_new ();
  g_source_set_callback (first, on_running, bus, NULL);
  g_source_attach (first, bus->context);
  g_main_loop_run (bus->loop);
  g_object_unref (connection);
  g_main_context_pop_thread_default (bus->context);
  return NULL;
}

gboolean
fake_bus_is_possible (void)
{
  g_autofree char *program = g_find_program_in_path ("dbus-daemon");

  return program != NULL;
}

static void
die_with_the_test (gpointer data)
{
  (void) data;
  (void) prctl (PR_SET_PDEATHSIG, SIGKILL);
}

void
fake_bus_own (GDBusConnection *connection, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) owned =
    g_dbus_connection_call_sync (connection, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                 "RequestName", g_variant_new ("(su)", name, 4u), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
                                 NULL, &error);

  g_assert_no_error (error);
}

void
fake_bus_start (FakeBus *bus, gboolean served)
{
  g_autofree char *config = g_build_filename (bus->folder, "bus.conf", NULL);
  g_autofree char *option = g_strconcat ("--config-file=", config, NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL;

  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_subprocess_launcher_set_child_setup (launcher, die_with_the_test, NULL, NULL);
  bus->daemon = g_subprocess_launcher_spawn (launcher, &error, "dbus-daemon", option, "--nofork", "--nopidfile",
                                             "--print-address=1", NULL);
  g_assert_no_error (error);
  g_autoptr (GDataInputStream) out = g_data_input_stream_new (g_subprocess_get_stdout_pipe (bus->daemon));
  g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (out), FALSE);
  line = g_data_input_stream_read_line (out, NULL, NULL, &error); /* it listens now */
  g_assert_no_error (error);
  g_assert_nonnull (line);
  if (!served)
    return;
  bus->ready = FALSE;
  bus->context = g_main_context_new ();
  bus->loop = g_main_loop_new (bus->context, FALSE);
  bus->thread = g_thread_new ("bus", serve_thread, bus);
  g_mutex_lock (&bus->mutex);
  while (!bus->ready)
    g_cond_wait (&bus->changed, &bus->mutex);
  g_mutex_unlock (&bus->mutex);
}

void
fake_bus_stop (FakeBus *bus)
{
  if (bus->thread != NULL) {
    g_main_loop_quit (bus->loop);
    g_thread_join (g_steal_pointer (&bus->thread));
    g_clear_pointer (&bus->loop, g_main_loop_unref);
    g_clear_pointer (&bus->context, g_main_context_unref);
  }
  if (bus->daemon == NULL)
    return;
  g_subprocess_force_exit (bus->daemon);
  g_subprocess_wait (bus->daemon, NULL, NULL);
  g_clear_object (&bus->daemon);
}

FakeBus *
fake_bus_new (FakeBusFunc serve, gpointer data)
{
  FakeBus *bus = g_new0 (FakeBus, 1);
  g_autoptr (GError) error = NULL;

  bus->folder = g_dir_make_tmp ("vp-bus-XXXXXX", &error);
  g_assert_no_error (error);
  bus->address = g_strdup_printf ("unix:path=%s/socket", bus->folder);
  bus->serve = serve;
  bus->data = data;
  g_mutex_init (&bus->mutex);
  g_cond_init (&bus->changed);
  g_autofree char *config = g_build_filename (bus->folder, "bus.conf", NULL);
  g_autofree char *text = g_strdup_printf (
    "<busconfig><type>session</type><listen>%s</listen><auth>EXTERNAL</auth><policy context='default'>"
    "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>",
    bus->address);
  g_file_set_contents (config, text, -1, &error);
  g_assert_no_error (error);
  return bus;
}

void
fake_bus_free (FakeBus *bus)
{
  g_autofree char *config = g_build_filename (bus->folder, "bus.conf", NULL);
  g_autofree char *socket = g_build_filename (bus->folder, "socket", NULL);

  fake_bus_stop (bus);
  g_mutex_clear (&bus->mutex);
  g_cond_clear (&bus->changed);
  (void) g_unlink (config);
  (void) g_unlink (socket);
  (void) g_rmdir (bus->folder);
  g_free (bus->folder);
  g_free (bus->address);
  g_free (bus);
}

const char *
fake_bus_get_address (const FakeBus *bus)
{
  return bus->address;
}
