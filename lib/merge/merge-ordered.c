/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The merge of lists in which the order means something, as diff3 does it on
 * lines. Numbers only, no XML.
 *
 * Each side is aligned with the base (a longest common subsequence; in long
 * lists between items that occur once), which leaves hunks: a range of the
 * base and what stands there instead.
 *
 *     base    a  b  c  d  e          hunks of ours:   [1,2) → x
 *     ours    a  x  c  d  e          hunks of theirs: [4,5) → nothing
 *     theirs  a  b  c  d
 *     result  a  x  c  d
 *
 * Hunks that do not overlap are all applied, so that two insertions at one
 * place are both kept, ours first, unless one holds the other. Overlapping ones are a conflict over the
 * union of their ranges: theirs stands there. Where one side only took out, what the other changed
 * stays, and the rest goes.
 */
#include "merge/merge-list.h"

/* Above this many cells of the table only items that occur once are aligned. */
#define ALIGN_CELLS (1u << 18)

typedef struct {
  const guint *a;
  const guint *b;
  int *a_to_b;
} Alignment;

typedef struct {
  guint base_lo, base_hi;
  guint lo, hi;
} Hunk;

/* A side of an ordered merge, and how far it has been read. */
typedef struct {
  const VpMergeList *list;
  GArray *hunks;
  guint next;
  gint64 shift; /* position here minus position in the base, after the hunks read */
} Side;

/* How often a number occurs in each list, and where. */
typedef struct {
  guint n_a, n_b;
  guint at_a;
} Occurrence;

static void
align_table (const Alignment *self, guint a_lo, guint a_hi, guint b_lo, guint b_hi)
{
  guint width = b_hi - b_lo + 1;
  g_autofree guint *length = g_new0 (guint, (gsize) (a_hi - a_lo + 1) * width);
  guint i, j;

  for (i = a_hi; i-- > a_lo;)
    for (j = b_hi; j-- > b_lo;) {
      guint *cell = &length[(i - a_lo) * width + (j - b_lo)];

      *cell = self->a[i] == self->b[j] ? cell[width + 1] + 1 : MAX (cell[width], cell[1]);
    }
  for (i = a_lo, j = b_lo; i < a_hi && j < b_hi;) {
    const guint *cell = &length[(i - a_lo) * width + (j - b_lo)];

    if (self->a[i] == self->b[j])
      self->a_to_b[i++] = (int) j++;
    else if (cell[width] >= cell[1])
      i++;
    else
      j++;
  }
}

/* The pairs of items that occur once in both ranges, as positions in a and b, in the order of b. */
static void
find_once (const Alignment *self, guint a_lo, guint a_hi, guint b_lo, guint b_hi, GArray *in_a, GArray *in_b)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (NULL, NULL, NULL, g_free);

  for (guint i = a_lo; i < a_hi; i++) {
    Occurrence *seen_here = g_hash_table_lookup (seen, GUINT_TO_POINTER (self->a[i]));

    if (seen_here == NULL) {
      seen_here = g_new0 (Occurrence, 1);
      g_hash_table_insert (seen, GUINT_TO_POINTER (self->a[i]), seen_here);
    }
    seen_here->n_a++;
    seen_here->at_a = i;
  }
  for (guint j = b_lo; j < b_hi; j++) {
    Occurrence *seen_here = g_hash_table_lookup (seen, GUINT_TO_POINTER (self->b[j]));

    if (seen_here != NULL)
      seen_here->n_b++;
  }
  for (guint j = b_lo; j < b_hi; j++) {
    const Occurrence *seen_here = g_hash_table_lookup (seen, GUINT_TO_POINTER (self->b[j]));

    if (seen_here != NULL && seen_here->n_a == 1 && seen_here->n_b == 1) {
      g_array_append_val (in_a, seen_here->at_a);
      g_array_append_val (in_b, j);
    }
  }
}

