/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libxml2 with this project's manners. Nothing here knows what libvirt's
 * elements mean.
 */
#include "base/xml.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <stdarg.h>
#include <string.h>

#include "base/error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlParserCtxt, xmlFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlBuffer, xmlBufferFree)

/* libxml2 meets the DTD before any entity of it can be used: stop there. */
static void
refuse_dtd (void *data, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
  xmlParserCtxt *parser = data;

  (void) name, (void) external_id, (void) system_id;
  parser->_private = (void *) "a document type declaration (DTD) is not allowed";
  xmlStopParser (parser);
}

static void
be_silent (void *data, VpXmlProblem *problem)
{
  (void) data, (void) problem;
}

/* libxml2 quotes the document in its message, whatever bytes those are. */
static char *
dup_first_line (const char *message)
{
  return message != NULL ? g_utf8_make_valid (message, (gssize) strcspn (message, "\n")) : g_strdup ("not well-formed");
}

static void
set_parse_error (xmlParserCtxt *parser, const char *what, GError **error)
{
  const xmlError *last = xmlCtxtGetLastError (parser);
  g_autofree char *reason = dup_first_line (last != NULL ? last->message : NULL);

  g_set_error (error, VP_ERROR, VP_ERROR_XML, "%s is not XML: line %d: %s", what, last != NULL ? last->line : 0,
               reason);
}

xmlDoc *
vp_xml_parse (const char *text, gsize length, const char *what, GError **error)
{
  g_autoptr (xmlParserCtxt) parser = xmlNewParserCtxt ();

  if (length > VP_XML_MAX_BYTES) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "%s has %" G_GSIZE_FORMAT " bytes; at most %u are read", what, length,
                 VP_XML_MAX_BYTES);
    return NULL;
  }
  g_assert (parser != NULL); /* out of memory ends the program everywhere in GLib */

  /* Of this thread: a problem of an encoding has no parser to tell, and would go to stderr. */
  xmlSetStructuredErrorFunc (NULL, be_silent);
  parser->sax->internalSubset = refuse_dtd;
  parser->sax->serror = be_silent;
  g_autoptr (xmlDoc) doc =
    xmlCtxtReadMemory (parser, text, (int) length, NULL, NULL,
                       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
  if (parser->_private != NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "%s: %s", what, (const char *) parser->_private);
    return NULL;
  }
  if (doc == NULL || xmlDocGetRootElement (doc) == NULL) {
    set_parse_error (parser, what, error);
    return NULL;
  }
  return g_steal_pointer (&doc);
}

xmlDoc *
vp_xml_copy (const xmlDoc *doc)
{
  xmlDoc *copy = xmlCopyDoc ((xmlDoc *) doc, 0);

  copy->dict = doc->dict;
  if (copy->dict != NULL)
    xmlDictReference (copy->dict);
  copy->children = xmlDocCopyNodeList (copy, doc->children);
  for (xmlNode *node = copy->children; node != NULL; node = node->next) {
    node->parent = (xmlNode *) copy;
    copy->last = node;
  }
  return copy;
}

char *
vp_xml_dup_text (const xmlDoc *doc)
{
  g_autoptr (xmlBuffer) buffer = xmlBufferCreateSize (16384);

  /* libvirt hands out XML without a declaration; so do we. */
  for (xmlNode *node = doc->children; node != NULL; node = node->next) {
    xmlNodeDump (buffer, (xmlDoc *) doc, node, 0, 0);
    xmlBufferCCat (buffer, "\n");
  }
  return g_strdup ((const char *) xmlBufferContent (buffer));
}

static xmlNode *
element_from (const xmlNode *node)
{
  while (node != NULL && node->type != XML_ELEMENT_NODE)
    node = node->next;
  return (xmlNode *) node;
}

xmlNode *
vp_xml_first (const xmlNode *parent)
{
  return element_from (parent->children);
}

