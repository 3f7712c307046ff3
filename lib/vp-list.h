/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of CPUs or nodes, as libvirt and the kernel write them: "0-3,8". */
#pragma once

#include <glib.h>
#include <hwloc.h>

G_BEGIN_DECLS

/* With libvirt's exclusions ("0-7,^2"); NULL for what is no list. Numbers go to 99999. */
hwloc_bitmap_t vp_list_parse (const char *text);
char *vp_list_dup (hwloc_const_bitmap_t set);
char *vp_list_dup_words (const GPtrArray *words); /* of char *: "a, b and c" */

G_END_DECLS
