/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three-way merge of lists, on numbers alone: which elements the result has and
 * in what order. Knows nothing of XML; internal to merge.c.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint n;
  guint *values;     /* equal numbers: equal items, in all three lists; never 0 */
  guint *identities; /* equal numbers: versions of the same item; not read by the ordered merge */
  gboolean *strong;  /* two new items of this identity are the same item; not read by the ordered merge */
} VpMergeList;

/* An item of the result: its positions in the three lists, -1 where it is not or does not count. */
typedef struct {
  int base;
  int ours;
  int theirs;
} VpMergeEntry;

/*
 * Order means something and items have no identity (arguments, unknown
 * elements, text): diff3 on equal items. Where both sides replaced
 * overlapping parts, theirs stands; where one only removed, what the other
 * changed stays and the rest goes. Of VpMergeEntry; the caller's.
 */
GArray *vp_merge_list_ordered (const VpMergeList *base, const VpMergeList *ours, const VpMergeList *theirs);

/*
 * Items have identities: each is merged by itself. The order is that of
 * theirs, or of ours where only ours moved items about; what is new in the
 * other list comes after the item that it follows there. Of VpMergeEntry; the caller's.
 */
GArray *vp_merge_list_keyed (const VpMergeList *base, const VpMergeList *ours, const VpMergeList *theirs);

/* `n` + 1 of them, all -1; the caller's. */
static inline int *
vp_merge_positions_new (guint n)
{
  int *positions = g_new (int, n + 1);

  for (guint i = 0; i <= n; i++)
    positions[i] = -1;
  return positions;
}

/* -1: the item is not in that list. */
void vp_merge_entries_add (GArray *entries, gint64 base, gint64 ours, gint64 theirs);

/* Frees the three arrays. */
void vp_merge_list_clear (VpMergeList *list);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpMergeList, vp_merge_list_clear)

G_END_DECLS