xmlNode *
vp_xml_next (const xmlNode *element)
{
  return element_from (element->next);
}

static gboolean
is_layout (const xmlNode *node)
{
  return node->type == XML_COMMENT_NODE || node->type == XML_PI_NODE ||
         (node->type == XML_TEXT_NODE && xmlIsBlankNode ((xmlNode *) node));
}

static void
strip_layout (xmlNode *node)
{
  xmlNode *next = NULL;

  for (xmlNode *child = node->children; child != NULL; child = next) {
    next = child->next;
    if (child->type == XML_ELEMENT_NODE) {
      strip_layout (child);
    } else if (is_layout (child)) {
      xmlUnlinkNode (child);
      xmlFreeNode (child);
    }
  }
}

static void
strip_blanks (xmlNode *node)
{
  xmlNode *next = NULL;

  if (vp_xml_first (node) == NULL)
    return;
  for (xmlNode *child = node->children; child != NULL; child = next) {
    next = child->next;
    if (child->type == XML_ELEMENT_NODE) {
      strip_blanks (child);
    } else if (child->type == XML_TEXT_NODE && xmlIsBlankNode (child)) {
      xmlUnlinkNode (child);
      xmlFreeNode (child);
    }
  }
}

xmlNode *
vp_xml_dup_node (const xmlNode *node)
{
  xmlNode *copy = xmlCopyNode ((xmlNode *) node, 1);

  strip_blanks (copy);
  return copy;
}

/* Neither layout nor a namespace, which may be declared above, nor an encoding that would show. */
static gboolean
is_plain (const xmlNode *node)
{
  if (node->type != XML_ELEMENT_NODE)
    return !is_layout (node);
  if (node->ns != NULL || node->nsDef != NULL || (node->doc != NULL && node->doc->encoding != NULL))
    return FALSE;
  for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next)
    if (attr->ns != NULL)
      return FALSE;
  for (const xmlNode *child = node->children; child != NULL; child = child->next)
    if (!is_plain (child))
      return FALSE;
  return TRUE;
}

char *
vp_xml_dup_line (const xmlNode *node)
{
  g_autoptr (xmlNode) copy = is_plain (node) ? NULL : xmlCopyNode ((xmlNode *) node, 1);
  g_autoptr (xmlBuffer) buffer = xmlBufferCreateSize (256);

  xmlBufferSetAllocationScheme (buffer, XML_BUFFER_ALLOC_DOUBLEIT);
  if (copy != NULL)
    strip_layout (copy);
  xmlNodeDump (buffer, NULL, copy != NULL ? copy : (xmlNode *) node, 0, 0);
  return g_strdup ((const char *) xmlBufferContent (buffer));
}

static const xmlChar *
namespace_of (const xmlNode *node)
{
  return node->ns != NULL && node->ns->href != NULL ? node->ns->href : BAD_CAST "";
}

static gboolean
equal_attributes (const xmlNode *a, const xmlNode *b)
{
  guint in_a = 0;
  guint in_b = 0;

  for (const xmlAttr *attr = b->properties; attr != NULL; attr = attr->next)
    in_b++;
  for (const xmlAttr *attr = a->properties; attr != NULL; attr = attr->next, in_a++) {
    const xmlChar *ns = attr->ns != NULL ? attr->ns->href : NULL;
    g_autofree char *left = (char *) xmlNodeListGetString (a->doc, attr->children, 1);
    xmlChar *found =
      ns != NULL ? xmlGetNsProp ((xmlNode *) b, attr->name, ns) : xmlGetNoNsProp ((xmlNode *) b, attr->name);
    g_autofree char *right = (char *) found;

    if (right == NULL || g_strcmp0 (left != NULL ? left : "", right) != 0)
      return FALSE;
  }
  return in_a == in_b;
}

static const xmlNode *
skip_layout (const xmlNode *node)
{
  while (node != NULL && is_layout (node))
    node = node->next;
  return node;
}

