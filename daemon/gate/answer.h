/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the gate says to one call of the hook. Plans, calls no libvirt, and waits for other starts and the
 * kernel to a deadline. Any thread. */
#pragma once

#include "daemon/gate/admission.h"
#include "daemon/gate/after.h"
#include "daemon/gate/hook-call.h"
#include "daemon/gate/ledger.h"

G_BEGIN_DECLS

typedef struct {
  VpLedger *ledger;
  VpAdmission *admission;
  VpGateKeeper keeper;
  const char *config_folder; /* where libvirt keeps the definitions of persistent domains */
} VpGateContext;

/* TRUE: the operation may go on, `text` is XML for stdout or NULL. FALSE: it is the line for stderr. The caller's. */
gboolean vp_gate_answer (const VpGateContext *context, const VpHookCall *call, char **text);
/* The hook was gone before it got that answer, and libvirt gave up the start: what was taken or noted for it goes. */
void vp_gate_withdraw (const VpGateContext *context, const VpHookCall *call);

G_END_DECLS
