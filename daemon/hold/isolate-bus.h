/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * systemd's units over D-Bus, as far as their AllowedCPUs go. A private connection, made
 * when it is needed and again when the bus was restarted; no single call waits longer
 * than a second, and a bus that did not answer is left alone for a while. Any thread; one is
 * served at a time. Every failure is VP_ERROR_HOST.
 */
#pragma once

#include "base/list.h"

G_BEGIN_DECLS

typedef struct VpUnitBus VpUnitBus;

VpUnitBus *vp_unit_bus_new (const char *address); /* copied; NULL: the system's */
void vp_unit_bus_free (VpUnitBus *bus);           /* NULL is allowed */

/* *cpus is the caller's. TRUE with NULL: there is no such unit. An empty set: it may use all. */
gboolean vp_unit_bus_read_cpus (VpUnitBus *bus, const char *unit, VpBitmap **cpus, GError **error);
/* Until the next boot. An empty set takes the setting away. */
gboolean vp_unit_bus_write_cpus (VpUnitBus *bus, const char *unit, hwloc_const_bitmap_t cpus, GError **error);
/* The names of the scopes that run and match a pattern (glob). The caller's. */
GStrv vp_unit_bus_list_scopes (VpUnitBus *bus, const char *pattern, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpUnitBus, vp_unit_bus_free)

G_END_DECLS
