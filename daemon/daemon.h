/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon as a whole: makes its parts, connects them, and loads host and profiles. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpDaemon VpDaemon;

/* `session`: for qemu:///session, with everything in the user's own folders. NULL: another daemon runs, or a folder
 * cannot be made or read. libvirt need not be there. */
VpDaemon *vp_daemon_new (gboolean session, GError **error);
/*
 * The first half of the end, from any thread: no new start, no new answer, and those in flight are waited for, a
 * second at most. FALSE: some go on, in threads of their own, and what they use must not be freed.
 */
gboolean vp_daemon_stop (VpDaemon *daemon);
/* The second half, in the main thread, after a stop that gave TRUE. Takes leave of libvirt, and so may wait for it. */
void vp_daemon_free (VpDaemon *daemon);

/* Reads host and profiles anew and looks at all domains. */
void vp_daemon_reload (VpDaemon *daemon);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpDaemon, vp_daemon_free)

G_END_DECLS
