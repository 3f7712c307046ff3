/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as three documents with a line of %% between them. What is merged is a
 * document again, and the same each time; where one side changed nothing, the other's
 * edits are the result.
 */
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/xml.h"
#include "merge/merge.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static xmlDoc *
parse (const char *text)
{
  return vp_xml_parse (text, strlen (text), "input", NULL);
}

/* NULL: they are not versions of one document. */
static char *
dup_merged (const xmlDoc *base, const xmlDoc *ours, const xmlDoc *theirs)
{
  g_autoptr (GArray) conflicts = g_array_new (FALSE, FALSE, sizeof (VpMergeConflict));
  g_autoptr (GError) error = NULL;
  g_autoptr (xmlDoc) merged = vp_merge_three_way (base, ours, theirs, conflicts, &error);

  if (merged == NULL) {
    g_assert_error (error, VP_ERROR, VP_ERROR_XML);
    return NULL;
  }
  for (guint i = 0; i < conflicts->len; i++) {
    const VpMergeConflict *conflict = &g_array_index (conflicts, VpMergeConflict, i);
    g_assert_true (conflict->node->doc == ours || conflict->node->doc == theirs);
    g_assert_true ((conflict->kind == VP_MERGE_CONFLICT_CLAIM) == (conflict->part != NULL));
  }
  g_assert_true (conflicts->len == 0 || (ours != base && theirs != base));
  return vp_xml_dup_text (merged);
}

static void
check_one_sided (const xmlDoc *base, const xmlDoc *edited)
{
  g_autofree char *of_theirs = dup_merged (base, base, edited);
  g_autofree char *of_ours = dup_merged (base, edited, base);

  if (of_theirs == NULL)
    return;
  g_autoptr (xmlDoc) theirs = parse (of_theirs);
  g_autoptr (xmlDoc) ours = parse (of_ours);
  g_assert_true (theirs != NULL && ours != NULL);
  g_assert_true (vp_xml_equal (xmlDocGetRootElement (theirs), xmlDocGetRootElement (edited)));
  g_assert_true (vp_xml_equal (xmlDocGetRootElement (ours), xmlDocGetRootElement (edited)));
}

/* Both sides did the same. */
static void
check_same (const xmlDoc *base, const xmlDoc *edited)
{
  g_autofree char *text = dup_merged (base, edited, edited);
  g_autoptr (xmlDoc) merged = text != NULL ? parse (text) : NULL;

  if (merged != NULL)
    g_assert_true (vp_xml_equal (xmlDocGetRootElement (merged), xmlDocGetRootElement (edited)));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_auto (GStrv) parts = g_strsplit (text, "\n%%\n", 3);

  if (g_strv_length (parts) < 3)
    return 0;
  g_autoptr (xmlDoc) base = parse (parts[0]);
  g_autoptr (xmlDoc) ours = base != NULL ? parse (parts[1]) : NULL;
  g_autoptr (xmlDoc) theirs = ours != NULL ? parse (parts[2]) : NULL;
  if (theirs == NULL)
    return 0;
  g_autofree char *once = dup_merged (base, ours, theirs);
  g_autofree char *twice = dup_merged (base, ours, theirs);
  g_assert_cmpstr (once, ==, twice);
  g_autoptr (xmlDoc) merged = once != NULL ? parse (once) : NULL;
  g_assert_true ((merged != NULL) == (once != NULL));
  check_one_sided (base, ours);
  check_one_sided (base, theirs);
  check_same (base, ours);
  return 0;
}
