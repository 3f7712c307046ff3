/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon as a whole: makes its parts, connects them, and loads host and profiles. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpDaemon VpDaemon;

/* `session`: for qemu:///session, with everything in the user's own folders. */
VpDaemon *vp_daemon_new (gboolean session, GError **error);
void vp_daemon_free (VpDaemon *daemon);

/* Reads host and profiles anew and looks at all domains. */
void vp_daemon_reload (VpDaemon *daemon);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpDaemon, vp_daemon_free)

G_END_DECLS
