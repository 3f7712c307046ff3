/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's connection and events; what they mean for domains is the handlers' matter. */
#include "daemon/keep/connection.h"

#define FIRST_RETRY_MS 100
#define LAST_RETRY_MS 5000

struct VpConnection {
  char *uri;
  VpConnectionHandlers handlers;
  virConnectPtr handle; /* NULL: there is none */
  int lifecycle_id;
  int metadata_id;
  int tunable_id;
  guint timer;
  guint retry_ms;
  gboolean complained;
};

/* A lost connection is dropped and made again by calls that register the one that tells of its loss. */
static gboolean try_connect (gpointer data);
static void on_close (virConnectPtr handle, int reason, void *data);

static void
plan_connect (VpConnection *connection, guint delay_ms)
{
  if (connection->timer == 0)
    connection->timer = g_timeout_add (delay_ms, try_connect, connection);
}

static void
drop_connection (VpConnection *connection)
{
  if (connection->handle == NULL)
    return;
  (void) virConnectDomainEventDeregisterAny (connection->handle, connection->lifecycle_id);
  (void) virConnectDomainEventDeregisterAny (connection->handle, connection->metadata_id);
  (void) virConnectDomainEventDeregisterAny (connection->handle, connection->tunable_id);
  (void) virConnectUnregisterCloseCallback (connection->handle, on_close);
  (void) virConnectClose (connection->handle);
  connection->handle = NULL;
}

static gboolean
on_lost (gpointer data)
{
  VpConnection *connection = data;

  drop_connection (connection);
  connection->handlers.disconnected (connection->handlers.data);
  connection->retry_ms = FIRST_RETRY_MS;
  plan_connect (connection, connection->retry_ms);
  return G_SOURCE_REMOVE;
}

static void
on_close (virConnectPtr handle, int reason, void *data)
{
  (void) handle, (void) reason;
  g_message ("libvirt closed the connection: connecting again");
  g_idle_add (on_lost, data); /* not from inside libvirt's own callback */
}

static int
on_lifecycle (virConnectPtr handle, virDomainPtr domain, int event, int detail, void *data)
{
  const VpConnection *connection = data;

  (void) handle, (void) detail;
  if (event == VIR_DOMAIN_EVENT_STARTED)
    connection->handlers.started (domain, connection->handlers.data);
  if (event == VIR_DOMAIN_EVENT_STOPPED)
    connection->handlers.stopped (virDomainGetName (domain), connection->handlers.data);
  if (event == VIR_DOMAIN_EVENT_DEFINED || event == VIR_DOMAIN_EVENT_UNDEFINED)
    connection->handlers.changed (virDomainGetName (domain), connection->handlers.data);
  return 0;
}

static void
on_metadata (virConnectPtr handle, virDomainPtr domain, int type, const char *ns, void *data)
{
  const VpConnection *connection = data;

  (void) handle, (void) type, (void) ns;
  connection->handlers.changed (virDomainGetName (domain), connection->handlers.data);
}

/* Pins of a running guest that somebody changed. */
static void
on_tunable (virConnectPtr handle, virDomainPtr domain, virTypedParameterPtr values, int n_values, void *data)
{
  const VpConnection *connection = data;

  (void) handle, (void) values, (void) n_values;
  connection->handlers.changed (virDomainGetName (domain), connection->handlers.data);
}

static gboolean
register_events (VpConnection *connection, GError **error)
{
  virConnectDomainEventGenericCallback tunable = VIR_DOMAIN_EVENT_CALLBACK (on_tunable);
  virConnectDomainEventGenericCallback lifecycle = VIR_DOMAIN_EVENT_CALLBACK (on_lifecycle);
  virConnectDomainEventGenericCallback metadata = VIR_DOMAIN_EVENT_CALLBACK (on_metadata);

  connection->lifecycle_id = virConnectDomainEventRegisterAny (connection->handle, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                               lifecycle, connection, NULL);
  connection->metadata_id =
    virConnectDomainEventRegisterAny (connection->handle, NULL, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, metadata,
                                      connection, NULL);
  connection->tunable_id =
    virConnectDomainEventRegisterAny (connection->handle, NULL, VIR_DOMAIN_EVENT_ID_TUNABLE, tunable, connection, NULL);
  if (connection->lifecycle_id >= 0 && connection->metadata_id >= 0 && connection->tunable_id >= 0 &&
      virConnectRegisterCloseCallback (connection->handle, on_close, connection, NULL) == 0)
    return TRUE;
  vp_libvirt_set_error (error, "cannot listen to libvirt's events");
  return FALSE;
}

static gboolean
try_connect (gpointer data)
{
  VpConnection *connection = data;
  g_autoptr (GError) error = NULL;

  connection->timer = 0;
  connection->handle = vp_libvirt_open (connection->uri, &error);
  if (connection->handle == NULL || !register_events (connection, &error)) {
    if (!connection->complained)
      g_warning ("%s; trying again until it is there", error->message);
    connection->complained = TRUE;
    drop_connection (connection);
    connection->retry_ms = MIN (connection->retry_ms * 2, LAST_RETRY_MS);
    plan_connect (connection, connection->retry_ms);
    return G_SOURCE_REMOVE;
  }
  /*
   * No keepalive of ours, which would wake both ends for ever: the kernel says at once that the other end of a socket
   * on this host is gone, and for one that hangs there is nothing to do but wait. libvirt's is answered.
   */
  connection->complained = FALSE;
  connection->handlers.connected (connection->handle, connection->handlers.data);
  return G_SOURCE_REMOVE;
}

VpConnection *
vp_connection_new (const char *uri, const VpConnectionHandlers *handlers)
{
  VpConnection *connection = g_new0 (VpConnection, 1);

  connection->uri = g_strdup (uri);
  connection->handlers = *handlers;
  connection->retry_ms = FIRST_RETRY_MS;
  plan_connect (connection, 0);
  return connection;
}

void
vp_connection_free (VpConnection *connection)
{
  if (connection == NULL)
    return;
  drop_connection (connection);
  while (g_source_remove_by_user_data (connection))
    ;
  g_free (connection->uri);
  g_free (connection);
}

virConnectPtr
vp_connection_get (const VpConnection *connection)
{
  return connection->handle;
}
