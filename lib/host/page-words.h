/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hugepages in words, the same in all messages. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Both are the caller's. */
char *vp_hugepages_dup_size (guint64 kib); /* "2M" */
char *vp_hugepages_dup_place (int node);   /* "node 0"; -1: "this host" */

G_END_DECLS
