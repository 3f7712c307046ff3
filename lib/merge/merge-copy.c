/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes of one document made in another, with namespaces declared where they belong. Decides nothing. */
#include "merge/merge-copy.h"

/* The same namespace as seen from `element`, which must be in the result already. */
static xmlNs *
find_ns (VpMergeResult *self, xmlNode *element, const xmlNs *ns)
{
  if (ns == NULL)
    return NULL;
  xmlNs *found = xmlSearchNs (self->doc, element, ns->prefix);
  if (found != NULL && xmlStrEqual (found->href, ns->href))
    return found;
  found = xmlNewNs (element, ns->href, ns->prefix);
  /* The element's own declarations have the prefix for something else. */
  for (guint i = 1; found == NULL && i < 100; i++) {
    g_autofree char *prefix = g_strdup_printf ("ns%u", i);

    found = xmlNewNs (element, ns->href, BAD_CAST prefix);
  }
  if (found == NULL)
    self->failed = TRUE;
  return found;
}

void
vp_merge_add_attribute (VpMergeResult *self, xmlNode *element, const xmlAttr *attribute, xmlAttr **last)
{
  const xmlNs *ns = attribute->ns;

  /* xmlCopyProp would declare a namespace that it misses at the document's root; here is where it belongs. */
  if (ns != NULL && xmlSearchNs (self->doc, element, ns->prefix) == NULL)
    xmlNewNs (element, ns->href, ns->prefix);
  xmlAttr *copy = xmlCopyProp (element, (xmlAttr *) attribute);
  if (copy == NULL) {
    self->failed = TRUE;
    return;
  }
  copy->prev = *last;
  if (*last != NULL)
    (*last)->next = copy;
  else
    element->properties = copy;
  *last = copy;
}

void
vp_merge_declare_namespaces (xmlNode *element, const xmlNode *source)
{
  /* xmlNewNs leaves a prefix that the element has already. */
  for (const xmlNs *ns = source->nsDef; ns != NULL; ns = ns->next)
    xmlNewNs (element, ns->href, ns->prefix);
}

xmlNode *
vp_merge_add_element (VpMergeResult *self, xmlNode *parent, const xmlNode *source)
{
  xmlNode *element = xmlNewDocNode (self->doc, NULL, source->name, NULL);

  if (element == NULL) {
    self->failed = TRUE;
    return NULL;
  }
  if (parent != NULL)
    xmlAddChild (parent, element);
  else
    xmlDocSetRootElement (self->doc, element);
  vp_merge_declare_namespaces (element, source);
  element->ns = find_ns (self, element, source->ns);
  if (source->ns == NULL) {
    const xmlNs *inherited = xmlSearchNs (self->doc, element, NULL);
    if (inherited != NULL && inherited->href != NULL && inherited->href[0] != '\0')
      xmlNewNs (element, BAD_CAST "", NULL);
  }
  return element;
}

static void
copy_leaf (VpMergeResult *self, xmlNode *parent, const xmlNode *source)
{
  xmlNode *copy = xmlDocCopyNode ((xmlNode *) source, self->doc, 1);

  if (copy == NULL || xmlAddChild (parent, copy) == NULL)
    self->failed = TRUE;
}

xmlNode *
vp_merge_copy (VpMergeResult *self, xmlNode *parent, const xmlNode *source)
{
  xmlAttr *last = NULL;

  if (source->type != XML_ELEMENT_NODE) {
    copy_leaf (self, parent, source);
    return NULL;
  }
  xmlNode *element = vp_merge_add_element (self, parent, source);
  if (element == NULL)
    return NULL;
  for (const xmlAttr *attribute = source->properties; attribute != NULL; attribute = attribute->next)
    vp_merge_add_attribute (self, element, attribute, &last);
  for (const xmlNode *child = source->children; child != NULL; child = child->next)
    vp_merge_copy (self, element, child);
  return element;
}

void
vp_merge_copy_around (VpMergeResult *self, const xmlDoc *source)
{
  xmlNode *root = xmlDocGetRootElement (self->doc);
  gboolean before = TRUE;

  for (const xmlNode *node = source->children; node != NULL && root != NULL; node = node->next) {
    if (node->type == XML_ELEMENT_NODE)
      before = FALSE;
    if (node->type != XML_COMMENT_NODE && node->type != XML_PI_NODE)
      continue;
    xmlNode *copy = xmlDocCopyNode ((xmlNode *) node, self->doc, 1);
    if (copy == NULL)
      self->failed = TRUE;
    else if (before)
      xmlAddPrevSibling (root, copy);
    else
      xmlAddSibling (root, copy);
  }
}
