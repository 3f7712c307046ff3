/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One question to the daemon's gate, and its answer. Decides nothing: what a refusal or
 * an absent daemon means for the operation is the hook's to say.
 */
#pragma once

#include <stddef.h>

#include "hooks/deadline-io.h"

typedef enum {
  VP_GATE_OK,
  VP_GATE_REFUSED,
  VP_GATE_ABSENT, /* nobody listens there */
  VP_GATE_BROKEN, /* somebody does, but no proper answer came */
} VpGateVerdict;

typedef struct {
  const char *operation;
  const char *suboperation;
  const char *extra;
  const char *domain;
  const char *xml;
  size_t xml_size;
} VpGateRequest;

typedef struct {
  VpGateVerdict verdict;
  const char *payload; /* within `answer` */
  size_t payload_size;
  char reason[160]; /* ABSENT and BROKEN: why, to stand in parentheses */
  VpBytes answer;
} VpGateReply;

void vp_gate_ask (const char *path, const VpGateRequest *request, VpDeadline *deadline, VpGateReply *reply);

void vp_gate_reply_clear (VpGateReply *reply);
