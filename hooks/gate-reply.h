/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate's answer (gate-protocol.h), read from bytes that have come. No I/O. It is taken
 * whole before any of it counts, so that half a document never reaches libvirt.
 */
#pragma once

#include "hooks/deadline-io.h"

/* Bytes. "REFUSE 33554432\n" is the longest first line there is. */
#define VP_GATE_FIRST_LINE_MAX 32

typedef enum {
  VP_GATE_OK,
  VP_GATE_REFUSED,
  VP_GATE_ABSENT, /* nobody listens there */
  VP_GATE_BROKEN, /* somebody does, but no proper answer came */
} VpGateVerdict;

typedef struct {
  VpGateVerdict verdict;
  const char *payload; /* OK and REFUSED: within `answer`, not NUL-terminated */
  size_t payload_size; /* bytes */
  char reason[160];    /* ABSENT and BROKEN: why, to stand in parentheses */
  VpBytes answer;      /* what has come, without the WAITs that were taken */
} VpGateReply;

/* Takes each "WAIT SECONDS\n" off the front; the last one's seconds, from now on, are the new deadline. */
void vp_gate_reply_take_waits (VpGateReply *reply, VpDeadline *deadline);

/* At the end of file: the verdict, and its payload or its reason. */
void vp_gate_reply_parse (VpGateReply *reply);

/* Sets the verdict and a reason, which is copied and cut where it is too long. */
void vp_gate_reply_fail (VpGateReply *reply, VpGateVerdict verdict, const char *reason);

/* Frees the answer, and the payload with it. */
void vp_gate_reply_clear (VpGateReply *reply);
