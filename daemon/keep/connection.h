/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to libvirt: opens it, listens to its events, and opens it again
 * with back-off when it breaks. Main thread only.
 */
#pragma once

#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

typedef struct VpConnection VpConnection;

/* All are called in the main thread. What they get is borrowed for the call; the connection until `disconnected`. */
typedef struct {
  void (*connected) (virConnectPtr connection, gpointer data);
  void (*disconnected) (gpointer data);
  void (*changed) (const char *domain, gpointer data); /* its definition, metadata or live pins */
  void (*started) (virDomainPtr domain, gpointer data);
  void (*stopped) (const char *domain, gpointer data);
  gpointer data;
} VpConnectionHandlers;

/* virEventRegisterDefaultImpl must have been called. Tries to connect at once, from the main loop. Both are copied. */
VpConnection *vp_connection_new (const char *uri, const VpConnectionHandlers *handlers);
void vp_connection_free (VpConnection *connection);               /* waits for libvirt */
virConnectPtr vp_connection_get (const VpConnection *connection); /* borrowed; NULL while libvirt is away */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpConnection, vp_connection_free)

G_END_DECLS
