/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * systemd and logind over D-Bus. A private connection, made when it is needed and again
 * when the bus was restarted; no single call waits longer than a second, and a bus that did
 * not answer is left alone for a while, each of the two by itself. Any thread; one is served at a time. A failure
 * is VP_ERROR_AWAY (there is no bus, or it was left alone: nobody was asked), VP_ERROR_LATE (no answer yet, it may still be
 * done), or VP_ERROR_HOST: the answer was no.
 */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

G_BEGIN_DECLS

#define VP_SYSTEMD "org.freedesktop.systemd1"
#define VP_SYSTEMD_PATH "/org/freedesktop/systemd1"
#define VP_SYSTEMD_MANAGER VP_SYSTEMD ".Manager"

typedef struct VpSystemBus VpSystemBus;

VpSystemBus *vp_system_bus_new (const char *address); /* copied; NULL: the system's */
void vp_system_bus_free (VpSystemBus *bus);           /* NULL is allowed */

/* All borrowed. */
typedef struct {
  const char *service;
  const char *path;
  const char *method; /* with its interface */
  const char *reply;  /* its type */
} VpBusCall;

/*
 * The caller's. `parameters` (NULL: none) are consumed where they float. *fds (NULL: not wanted) is the caller's.
 * *missing (NULL: not wanted): it failed because there is no such unit.
 */
GVariant *vp_system_bus_call (VpSystemBus *bus, const VpBusCall *call, GVariant *parameters, GUnixFDList **fds,
                              gboolean *missing, GError **error);
/* For whoever does not want to wait: what did not answer is asked again at the next call. */
void vp_system_bus_end_rest (VpSystemBus *bus);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpSystemBus, vp_system_bus_free)

G_END_DECLS
