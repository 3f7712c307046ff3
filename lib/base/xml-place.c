/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes and places, without a copy of what they are held against. See base/xml.h for what a place is. */
#include "base/xml.h"

#include <string.h>

static gboolean
is_text (const xmlChar *text, const char *value, gsize length)
{
  return strncmp ((const char *) text, value, length) == 0 && text[length] == '\0';
}

static const xmlAttr *
find_attr (const xmlNode *node, const char *name, gsize length)
{
  const xmlAttr *attr = node->properties;

  while (attr != NULL && (attr->ns != NULL || !is_text (attr->name, name, length)))
    attr = attr->next;
  return attr;
}

static gboolean
has_value (const xmlAttr *attr, const char *value, gsize length)
{
  const xmlNode *text = attr->children;

  if (text == NULL || (text->next == NULL && text->type == XML_TEXT_NODE))
    return is_text (text != NULL ? text->content : BAD_CAST "", value, length);
  g_autofree xmlChar *whole = xmlNodeListGetString (attr->doc, text, 1);
  return whole != NULL && is_text (whole, value, length);
}

gboolean
vp_xml_attr_is (const xmlNode *node, const char *name, const char *value)
{
  const xmlAttr *attr = find_attr (node, name, strlen (name));

  return attr != NULL && value != NULL ? has_value (attr, value, strlen (value)) : attr == NULL && value == NULL;
}

gboolean
vp_xml_place_is_attribute (const char *place)
{
  const char *last = strrchr (place, '/');

  return last != NULL && last[1] == '@';
}

/* Behind the step, at a slash or the end. Predicates may hold slashes, which separate none. */
static const char *
skip_step (const char *step)
{
  int depth = 0;

  for (; *step != '\0' && (*step != '/' || depth != 0); step++)
    depth += *step == '[' ? 1 : *step == ']' ? -1 : 0;
  return step;
}

void
vp_xml_place_split (const char *place, char **parent, char **last)
{
  const char *step = place;

  for (const char *end = skip_step (place); *end != '\0'; end = skip_step (step))
    step = end + 1;
  *parent = step > place ? g_strndup (place, (gsize) (step - place) - 1) : g_strdup ("");
  *last = g_strdup (step);
}

/* Of a predicate: conditions with "and" between them. */
static gboolean
fits_conditions (const xmlNode *node, const char *at)
{
  for (gboolean more = TRUE; more; at += more ? strlen (" and ") : 0) {
    const char *value = strstr (at, "='");
    const char *end = value != NULL ? strchr (value + 2, '\'') : NULL;
    if (end == NULL)
      return FALSE;
    gsize length = (gsize) (end - value) - 2;
    const xmlAttr *attr = at[0] == '@' ? find_attr (node, at + 1, (gsize) (value - at) - 1) : NULL;
    gboolean fits = at[0] == '@' ? attr != NULL && has_value (attr, value + 2, length)
                    : g_str_has_prefix (at, "local-name()=")
                      ? is_text (node->name, value + 2, length)
                      : g_str_has_prefix (at, "namespace-uri()=") &&
                          is_text (node->ns != NULL ? node->ns->href : BAD_CAST "", value + 2, length);
    if (!fits)
      return FALSE;
    at = end + 1;
    more = g_str_has_prefix (at, " and ");
  }
  return at[0] == ']';
}

/* Whether the step names the element; `number`: which of those that it names it has to be, 0: any. */
static gboolean
fits_step (const xmlNode *node, const char *step, guint64 *number)
{
  gsize length = strcspn (step, "[/");
  const char *at = step + length;

  *number = 0;
  if (step[0] != '*' && (node->ns != NULL || !is_text (node->name, step, length)))
    return FALSE;
  for (; at != NULL && at[0] == '['; at = strchr (at, ']') != NULL ? strchr (at, ']') + 1 : NULL) {
    if (g_ascii_isdigit (at[1]))
      *number = g_ascii_strtoull (at + 1, NULL, 10);
    else if (!fits_conditions (node, at + 1))
      return FALSE;
  }
  return at != NULL;
}

gboolean
vp_xml_is_at (const xmlNode *element, const char *place, gboolean with_predicates)
{
  const char *step = place;
  guint64 number = 0;

  for (const char *end = skip_step (place); *end != '\0'; end = skip_step (step))
    step = end + 1;
  if (!g_ascii_isalpha (step[0]))
    return TRUE;
  return with_predicates ? fits_step (element, step, &number)
                         : element->ns == NULL && is_text (element->name, step, strcspn (step, "["));
}

/* In the document's order, without the first `skip`; an attribute's is the element that would carry it. */
static xmlNode *
find_below (const xmlNode *parent, const char *path, guint *skip)
{
  const char *end = skip_step (path);
  xmlNode *found = NULL;
  guint64 number = 0;
  guint64 count = 0;

  if (path[0] == '\0' || path[0] == '@')
    return (*skip)-- == 0 ? (xmlNode *) parent : NULL;
  for (xmlNode *node = vp_xml_first (parent); node != NULL && found == NULL; node = vp_xml_next (node)) {
    if (fits_step (node, path, &number) && (number == 0 || ++count == number))
      found = find_below (node, *end == '/' ? end + 1 : end, skip);
  }
  return found;
}

xmlNode *
vp_xml_find (const xmlDoc *doc, const char *place)
{
  guint skip = 0;

  return find_below (xmlDocGetRootElement ((xmlDoc *) doc), place, &skip);
}

gboolean
vp_xml_is_double (const xmlDoc *doc, const char *place)
{
  guint skip = 1;

  return find_below (xmlDocGetRootElement ((xmlDoc *) doc), place, &skip) != NULL;
}

char *
vp_xml_dup_place_value (const xmlDoc *doc, const char *place)
{
  xmlNode *node = vp_xml_find (doc, place);

  return node != NULL ? vp_xml_dup_attr (node, strrchr (place, '/') + 2) : NULL;
}

xmlNode *
vp_xml_ensure (xmlDoc *doc, const char *path, guint *made)
{
  g_auto (GStrv) steps = g_strsplit (path, "/", -1);
  xmlNode *found = vp_xml_find (doc, path);
  xmlNode *node = xmlDocGetRootElement (doc);

  *made = 0;
  if (found != NULL)
    return found;
  for (guint i = 0; steps[i] != NULL; i++) {
    xmlNode *child = vp_xml_child (node, steps[i]);
    if (child == NULL) {
      child = xmlNewDocNode (doc, NULL, BAD_CAST steps[i], NULL);
      vp_xml_insert (node, -1, child);
      (*made)++;
    }
    node = child;
  }
  return node;
}
