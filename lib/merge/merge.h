/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three-way merge of libvirt domain documents. Pure: reads three trees, makes a
 * fourth; no I/O, no libvirt, no opinion on what the values mean.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

/*
 * A new document with the edits of base → ours and those of base → theirs.
 * `theirs` is the later one: it wins where both changed the same value. A
 * conflict is never an error; only documents that are not versions of one and
 * the same (no root, roots of different names) are, as VP_ERROR_XML, and memory that
 * is gone, as VP_ERROR_IO. The result is the caller's; the inputs are only read.
 */
xmlDoc *vp_merge_three_way (const xmlDoc *base, const xmlDoc *ours, const xmlDoc *theirs, GError **error);

G_END_DECLS
