/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of VpIsolate share; nobody else includes it. */
#pragma once

#include "base/list.h"
#include "daemon/hold/isolate-bus.h"
#include "daemon/hold/isolate.h"

G_BEGIN_DECLS

typedef struct hwloc_bitmap_s HwlocBitmap;

struct VpIsolate {
  const VpRoot *root;
  VpHolds *holds;
  GMutex mutex; /* of the bus; taken below the work lock of VpHolds, which is never asked for with it */
  VpUnitBus *bus;
};

/* A list of CPUs in a file; NULL: there is none. */
HwlocBitmap *vp_isolate_read_list (const VpIsolate *isolate, const char *path);
/* All that the machine may use, and of them those that are on. Never NULL, empty where nothing is known. */
HwlocBitmap *vp_isolate_read_present (const VpIsolate *isolate);
HwlocBitmap *vp_isolate_read_online (const VpIsolate *isolate);

void vp_isolate_warn (GPtrArray *warnings, const char *format, ...) G_GNUC_PRINTF (2, 3);

/*
 * One change in the journal and on the host. `problem` (of its own, never one of the call's caller) says why not.
 * FALSE with VP_ERROR_UNFIT: nothing more can be changed before the deadline.
 */
gboolean vp_isolate_change (VpIsolate *isolate, const VpIsolateRequest *request, VpHoldKind kind, const char *key,
                            const char *value, GError **problem);
gboolean vp_isolate_is_busy (const GError *problem);
/* The keys of a kind that other guests have changed; a set. */
GHashTable *vp_isolate_list_changed (const VpIsolate *isolate, const char *but_uuid, VpHoldKind kind);

/* The parts. FALSE: busy until the deadline. */
gboolean vp_isolate_set_governors (VpIsolate *isolate, const VpIsolateRequest *request, GPtrArray *warnings,
                                   GError **error);
gboolean vp_isolate_move_interrupts (VpIsolate *isolate, const VpIsolateRequest *request, GPtrArray *warnings,
                                     GError **error);
gboolean vp_isolate_confine_units (VpIsolate *isolate, const VpIsolateRequest *request, GPtrArray *warnings,
                                   GError **error);
/* How VpHolds reads and writes what is of VP_HOLD_SLICE. */
gboolean vp_isolate_read_unit (const char *key, char **value, gpointer data, GError **error);
gboolean vp_isolate_write_unit (const char *key, const char *value, gpointer data, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (HwlocBitmap, hwloc_bitmap_free)

G_END_DECLS
