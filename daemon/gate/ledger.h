/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What main and gate share beside the book of what guests hold: the host snapshot, the
 * profiles, who is being started by us, and beside whom each definition was prepared.
 * One mutex, held for memory only, so that the gate never waits for anything that asks
 * libvirt.
 */
#pragma once

#include "host/host.h"
#include "placement/neighbours.h"
#include "profile/profile.h"

G_BEGIN_DECLS

typedef struct VpLedger VpLedger;

/* Empty, the caller's. Freed when no other thread has it any more. */
VpLedger *vp_ledger_new (void);
void vp_ledger_free (VpLedger *ledger);

/* Both are taken over. */
void vp_ledger_set (VpLedger *ledger, VpHost *host, VpProfiles *profiles);
/* Why there is nothing to set; for those who ask before the first set. */
void vp_ledger_set_problem (VpLedger *ledger, const char *problem);
char *vp_ledger_dup_problem (VpLedger *ledger);
/* References of the caller's own; FALSE before the first set. */
gboolean vp_ledger_get (VpLedger *ledger, VpHost **host, VpProfiles **profiles);

/* Marks a domain that we start ourselves (on-stale = retry); FALSE: it was marked already. */
gboolean vp_ledger_begin_start (VpLedger *ledger, const char *domain);
void vp_ledger_end_start (VpLedger *ledger, const char *domain);
gboolean vp_ledger_is_starting (VpLedger *ledger, const char *domain);

/*
 * A domain that comes from a saved or migrated guest: the start that follows within a
 * minute may change nothing that the guest sees, and is planned beside the same neighbours.
 * Taking the mark removes it; NULL: there is none. Both hand over a reference. Whatever else is asked of that domain
 * takes it, too: that restore came to nothing, and the next prepare is of an ordinary start.
 */
void vp_ledger_note_incoming (VpLedger *ledger, const char *uuid, VpNeighbours *neighbours);
VpNeighbours *vp_ledger_take_incoming (VpLedger *ledger, const char *uuid);

/*
 * What a definition was prepared beside. While a domain is prepared there are two: it is
 * ready if it is so beside one of them. `prepared` FALSE: nothing came of it.
 */
void vp_ledger_begin_prepare (VpLedger *ledger, const char *uuid, VpNeighbours *neighbours);
void vp_ledger_end_prepare (VpLedger *ledger, const char *uuid, gboolean prepared);
GPtrArray *vp_ledger_dup_neighbours (VpLedger *ledger, const char *uuid); /* of VpNeighbours; may be empty */

/* FALSE: whom that definition was prepared beside is not known, as another daemon did it. */
gboolean vp_ledger_has_prepared (VpLedger *ledger, const char *uuid);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpLedger, vp_ledger_free)

G_END_DECLS
