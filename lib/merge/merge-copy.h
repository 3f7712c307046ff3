/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The document that a merge makes, and how nodes of the others get into it. The sources are
 * only read; what is made belongs to the document. Internal to merge.c.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

typedef struct {
  xmlDoc *doc;
  gboolean failed; /* libxml2 had no memory: the document is not whole */
} VpMergeResult;

/* What `source` declares, declared at `element` too; a prefix that it has already stays as it is. */
void vp_merge_declare_namespaces (xmlNode *element, const xmlNode *source);

/* A copy as the element's last attribute. `last`: the one before, NULL: none; moves on to the copy. */
void vp_merge_add_attribute (VpMergeResult *self, xmlNode *element, const xmlAttr *attribute, xmlAttr **last);

/*
 * An element of that name at the end of `parent`, or as the root where that is NULL, without
 * attributes and children. NULL: it failed.
 */
xmlNode *vp_merge_add_element (VpMergeResult *self, xmlNode *parent, const xmlNode *source);

/* The same with all that is in it. NULL: it failed, or the source is no element. */
xmlNode *vp_merge_copy (VpMergeResult *self, xmlNode *parent, const xmlNode *source);

/* Comments and instructions before and after the root of `source`, around the result's. */
void vp_merge_copy_around (VpMergeResult *self, const xmlDoc *source);

G_END_DECLS
