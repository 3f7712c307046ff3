/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A copy of a document, of its own dictionary. What libxml2 parsed has all names and most short texts in there, or the
 * texts in their nodes (XML_PARSE_COMPACT), so that they need no memory in a copy; its own copying takes some for each.
 */
#include "base/xml.h"

/* The dictionary's strings are the copy's, too. */
static xmlChar *
copy_string (const xmlDoc *doc, const xmlChar *text)
{
  return text == NULL || xmlDictOwns (doc->dict, text) == 1 ? (xmlChar *) text : xmlStrdup (text);
}

/* What the prefix stands for at the copy; below what was copied already, so that only a broken tree has none. */
static xmlNs *
copy_ns (xmlNode *copy, const xmlNs *ns)
{
  xmlNs *found = ns != NULL ? xmlSearchNs (copy->doc, copy, ns->prefix) : NULL;

  return found != NULL || ns == NULL ? found : xmlNewNs (copy, ns->href, ns->prefix);
}

/* A text or a comment; `parent` is an element or an attribute. */
static xmlNode *
copy_text (xmlDoc *doc, xmlNode *parent, const xmlNode *from)
{
  xmlNode *copy = g_memdup2 (from, sizeof *copy);

  copy->doc = doc;
  copy->parent = parent;
  copy->next = copy->prev = NULL;
  copy->content = from->content == (const xmlChar *) &from->properties ? (xmlChar *) &copy->properties
                                                                       : copy_string (doc, from->content);
  return copy;
}

static void
append (xmlNode *copy, xmlNode **first, xmlNode **last)
{
  copy->prev = *last;
  if (*last != NULL)
    (*last)->next = copy;
  else
    *first = copy;
  *last = copy;
}

static xmlAttr *
copy_attr (xmlNode *parent, const xmlAttr *from)
{
  xmlAttr *copy = g_new0 (xmlAttr, 1);

  copy->type = XML_ATTRIBUTE_NODE;
  copy->doc = parent->doc;
  copy->parent = parent;
  copy->name = copy_string (parent->doc, from->name);
  copy->ns = copy_ns (parent, from->ns);
  for (const xmlNode *text = from->children; text != NULL; text = text->next)
    append (copy_text (parent->doc, (xmlNode *) copy, text), &copy->children, &copy->last);
  return copy;
}

static xmlNode *
copy_element (xmlDoc *doc, xmlNode *parent, const xmlNode *from)
{
  xmlNode *copy = g_new0 (xmlNode, 1);
  xmlAttr *last = NULL;

  copy->type = XML_ELEMENT_NODE;
  copy->doc = doc;
  copy->parent = parent;
  copy->name = copy_string (doc, from->name);
  copy->nsDef = from->nsDef != NULL ? xmlCopyNamespaceList (from->nsDef) : NULL;
  copy->ns = copy_ns (copy, from->ns);
  for (const xmlAttr *attr = from->properties; attr != NULL; attr = attr->next) {
    xmlAttr *one = copy_attr (copy, attr);
    one->prev = last;
    *(last != NULL ? &last->next : &copy->properties) = one;
    last = one;
  }
  for (const xmlNode *child = from->children; child != NULL; child = child->next) {
    xmlNode *one = child->type == XML_ELEMENT_NODE ? copy_element (doc, copy, child)
                   : child->type == XML_TEXT_NODE || child->type == XML_COMMENT_NODE
                     ? copy_text (doc, copy, child)
                     : xmlDocCopyNode ((xmlNode *) child, doc, 1);
    one->parent = copy;
    append (one, &copy->children, &copy->last);
  }
  return copy;
}

xmlDoc *
vp_xml_copy (const xmlDoc *doc)
{
  xmlDoc *copy = xmlCopyDoc ((xmlDoc *) doc, 0);

  copy->dict = doc->dict;
  xmlDictReference (copy->dict);
  for (const xmlNode *node = doc->children; node != NULL; node = node->next) {
    xmlNode *one = node->type == XML_ELEMENT_NODE ? copy_element (copy, (xmlNode *) copy, node)
                                                  : xmlDocCopyNode ((xmlNode *) node, copy, 1);
    one->parent = (xmlNode *) copy;
    append (one, &copy->children, &copy->last);
  }
  return copy;
}
