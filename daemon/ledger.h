/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the threads share: the host snapshot, the profiles, and who is being
 * started by us. One mutex, held for pointer copies only, so that the gate never
 * waits for anything that asks libvirt.
 */
#pragma once

#include "vp-host.h"
#include "vp-profile.h"

G_BEGIN_DECLS

typedef struct VpLedger VpLedger;

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
 * A domain that comes from a saved or migrated guest: the prepare that follows within a
 * minute may change nothing that the guest sees. Taking the mark removes it.
 */
void vp_ledger_note_incoming (VpLedger *ledger, const char *domain);
gboolean vp_ledger_take_incoming (VpLedger *ledger, const char *domain);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpLedger, vp_ledger_free)

G_END_DECLS
