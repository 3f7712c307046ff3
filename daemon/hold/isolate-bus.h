/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* systemd's units over D-Bus, as far as their AllowedCPUs go. */
#pragma once

#include "base/list.h"
#include "daemon/hold/system-bus.h"

G_BEGIN_DECLS

/* *cpus is the caller's. TRUE with NULL: there is no such unit. An empty set: it may use all. */
gboolean vp_unit_bus_read_cpus (VpSystemBus *bus, const char *unit, VpBitmap **cpus, GError **error);
/* Until the next boot. An empty set takes the setting away. */
gboolean vp_unit_bus_write_cpus (VpSystemBus *bus, const char *unit, hwloc_const_bitmap_t cpus, GError **error);
/* The names of the scopes that run and match a pattern (glob). The caller's. */
GStrv vp_unit_bus_list_scopes (VpSystemBus *bus, const char *pattern, GError **error);

G_END_DECLS
