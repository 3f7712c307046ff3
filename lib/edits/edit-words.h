/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody changed in a definition, in a few words for the log. Pure. */
#pragma once

#include "domain/domain.h"

G_BEGIN_DECLS

/* "disk 'vdb' added, memory changed"; `before` NULL: all of it is new. One line, never with a value in it. The caller's. */
char *vp_edit_dup_words (const VpDomain *before, const VpDomain *after);

/* Of VpMergeConflict, those outside of our own metadata, in the same manner; NULL: none. The caller's. */
char *vp_edit_dup_conflicts (const GArray *conflicts);

G_END_DECLS
