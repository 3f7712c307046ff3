/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The merge of lists whose items have identities: equal items are paired first
 * (so that of three alike the right ones pair up when one is gone), the rest by
 * identity in their order, and each triple is decided by itself. Numbers only,
 * no XML; every step is linear.
 */
#include "merge/merge-list.h"

void
vp_merge_list_clear (VpMergeList *list)
{
  g_clear_pointer (&list->values, g_free);
  g_clear_pointer (&list->identities, g_free);
  g_clear_pointer (&list->strong, g_free);
}

void
vp_merge_entries_add (GArray *entries, gint64 base, gint64 ours, gint64 theirs)
{
  VpMergeEntry entry = { (int) base, (int) ours, (int) theirs };

  g_array_append_val (entries, entry);
}

/* Pairs what is still free and has the same number (not 0), the first with the first. */
static void
pair_free (const guint *a, guint n_a, int *a_to_b, const guint *b, guint n_b, int *b_to_a)
{
  g_autoptr (GHashTable) heads = g_hash_table_new (NULL, NULL); /* number → 1 + position of its first in a */
  g_autofree guint *next = g_new0 (guint, n_a + 1);

  for (guint i = n_a; i-- > 0;)
    if (a[i] != 0 && a_to_b[i] < 0) {
      next[i] = GPOINTER_TO_UINT (g_hash_table_lookup (heads, GUINT_TO_POINTER (a[i])));
      g_hash_table_insert (heads, GUINT_TO_POINTER (a[i]), GUINT_TO_POINTER (i + 1));
    }
  for (guint j = 0; j < n_b; j++) {
    guint head;

    if (b[j] == 0 || b_to_a[j] >= 0)
      continue;
    head = GPOINTER_TO_UINT (g_hash_table_lookup (heads, GUINT_TO_POINTER (b[j])));
    if (head == 0)
      continue;
    b_to_a[j] = (int) head - 1;
    a_to_b[head - 1] = (int) j;
    g_hash_table_insert (heads, GUINT_TO_POINTER (b[j]), GUINT_TO_POINTER (next[head - 1]));
  }
}

/* One side of a keyed merge, as positions in the base and in the other side. */
typedef struct {
  const VpMergeList *list;
  int *to_base;
  int *from_base;
  int *to_other;
} Keyed;

static void
keyed_clear (Keyed *self)
{
  g_free (self->to_base);
  g_free (self->from_base);
  g_free (self->to_other);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Keyed, keyed_clear)

static void
keyed_init (Keyed *self, const VpMergeList *list, const VpMergeList *base)
{
  self->list = list;
  self->to_base = vp_merge_positions_new (list->n);
  self->from_base = vp_merge_positions_new (base->n);
  self->to_other = vp_merge_positions_new (list->n);
  pair_free (base->values, base->n, self->from_base, list->values, list->n, self->to_base);
  pair_free (base->identities, base->n, self->from_base, list->identities, list->n, self->to_base);
}

/* The numbers of what this side added; with `identities`, of what can be the same thing as the other's. */
static guint *
keyed_added (const Keyed *self, gboolean identities)
{
  guint *numbers = g_new0 (guint, self->list->n + 1);

  for (guint i = 0; i < self->list->n; i++)
    if (self->to_base[i] < 0 && (!identities || self->list->strong[i]))
      numbers[i] = identities ? self->list->identities[i] : self->list->values[i];
  return numbers;
}

static void
keyed_pair_sides (Keyed *ours, Keyed *theirs)
{
  for (guint i = 0; i < ours->list->n; i++) {
    int base = ours->to_base[i];

    if (base < 0 || theirs->from_base[base] < 0)
      continue;
    ours->to_other[i] = theirs->from_base[base];
    theirs->to_other[theirs->from_base[base]] = (int) i;
  }
  for (int identities = FALSE; identities <= TRUE; identities++) {
    g_autofree guint *a = keyed_added (ours, identities);
    g_autofree guint *b = keyed_added (theirs, identities);

    pair_free (a, ours->list->n, ours->to_other, b, theirs->list->n, theirs->to_other);
  }
}

/* Removed by the other side and changed in this one: stays. */
static gboolean
keyed_stays (const Keyed *self, guint at, const VpMergeList *base)
{
  return self->to_other[at] >= 0 || self->to_base[at] < 0 || base->values[self->to_base[at]] != self->list->values[at];
}

static gboolean
keyed_moved (const Keyed *self)
{
  int last = -1;

  for (guint i = 0; i < self->list->n; i++) {
    if (self->to_base[i] < 0 || self->to_other[i] < 0)
      continue;
    if (self->to_base[i] < last)
      return TRUE;
    last = self->to_base[i];
  }
  return FALSE;
}

static void
keyed_add (const Keyed *self, guint at, gboolean is_theirs, GArray *entries)
{
  gint64 here = at, other = self->to_other[at];

  vp_merge_entries_add (entries, self->to_base[at], is_theirs ? other : here, is_theirs ? here : other);
}

/* The items of `other` that are not in `order`, as chains: first[k] begins what follows its item k - 1. */
static void
keyed_chain (const Keyed *order, const Keyed *other, const VpMergeList *base, int *first, int *next)
{
  g_autofree int *last = vp_merge_positions_new (order->list->n + 1);
  guint after = 0;

  for (guint i = 0; i < other->list->n; i++) {
    if (other->to_other[i] >= 0) {
      after = (guint) other->to_other[i] + 1;
      continue;
    }
    if (!keyed_stays (other, i, base))
      continue;
    if (last[after] < 0)
      first[after] = (int) i;
    else
      next[last[after]] = (int) i;
    last[after] = (int) i;
  }
}

static void
keyed_weave (const Keyed *order, const Keyed *other, const VpMergeList *base, gboolean order_is_theirs, GArray *entries)
{
  g_autofree int *first = vp_merge_positions_new (order->list->n + 1);
  g_autofree int *next = vp_merge_positions_new (other->list->n);

  keyed_chain (order, other, base, first, next);
  for (guint i = 0; i <= order->list->n; i++) {
    if (i > 0 && keyed_stays (order, i - 1, base))
      keyed_add (order, i - 1, order_is_theirs, entries);
    for (int k = first[i]; k >= 0; k = next[k])
      keyed_add (other, (guint) k, !order_is_theirs, entries);
  }
}

GArray *
vp_merge_list_keyed (const VpMergeList *base, const VpMergeList *ours, const VpMergeList *theirs)
{
  GArray *entries = g_array_new (FALSE, FALSE, sizeof (VpMergeEntry));
  g_auto (Keyed) our = { 0 };
  g_auto (Keyed) their = { 0 };

  keyed_init (&our, ours, base);
  keyed_init (&their, theirs, base);
  keyed_pair_sides (&our, &their);
  if (keyed_moved (&our) && !keyed_moved (&their))
    keyed_weave (&our, &their, base, FALSE, entries);
  else
    keyed_weave (&their, &our, base, TRUE, entries);
  return entries;
}
