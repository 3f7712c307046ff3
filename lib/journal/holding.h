/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one guest holds, and the text of it that is its file in the journal.
 * No files are opened here.
 */
#pragma once

#include "base/list.h"
#include "base/pci-address.h"

G_BEGIN_DECLS

typedef enum {
  VP_HOLDING_PAGES,    /* hugepages that were allocated for the guest, one record for each node and size */
  VP_HOLDING_FILE,     /* an attribute that was changed; the key is its path below the root */
  VP_HOLDING_SLICE,    /* a property of a systemd unit; the key is up to who notes it */
  VP_HOLDING_HANDOVER, /* a step by which the host let a card go; the key names it, `after` says nothing */
  VP_N_HOLDING_KINDS
} VpHoldingKind;

/*
 * Numbers of the pool's persistent pages (nr_hugepages without the surplus). While a write is under way
 * the record is pending: `from` was read before it, `to` is what is written. What the kernel made of it is
 * read afterwards, by us or by the daemon after us, and goes into `count`.
 */
typedef struct {
  int node; /* -1: the pool of a host without nodes */
  guint64 page_kib;
  guint64 count; /* of them are the guest's to give back */
  guint64 base;  /* the administrator's: what was there before any guest's pages */
  guint64 from;
  guint64 to;
} VpHoldingPages;

typedef struct {
  VpHoldingKind kind;
  gboolean pending;     /* it was about to be done; whether it was is not known */
  VpHoldingPages pages; /* of VP_HOLDING_PAGES; the rest of the others */
  char *key;
  char *before;
  char *after;
} VpHoldingRecord;

typedef struct {
  int node; /* -1: the host as a whole */
  guint64 page_kib;
  guint64 pages;
} VpHoldingUse;

typedef enum {
  VP_HOLDING_TAKING,    /* its pages are being allocated */
  VP_HOLDING_STARTING,  /* admitted; its pages are promised */
  VP_HOLDING_RUNNING,   /* its pages are in use */
  VP_HOLDING_RELEASING, /* ended; something could not be given back yet */
  VP_HOLDING_SEEN,      /* nothing was taken for it: libvirt's list alone says that it runs; never in the journal */
} VpHoldingState;

typedef struct {
  char *uuid;
  char *name;
  VpHoldingState state;
  int run;            /* libvirt's number of the run that this is about; 0: not known */
  char *silent;       /* it was started past the hook, and why; NULL: the hook was called */
  GArray *uses;       /* of VpHoldingUse: where its pages come from, whoever made them; promised until it runs */
  GPtrArray *records; /* of VpHoldingRecord *, in the order in which they were done */
  GArray *devices;    /* of VpPciAddress, that it was admitted with */
  VpBitmap *cpus;     /* of its vCPUs, that it was admitted with; NULL: none */

  /* The daemon's alone: neither in the journal nor in a copy. */
  gboolean unconfirmed; /* not heard of since a reconcile began */
  gboolean reported;    /* that it cannot be given back yet was said */
  gint64 claimed;       /* monotonic, µs: when it was admitted; 0: libvirt's list knows better */
  VpBitmap *live_cpus;  /* of its vCPUs' live pins; NULL: libvirt does not list it as running */
  GArray *live_devices; /* of VpPciAddress; NULL like that */
} VpHolding;

/* The caller's: in state TAKING, and empty. `name` may be NULL until it is known. */
VpHolding *vp_holding_new (const char *uuid, const char *name);
VpHolding *vp_holding_copy (const VpHolding *holding);
void vp_holding_free (VpHolding *holding);
gboolean vp_holding_uuid_is_valid (const char *uuid); /* FALSE also for NULL; a file may have a name that is one */

/* What they give is the holding's, until it is taken out of `records`; find: NULL, there is none. Texts are copied. */
VpHoldingRecord *vp_holding_add_record (VpHolding *holding, VpHoldingKind kind, const char *key, const char *before,
                                        const char *after);
VpHoldingRecord *vp_holding_find_record (const VpHolding *holding, VpHoldingKind kind, const char *key);
VpHoldingRecord *vp_holding_find_pages (const VpHolding *holding, int node, guint64 page_kib);

/* Its file in the journal, and back; both are the caller's. NULL, with VP_ERROR_IO or a key file's error: damaged. */
char *vp_holding_dup_text (const VpHolding *holding);
VpHolding *vp_holding_parse (const char *uuid, const char *text, GError **error);
/* A line for a person for each thing that it holds; the caller's. */
GStrv vp_holding_describe (const VpHolding *holding);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHolding, vp_holding_free)

G_END_DECLS
