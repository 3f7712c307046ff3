/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel shows of a guest that runs: its QEMU's threads, pages and arguments. Reads; judges nothing. */
#pragma once

#include <hwloc.h>

#include "base/root.h"

G_BEGIN_DECLS

typedef enum { VP_THREAD_MAIN, VP_THREAD_VCPU, VP_THREAD_IOTHREAD } VpThreadKind;

typedef struct {
  VpThreadKind kind;
  guint id;            /* of the vCPU or the iothread; 0 */
  hwloc_bitmap_t cpus; /* it may run on these */
} VpGuestThread;

typedef struct {
  guint node;
  guint64 kib; /* on hugepages of that node */
} VpGuestMemory;

typedef struct {
  GArray *threads; /* of VpGuestThread: those that libvirt places */
  GArray *memory;  /* of VpGuestMemory; empty where it was not asked for */
  GStrv arguments; /* of QEMU */
} VpGuestFacts;

/* Where libvirt has its records of guests that run, below the root of the file system; the caller's. */
char *vp_guest_facts_dup_folder (gboolean session);
/*
 * `session`: of this user's own libvirt. Reading the pages stops QEMU meanwhile. The caller's; NULL: it does
 * not run.
 */
VpGuestFacts *vp_guest_facts_read (const VpRoot *root, const char *domain, gboolean session, gboolean pages);
void vp_guest_facts_free (VpGuestFacts *facts);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpGuestFacts, vp_guest_facts_free)

G_END_DECLS
