/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shortest edit script after E. W. Myers, "An O(ND) Difference Algorithm and
 * Its Variations" (1986), in its form that needs memory for two rows only: walk
 * from both ends until the walks meet, then solve the two halves. x counts lines
 * of the old text, y of the new one; a diagonal is x - y.
 */
#include "cli/plan/diff.h"

#include <string.h>

#define CONTEXT 3

typedef struct {
  GStrv lines;
  int n;
  guint *ids;        /* equal numbers: equal lines */
  gboolean *changed; /* not in the other text */
} Side;

typedef struct {
  Side old;
  Side new;
  int *ahead; /* by diagonal: the farthest x of a walk from the start … */
  int *back;  /* … and of one from the end */
} Diff;

static void
side_init (Side *side, const char *text, GHashTable *ids)
{
  side->lines = g_strsplit (text, "\n", -1);
  side->n = (int) g_strv_length (side->lines);
  if (side->n > 0 && side->lines[side->n - 1][0] == '\0')
    side->n--; /* what follows the last line end is no line */
  side->ids = g_new (guint, side->n + 1);
  side->changed = g_new0 (gboolean, side->n + 1);
  for (int i = 0; i < side->n; i++) {
    gpointer id = g_hash_table_lookup (ids, side->lines[i]);
    if (id == NULL) {
      id = GUINT_TO_POINTER (g_hash_table_size (ids) + 1);
      g_hash_table_insert (ids, g_strdup (side->lines[i]), id);
    }
    side->ids[i] = GPOINTER_TO_UINT (id);
  }
}

static void
side_clear (Side *side)
{
  g_strfreev (side->lines);
  g_free (side->ids);
  g_free (side->changed);
}

/* A part of both texts; its first and last lines differ, and neither side is empty. */
typedef struct {
  int x0, x1, y0, y1;
} Box;

/* Widens the diagonals of a walk by one on each side, or narrows where the box ends. */
static void
widen (const Box *box, int *reached, int *low, int *high, int none)
{
  if (*low > box->x0 - box->y1) {
    --*low;
    reached[*low - 1] = none;
  } else {
    ++*low;
  }
  if (*high < box->x1 - box->y0) {
    ++*high;
    reached[*high + 1] = none;
  } else {
    --*high;
  }
}

/* One step of both walks at a time; they meet on the shortest script. */
static void
find_middle (const Diff *diff, const Box *box, int *meet_x, int *meet_y)
{
  int start = box->x0 - box->y0;
  int end = box->x1 - box->y1;
  int ahead_low = start, ahead_high = start, back_low = end, back_high = end;
  gboolean is_odd = ((start - end) & 1) != 0;

  diff->ahead[start] = box->x0;
  diff->back[end] = box->x1;
  for (;;) {
    widen (box, diff->ahead, &ahead_low, &ahead_high, -1);
    for (int d = ahead_high; d >= ahead_low; d -= 2) {
      int x = MAX (diff->ahead[d - 1] + 1, diff->ahead[d + 1]);
      while (x < box->x1 && x - d < box->y1 && diff->old.ids[x] == diff->new.ids[x - d])
        x++;
      diff->ahead[d] = x;
      if (is_odd && back_low <= d && d <= back_high && diff->back[d] <= x) {
        *meet_x = x, *meet_y = x - d;
        return;
      }
    }
    widen (box, diff->back, &back_low, &back_high, G_MAXINT);
    for (int d = back_high; d >= back_low; d -= 2) {
      int x = MIN (diff->back[d - 1], diff->back[d + 1] - 1);
      while (x > box->x0 && x - d > box->y0 && diff->old.ids[x - 1] == diff->new.ids[x - d - 1])
        x--;
      diff->back[d] = x;
      if (!is_odd && ahead_low <= d && d <= ahead_high && x <= diff->ahead[d]) {
        *meet_x = x, *meet_y = x - d;
        return;
      }
    }
  }
}

