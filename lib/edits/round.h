/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One look at one domain, amid its work: what was read, what shall stand and what is
 * written. Shared by the files round*.c and prepare.c; nobody else includes it.
 */
#pragma once

#include "edits/prepare-context.h"
#include "edits/recovery.h"

G_BEGIN_DECLS

typedef struct {
  const VpPrepareContext *context;
  const char *name;
  virDomainPtr domain; /* NULL: there is no persistent one */
  VpDomain *base;      /* B: what was read */
  guint64 serial;      /* of the last version that is not younger than B */
  VpDomain *carry;     /* what shall stand, not planned; NULL: B */
  VpDomain *theirs;    /* the last edit that was lost, as somebody wrote it; NULL: none */
  VpPlan *plan;        /* of carry or B; NULL: it cannot be planned */
  VpDomain *result;    /* R: the plan's result, or carry as it is, with a mark */
  VpWritten *written;
  gboolean noted; /* the intent is on the disk */
} VpRound;

void vp_round_clear (VpRound *round); /* frees what it owns, not the struct */

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpRound, vp_round_clear)

/* --- the ground: round.c --- */

/* Puts a document in a place of the round, which owns it then. */
void vp_round_take (VpDomain **place, VpDomain *document);
/* Everything that the watch saw before this call is older than what is read after it. A second at most. */
gboolean vp_round_sync (const VpRound *round, guint64 *serial, GError **error);
/* Without descriptors the watch sees that somebody edits, but cannot read it: then nothing is to be overwritten. */
gboolean vp_round_has_descriptors (GError **error);
/* B, and its serial. */
gboolean vp_round_read_base (VpRound *round, GError **error);
/* With the context's host, profiles and neighbours; the caller's. NULL: it cannot be planned. */
VpPlan *vp_round_plan (const VpRound *round, const VpDomain *document, GError **error);
/* R: a copy, with a fresh mark if there is any metadata to put it into. */
void vp_round_set_result (VpRound *round, const VpDomain *result);
VpWrite vp_round_get_write (const VpRound *round); /* borrowed from the round */
/*
 * The domain of that name anew, its UUID may be another one meanwhile; NULL: there is no persistent one. FALSE: libvirt
 * did not say, which is no reason to forget anything.
 */
gboolean vp_round_look_up (VpRound *round, GError **error);
/* The same, by the UUID that a version of it has. */
gboolean vp_round_look_up_renamed (VpRound *round, const VpDomain *version, GError **error);

/* Before each define; sets `noted`. */
void vp_round_note_intent (VpRound *round);
/* All edits up to that version stand, or there is nobody to have them. */
void vp_round_end_intent (const VpRound *round, guint64 serial);
/* Takes the mark away that an undo leaves alone in the state. */
void vp_round_drop_mark (const VpRound *round, const VpDomain *present);

/* What was changed, and what there is to warn of that was not said at the last look. */
void vp_round_log_plan (const VpPlan *plan, virDomainPtr domain, VpWritten *written);
/* What was put back, and that something could not be read. */
void vp_round_log_recovery (const VpRound *round, const VpLost *lost);

/* The last resort: an edit as a file, and its name in the log. NULL: there is none, and nothing is said. */
void vp_round_keep_edit (const VpRound *round, const VpDomain *edit, const char *why);
/* vp_lost_sum, and what it could not put back is said and kept. */
VpDomain *vp_round_sum (const VpRound *round, const VpLost *lost, const VpWrite *write, const VpDomain *stored,
                        GError **error);

/* --- the steps --- */

/* Defines the round's result, and again for as long as it finds that an edit came between: round-write.c */
gboolean vp_round_write (VpRound *round, GError **error);
/*
 * Undefines the domain again, if what stands is ours still: round-undefine.c. `*again`: it was defined in that
 * very moment, and `carry` is that definition, which has to be written.
 */
gboolean vp_round_repeat_undefine (VpRound *round, const VpLost *lost, gboolean *again, GError **error);
/* Takes up the intent that is there: round-resume.c. `carry` has to be written then, or, if NULL, nothing is left. */
gboolean vp_round_resume (VpRound *round, GError **error);

G_END_DECLS