gboolean
vp_xml_equal (const xmlNode *a, const xmlNode *b)
{
  if (a->type != b->type)
    return FALSE;
  if (a->type != XML_ELEMENT_NODE)
    return g_strcmp0 ((const char *) a->content, (const char *) b->content) == 0;
  if (!xmlStrEqual (a->name, b->name) || !xmlStrEqual (namespace_of (a), namespace_of (b)) || !equal_attributes (a, b))
    return FALSE;

  const xmlNode *left = skip_layout (a->children);
  const xmlNode *right = skip_layout (b->children);
  while (left != NULL && right != NULL) {
    if (!vp_xml_equal (left, right))
      return FALSE;
    left = skip_layout (left->next);
    right = skip_layout (right->next);
  }
  return left == NULL && right == NULL;
}

gboolean
vp_xml_is (const xmlNode *node, const char *name)
{
  return node->ns == NULL && xmlStrEqual (node->name, BAD_CAST name);
}

xmlNode *
vp_xml_child (const xmlNode *parent, const char *name)
{
  for (xmlNode *node = vp_xml_first (parent); node != NULL; node = vp_xml_next (node))
    if (vp_xml_is (node, name))
      return node;
  return NULL;
}

xmlNode *
vp_xml_child_ns (const xmlNode *parent, const char *ns, const char *name)
{
  for (xmlNode *node = vp_xml_first (parent); node != NULL; node = vp_xml_next (node))
    if (xmlStrEqual (namespace_of (node), BAD_CAST ns) && xmlStrEqual (node->name, BAD_CAST name))
      return node;
  return NULL;
}

char *
vp_xml_dup_attr (const xmlNode *node, const char *name)
{
  return (char *) xmlGetNoNsProp ((xmlNode *) node, BAD_CAST name);
}

char *
vp_xml_dup_content (const xmlNode *node)
{
  char *text = (char *) xmlNodeGetContent (node);

  return text != NULL ? g_strstrip (text) : g_strdup ("");
}

static guint
depth_of (const xmlNode *node)
{
  guint depth = 0;

  for (const xmlNode *up = node->parent; up != NULL && up->type == XML_ELEMENT_NODE; up = up->parent)
    depth++;
  return depth;
}

static xmlNode *
new_indent (const xmlNode *parent, guint levels)
{
  g_autofree char *text = g_strnfill (1 + levels * 2, ' ');

  text[0] = '\n';
  return xmlNewDocText (parent->doc, BAD_CAST text);
}

static gboolean
is_blank (const xmlNode *node)
{
  return node != NULL && node->type == XML_TEXT_NODE && xmlIsBlankNode ((xmlNode *) node);
}

/* Gives a subtree that we made the layout of the document it goes into. */
static void
indent_children (xmlNode *node)
{
  guint depth = depth_of (node);
  gboolean mixed = FALSE;

  for (xmlNode *child = node->children; child != NULL; child = child->next)
    mixed = mixed || child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE;
  if (node->children == NULL || mixed)
    return;
  for (xmlNode *child = node->children; child != NULL; child = child->next) {
    xmlAddPrevSibling (child, new_indent (node, depth + 1));
    if (child->type == XML_ELEMENT_NODE)
      indent_children (child);
  }
  xmlAddChild (node, new_indent (node, depth));
}

/* The last of so many comments, seen from `before` (NULL: from the end) backwards; `before` where there is none. */
static xmlNode *
skip_comments (const xmlNode *parent, xmlNode *before, guint comments)
{
  for (xmlNode *node = before != NULL ? before->prev : parent->last; node != NULL && comments > 0 && is_layout (node);
       node = node->prev)
    if (!is_blank (node)) {
      before = node;
      comments--;
    }
  return before;
}

