/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a define of ours overwrote. Pure: versions of a definition in, the edit that
 * was lost and the document that holds everything out.
 *
 *     B ── M ── R ── N          B was read, R is what we wrote in place of B,
 *                               M came between: its edit is in no stored version any more
 *
 * R is known by its mark, a fresh write id in our state, and never by its looks: libvirt
 * completes what it stores. N was made from R, so it carries the same mark: ours is the
 * first that has it. An undo that leaves no metadata leaves no mark either, and is the
 * first without our state.
 */
#pragma once

#include "domain/domain.h"
#include "edits/versions.h"

G_BEGIN_DECLS

/* One define, all borrowed. */
typedef struct {
  const VpDomain *base;    /* B */
  const VpDomain *carry;   /* B with the edits that earlier defines overwrote, not planned; NULL: there were none */
  const VpDomain *written; /* R, with the mark if it has one */
} VpWrite;

typedef enum {
  VP_LOST_NOTHING,
  VP_LOST_EDIT,
  VP_LOST_UNDEFINE, /* somebody undefined the domain, and R, which is the last version, brought it back */
} VpLostKind;

typedef struct {
  VpLostKind kind;
  gboolean defined;  /* R is among the versions */
  gboolean missed;   /* a version before R could not be read: what stood in it is not known */
  gboolean anew;     /* M is no edit of B: the domain was undefined and defined anew */
  gboolean followed; /* somebody wrote after R */
  VpDomain *last;    /* M, of an EDIT; the result's */
  VpDomain *ours;    /* R as libvirt stored it; NULL: not seen */
} VpLost;

/* `versions` (of VpVersion, in their order) are those after the reading of B. Freed by vp_lost_free. */
VpLost *vp_lost_find (const VpWrite *write, const GPtrArray *versions);
void vp_lost_free (VpLost *lost);

/* What of the earlier of two edits cannot stand beside the later one. */
typedef struct {
  char *words;     /* NULL: all of it does */
  VpDomain *loser; /* the earlier version, if more than a value of it is gone; NULL */
} VpOverruled;

void vp_overruled_clear (VpOverruled *overruled); /* frees what it owns, not the struct */

/*
 * Where an edit was lost: the document that has it and all else, not planned. `stored` is what
 * stands now. M itself where nothing but R is against it, so that nothing is merged that need
 * not be. The caller's; NULL and an error where the documents are not versions of one domain.
 * `overruled`, empty before, is the caller's to clear.
 */
VpDomain *vp_lost_sum (const VpLost *lost, const VpWrite *write, const VpDomain *stored, VpOverruled *overruled,
                       GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpLost, vp_lost_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpOverruled, vp_overruled_clear)

G_END_DECLS
