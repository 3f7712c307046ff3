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
  g_autoptr (GError) error = NULL;
  g_autoptr (xmlDoc) merged = vp_merge_three_way (base, ours, theirs, NULL, &error);

  if (merged == NULL) {
    g_assert_error (error, VP_ERROR, VP_ERROR_XML);
    return NULL;
  }
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
  return 0;
}
