/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one guest holds, and the text of it that is its file in the journal.
 * No files are opened here.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VP_HOLD_MAX_BYTES (256u * 1024) /* of one file in the journal: a host has some thousand interrupts */

typedef enum {
  VP_HOLD_PAGES, /* hugepages that were allocated for the guest, one record for each node and size */
  VP_HOLD_FILE,  /* an attribute that was changed; the key is its path below the root */
  VP_HOLD_SLICE, /* a property of a systemd unit; the key is up to who notes it */
  VP_N_HOLD_KINDS
} VpHoldKind;

/*
 * Numbers of the pool's persistent pages (nr_hugepages without the surplus). While a write is under way
 * the record is pending: `from` was read before it, `to` is what is written. What the kernel made of it is
 * read afterwards, by us or by the daemon after us, and goes into `count`.
 */
typedef struct {
  int node;         /* -1: the pool of a host without nodes */
  guint64 page_kib;
  guint64 count;    /* of them are the guest's to give back */
  guint64 base;     /* the administrator's: what was there before any guest's pages */
  guint64 from;
  guint64 to;
} VpHoldPages;

typedef struct {
  VpHoldKind kind;
  gboolean pending;  /* it was about to be done; whether it was is not known */
  VpHoldPages pages; /* of VP_HOLD_PAGES; the rest of the others */
  char *key;
  char *before;
  char *after;
} VpHoldRecord;

typedef struct {
  int node;
  guint64 page_kib;
  guint64 pages;
} VpHoldUse;

typedef enum {
  VP_HOLD_TAKING,    /* its pages are being allocated */
  VP_HOLD_STARTING,  /* prepared; its pages are promised */
  VP_HOLD_RUNNING,   /* its pages are in use */
  VP_HOLD_RELEASING, /* ended; something could not be given back yet */
} VpHoldState;

typedef struct {
  char *uuid;
  char *name;
  VpHoldState state;
  int run;              /* libvirt's number of the run that this is about; 0: not known */
  char *silent;         /* it was started past the hook, and why; NULL: the hook was called */
  gboolean unconfirmed; /* not heard of since a reconcile began; not in the journal */
  gboolean reported;    /* that it cannot be given back yet was said; not in the journal */
  GArray *uses;         /* of VpHoldUse: where its pages come from, whoever made them; promised until it runs */
  GPtrArray *records;   /* of VpHoldRecord *, in the order in which they were done */
  GPtrArray *devices;   /* of char *, PCI addresses */
  char *cpus;           /* NULL: none */
} VpHold;

VpHold *vp_hold_new (const char *uuid, const char *name);
VpHold *vp_hold_copy (const VpHold *hold);
void vp_hold_free (VpHold *hold);
gboolean vp_hold_uuid_is_valid (const char *uuid);

VpHoldRecord *vp_hold_add_record (VpHold *hold, VpHoldKind kind, const char *key, const char *before,
                                  const char *after);
VpHoldRecord *vp_hold_find_record (const VpHold *hold, VpHoldKind kind, const char *key);
VpHoldRecord *vp_hold_find_pages (const VpHold *hold, int node, guint64 page_kib);

char *vp_hold_dup_text (const VpHold *hold);
VpHold *vp_hold_parse (const char *uuid, const char *text, GError **error);
GStrv vp_hold_describe (const VpHold *hold);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHold, vp_hold_free)

G_END_DECLS
