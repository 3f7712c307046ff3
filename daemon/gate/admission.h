/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host made ready for one guest at prepare, and given back at release: its PCI
 * devices are looked at, its hugepages allocated, its CPUs cleared, its card handed over. Any thread; asks
 * no libvirt, and everything has a deadline.
 */
#pragma once

#include "daemon/hold/book.h"
#include "plan/plan.h"

G_BEGIN_DECLS

typedef struct VpAdmission VpAdmission;

/*
 * Loads the journal in `run_folder`, an absolute path below `root`, which stays the caller's and is that of the
 * host: "/". `bus`: the address of systemd's D-Bus; NULL: the system's. `session`: an ordinary user's, who can allocate nothing. NULL: the journal's
 * folder cannot be opened.
 */
VpAdmission *vp_admission_new (const VpRoot *root, const char *run_folder, const char *bus, gboolean session,
                               GError **error);
void vp_admission_free (VpAdmission *admission);
VpBook *vp_admission_get_book (const VpAdmission *admission);

/* Which of these CPUs are offline at this moment, as a list of the caller's; NULL: none, as far as the kernel says. */
char *vp_admission_dup_offline (const VpAdmission *admission, const int *cpus, guint n);

/* All of it is borrowed for the call. */
typedef struct {
  const char *uuid;
  const char *name;
  const VpDomain *domain;
  const VpPlan *plan;
  hwloc_const_bitmap_t cpus;                   /* of its vCPUs; empty: it is not pinned */
  const GArray *held;                          /* of VpDeviceHeld: devices of others, who were first */
  void (*wait) (guint seconds, gpointer data); /* called before what may take so long */
  gpointer data;
} VpAdmissionRequest;

/*
 * After the claim of its CPUs and devices. NULL: it may start. Else why not, in one line of the caller's, and
 * nothing is held.
 */
char *vp_admission_admit (VpAdmission *admission, const VpAdmissionRequest *request);
/* What a handover would do for that start, or why it is refused, for a person; the caller's. Nothing is done. */
char *vp_admission_dup_handover (VpAdmission *admission, const VpAdmissionRequest *request, gboolean *refused);
/* What handovers took comes back, where the guest has ended, by hand: see vp_handover_give_back. */
gboolean vp_admission_give_back (VpAdmission *admission, guint seconds, char **lines);
/* After vp_book_begin_reconcile: these run, others do not. */
void vp_admission_reconcile (VpAdmission *admission, const char *const *running);
void vp_admission_note_called (VpAdmission *admission, const VpDomain *domain); /* the gate let it start */
void vp_admission_started (VpAdmission *admission, const char *uuid);
void vp_admission_release (VpAdmission *admission, const char *uuid);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpAdmission, vp_admission_free)

G_END_DECLS
