/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host made ready for one guest at prepare, and given back at release: its PCI
 * devices are looked at, its hugepages allocated, its CPUs cleared. Any thread; asks
 * no libvirt, and everything has a deadline.
 */
#pragma once

#include "holds.h"
#include "vp-plan.h"

G_BEGIN_DECLS

typedef struct VpReady VpReady;

/* Loads the journal in `run_folder`. `session`: an ordinary user's, who can allocate nothing. */
VpReady *vp_ready_new (const char *run_folder, gboolean session, GError **error);
void vp_ready_free (VpReady *ready);
VpHolds *vp_ready_get_holds (const VpReady *ready);

/* Which of these CPUs are offline at this moment, as a list; NULL: none, as far as the kernel says. */
char *vp_ready_dup_offline (const VpReady *ready, const int *cpus, guint n);

typedef struct {
  const char *uuid;
  const char *name;
  const VpDomain *domain;
  const VpPlan *plan;
  hwloc_const_bitmap_t cpus; /* of its vCPUs; empty: it is not pinned */
  const GArray *held;    /* of VpDeviceHeld: devices of guests that run, others than this one */
  void (*wait) (guint seconds, gpointer data); /* called before what may take so long */
  gpointer data;
} VpReadyRequest;

/* NULL: it may start. Else why not, in one line, and nothing is held. */
char *vp_ready_prepare (VpReady *ready, const VpReadyRequest *request);
/* After vp_holds_begin_reconcile: these run, others do not. */
void vp_ready_reconcile (VpReady *ready, const char *const *running);
void vp_ready_note_called (VpReady *ready, const VpDomain *domain); /* the gate let it start */
void vp_ready_started (VpReady *ready, const char *uuid);
void vp_ready_release (VpReady *ready, const char *uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpReady, vp_ready_free)

G_END_DECLS
