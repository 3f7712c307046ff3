/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A snapshot of the host: what planning may know of it. Taken once, immutable,
 * shared between threads by reference count; when the host changes, take another.
 */
#pragma once

#include "host/page-pools.h"
#include "host/pci.h"
#include "host/topology.h"

G_BEGIN_DECLS

/* A generated wrapper in the state folder, and the QEMU behind it. */
typedef struct {
  char *path;
  char *emulator;
} VpWrapperEntry;

typedef struct VpHost {
  gatomicrefcount references;
  VpTopology *topology;
  GArray *pools;                 /* of VpPagePool, by node and page size; empty when nothing is known */
  GArray *devices;               /* of VpPciDevice, by address */
  GStrv emulators;               /* QEMU system emulators found, absolute paths, sorted */
  char *wrapper_folder;          /* where generated wrappers are or would be */
  GPtrArray *wrappers;           /* of VpWrapperEntry */
  unsigned long libvirt_version; /* major * 1000000 + minor * 1000 + release */
  gboolean no_nested_vmx;        /* kvm_intel is loaded with nested=0; FALSE also where nothing is known */
} VpHost;

typedef struct {
  const VpRoot *root;         /* NULL: nothing is known but the topology */
  VpTopology *topology;       /* taken over; NULL: this machine's own */
  const char *wrapper_folder; /* absolute */
  unsigned long libvirt_version;
} VpHostSource;

/* The caller has the first reference. NULL and an error: hwloc cannot say what CPUs there are. */
VpHost *vp_host_load (const VpHostSource *source, GError **error);
VpHost *vp_host_ref (VpHost *host);
void vp_host_unref (VpHost *host); /* may be NULL */

/* Borrowed from the host; NULL: there is none. */
const VpPciDevice *vp_host_find_device (const VpHost *host, const VpPciAddress *address);
/* Pages of that size in the pools of the nodes given (OS indexes; NULL: of all). */
guint64 vp_host_pool_pages (const VpHost *host, guint64 page_kib, hwloc_const_bitmap_t nodes);
/* TRUE also where nothing is known of pools. */
gboolean vp_host_has_page_size (const VpHost *host, guint64 page_kib);
/* The QEMU behind one of our wrappers, borrowed from the host; NULL: that path is none of them. */
const char *vp_host_wrapped_emulator (const VpHost *host, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHost, vp_host_unref)

G_END_DECLS
