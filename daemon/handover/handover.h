/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One card for host and guest: what runs on it steps back at a start, and comes back when the guest has ended. The
 * steps are those of devices/handover-plan.h; each is in the journal (VpBook) before it is taken, so a daemon that was
 * killed anywhere in between finds there what to bring back.
 *
 * Taken by the thread that answers the hook, to a deadline; given back by a thread of its own, as libvirt
 * holds the domain's lock while a hook runs, and gives the card back to its driver between two of them. It looks at what
 * is there and does what is missing, so it may begin at any point, and again.
 *
 * Locks: one thread at a time hands over or gives back; whoever wants to hand over has precedence. That comes before
 * VpBook's work lock. Asks no libvirt.
 */
#pragma once

#include "daemon/hold/book.h"
#include "devices/handover-plan.h"

G_BEGIN_DECLS

typedef struct VpHandover VpHandover;

/*
 * `root` and `book` stay the caller's, and outlive it; `run_folder` is a path below `root`. `bus`: a D-Bus address;
 * NULL: the system's bus. `second`, in µs: how long one is between two looks and two tries; less only in a test. Guests
 * of the journal that have ended get back what is missing from now on.
 */
VpHandover *vp_handover_new (const VpRoot *root, VpBook *book, const char *run_folder, const char *bus, gint64 second);
void vp_handover_free (VpHandover *handover); /* NULL is allowed; within two seconds */

/* All borrowed, until the call returns. */
typedef struct {
  const char *uuid;
  const char *name;
  const GArray *hostdevs; /* of VpHostdev: the domain's */
  const VpSettings *settings;
} VpHandoverRequest;

/* Of VpSeatSession *, the caller's; NULL: logind does not say. */
GPtrArray *vp_handover_list_sessions (VpHandover *handover);
/* How long a handover may take, in seconds; 0: the profile wants none. */
guint vp_handover_seconds (const VpHandoverRequest *request);
/*
 * The last of a start, when all else was found good. FALSE: who or what it was; release the guest then, and what was
 * done is undone.
 */
gboolean vp_handover_take (VpHandover *handover, const VpHandoverRequest *request, GError **error);
/* What that would do, for a person: lines, the caller's; changes nothing. */
char *vp_handover_dup_plan (VpHandover *handover, const VpHandoverRequest *request, GError **error);

/* A guest was released in VpBook: its steps are undone as soon as its card is back. Waits for nothing. */
void vp_handover_poke (VpHandover *handover);
/*
 * By hand: also what was tried too often already, and at once. Waits `seconds` at most, then says how it stands, in
 * lines of the caller's. FALSE: something is still missing.
 */
gboolean vp_handover_give_back (VpHandover *handover, guint seconds, char **lines);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHandover, vp_handover_free)

G_END_DECLS
