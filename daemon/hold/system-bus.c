/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus with deadlines. Knows nothing of guests. */
#include "daemon/hold/system-bus.h"

#include <gio/gunixfdlist.h>
#include <string.h>

#include "base/error.h"

#define ANSWER_MS 1000
#define REST (3 * G_TIME_SPAN_SECOND) /* after a bus that did not answer */

struct VpSystemBus {
  GMutex mutex; /* of all that follows; nothing of ours is called with it */
  char *address;
  GDBusConnection *connection; /* NULL: none yet */
  gint64 rest_until[2];        /* of logind, of systemd: one that is slow says nothing of the other */
};

VpSystemBus *
vp_system_bus_new (const char *address)
{
  VpSystemBus *bus = g_new0 (VpSystemBus, 1);

  g_mutex_init (&bus->mutex);
  bus->address = g_strdup (address);
  return bus;
}

void
vp_system_bus_free (VpSystemBus *bus)
{
  if (bus == NULL)
    return;
  g_clear_object (&bus->connection); /* closes it */
  g_mutex_clear (&bus->mutex);
  g_free (bus->address);
  g_free (bus);
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer data)
{
  (void) source;
  *(GAsyncResult **) data = g_object_ref (result);
}

static gboolean
on_late (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

/* GDBus has no timeout for what comes before the first call: it is waited for in a loop of our own. */
static GDBusConnection *
connect_in_time (const char *address, GError **error)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GSource) timer = g_timeout_source_new (ANSWER_MS);
  g_autoptr (GAsyncResult) result = NULL;

  g_main_context_push_thread_default (context);
  g_source_set_callback (timer, on_late, cancellable, NULL);
  g_source_attach (timer, context);
  g_dbus_connection_new_for_address (address,
                                     G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                       G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                     NULL, cancellable, on_connected, &result);
  while (result == NULL)
    g_main_context_iteration (context, TRUE);
  g_source_destroy (timer);
  GDBusConnection *connection = g_dbus_connection_new_for_address_finish (result, error);
  g_main_context_pop_thread_default (context);
  return connection;
}

static gboolean
ensure_connection (VpSystemBus *bus, GError **error)
{
  g_autofree char *address = NULL;

  if (bus->connection != NULL && !g_dbus_connection_is_closed (bus->connection))
    return TRUE;
  g_clear_object (&bus->connection);
  address =
    bus->address != NULL ? g_strdup (bus->address) : g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, error);
  bus->connection = address != NULL ? connect_in_time (address, error) : NULL;
  return bus->connection != NULL;
}

static gboolean
is_late (const GError *problem)
{
  return g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
         g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
         g_error_matches (problem, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY) ||
         g_error_matches (problem, G_DBUS_ERROR, G_DBUS_ERROR_TIMEOUT);
}

/* What came of a call that has no answer. */
static VpErrorCode
judge (const VpSystemBus *bus, const GError *problem)
{
  static const GDBusError away[] = { G_DBUS_ERROR_NO_REPLY,          G_DBUS_ERROR_SERVICE_UNKNOWN,
                                     G_DBUS_ERROR_NAME_HAS_NO_OWNER, G_DBUS_ERROR_DISCONNECTED,
                                     G_DBUS_ERROR_TIMEOUT,           G_DBUS_ERROR_LIMITS_EXCEEDED };

  for (guint i = 0; i < G_N_ELEMENTS (away); i++)
    if (g_error_matches (problem, G_DBUS_ERROR, (int) away[i]))
      return VP_ERROR_AWAY;
  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    return bus->connection != NULL ? VP_ERROR_LATE : VP_ERROR_AWAY;
  /* An answer of another type than its reply is one, too. */
  return g_dbus_error_is_remote_error (problem) || g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT)
           ? VP_ERROR_HOST
           : VP_ERROR_AWAY;
}

static GVariant *
call_now (VpSystemBus *bus, const VpBusCall *call, GVariant *parameters, GUnixFDList **fds, GError **error)
{
  g_autofree char *interface = g_strndup (call->method, (gsize) (strrchr (call->method, '.') - call->method));

  if (!ensure_connection (bus, error))
    return NULL;
  return g_dbus_connection_call_with_unix_fd_list_sync (bus->connection, call->service, call->path, interface,
                                                        strrchr (call->method, '.') + 1, parameters,
                                                        G_VARIANT_TYPE (call->reply), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                                                        ANSWER_MS, NULL, fds, NULL, error);
}

GVariant *
vp_system_bus_call (VpSystemBus *bus, const VpBusCall *call, GVariant *parameters, GUnixFDList **fds, gboolean *missing,
                    GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&bus->mutex);
  g_autoptr (GVariant) kept = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  gboolean is_systemd = strcmp (call->service, VP_SYSTEMD) == 0;
  const char *who = is_systemd ? "systemd" : "systemd-logind";
  g_autoptr (GError) problem = NULL;

  if (g_get_monotonic_time () < bus->rest_until[is_systemd]) {
    g_set_error (error, VP_ERROR, VP_ERROR_AWAY, "%s did not answer a moment ago, it is not asked again yet", who);
    return NULL;
  }
  GVariant *answer = call_now (bus, call, kept, fds, &problem);
  /* The bus was restarted since the last call, and we notice it now. */
  if (answer == NULL && bus->connection != NULL && g_dbus_connection_is_closed (bus->connection)) {
    g_clear_error (&problem);
    answer = call_now (bus, call, kept, fds, &problem);
  }
  if (answer != NULL)
    return answer;
  if (is_late (problem))
    bus->rest_until[is_systemd] = g_get_monotonic_time () + REST;
  g_autofree char *remote = g_dbus_error_get_remote_error (problem);
  if (missing != NULL)
    *missing = g_strcmp0 (remote, VP_SYSTEMD ".NoSuchUnit") == 0;
  VpErrorCode code = judge (bus, problem);
  g_dbus_error_strip_remote_error (problem);
  g_set_error (error, VP_ERROR, code, "%s cannot be asked over D-Bus (%s): %s", who, strrchr (call->method, '.') + 1,
               problem->message);
  return NULL;
}

void
vp_system_bus_end_rest (VpSystemBus *bus)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&bus->mutex);

  bus->rest_until[FALSE] = 0;
  bus->rest_until[TRUE] = 0;
}
