/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose version is whose, and what becomes of them together. */
#include "edits/recovery.h"

#include <string.h>

#include "domain/write-id.h"
#include "edits/edit-words.h"
#include "merge/merge.h"

void
vp_lost_free (VpLost *lost)
{
  if (lost == NULL)
    return;
  vp_domain_free (lost->last);
  vp_domain_free (lost->ours);
  g_free (lost);
}

static VpDomain *
parse_version (const VpVersion *version)
{
  gsize length = 0;
  const char *text = version->text != NULL ? g_bytes_get_data (version->text, &length) : NULL;

  return text != NULL ? vp_domain_parse (text, length, "a version of the definition", NULL) : NULL;
}

/* Most versions are told by the text alone. */
static gboolean
has_mark (const VpVersion *version, const char *id, VpDomain **parsed)
{
  gsize length = 0;
  const char *text = version->text != NULL ? g_bytes_get_data (version->text, &length) : NULL;

  if (text == NULL || memmem (text, length, id, strlen (id)) == NULL)
    return FALSE;
  g_autoptr (VpDomain) domain = parse_version (version);
  g_autofree char *mark = domain != NULL ? vp_write_id_dup (domain) : NULL;
  if (g_strcmp0 (mark, id) != 0)
    return FALSE;
  *parsed = g_steal_pointer (&domain);
  return TRUE;
}

/*
 * An undo leaves no state, and so no mark. Where B had one, so has what was made from it, and R is the first without.
 * Should somebody have defined the domain anew in this very moment, or B have had none, R is the one that reads as it
 * was written.
 */
static guint
find_unmarked (VpLost *lost, const VpWrite *write, const GPtrArray *versions)
{
  gboolean by_state = vp_domain_state (write->base) != NULL;
  guint found = versions->len;

  for (guint i = 0; i < versions->len; i++) {
    g_autoptr (VpDomain) domain = parse_version (versions->pdata[i]);
    gboolean is_written = domain != NULL && vp_domain_equal (domain, write->written);
    gboolean is_first = by_state && domain != NULL && vp_domain_state (domain) == NULL && found == versions->len;
    if (!is_written && !is_first)
      continue;
    found = i;
    g_clear_pointer (&lost->ours, vp_domain_free);
    lost->ours = g_steal_pointer (&domain);
    if (is_written)
      break;
  }
  lost->defined = found < versions->len;
  return found;
}

/* The position of R; the number of versions where it is not among them. */
static guint
find_ours (VpLost *lost, const VpWrite *write, const GPtrArray *versions)
{
  g_autofree char *id = vp_write_id_dup (write->written);

  if (id == NULL)
    return find_unmarked (lost, write, versions);
  for (guint i = 0; i < versions->len; i++)
    if (has_mark (versions->pdata[i], id, &lost->ours)) {
      lost->defined = TRUE;
      return i;
    }
  return versions->len;
}

/* What came before R: how much of it is known, and whether it is an edit of B at all. */
static void
look_before (VpLost *lost, const GPtrArray *versions, guint ours)
{
  for (guint i = 0; i < ours; i++) {
    const VpVersion *version = versions->pdata[i];
    lost->anew = lost->anew || version->deleted;
    lost->missed = lost->missed || version->missed || (!version->deleted && version->text == NULL);
  }
  if (ours < versions->len)
    lost->missed = lost->missed || ((const VpVersion *) versions->pdata[ours])->missed;
}

/* The youngest before R that can be read. */
static VpDomain *
parse_last (VpLost *lost, const GPtrArray *versions, guint ours)
{
  for (guint i = ours; i > 0; i--) {
    const VpVersion *version = versions->pdata[i - 1];
    if (version->deleted)
      return NULL;
    VpDomain *domain = parse_version (version);
    if (domain != NULL)
      return domain;
    lost->missed = TRUE;
  }
  return NULL;
}

VpLost *
vp_lost_find (const VpWrite *write, const GPtrArray *versions)
{
  VpLost *lost = g_new0 (VpLost, 1);
  guint ours = find_ours (lost, write, versions);

  if (ours == versions->len) {
    lost->missed = TRUE; /* or it was not defined: who asks knows */
    return lost;
  }
  lost->followed = ours + 1 < versions->len;
  look_before (lost, versions, ours);
  if (ours > 0 && ((const VpVersion *) versions->pdata[ours - 1])->deleted) {
    lost->kind = lost->followed ? VP_LOST_NOTHING : VP_LOST_UNDEFINE;
    return lost;
  }
  lost->last = parse_last (lost, versions, ours);
  if (lost->last != NULL && !lost->anew && vp_domain_equal (lost->last, write->base))
    g_clear_pointer (&lost->last, vp_domain_free); /* it came before the reading, and is B */
  /* Who undefines the domain after R did so with what R had made of it. */
  for (guint i = ours + 1; i < versions->len; i++)
    if (((const VpVersion *) versions->pdata[i])->deleted)
      g_clear_pointer (&lost->last, vp_domain_free);
  lost->kind = lost->last != NULL ? VP_LOST_EDIT : VP_LOST_NOTHING;
  return lost;
}

void
vp_overruled_clear (VpOverruled *overruled)
{
  g_clear_pointer (&overruled->words, g_free);
  g_clear_pointer (&overruled->loser, vp_domain_free);
}

/* `overruled` NULL: ours are changes of our own, which are planned anew. */
static VpDomain *
merge (const VpDomain *base, const VpDomain *ours, const VpDomain *theirs, VpOverruled *overruled, GError **error)
{
  g_autoptr (GArray) conflicts = g_array_new (FALSE, FALSE, sizeof (VpMergeConflict));
  g_autoptr (VpDomain) merged = g_new0 (VpDomain, 1);

  merged->doc = vp_merge_three_way (base->doc, ours->doc, theirs->doc, conflicts, error);
  if (merged->doc == NULL)
    return NULL;
  if (overruled != NULL)
    overruled->words = vp_edit_dup_conflicts (conflicts);
  for (guint i = 0; i < conflicts->len; i++)
    if (overruled != NULL && overruled->words != NULL && overruled->loser == NULL &&
        g_array_index (conflicts, VpMergeConflict, i).kind == VP_MERGE_CONFLICT_ITEM)
      overruled->loser = vp_domain_copy (ours);
  return g_steal_pointer (&merged);
}

/* In the order of time: M's edit of B goes onto R, over what R changed; what was edited since, R to N, over that. */
static VpDomain *
sum_followed (const VpLost *lost, const VpWrite *write, const VpDomain *stored, VpOverruled *overruled, GError **error)
{
  /* Where not all was seen, the first with the mark may be N, and hold an edit of somebody. */
  const VpDomain *ours = lost->missed ? write->written : lost->ours;
  g_autoptr (VpDomain) recovered =
    lost->anew ? vp_domain_copy (lost->last) : merge (write->base, write->written, lost->last, NULL, error);

  return recovered != NULL ? merge (ours, recovered, stored, overruled, error) : NULL;
}

VpDomain *
vp_lost_sum (const VpLost *lost, const VpWrite *write, const VpDomain *stored, VpOverruled *overruled, GError **error)
{
  if (lost->followed || lost->missed)
    return sum_followed (lost, write, stored, overruled, error);
  if (write->carry == NULL || lost->anew)
    return vp_domain_copy (lost->last);
  return merge (write->base, write->carry, lost->last, overruled, error);
}
