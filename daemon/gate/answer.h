/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the gate says to one request of the hook. Plans, but calls no libvirt and waits for nobody. */
#pragma once

#include "daemon/gate/gate-request.h"
#include "daemon/gate/gate-socket.h"

G_BEGIN_DECLS

/* TRUE: the operation may go on, `text` is XML for stdout or empty. FALSE: `text` is the line for stderr. */
gboolean vp_gate_answer (const VpGateContext *context, const VpHookCall *request, char **text);
/* The hook was gone before it got that answer, and libvirt has given up the start: what was taken for it goes back. */
void vp_gate_withdraw (const VpGateContext *context, const VpHookCall *request);

G_END_DECLS
