/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's connection and events; what they mean for domains is the handlers' matter. */
#include "link.h"

#define FIRST_RETRY_MS 100
#define LAST_RETRY_MS 5000
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 3

struct VpLink {
  char *uri;
  VpLinkHandlers handlers;
  virConnectPtr connection;
  int lifecycle_id;
  int metadata_id;
  int tunable_id;
  guint timer;
  guint retry_ms;
  gboolean complained;
};

/* A lost connection is dropped and made again by calls that register the one that tells of its loss. */
static gboolean try_connect (gpointer data);
static void on_close (virConnectPtr connection, int reason, void *data);

static void
plan_connect (VpLink *link, guint delay_ms)
{
  if (link->timer == 0)
    link->timer = g_timeout_add (delay_ms, try_connect, link);
}

static void
drop_connection (VpLink *link)
{
  if (link->connection == NULL)
    return;
  (void) virConnectDomainEventDeregisterAny (link->connection, link->lifecycle_id);
  (void) virConnectDomainEventDeregisterAny (link->connection, link->metadata_id);
  (void) virConnectDomainEventDeregisterAny (link->connection, link->tunable_id);
  (void) virConnectUnregisterCloseCallback (link->connection, on_close);
  (void) virConnectClose (link->connection);
  link->connection = NULL;
}

static gboolean
on_lost (gpointer data)
{
  VpLink *link = data;

  drop_connection (link);
  link->handlers.disconnected (link->handlers.data);
  link->retry_ms = FIRST_RETRY_MS;
  plan_connect (link, link->retry_ms);
  return G_SOURCE_REMOVE;
}

static void
on_close (virConnectPtr connection, int reason, void *data)
{
  (void) connection;
  g_message ("libvirt closed the connection (%s): connecting again",
             reason == VIR_CONNECT_CLOSE_REASON_KEEPALIVE ? "it no longer answers" : "it went away");
  g_idle_add (on_lost, data); /* not from inside libvirt's own callback */
}

static int
on_lifecycle (virConnectPtr connection, virDomainPtr domain, int event, int detail, void *data)
{
  const VpLink *link = data;

  (void) connection, (void) detail;
  if (event == VIR_DOMAIN_EVENT_STARTED)
    link->handlers.started (domain, link->handlers.data);
  if (event == VIR_DOMAIN_EVENT_STOPPED)
    link->handlers.stopped (virDomainGetName (domain), link->handlers.data);
  if (event == VIR_DOMAIN_EVENT_DEFINED || event == VIR_DOMAIN_EVENT_UNDEFINED)
    link->handlers.changed (virDomainGetName (domain), link->handlers.data);
  return 0;
}

static void
on_metadata (virConnectPtr connection, virDomainPtr domain, int type, const char *ns, void *data)
{
  const VpLink *link = data;

  (void) connection, (void) type, (void) ns;
  link->handlers.changed (virDomainGetName (domain), link->handlers.data);
}

/* Pins of a running guest that somebody changed. */
static void
on_tunable (virConnectPtr connection, virDomainPtr domain, virTypedParameterPtr values, int n_values, void *data)
{
  const VpLink *link = data;

  (void) connection, (void) values, (void) n_values;
  link->handlers.changed (virDomainGetName (domain), link->handlers.data);
}

static gboolean
register_events (VpLink *link, GError **error)
{
  virConnectDomainEventGenericCallback tunable = VIR_DOMAIN_EVENT_CALLBACK (on_tunable);
  virConnectDomainEventGenericCallback lifecycle = VIR_DOMAIN_EVENT_CALLBACK (on_lifecycle);
  virConnectDomainEventGenericCallback metadata = VIR_DOMAIN_EVENT_CALLBACK (on_metadata);

  link->lifecycle_id = virConnectDomainEventRegisterAny (link->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                         lifecycle, link, NULL);
  link->metadata_id = virConnectDomainEventRegisterAny (link->connection, NULL, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
                                                        metadata, link, NULL);
  link->tunable_id =
    virConnectDomainEventRegisterAny (link->connection, NULL, VIR_DOMAIN_EVENT_ID_TUNABLE, tunable, link, NULL);
  if (link->lifecycle_id >= 0 && link->metadata_id >= 0 && link->tunable_id >= 0 &&
      virConnectRegisterCloseCallback (link->connection, on_close, link, NULL) == 0)
    return TRUE;
  vp_libvirt_set_error (error, "cannot listen to libvirt's events");
  return FALSE;
}

static gboolean
try_connect (gpointer data)
{
  VpLink *link = data;
  g_autoptr (GError) error = NULL;

  link->timer = 0;
  link->connection = vp_libvirt_open (link->uri, &error);
  if (link->connection == NULL || !register_events (link, &error)) {
    if (!link->complained)
      g_warning ("%s; trying again until it is there", error->message);
    link->complained = TRUE;
    drop_connection (link);
    link->retry_ms = MIN (link->retry_ms * 2, LAST_RETRY_MS);
    plan_connect (link, link->retry_ms);
    return G_SOURCE_REMOVE;
  }
  (void) virConnectSetKeepAlive (link->connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT); /* old servers have none */
  link->complained = FALSE;
  link->handlers.connected (link->connection, link->handlers.data);
  return G_SOURCE_REMOVE;
}

VpLink *
vp_link_new (const char *uri, const VpLinkHandlers *handlers)
{
  VpLink *link = g_new0 (VpLink, 1);

  link->uri = g_strdup (uri);
  link->handlers = *handlers;
  link->retry_ms = FIRST_RETRY_MS;
  plan_connect (link, 0);
  return link;
}

void
vp_link_free (VpLink *link)
{
  if (link == NULL)
    return;
  if (link->timer != 0)
    g_source_remove (link->timer);
  drop_connection (link);
  g_free (link->uri);
  g_free (link);
}

virConnectPtr
vp_link_get (const VpLink *link)
{
  return link->connection;
}