/* Pairs the longest rising run of in_a (patience sorting). */
static void
align_rising (const Alignment *self, const GArray *in_a, const GArray *in_b)
{
  g_autofree guint *tops = g_new (guint, in_a->len + 1); /* the last item of the best run of each length */
  g_autofree int *before = vp_merge_positions_new (in_a->len);
  guint n_tops = 0;

  for (guint k = 0; k < in_a->len; k++) {
    guint lo = 0, hi = n_tops;

    while (lo < hi) {
      guint middle = (lo + hi) / 2;

      if (g_array_index (in_a, guint, tops[middle]) < g_array_index (in_a, guint, k))
        lo = middle + 1;
      else
        hi = middle;
    }
    before[k] = lo > 0 ? (int) tops[lo - 1] : -1;
    tops[lo] = k;
    n_tops = MAX (n_tops, lo + 1);
  }
  if (n_tops == 0)
    return;
  for (int k = (int) tops[n_tops - 1]; k >= 0; k = before[k])
    self->a_to_b[g_array_index (in_a, guint, k)] = (int) g_array_index (in_b, guint, k);
}

static void align_range (const Alignment *self, guint a_lo, guint a_hi, guint b_lo, guint b_hi, gboolean anchor);

static void
align_anchors (const Alignment *self, guint a_lo, guint a_hi, guint b_lo, guint b_hi)
{
  g_autoptr (GArray) in_a = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GArray) in_b = g_array_new (FALSE, FALSE, sizeof (guint));
  guint a_from = a_lo, b_from = b_lo;

  find_once (self, a_lo, a_hi, b_lo, b_hi, in_a, in_b);
  align_rising (self, in_a, in_b);
  for (guint i = a_lo; i < a_hi; i++) {
    guint anchor_b;

    /* The ranges filled in below lie before i: what is set at i is an anchor. */
    if (self->a_to_b[i] < 0)
      continue;
    anchor_b = (guint) self->a_to_b[i];
    align_range (self, a_from, i, b_from, anchor_b, FALSE);
    a_from = i + 1;
    b_from = anchor_b + 1;
  }
  align_range (self, a_from, a_hi, b_from, b_hi, FALSE);
}

static void
align_range (const Alignment *self, guint a_lo, guint a_hi, guint b_lo, guint b_hi, gboolean anchor)
{
  while (a_lo < a_hi && b_lo < b_hi && self->a[a_lo] == self->b[b_lo])
    self->a_to_b[a_lo++] = (int) b_lo++;
  while (a_lo < a_hi && b_lo < b_hi && self->a[a_hi - 1] == self->b[b_hi - 1])
    self->a_to_b[--a_hi] = (int) --b_hi;
  if (a_lo == a_hi || b_lo == b_hi)
    return;
  if ((guint64) (a_hi - a_lo) * (b_hi - b_lo) <= ALIGN_CELLS)
    align_table (self, a_lo, a_hi, b_lo, b_hi);
  else if (anchor)
    align_anchors (self, a_lo, a_hi, b_lo, b_hi);
}

static GArray *
hunks_new (const VpMergeList *base, const VpMergeList *side)
{
  g_autofree int *base_to_side = vp_merge_positions_new (base->n);
  const Alignment alignment = { .a = base->values, .b = side->values, .a_to_b = base_to_side };
  GArray *hunks = g_array_new (FALSE, FALSE, sizeof (Hunk));
  Hunk hunk = { 0 };

  align_range (&alignment, 0, base->n, 0, side->n, TRUE);
  for (guint i = 0; i <= base->n; i++) {
    if (i < base->n && base_to_side[i] < 0)
      continue;
    hunk.base_hi = i;
    hunk.hi = i < base->n ? (guint) base_to_side[i] : side->n;
    if (hunk.base_lo < hunk.base_hi || hunk.lo < hunk.hi)
      g_array_append_val (hunks, hunk);
    hunk.base_lo = i + 1;
    hunk.lo = hunk.hi + 1;
  }
  return hunks;
}

static const Hunk *
side_peek (const Side *self)
{
  return self->next < self->hunks->len ? &g_array_index (self->hunks, Hunk, self->next) : NULL;
}

static void
side_skip (Side *self)
{
  const Hunk *hunk = side_peek (self);

  self->shift = (gint64) hunk->hi - hunk->base_hi;
  self->next++;
}

