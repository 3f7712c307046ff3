/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells an element in lines and holds each against a pattern. */
#include "plan/content.h"

#include "base/pattern.h"

#define MAX_LINES 20000u /* 64 cells with the distances to each other have fewer */
#define MAX_DEPTH 8u

typedef struct {
  const char *pattern;
  guint lines;
  char *stranger;
} Telling;

/* FALSE: that is enough. Takes the line. */
static gboolean
tell (Telling *telling, char *line)
{
  g_autofree char *told = line;

  if (++telling->lines > MAX_LINES)
    telling->stranger = g_strdup_printf ("more than %u parts", MAX_LINES);
  else if (!vp_pattern_fits (telling->pattern, told))
    telling->stranger = g_utf8_substring (told, 0, MIN (g_utf8_strlen (told, -1), 200));
  return telling->stranger == NULL;
}

static char *
dup_name (const xmlNs *ns, const xmlChar *name)
{
  return ns != NULL ? g_strdup_printf ("{%s}%s", (const char *) ns->href, (const char *) name)
                    : g_strdup ((const char *) name);
}

static gboolean
tell_attributes (Telling *telling, const xmlNode *node, const char *path)
{
  for (const xmlNs *ns = node->nsDef; ns != NULL; ns = ns->next)
    if (!tell (telling, g_strdup_printf ("%s/@xmlns=%s", path, ns->href != NULL ? (const char *) ns->href : "")))
      return FALSE;
  for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
    g_autofree char *value = (char *) xmlNodeListGetString (node->doc, attr->children, 1);
    g_autofree char *name = dup_name (attr->ns, attr->name);
    if (!tell (telling, g_strdup_printf ("%s/@%s=%s", path, name, value != NULL ? value : "")))
      return FALSE;
  }
  return TRUE;
}

static gboolean
tell_element (Telling *telling, const xmlNode *node, const char *above, guint depth)
{
  g_autofree char *name = dup_name (node->ns, node->name);
  g_autofree char *path = g_strconcat (above, depth > 0 ? "/" : "", name, NULL);

  if (depth == MAX_DEPTH) {
    telling->stranger = g_strdup_printf ("elements more than %u deep", MAX_DEPTH);
    return FALSE;
  }
  if (!tell (telling, g_strdup (path)) || !tell_attributes (telling, node, path))
    return FALSE;
  for (const xmlNode *child = node->children; child != NULL; child = child->next) {
    if (child->type == XML_ELEMENT_NODE) {
      if (!tell_element (telling, child, path, depth + 1))
        return FALSE;
    } else if (child->type == XML_TEXT_NODE && !xmlIsBlankNode ((xmlNode *) child)) {
      if (!tell (telling, g_strdup_printf ("%s=%s", path, (const char *) child->content)))
        return FALSE;
    } else if (child->type != XML_TEXT_NODE && child->type != XML_COMMENT_NODE) {
      if (!tell (telling, g_strdup_printf ("%s/#%d", path, (int) child->type)))
        return FALSE;
    }
  }
  return TRUE;
}

char *
vp_content_dup_stranger (const xmlNode *element, const char *pattern)
{
  Telling telling = { .pattern = pattern };

  (void) tell_element (&telling, element, "", 0);
  return telling.stranger;
}
