/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as the gate's answer, as the hook reads them. It does not matter in which pieces
 * they come: at once, one byte at a time, or in pieces as long as the first byte says. What
 * is taken for an answer is the one text of it, and no WAIT moves the deadline too far.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "base/gate-protocol.h"
#include "hooks/gate-reply.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
read_in_pieces (const uint8_t *data, size_t size, size_t piece, VpGateReply *reply)
{
  VpDeadline deadline = vp_deadline_new (0);

  for (size_t i = 0; i < size; i += piece) {
    g_assert_true (vp_bytes_append (&reply->answer, data + i, size - i < piece ? size - i : piece));
    vp_gate_reply_take_waits (reply, &deadline);
  }
  g_assert_true (vp_deadline_get_left (&deadline) <= (int) VP_GATE_WAIT_MAX_SECONDS * 1000);
  vp_gate_reply_parse (reply);
}

/* The answer stands at the end of what came, and says its length. */
static void
check_payload (const uint8_t *data, size_t size, const VpGateReply *reply)
{
  const char *word = reply->verdict == VP_GATE_OK ? "OK " : "REFUSE ";
  char length[32];

  g_assert_true (reply->payload_size <= size && reply->payload_size <= VP_GATE_ANSWER_MAX);
  g_assert_true (reply->payload == reply->answer.data + reply->answer.size - reply->payload_size);
  g_assert_true (memcmp (reply->payload, data + size - reply->payload_size, reply->payload_size) == 0);
  g_assert_true (memcmp (reply->answer.data, word, strlen (word)) == 0);
  const int digits = snprintf (length, sizeof length, "%zu\n", reply->payload_size);
  g_assert_true (memcmp (reply->payload - digits, length, (size_t) digits) == 0);
}

static void
check_same (const VpGateReply *a, const VpGateReply *b)
{
  g_assert_true (a->verdict == b->verdict && a->payload_size == b->payload_size && strcmp (a->reason, b->reason) == 0);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const size_t pieces[] = { 1, size > 0 && data[0] > 0 ? data[0] : 7 };
  VpGateReply once = { 0 };

  read_in_pieces (data, size, size > 0 ? size : 1, &once);
  g_assert_true (once.verdict != VP_GATE_ABSENT);
  if (once.verdict == VP_GATE_BROKEN)
    g_assert_true (once.reason[0] != '\0' && once.payload == NULL);
  else
    check_payload (data, size, &once);
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    VpGateReply again = { 0 };
    read_in_pieces (data, size, pieces[i], &again);
    check_same (&once, &again);
    vp_gate_reply_clear (&again);
  }
  vp_gate_reply_clear (&once);
  return 0;
}