/* Reads the hunks that reach over the edge of a range of the base, which grows by them up to *hi. */
static gboolean
side_absorb (Side *self, guint lo, guint *hi)
{
  guint from = self->next;

  for (const Hunk *hunk = side_peek (self); hunk && hunk->base_lo < *hi && hunk->base_hi > lo;
       hunk = side_peek (self)) {
    *hi = MAX (*hi, hunk->base_hi);
    side_skip (self);
  }
  return self->next > from;
}

/* Whether the hunks from that one to the next unread put something in, not only take out. */
static gboolean
side_wrote (const Side *self, guint from)
{
  for (guint i = from; i < self->next; i++)
    if (g_array_index (self->hunks, Hunk, i).lo < g_array_index (self->hunks, Hunk, i).hi)
      return TRUE;
  return FALSE;
}

static gboolean
ranges_equal (const Side *a, guint a_lo, const Side *b, guint b_lo, guint n)
{
  for (guint i = 0; i < n; i++)
    if (a->list->values[a_lo + i] != b->list->values[b_lo + i])
      return FALSE;
  return TRUE;
}

static void
add_range (GArray *entries, guint lo, guint hi, gboolean is_ours)
{
  for (guint i = lo; i < hi; i++)
    vp_merge_entries_add (entries, -1, is_ours ? (gint64) i : -1, is_ours ? -1 : (gint64) i);
}

static void
add_unchanged (GArray *entries, guint lo, guint hi, const Side *ours, const Side *theirs)
{
  for (guint i = lo; i < hi; i++)
    vp_merge_entries_add (entries, i, i + ours->shift, i + theirs->shift);
}

/* Both sides replaced exactly this range, one for one: versions of the same items, to be merged inside. */
static gboolean
add_pairs (GArray *entries, const Hunk *our, const Hunk *their)
{
  guint n = our->base_hi - our->base_lo;

  if (our->base_lo != their->base_lo || our->base_hi != their->base_hi || our->hi - our->lo != n ||
      their->hi - their->lo != n)
    return FALSE;
  for (guint i = 0; i < n; i++)
    vp_merge_entries_add (entries, our->base_lo + i, our->lo + i, their->lo + i);
  return TRUE;
}

static void
add_insertions (GArray *entries, const Side *ours, guint from)
{
  for (guint i = from; i < ours->next; i++) {
    const Hunk *hunk = &g_array_index (ours->hunks, Hunk, i);

    if (hunk->base_lo == hunk->base_hi)
      add_range (entries, hunk->lo, hunk->hi, TRUE);
  }
}

/* Whether one of its hunks has that item of the base; from *next on, which moves on to it. */
static gboolean
side_took (const Side *self, guint *next, guint at)
{
  while (*next < self->next && g_array_index (self->hunks, Hunk, *next).base_hi <= at)
    (*next)++;
  return *next < self->next && g_array_index (self->hunks, Hunk, *next).base_lo <= at;
}

/* What the one side wrote, and of the rest what the other, which only took out, left. */
static void
add_written (GArray *entries, guint at, guint base_hi, const Side *writer, guint from, gint64 shift, gboolean is_ours,
             const Side *other, guint other_from)
{
  for (guint i = from; i <= writer->next; i++) {
    const Hunk *hunk = i < writer->next ? &g_array_index (writer->hunks, Hunk, i) : NULL;

    for (; at < (hunk != NULL ? hunk->base_lo : base_hi); at++)
      if (!side_took (other, &other_from, at))
        add_range (entries, (guint) (at + shift), (guint) (at + shift) + 1, is_ours);
    if (hunk == NULL)
      return;
    add_range (entries, hunk->lo, hunk->hi, is_ours);
    at = hunk->base_hi;
    shift = (gint64) hunk->hi - hunk->base_hi;
  }
}

