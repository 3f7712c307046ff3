/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to libvirt: opens it, listens to its events, and opens it again
 * with back-off when it breaks. Main thread only.
 */
#pragma once

#include "vp-libvirt.h"

G_BEGIN_DECLS

typedef struct VpLink VpLink;

typedef struct {
  void (*connected) (virConnectPtr connection, gpointer data);
  void (*disconnected) (gpointer data);
  void (*changed) (const char *domain, gpointer data);  /* its definition, metadata or live pins */
  void (*started) (virDomainPtr domain, gpointer data);
  void (*stopped) (const char *domain, gpointer data);
  gpointer data;
} VpLinkHandlers;

/* virEventRegisterDefaultImpl must have been called. Tries to connect at once, from the main loop. */
VpLink *vp_link_new (const char *uri, const VpLinkHandlers *handlers);
void vp_link_free (VpLink *link);
virConnectPtr vp_link_get (const VpLink *link); /* NULL while libvirt is away */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpLink, vp_link_free)

G_END_DECLS
