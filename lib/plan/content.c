/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells an element in lines and holds each against a pattern. */
#include "plan/content.h"

#include "base/pattern.h"

#define MAX_LINES 20000u /* 64 cells with the distances to each other have fewer */
#define MAX_DEPTH 8u

typedef struct {
  const char *pattern;
  GString *line; /* that is told next */
  guint lines;
  char *stranger;
} Telling;

/* FALSE: that is enough. Takes back what the line has beyond `length`. */
static gboolean
tell (Telling *telling, gsize length)
{
  const char *told = telling->line->str;

  if (++telling->lines > MAX_LINES)
    telling->stranger = g_strdup_printf ("more than %u parts", MAX_LINES);
  else if (!vp_pattern_fits (telling->pattern, told))
    telling->stranger = g_utf8_substring (told, 0, MIN (g_utf8_strlen (told, -1), 200));
  g_string_truncate (telling->line, length);
  return telling->stranger == NULL;
}

static void
append_name (GString *line, const char *before, const xmlNs *ns, const xmlChar *name)
{
  g_string_append (line, before);
  if (ns != NULL)
    g_string_append_printf (line, "{%s}", (const char *) ns->href);
  g_string_append (line, (const char *) name);
}

static gboolean
tell_attributes (Telling *telling, const xmlNode *node)
{
  gsize length = telling->line->len;

  for (const xmlNs *ns = node->nsDef; ns != NULL; ns = ns->next) {
    g_string_append_printf (telling->line, "/@xmlns=%s", ns->href != NULL ? (const char *) ns->href : "");
    if (!tell (telling, length))
      return FALSE;
  }
  for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
    g_autofree char *value = (char *) xmlNodeListGetString (node->doc, attr->children, 1);
    append_name (telling->line, "/@", attr->ns, attr->name);
    g_string_append_c (telling->line, '=');
    g_string_append (telling->line, value != NULL ? value : "");
    if (!tell (telling, length))
      return FALSE;
  }
  return TRUE;
}

static gboolean
tell_element (Telling *telling, const xmlNode *node, guint depth)
{
  gsize above = telling->line->len;

  if (depth == MAX_DEPTH) {
    telling->stranger = g_strdup_printf ("elements more than %u deep", MAX_DEPTH);
    return FALSE;
  }
  append_name (telling->line, depth > 0 ? "/" : "", node->ns, node->name);
  gsize length = telling->line->len;
  if (!tell (telling, length) || !tell_attributes (telling, node))
    return FALSE;
  for (const xmlNode *child = node->children; child != NULL; child = child->next) {
    if (child->type == XML_ELEMENT_NODE) {
      if (!tell_element (telling, child, depth + 1))
        return FALSE;
      continue;
    }
    if (child->type == XML_COMMENT_NODE || (child->type == XML_TEXT_NODE && xmlIsBlankNode ((xmlNode *) child)))
      continue;
    if (child->type == XML_TEXT_NODE)
      g_string_append_printf (telling->line, "=%s", (const char *) child->content);
    else
      g_string_append_printf (telling->line, "/#%d", (int) child->type);
    if (!tell (telling, length))
      return FALSE;
  }
  g_string_truncate (telling->line, above);
  return TRUE;
}

char *
vp_content_dup_stranger (const xmlNode *element, const char *pattern)
{
  g_autoptr (GString) line = g_string_new (NULL);
  Telling telling = { .pattern = pattern, .line = line };

  (void) tell_element (&telling, element, 0);
  return telling.stranger;
}
