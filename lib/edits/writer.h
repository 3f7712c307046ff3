/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may define the domains of a libvirt: the daemon for as long as it runs, a command for as
 * long as it writes. One process at a time has the lock, and with it the watch of libvirt's
 * folder and the intents; what one leaves behind that is killed, the next one takes up.
 */
#pragma once

#include "edits/prepare-context.h"

G_BEGIN_DECLS

typedef struct {
  int lock_fd;
  VpIntents *intents;
  VpVersions *versions;
} VpWriter;

/*
 * Makes the folders that are needed. `changed` NULL: a command's, which has no main loop. VP_ERROR_BUSY: another
 * process is the writer, and still is after `patience_ms`. The caller's.
 */
VpWriter *vp_writer_new (gboolean session, guint patience_ms, VpVersionsFunc changed, gpointer data, GError **error);
void vp_writer_free (VpWriter *writer); /* may be NULL */

/*
 * For a command: prepares one domain (prepare.h), half a minute at most where somebody edits it without a pause.
 * `context` need not have versions and intents.
 */
gboolean vp_writer_prepare (const VpWriter *writer, VpPrepareContext *context, const char *name, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpWriter, vp_writer_free)

G_END_DECLS