/* The hunks of each side from the given one to the next unread collide over base_lo to base_hi. */
static void
add_conflict (GArray *entries, guint base_lo, guint base_hi, const Side *ours, guint our_from, gint64 our_lo,
              const Side *theirs, guint their_from, gint64 their_lo)
{
  const Hunk *our = &g_array_index (ours->hunks, Hunk, our_from);
  const Hunk *their = &g_array_index (theirs->hunks, Hunk, their_from);

  if (ours->next == our_from + 1 && theirs->next == their_from + 1 && base_lo < base_hi &&
      add_pairs (entries, our, their))
    return;
  if (!side_wrote (ours, our_from)) {
    add_written (entries, base_lo, base_hi, theirs, their_from, their_lo - base_lo, FALSE, ours, our_from);
  } else if (side_wrote (theirs, their_from)) {
    add_range (entries, (guint) their_lo, (guint) (base_hi + theirs->shift), FALSE);
    add_insertions (entries, ours, our_from);
  } else {
    add_written (entries, base_lo, base_hi, ours, our_from, our_lo - base_lo, TRUE, theirs, their_from);
  }
}

/* What b does is in what a does: the same edit, or an insertion that a's begins or ends with. */
static gboolean
hunk_holds (const Side *a, const Hunk *in_a, const Side *b, const Hunk *in_b)
{
  guint n_a, n_b;

  if (in_a == NULL || in_b == NULL || in_a->base_lo != in_b->base_lo || in_a->base_hi != in_b->base_hi)
    return FALSE;
  n_a = in_a->hi - in_a->lo;
  n_b = in_b->hi - in_b->lo;
  if (n_b > n_a || (n_b < n_a && in_a->base_lo < in_a->base_hi))
    return FALSE;
  return ranges_equal (a, in_a->lo, b, in_b->lo, n_b) || ranges_equal (a, in_a->hi - n_b, b, in_b->lo, n_b);
}

/* A hunk that only puts something in comes before one that begins at the same place; ours before theirs. */
static gboolean
hunk_is_first (const Hunk *our, const Hunk *their)
{
  if (our == NULL || their == NULL)
    return our != NULL;
  if (our->base_lo != their->base_lo)
    return our->base_lo < their->base_lo;
  return our->base_hi <= their->base_hi;
}

/* Reads the next hunk, with all that it collides with, and returns where the base goes on. */
static guint
merge_next (GArray *entries, guint at, Side *ours, Side *theirs)
{
  const Hunk *our = side_peek (ours);
  const Hunk *their = side_peek (theirs);
  gboolean ours_first = hunk_is_first (our, their);
  const Hunk *first = ours_first ? our : their;
  Side *leader = ours_first ? ours : theirs;
  Side *other = ours_first ? theirs : ours;
  guint lo = first->base_lo, hi = first->base_hi;
  guint our_from = ours->next, their_from = theirs->next;
  gint64 our_lo = lo + ours->shift, their_lo = lo + theirs->shift;

  add_unchanged (entries, at, lo, ours, theirs);
  side_skip (leader);
  if (hunk_holds (theirs, their, ours, our) || hunk_holds (ours, our, theirs, their)) {
    gboolean use_ours = our->hi - our->lo > their->hi - their->lo;

    side_skip (other);
    add_range (entries, use_ours ? our->lo : their->lo, use_ours ? our->hi : their->hi, use_ours);
    return hi;
  }
  if (!side_absorb (other, lo, &hi)) {
    add_range (entries, first->lo, first->hi, ours_first);
    return hi;
  }
  while (side_absorb (leader, lo, &hi) || side_absorb (other, lo, &hi))
    continue;
  add_conflict (entries, lo, hi, ours, our_from, our_lo, theirs, their_from, their_lo);
  return hi;
}

GArray *
vp_merge_list_ordered (const VpMergeList *base, const VpMergeList *ours, const VpMergeList *theirs)
{
  GArray *entries = g_array_new (FALSE, FALSE, sizeof (VpMergeEntry));
  g_autoptr (GArray) our_hunks = hunks_new (base, ours);
  g_autoptr (GArray) their_hunks = hunks_new (base, theirs);
  Side our = { .list = ours, .hunks = our_hunks };
  Side their = { .list = theirs, .hunks = their_hunks };
  guint at = 0;

  while (side_peek (&our) || side_peek (&their))
    at = merge_next (entries, at, &our, &their);
  add_unchanged (entries, at, base->n, &our, &their);
  return entries;
}
