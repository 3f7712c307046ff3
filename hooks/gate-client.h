/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One question to the daemon's gate, and its answer. Decides nothing: what a refusal or
 * an absent daemon means for the operation is the hook's to say.
 */
#pragma once

#include "hooks/gate-reply.h"

/* libvirt's arguments and the domain's XML; all borrowed. The strings may hold any bytes but NUL. */
typedef struct {
  const char *operation;
  const char *suboperation;
  const char *extra;
  const char *domain;
  const char *xml; /* not NUL-terminated */
  size_t xml_size; /* bytes */
} VpGateRequest;

/*
 * Asks the gate at `path`, and always leaves a verdict in `reply`, which is the caller's to clear. The gate's WAITs
 * move `deadline`.
 */
void vp_gate_ask (const char *path, const VpGateRequest *request, VpDeadline *deadline, VpGateReply *reply);
