/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of isolation stand on: the host, the journal, the bus, and the guest that starts. */
#pragma once

#include "base/list.h"
#include "daemon/hold/book.h"
#include "daemon/hold/isolate-bus.h"

G_BEGIN_DECLS

/* All borrowed, for as long as VpIsolate lives. */
typedef struct {
  const VpRoot *root;
  VpBook *book;
  VpSystemBus *bus;
} VpIsolateGround;

/* One guest's start. All borrowed, until the call returns. */
typedef struct {
  const VpIsolateGround *ground;
  const char *uuid;
  const char *name;
  hwloc_const_bitmap_t cpus; /* of its vCPUs: finite, not empty */
  gint64 deadline;           /* monotonic, in microseconds */
  GPtrArray *warnings;       /* of char *: what the host cannot do, one line each */
} VpIsolateTask;

/* The list of CPUs in a file; NULL: there is none. The caller's. */
VpBitmap *vp_isolate_read_list (const VpRoot *root, const char *path);
/* All that the machine may use, and those of them that are on; empty where nothing is known. The caller's. */
VpBitmap *vp_isolate_read_present (const VpRoot *root);
VpBitmap *vp_isolate_read_online (const VpRoot *root);

/* One more of the task's warnings. */
void vp_isolate_warn (const VpIsolateTask *task, const char *format, ...) G_GNUC_PRINTF (2, 3);

/*
 * One change in the journal and on the host. TRUE with *reason set (the caller's): it cannot be made, and why.
 * FALSE with VP_ERROR_BUSY: nothing can be changed before the deadline.
 */
gboolean vp_isolate_change (const VpIsolateTask *task, VpHoldingKind kind, const char *key, const char *value,
                            char **reason, GError **error);
/* The keys of that kind which other guests have changed, as a set of char *. The caller's. */
GHashTable *vp_isolate_list_changed (const VpIsolateTask *task, VpHoldingKind kind);

G_END_DECLS
