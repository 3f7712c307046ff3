/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What we are about to write, on the disk before it is written, and what came meanwhile:
 *
 *   FOLDER/d-NAME/intent             base, carry and written of the last define (recovery.h)
 *   FOLDER/d-NAME/ID.SERIAL.xml      a version that was seen since base was read; ID is the intent's
 *   FOLDER/d-NAME/ID.SERIAL.deleted  the definition went
 *   FOLDER/d-NAME/ID.SERIAL.missed   at least one version before that one could not be read
 *   FOLDER/kept/NAME-…xml            an edit that could not be put back, for a person
 *
 * An intent goes when the stored definition holds every edit. One that is there when the
 * daemon starts was left by one that was killed, or that could not settle it: it is taken up.
 * The texts hold passwords: all is root's, or the session user's.
 */
#pragma once

#include "base/root.h"
#include "edits/recovery.h"

G_BEGIN_DECLS

typedef struct VpIntents VpIntents;

/* The folder is made, mode 0700; its parent must be there. */
VpIntents *vp_intents_new (const char *folder, GError **error);
void vp_intents_free (VpIntents *intents);
VpRoot *vp_intents_get_root (VpIntents *intents); /* the intents'; tests put a shim there */

typedef struct {
  char *id; /* of the versions that belong to it */
  VpDomain *base;
  VpDomain *carry; /* NULL: none */
  VpDomain *written;
} VpIntent;

/*
 * Before a define; takes the place of the domain's last intent, whose versions go. From then on
 * versions of the domain are saved. FALSE: what was there before stands.
 */
gboolean vp_intents_open (VpIntents *intents, const char *domain, const VpWrite *write, const GPtrArray *versions,
                          GError **error);
/* Nothing is to be done any more. What cannot be removed is warned of, and taken up again at the next start. */
void vp_intents_close (VpIntents *intents, const char *domain);
void vp_intents_forget (VpIntents *intents, const char *domain);  /* that, for a domain that is gone */
gboolean vp_intents_has (VpIntents *intents, const char *domain); /* FALSE, too: it is closed, but cannot be removed */

/*
 * The caller's; NULL without an error: there is none. A damaged one is set aside, and that is the error; with
 * VP_ERROR_HOST it is there and cannot be read now.
 */
VpIntent *vp_intents_load (VpIntents *intents, const char *domain, GError **error);
void vp_intent_free (VpIntent *intent);
/* Of VpVersion, those saved for the intent; the caller's. NULL and VP_ERROR_HOST: not all can be read now. */
GPtrArray *vp_intents_load_versions (const VpIntents *intents, const char *domain, const VpIntent *intent,
                                     GError **error);
GStrv vp_intents_list (const VpIntents *intents); /* the domains that have one; the caller's */

/* From any thread, at once: it is saved if the domain has an intent. */
void vp_intents_note_version (VpIntents *intents, const char *domain, const VpVersion *version);

/* The path of the file that has it; NULL and an error. The caller's. */
char *vp_intents_keep (const VpIntents *intents, const char *domain, const VpDomain *edit, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpIntents, vp_intents_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpIntent, vp_intent_free)

G_END_DECLS
