/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket of lib/base/gate-protocol.h: one request and one answer a connection. */
#include "daemon/gate/gate-socket.h"

#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/gate-protocol.h"

#define MAX_THREADS 32 /* of answers at the same time; more wait in the socket's queue */
#define SHORT_MS 200   /* until the next try to take a connection where the kernel has no descriptor for it */
#define PEER_SECONDS 5 /* for each read and write: the hook sends at once or is dead */
#define FREE_SECONDS 5 /* for one that was not stopped before */

struct VpGate {
  VpGateContext context;
  char *config_folder;
  char *path; /* to remove at the end; NULL: systemd's */
  GMainContext *loop_context;
  GMainLoop *loop;
  GSocketListener *listener;
  GThreadPool *pool;
  GThread *thread;         /* NULL: it no longer listens */
  GCancellable *listening; /* ends the waiting for connections */
  GCancellable *ending;    /* ends the reading of what is still being asked */
  gboolean is_waiting;     /* for a connection; the gate's thread's own */
  gboolean is_short;       /* of descriptors, which was said; its own */

  GMutex mutex;
  GCond answered;
  guint in_flight; /* guarded: connections that were taken and are not answered yet */
};

/* The folder is root's and closed to others; this is the second lock on the door. */
static gboolean
check_peer (GSocket *socket, GError **error)
{
  g_autoptr (GCredentials) peer = g_socket_get_credentials (socket, error);

  if (peer == NULL)
    return FALSE;
  uid_t uid = g_credentials_get_unix_user (peer, error);
  if (uid == geteuid () || uid == 0)
    return TRUE;
  if (error != NULL && *error == NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "user %u may not ask the gate", (unsigned) uid);
  return FALSE;
}

/* A hook that is gone is noticed when it gets its answer. */
static void
send_wait (guint seconds, gpointer data)
{
  g_autofree char *line = g_strdup_printf ("WAIT %u\n", seconds);

  (void) g_output_stream_write_all (data, line, strlen (line), NULL, NULL, NULL);
}

static gboolean
serve (const VpGate *gate, GSocketConnection *connection, GError **error)
{
  VpHookCall call = { 0 };
  g_autofree char *text = NULL;

  g_socket_set_timeout (g_socket_connection_get_socket (connection), PEER_SECONDS);
  if (!check_peer (g_socket_connection_get_socket (connection), error))
    return FALSE;
  g_autoptr (GByteArray) bytes =
    vp_hook_call_read (g_io_stream_get_input_stream (G_IO_STREAM (connection)), gate->ending, error);
  if (bytes != NULL && bytes->len == 0)
    return TRUE; /* somebody looked whether we are here */
  if (bytes == NULL || !vp_hook_call_parse (bytes, &call, error))
    return FALSE;
  call.wait = send_wait;
  call.data = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  gboolean ok = vp_gate_answer (&gate->context, &call, &text);
  gsize length = text != NULL ? strlen (text) : 0;
  g_autofree char *head = g_strdup_printf ("%s %" G_GSIZE_FORMAT "\n", ok ? "OK" : "REFUSE", length);
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  if (g_output_stream_write_all (out, head, strlen (head), NULL, NULL, error) &&
      g_output_stream_write_all (out, text != NULL ? text : "", length, NULL, NULL, error))
    return TRUE;
  vp_gate_withdraw (&gate->context, &call);
  return FALSE;
}

static void wait_for_connection (VpGate *gate);

static gboolean
on_retry (gpointer data)
{
  wait_for_connection (data);
  return G_SOURCE_REMOVE;
}

static void
retry_after (VpGate *gate, guint milliseconds)
{
  g_autoptr (GSource) source = milliseconds > 0 ? g_timeout_source_new (milliseconds) : g_idle_source_new ();

  g_source_set_callback (source, on_retry, gate, NULL);
  g_source_attach (source, gate->loop_context);
}

static void
answer_connection (gpointer data, gpointer user_data)
{
  VpGate *gate = user_data;
  g_autoptr (GSocketConnection) connection = data;
  g_autoptr (GError) error = NULL;

  if (!serve (gate, connection, &error))
    g_warning ("gate: a request was not answered: %s", error->message);
  (void) g_io_stream_close (G_IO_STREAM (connection), NULL, NULL);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&gate->mutex);
  if (gate->in_flight-- == MAX_THREADS)
    retry_after (gate, 0);
  g_cond_broadcast (&gate->answered);
}

/* TRUE: one more can be taken. From here on this one is waited for. */
static gboolean
take_connection (VpGate *gate, GSocketConnection *connection)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&gate->mutex);
  gboolean has_place = ++gate->in_flight < MAX_THREADS;

  (void) g_thread_pool_push (gate->pool, connection, NULL); /* without a thread it waits for one */
  return has_place;
}

