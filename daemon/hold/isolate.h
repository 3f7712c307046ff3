/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Other things are kept off a guest's CPUs while it runs: the governor of their
 * clock, interrupts, and what systemd runs. All that is changed is noted in VpBook,
 * and undone by its release. Asks no libvirt and no main loop; any thread.
 */
#pragma once

#include <hwloc.h>

#include "daemon/hold/book.h"
#include "profile/profile.h"

G_BEGIN_DECLS

typedef struct VpIsolate VpIsolate;

/*
 * `root` and `book` stay the caller's, and outlive it. Sets how slices are read and written, so it comes before
 * the first release or reconcile of `book`, and goes after the last. `bus`: a D-Bus address; NULL: the system's bus.
 */
VpIsolate *vp_isolate_new (const VpRoot *root, VpBook *book, const char *bus);
void vp_isolate_free (VpIsolate *isolate); /* NULL is allowed */

/* All borrowed, until the call returns. */
typedef struct {
  const char *uuid;
  const char *name;
  hwloc_const_bitmap_t cpus; /* those of its vCPUs; NULL or empty: it is not pinned */
  const VpSettings *settings;
  gint64 deadline; /* monotonic, in microseconds */
} VpIsolateRequest;

/*
 * After the claim of its CPUs in VpBook: does what cpu.governor, cpu.irqs and cpu.isolate ask for. What the host
 * cannot do adds a line (char *) to `warnings`. FALSE: the journal could not be written, or (VP_ERROR_BUSY) another
 * start kept the host busy until the deadline; release the guest then.
 */
gboolean vp_isolate_apply (VpIsolate *isolate, const VpIsolateRequest *request, GPtrArray *warnings, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpIsolate, vp_isolate_free)

G_END_DECLS
