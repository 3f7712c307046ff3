/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeps all definitions prepared: decides when a domain is looked at, and logs
 * what came of it. Main thread only; it may ask libvirt and wait for it.
 */
#pragma once

#include "daemon/gate/after.h"
#include "daemon/gate/ledger.h"
#include "daemon/hold/book.h"
#include "edits/intents.h"
#include "edits/versions.h"
#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

typedef struct VpKeeper VpKeeper;

/* `wrapper_made`: a wrapper that the host snapshot does not know yet. All others stay the caller's. */
VpKeeper *vp_keeper_new (VpLedger *ledger, VpBook *book, VpVersions *versions, VpIntents *intents, gboolean session,
                         void (*wrapper_made) (gpointer data), gpointer data);
/*
 * From now on it starts no domain; waits for the starts that go on, at most until `deadline` (monotonic, µs).
 * FALSE: some do, and what they use must stay: the keeper and the ledger. From any thread.
 */
gboolean vp_keeper_stop (VpKeeper *keeper, gint64 deadline);
/* Stops it too. One whose starts do not end within seconds is lost rather than freed below them. */
void vp_keeper_free (VpKeeper *keeper);

/* NULL while libvirt is away: nothing is looked at then. The connection stays the caller's. */
void vp_keeper_set_connection (VpKeeper *keeper, virConnectPtr connection);

/* The definition of that domain, or of any, may have changed. It is looked at in the main loop's next turn, or a
 * moment later in a burst of edits. */
void vp_keeper_touch (VpKeeper *keeper, const char *domain);
void vp_keeper_touch_all (VpKeeper *keeper);

/* For the gate, from any thread: never waits. The keeper carries it out in the default main context. */
void vp_keeper_request (VpKeeper *keeper, const char *domain, VpAfter after);

/* Of a guest that runs vCPUs may have been plugged or unplugged: asks libvirt, and has a look where they were. */
void vp_keeper_touch_plugged (VpKeeper *keeper, const char *domain);
/* libvirt says that it runs: it is pinned now, if the gate asked for that. */
void vp_keeper_started (VpKeeper *keeper, virDomainPtr domain);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpKeeper, vp_keeper_free)

G_END_DECLS
