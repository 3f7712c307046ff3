/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the merge knows of a document: which nodes are equal and which are
 * versions of the same thing. Internal to merge.c; never changes a document.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

typedef struct VpMergeNode VpMergeNode;

struct VpMergeNode {
  const xmlNode *node; /* borrowed from the document */
  const xmlNode *last; /* node, or of an argument of QEMU's the one after it, which is its value: one item */
  guint value;         /* equal numbers: semantically equal subtrees, in all trees of one class table */
  gboolean has_text;   /* some child is text that is not blank: then all text counts */
  guint n_children;    /* without blank text, unless has_text */
  VpMergeNode *children;
};

/* Numbers for equal things, from 1. Share one among the trees that are compared. */
typedef GHashTable VpMergeClasses;

VpMergeClasses *vp_merge_classes_new (void); /* unref it after the trees */

/* The caller's; it points into the document of `root`, which must outlive it. */
VpMergeNode *vp_merge_tree_new (const xmlNode *root, VpMergeClasses *classes);
void vp_merge_tree_free (VpMergeNode *root); /* may be NULL */

/* An element of that name without a namespace. */
gboolean vp_merge_node_is (const VpMergeNode *node, const char *name);
/* Of one kind, and elements of one name and namespace. */
gboolean vp_merge_node_same_name (const VpMergeNode *a, const VpMergeNode *b);

/* The order of its children means something, and they have no identity. */
gboolean vp_merge_node_is_ordered (const VpMergeNode *node);

/* What two sides made independently is not to be mixed: other people's namespaces. */
gboolean vp_merge_node_is_foreign (const VpMergeNode *node);

/*
 * Two versions with one identity that are two things all the same: a disk or file system that was
 * attached under the name of another one. A drive whose medium was changed is still that drive.
 */
gboolean vp_merge_node_is_another (const VpMergeNode *before, const VpMergeNode *after);

/*
 * The number of the thing that `child` of `parent` is a version of. `strong`: two that were made
 * apart from each other and have this number are the same thing.
 */
guint vp_merge_node_identity (const VpMergeNode *child, const VpMergeNode *parent, VpMergeClasses *classes,
                              gboolean *strong);

/*
 * What only one device of a domain can have: claim 0, 1, … as the number of a
 * thing and the child element that says it (static); 0 where the device does not claim it.
 */
guint vp_merge_device_claim (const VpMergeNode *device, guint claim, VpMergeClasses *classes, const char **element);
guint vp_merge_device_n_claims (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpMergeNode, vp_merge_tree_free)

G_END_DECLS