void
vp_xml_put_back (xmlNode *parent, int position, guint comments, xmlNode *node)
{
  guint depth = depth_of (parent);
  xmlNode *before = position >= 0 ? vp_xml_first (parent) : NULL;

  for (int i = 0; before != NULL && i < position; i++)
    before = vp_xml_next (before);
  before = skip_comments (parent, before, comments);

  if (before != NULL) {
    xmlAddPrevSibling (before, node);
    xmlAddNextSibling (node, new_indent (parent, depth + 1));
  } else {
    xmlNode *tail = is_blank (parent->last) ? parent->last : xmlAddChild (parent, new_indent (parent, depth));
    xmlAddPrevSibling (tail, node);
    xmlAddPrevSibling (node, new_indent (parent, depth + 1));
    /* The text before the tail is the layout of the last sibling: two blanks in a row are harmless. */
  }
  indent_children (node);
}

void
vp_xml_insert (xmlNode *parent, int position, xmlNode *node)
{
  vp_xml_put_back (parent, position, 0, node);
}

void
vp_xml_remove (xmlNode *node)
{
  xmlNode *before = node->prev;
  xmlNode *parent = node->parent;

  if (is_blank (before)) {
    xmlUnlinkNode (before);
    xmlFreeNode (before);
  }
  xmlUnlinkNode (node);
  xmlFreeNode (node);
  if (vp_xml_first (parent) == NULL && is_blank (parent->children) && parent->children == parent->last) {
    xmlNode *rest = parent->children;
    xmlUnlinkNode (rest);
    xmlFreeNode (rest);
  }
}

void
vp_xml_replace (xmlNode *old, xmlNode *node)
{
  xmlReplaceNode (old, node);
  xmlFreeNode (old);
  indent_children (node);
}

int
vp_xml_position (const xmlNode *node)
{
  int position = 0;

  for (const xmlNode *other = vp_xml_first (node->parent); other != NULL && other != node; other = vp_xml_next (other))
    position++;
  return position;
}

guint
vp_xml_comments_behind (const xmlNode *node)
{
  guint count = 0;

  for (const xmlNode *next = node->next; next != NULL && is_layout (next); next = next->next)
    count += is_blank (next) ? 0 : 1;
  return count;
}

xmlNode *
vp_xml_new (const char *name, ...)
{
  xmlNode *node = xmlNewNode (NULL, BAD_CAST name);
  va_list pairs;

  va_start (pairs, name);
  for (const char *attr = va_arg (pairs, const char *); attr != NULL; attr = va_arg (pairs, const char *))
    xmlNewProp (node, BAD_CAST attr, BAD_CAST va_arg (pairs, const char *));
  va_end (pairs);
  return node;
}

static gint
compare_texts (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
append_sorted (GString *text, GPtrArray *parts)
{
  g_ptr_array_sort (parts, compare_texts);
  for (guint i = 0; i < parts->len; i++) {
    g_string_append_c (text, '\n');
    g_string_append (text, parts->pdata[i]);
  }
}

char *
vp_xml_dup_unordered (const xmlNode *node)
{
  g_autoptr (GPtrArray) attributes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) children = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) text = g_string_new (NULL);

  if (node->type != XML_ELEMENT_NODE)
    return g_strdup_printf ("\"%s\"", (const char *) node->content);
  g_string_append_printf (text, "<{%s}%s", (const char *) namespace_of (node), (const char *) node->name);
  for (const xmlAttr *attr = node->properties; attr != NULL; attr = attr->next) {
    g_autofree char *value = (char *) xmlNodeListGetString (node->doc, attr->children, 1);
    g_ptr_array_add (attributes, g_strdup_printf ("%s=\"%s\"", (const char *) attr->name, value != NULL ? value : ""));
  }
  for (const xmlNode *child = skip_layout (node->children); child != NULL; child = skip_layout (child->next))
    g_ptr_array_add (children, vp_xml_dup_unordered (child));
  append_sorted (text, attributes);
  append_sorted (text, children);
  g_string_append_c (text, '>');
  return g_string_free (g_steal_pointer (&text), FALSE);
}
