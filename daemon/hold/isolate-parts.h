/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of isolation: isolate-governor.c, isolate-irqs.c, isolate-slices.c. None needs
 * another, or VpIsolate. What the host cannot do is a warning of the task's.
 */
#pragma once

#include "daemon/hold/isolate-ground.h"

G_BEGIN_DECLS

/* FALSE with VP_ERROR_BUSY: another start kept the host busy until the deadline. */
gboolean vp_isolate_set_governors (const VpIsolateTask *task, GError **error);
gboolean vp_isolate_move_interrupts (const VpIsolateTask *task, GError **error);
gboolean vp_isolate_confine_units (const VpIsolateTask *task, GError **error);

/* How VpBook reads and writes what is of VP_HOLDING_SLICE: a VpBookAccess whose data is the VpIsolateGround. */
gboolean vp_isolate_read_unit (const char *key, char **value, gpointer data, GError **error);
gboolean vp_isolate_write_unit (const char *key, const char *value, gpointer data, GError **error);

G_END_DECLS
