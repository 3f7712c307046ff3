/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The few things that the core does to XML trees and that libxml2 has no call
 * for: safe parsing, equality that ignores layout, edits that keep the layout,
 * and places. All strings are UTF-8; a `dup` is freed with g_free.
 *
 * A place is a path from the root element to one element or attribute,
 * `cputune/vcpupin[@vcpu='0']` or `vcpu/@placement`: a part of XPath. A step is the
 * name of an element without a namespace or `*`; behind it may stand a predicate of
 * conditions, `@name='value'`, `local-name()='…'` or `namespace-uri()='…'` with "and"
 * between them, and then a number: `devices/video[2]`, `input[@type='tablet'][1]`.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>

G_BEGIN_DECLS

#define VP_XML_MAX_BYTES (16u * 1024 * 1024)

/* What a callback of libxml2's for errors is given: libxml2 lends it as const since 2.12. */
#if LIBXML_VERSION >= 21200
typedef const xmlError VpXmlProblem;
#else
typedef xmlError VpXmlProblem;
#endif

G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlNode, xmlFreeNode)

/* Parses without DTD, entities or network; `what` names the document in errors. */
xmlDoc *vp_xml_parse (const char *text, gsize length, const char *what, GError **error);

/* The whole of it; no two threads may work on it and its copy at a time, for they share the table of their names. */
xmlDoc *vp_xml_copy (const xmlDoc *doc);

/* The whole document as text; free with g_free. Layout is what the tree has. */
char *vp_xml_dup_text (const xmlDoc *doc);

/* A copy without the layout that it had where it stood; comments stay. */
xmlNode *vp_xml_dup_node (const xmlNode *node);

/* One element in one line, without the white space between its children. */
char *vp_xml_dup_line (const xmlNode *node);

/* Same names, namespaces, attributes in any order, children in order; comments and layout do not count. */
gboolean vp_xml_equal (const xmlNode *a, const xmlNode *b);

/* A text that is the same for elements that differ in layout and in the order of children only. */
char *vp_xml_dup_unordered (const xmlNode *node);

/* The first child element of that name, without or with a namespace; borrowed, NULL: there is none. */
xmlNode *vp_xml_child (const xmlNode *parent, const char *name);
xmlNode *vp_xml_child_ns (const xmlNode *parent, const char *ns, const char *name);
xmlNode *vp_xml_next (const xmlNode *element);                 /* the next sibling element, whatever its name */
xmlNode *vp_xml_first (const xmlNode *parent);                 /* the first child element */
gboolean vp_xml_is (const xmlNode *node, const char *name);    /* an element of that name without a namespace */
char *vp_xml_dup_attr (const xmlNode *node, const char *name); /* NULL: not there */
gboolean vp_xml_attr_is (const xmlNode *node, const char *name, const char *value);
char *vp_xml_dup_content (const xmlNode *node); /* white space at both ends removed */

/* Finds the element (or, for `…/@name`, the element that would carry it); NULL: not there. */
xmlNode *vp_xml_find (const xmlDoc *doc, const char *place);
gboolean vp_xml_is_double (const xmlDoc *doc, const char *place); /* there is another one at that place */
/* Whether it is one of those that the last step names, by its predicates too or without; a step of `*` names all. */
gboolean vp_xml_is_at (const xmlNode *element, const char *place, gboolean with_predicates);
char *vp_xml_dup_place_value (const xmlDoc *doc, const char *place); /* of an attribute place */
gboolean vp_xml_place_is_attribute (const char *place);
void vp_xml_place_split (const char *place, char **parent, char **last);

/*
 * Edits that keep the layout: what is inserted is indented like its siblings,
 * and taking it out again leaves the text as it was. `node` passes to the tree.
 */
void vp_xml_insert (xmlNode *parent, int position, xmlNode *node); /* among the child elements; -1: as the last */
void vp_xml_remove (xmlNode *node);
void vp_xml_replace (xmlNode *old, xmlNode *node);
int vp_xml_position (const xmlNode *node);          /* among the child elements */
guint vp_xml_comments_behind (const xmlNode *node); /* those that come before the next element */
/* As insert, where it stood before: with so many comments behind it, or those of them that are left. */
void vp_xml_put_back (xmlNode *parent, int position, guint comments, xmlNode *node);

/* Makes the elements of the path that are missing, and says how many those were. */
xmlNode *vp_xml_ensure (xmlDoc *doc, const char *path, guint *made);

/* A new element; the pairs are attribute names and values, ended by NULL. */
xmlNode *vp_xml_new (const char *name, ...) G_GNUC_NULL_TERMINATED;

G_END_DECLS
