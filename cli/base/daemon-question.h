/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asks vfio-profiled what it alone knows or can do, by the gate's socket (lib/base/gate-protocol.h). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The caller's lines. `domain`, `xml`: NULL where the operation needs none. NULL: there is no daemon, or it refuses; the
 * error has its words.
 */
char *vp_daemon_ask (const char *operation, const char *domain, const char *xml, GError **error);

G_END_DECLS
