/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three-way merge of libvirt domain documents. Pure: reads three trees, makes a
 * fourth; no I/O, no libvirt, no opinion on what the values mean.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

typedef enum {
  VP_MERGE_CONFLICT_ITEM,    /* theirs stands instead of it: nothing of it is in the result */
  VP_MERGE_CONFLICT_VALUE,   /* an attribute or a text of it is theirs */
  VP_MERGE_CONFLICT_CLAIM,   /* a device of theirs has its address, boot order or alias: it has none now */
  VP_MERGE_CONFLICT_REMOVAL, /* one side removed what the other changed: as theirs has it */
} VpMergeConflictKind;

typedef struct {
  VpMergeConflictKind kind;
  const xmlNode *node; /* borrowed from ours; of a removal that was ours, from theirs */
  const char *part;    /* of a claim: "address", "boot" or "alias"; NULL */
} VpMergeConflict;

/*
 * A new document with the edits of base → ours and those of base → theirs.
 * `theirs` is the later one: it wins where both changed the same value. A
 * conflict is never an error, but is told in `conflicts` (of VpMergeConflict;
 * NULL: nobody asks); only documents that are not versions of one and
 * the same (no root, roots of different names) are, as VP_ERROR_XML, and memory that
 * is gone, as VP_ERROR_IO. The result is the caller's; the inputs are only read.
 */
xmlDoc *vp_merge_three_way (const xmlDoc *base, const xmlDoc *ours, const xmlDoc *theirs, GArray *conflicts,
                            GError **error);

G_END_DECLS
