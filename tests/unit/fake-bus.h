/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message bus of a test's own, and a thread that serves objects on it. */
#pragma once

#include <gio/gio.h>

typedef struct FakeBus FakeBus;

/* In the bus's thread, each time that it starts: the place to register objects, whose calls come in that thread. */
typedef void (*FakeBusFunc) (GDBusConnection *connection, gpointer data);

gboolean fake_bus_is_possible (void); /* there is a dbus-daemon */

FakeBus *fake_bus_new (FakeBusFunc serve, gpointer data); /* not started */
void fake_bus_free (FakeBus *bus);                        /* stops it */
const char *fake_bus_get_address (const FakeBus *bus);
void fake_bus_stop (FakeBus *bus);
void fake_bus_start (FakeBus *bus, gboolean served); /* at the same address */
void fake_bus_own (GDBusConnection *connection, const char *name);
