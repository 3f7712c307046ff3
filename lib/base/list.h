/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of CPUs or nodes, as libvirt and the kernel write them: "0-3,8". */
#pragma once

#include <glib.h>
#include <hwloc.h>

G_BEGIN_DECLS

/* hwloc's bitmap by a name that g_autoptr takes: `g_autoptr (VpBitmap) cpus = hwloc_bitmap_alloc ();` */
typedef struct hwloc_bitmap_s VpBitmap;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpBitmap, hwloc_bitmap_free)

/* With libvirt's exclusions ("0-7,^2"); NULL for what is no list, and for NULL. Numbers go to
 * 99999. The caller's. */
hwloc_bitmap_t vp_list_parse (const char *text);
char *vp_list_dup (hwloc_const_bitmap_t set);
char *vp_list_dup_words (const GPtrArray *words); /* of char *: "a, b and c" */

G_END_DECLS