static void
on_connection (GObject *source, GAsyncResult *result, gpointer data)
{
  VpGate *gate = data;
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection = g_socket_listener_accept_finish (G_SOCKET_LISTENER (source), result, NULL, &error);

  gate->is_waiting = FALSE;
  if (g_cancellable_is_cancelled (gate->listening))
    g_main_loop_quit (gate->loop);
  if (connection != NULL) {
    gate->is_short = FALSE;
    if (take_connection (gate, connection))
      wait_for_connection (gate);
  } else if (!g_cancellable_is_cancelled (gate->listening)) {
    if (!gate->is_short)
      g_warning ("gate: cannot take a connection, hooks wait: %s", error->message);
    gate->is_short = TRUE;
    retry_after (gate, SHORT_MS);
  }
}

static void
wait_for_connection (VpGate *gate)
{
  if (gate->is_waiting || g_cancellable_is_cancelled (gate->listening))
    return;
  gate->is_waiting = TRUE;
  g_socket_listener_accept_async (gate->listener, gate->listening, on_connection, gate);
}

static gpointer
gate_thread (gpointer data)
{
  VpGate *gate = data;

  g_main_context_push_thread_default (gate->loop_context);
  g_main_loop_run (gate->loop);
  g_main_context_pop_thread_default (gate->loop_context);
  return NULL;
}

/* A socket that a dead daemon left is in the way; the lock on the run folder says that it is dead. */
static GSocket *
listen_at (const char *path, GError **error)
{
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocket) socket =
    g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);

  if (socket == NULL)
    return NULL;
  if (unlink (path) != 0 && errno != ENOENT) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot remove the old socket %s: %s", path, g_strerror (errno));
    return NULL;
  }
  if (!g_socket_bind (socket, address, FALSE, error) || !g_socket_listen (socket, error)) {
    g_prefix_error (error, "cannot listen at %s: ", path);
    return NULL;
  }
  if (chmod (path, 0600) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot close %s to others: %s", path, g_strerror (errno));
    return NULL;
  }
  return g_steal_pointer (&socket);
}

VpGate *
vp_gate_new (const VpGateContext *context, const char *path, int fd, GError **error)
{
  g_autoptr (GSocket) socket = fd >= 0 ? g_socket_new_from_fd (fd, error) : listen_at (path, error);

  if (socket == NULL)
    return NULL;
  VpGate *gate = g_new0 (VpGate, 1);
  gate->context = *context;
  gate->config_folder = g_strdup (context->config_folder);
  gate->context.config_folder = gate->config_folder;
  gate->path = fd >= 0 ? NULL : g_strdup (path);
  gate->loop_context = g_main_context_new ();
  gate->loop = g_main_loop_new (gate->loop_context, FALSE);
  gate->listening = g_cancellable_new ();
  gate->ending = g_cancellable_new ();
  gate->pool = g_thread_pool_new (answer_connection, gate, MAX_THREADS, FALSE, NULL);
  g_mutex_init (&gate->mutex);
  g_cond_init (&gate->answered);

  /* The listener watches the socket in the context that is the thread's default when it is asked to. */
  g_main_context_push_thread_default (gate->loop_context);
  gate->listener = g_socket_listener_new ();
  gboolean added = g_socket_listener_add_socket (gate->listener, socket, NULL, error);
  if (added)
    wait_for_connection (gate);
  g_main_context_pop_thread_default (gate->loop_context);
  if (!added) {
    vp_gate_free (gate);
    return NULL;
  }
  gate->thread = g_thread_new ("gate", gate_thread, gate);
  return gate;
}

/* In the gate's thread. One that waits for a connection is told first, and ends the loop. */
static gboolean
end_loop (gpointer data)
{
  VpGate *gate = data;

  g_cancellable_cancel (gate->listening);
  if (!gate->is_waiting)
    g_main_loop_quit (gate->loop);
  return G_SOURCE_REMOVE;
}

/* After this nobody comes any more; its thread waits for nothing, so it is waited for. */
static void
stop_listening (VpGate *gate)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  if (gate->thread != NULL) {
    g_source_set_callback (source, end_loop, gate, NULL);
    g_source_attach (source, gate->loop_context);
    g_thread_join (g_steal_pointer (&gate->thread));
    g_socket_listener_close (gate->listener);
  }
  if (gate->path != NULL)
    (void) unlink (gate->path);
  g_clear_pointer (&gate->path, g_free);
}

gboolean
vp_gate_stop (VpGate *gate, gint64 deadline)
{
  stop_listening (gate);
  g_cancellable_cancel (gate->ending);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&gate->mutex);
  while (gate->in_flight > 0)
    if (!g_cond_wait_until (&gate->answered, &gate->mutex, deadline))
      return FALSE;
  return TRUE;
}

void
vp_gate_free (VpGate *gate)
{
  if (gate == NULL || !vp_gate_stop (gate, g_get_monotonic_time () + FREE_SECONDS * G_TIME_SPAN_SECOND))
    return;
  g_thread_pool_free (gate->pool, FALSE, TRUE);
  g_object_unref (gate->listener);
  g_object_unref (gate->listening);
  g_object_unref (gate->ending);
  g_main_loop_unref (gate->loop);
  g_main_context_unref (gate->loop_context);
  g_mutex_clear (&gate->mutex);
  g_cond_clear (&gate->answered);
  g_free (gate->config_folder);
  g_free (gate);
}
