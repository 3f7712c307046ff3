/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lengths are checked before they count for anything: the other end may be anybody who listens there. */
#include "hooks/gate-reply.h"

#include <stdio.h>
#include <string.h>

#include "base/gate-protocol.h"

/* The end of the first line; NULL: it has not come, or is too long for one. */
static const char *
find_line_end (const VpBytes *answer)
{
  const size_t searched = answer->size < VP_GATE_FIRST_LINE_MAX ? answer->size : VP_GATE_FIRST_LINE_MAX;

  return searched > 0 ? memchr (answer->data, '\n', searched) : NULL;
}

/* Digits only, nothing before or after them. */
static bool
parse_length (const char *text, size_t size, size_t *length)
{
  *length = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9')
      return false;
    *length = *length * 10 + (size_t) (text[i] - '0');
    if (*length > VP_GATE_ANSWER_MAX)
      return false;
  }
  return size > 0;
}

static bool
parse_first_line (const char *line, size_t size, VpGateVerdict *verdict, size_t *length)
{
  static const struct {
    const char *word;
    VpGateVerdict verdict;
  } words[] = { { "OK ", VP_GATE_OK }, { "REFUSE ", VP_GATE_REFUSED } };

  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    const size_t word_size = strlen (words[i].word);

    if (size > word_size && memcmp (line, words[i].word, word_size) == 0) {
      *verdict = words[i].verdict;
      return parse_length (line + word_size, size - word_size, length);
    }
  }
  return false;
}

/* "WAIT 25\n": that long from now on. TRUE: there was one, and it is taken away. */
static bool
take_wait (VpBytes *answer, VpDeadline *deadline)
{
  static const char word[] = "WAIT ";
  const size_t word_size = sizeof word - 1;
  const char *end = find_line_end (answer);
  size_t seconds = 0;

  if (end == NULL || (size_t) (end - answer->data) <= word_size || memcmp (answer->data, word, word_size) != 0 ||
      !parse_length (answer->data + word_size, (size_t) (end - answer->data) - word_size, &seconds))
    return false;
  *deadline = vp_deadline_new (seconds < VP_GATE_WAIT_MAX_SECONDS ? (unsigned int) seconds : VP_GATE_WAIT_MAX_SECONDS);
  answer->size -= (size_t) (end + 1 - answer->data);
  memmove (answer->data, end + 1, answer->size);
  return true;
}

void
vp_gate_reply_fail (VpGateReply *reply, VpGateVerdict verdict, const char *reason)
{
  reply->verdict = verdict;
  snprintf (reply->reason, sizeof reply->reason, "%s", reason);
}

void
vp_gate_reply_take_waits (VpGateReply *reply, VpDeadline *deadline)
{
  while (take_wait (&reply->answer, deadline))
    ;
}

void
vp_gate_reply_parse (VpGateReply *reply)
{
  const VpBytes *answer = &reply->answer;
  const char *end = find_line_end (answer);
  VpGateVerdict verdict;
  size_t length;

  if (answer->size == 0) {
    vp_gate_reply_fail (reply, VP_GATE_BROKEN, "it closed the connection without an answer");
    return;
  }
  if (end == NULL || !parse_first_line (answer->data, (size_t) (end - answer->data), &verdict, &length)) {
    vp_gate_reply_fail (reply, VP_GATE_BROKEN, "its answer makes no sense");
    return;
  }

  const size_t there = answer->size - (size_t) (end + 1 - answer->data);
  if (there != length) {
    reply->verdict = VP_GATE_BROKEN;
    snprintf (reply->reason, sizeof reply->reason, "its answer has %zu bytes where it says %zu", there, length);
    return;
  }

  reply->verdict = verdict;
  reply->payload = end + 1;
  reply->payload_size = length;
}

void
vp_gate_reply_clear (VpGateReply *reply)
{
  vp_bytes_clear (&reply->answer);
  *reply = (VpGateReply){ 0 };
}
