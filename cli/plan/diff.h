/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A unified diff of two texts, line by line. Pure. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* "" where they are equal; `name` stands in the two head lines. The caller's. */
char *vp_diff_dup_unified (const char *before, const char *after, const char *name);

G_END_DECLS
