/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One pass over one domain: read it, plan, define it if that changes it, and
 * make sure that no edit of somebody else was lost on the way. Main thread only.
 */
#pragma once

#include "edits/prepare-context.h"

G_BEGIN_DECLS

typedef enum {
  VP_PREPARE_READY,    /* nothing had to change */
  VP_PREPARE_DEFINED,  /* it was defined anew */
  VP_PREPARE_REPEATED, /* libvirt does not keep what we write: nothing was written again */
  VP_PREPARE_GONE,     /* no persistent domain of that name */
} VpPrepareOutcome;

/* Frees what is in it, not the struct. */
void vp_written_clear (VpWritten *written);

/*
 * FALSE: it is not prepared, and the error says why. Should an edit have been overwritten, the domain has an intent
 * (intents.h) then: look again. VP_ERROR_BUSY: somebody edits it without a pause.
 */
gboolean vp_prepare_domain (const VpPrepareContext *context, const char *name, VpWritten *written,
                            VpPrepareOutcome *outcome, GError **error);

G_END_DECLS
