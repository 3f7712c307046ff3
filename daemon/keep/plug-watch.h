/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that run and change: libvirt has no event for vCPUs that are plugged or unplugged, but writes its
 * record of the guest anew, FOLDER/NAME.xml.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpPlugWatch VpPlugWatch;

/* `changed` comes from the main loop, for a guest of that name. The caller's; without the folder it waits for it. */
VpPlugWatch *vp_plug_watch_new (const char *folder, void (*changed) (const char *domain, gpointer data), gpointer data);
void vp_plug_watch_free (VpPlugWatch *watch); /* may be NULL */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPlugWatch, vp_plug_watch_free)

G_END_DECLS