static void
compare (Diff *diff, Box box)
{
  int x = 0, y = 0;

  while (box.x0 < box.x1 && box.y0 < box.y1 && diff->old.ids[box.x0] == diff->new.ids[box.y0])
    box.x0++, box.y0++;
  while (box.x0 < box.x1 && box.y0 < box.y1 && diff->old.ids[box.x1 - 1] == diff->new.ids[box.y1 - 1])
    box.x1--, box.y1--;
  if (box.x0 < box.x1 && box.y0 < box.y1) {
    find_middle (diff, &box, &x, &y);
    compare (diff, (Box){ box.x0, x, box.y0, y });
    compare (diff, (Box){ x, box.x1, y, box.y1 });
    return;
  }
  for (int i = box.x0; i < box.x1; i++)
    diff->old.changed[i] = TRUE;
  for (int i = box.y0; i < box.y1; i++)
    diff->new.changed[i] = TRUE;
}

static gboolean
is_equal_at (const Diff *diff, int x, int y)
{
  return x < diff->old.n && y < diff->new.n && !diff->old.changed[x] && !diff->new.changed[y];
}

/* Lines from here that are in both texts, at most `most`. */
static int
count_equal (const Diff *diff, int x, int y, int most)
{
  int n = 0;

  while (n < most && is_equal_at (diff, x + n, y + n))
    n++;
  return n;
}

static void
append_lines (GString *text, char mark, const Side *side, int from, int to)
{
  for (int i = from; i < to; i++)
    g_string_append_printf (text, "%c%s\n", mark, side->lines[i]);
}

/* From the first change at or after (x, y) to the last that is near enough to the one before it. */
static void
append_hunk (GString *text, const Diff *diff, int *x, int *y)
{
  g_autoptr (GString) body = g_string_new (NULL);
  int lead = MIN (CONTEXT, *x);
  int from_x = *x - lead, from_y = *y - lead;

  append_lines (body, ' ', &diff->old, from_x, *x);
  for (;;) {
    int end_x = *x, end_y = *y;
    while (end_x < diff->old.n && diff->old.changed[end_x])
      end_x++;
    while (end_y < diff->new.n && diff->new.changed[end_y])
      end_y++;
    append_lines (body, '-', &diff->old, *x, end_x);
    append_lines (body, '+', &diff->new, *y, end_y);
    int equal = count_equal (diff, end_x, end_y, 2 * CONTEXT + 1);
    gboolean is_last = equal > 2 * CONTEXT || (end_x + equal == diff->old.n && end_y + equal == diff->new.n);
    int shown = is_last ? MIN (equal, CONTEXT) : equal;
    append_lines (body, ' ', &diff->old, end_x, end_x + shown);
    *x = end_x + shown, *y = end_y + shown;
    if (is_last)
      break;
  }
  /* An empty side is named by the line before it. */
  g_string_append_printf (text, "@@ -%d,%d +%d,%d @@\n%s", from_x + (*x > from_x), *x - from_x, from_y + (*y > from_y),
                          *y - from_y, body->str);
}

static void
append_hunks (GString *text, const Diff *diff)
{
  int x = 0, y = 0;

  while (x < diff->old.n || y < diff->new.n) {
    if (is_equal_at (diff, x, y))
      x++, y++;
    else
      append_hunk (text, diff, &x, &y);
  }
}

char *
vp_diff_dup_unified (const char *before, const char *after, const char *name)
{
  g_autoptr (GHashTable) ids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GString) text = g_string_new (NULL);
  Diff diff = { 0 };

  if (strcmp (before, after) == 0)
    return g_strdup ("");
  side_init (&diff.old, before, ids);
  side_init (&diff.new, after, ids);
  /* Diagonals from -new.n - 1 to old.n + 1. */
  gsize n = (gsize) diff.old.n + (gsize) diff.new.n + 3;
  g_autofree int *rows = g_new0 (int, 2 * n);
  diff.ahead = rows + diff.new.n + 1;
  diff.back = rows + n + diff.new.n + 1;
  compare (&diff, (Box){ 0, diff.old.n, 0, diff.new.n });
  g_string_append_printf (text, "--- %s\n+++ %s, prepared\n", name, name);
  append_hunks (text, &diff);
  side_clear (&diff.old);
  side_clear (&diff.new);
  return g_string_free (g_steal_pointer (&text), FALSE);
}
