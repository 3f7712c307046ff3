/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a request, as the gate reads them from a stream. What is taken for one has its
 * strings in order, one behind the other, and an XML as long as it says that ends with the last byte.
 */
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/gate-protocol.h"
#include "daemon/gate/hook-call.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* The first byte behind a string and its NUL. */
static const char *
get_next (const char *string)
{
  return string + strlen (string) + 1;
}

static void
check_call (const GByteArray *bytes, const VpHookCall *call)
{
  const char *start = (const char *) bytes->data;

  g_assert_cmpstr (start, ==, VP_GATE_GREETING);
  g_assert_true (call->operation == get_next (start));
  g_assert_true (call->suboperation == get_next (call->operation));
  g_assert_true (call->domain == get_next (get_next (call->suboperation)));
  const char *length = get_next (call->domain);
  g_assert_true (call->xml == get_next (length));
  g_assert_true (call->xml + call->xml_length == start + bytes->len);
  g_assert_cmpuint (call->xml_length, <=, VP_GATE_XML_MAX);
  g_assert_cmpuint (strspn (length, "0123456789"), ==, strlen (length));
  g_assert_cmpuint (g_ascii_strtoull (length, NULL, 10), ==, call->xml_length);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GInputStream) stream = g_memory_input_stream_new_from_data (data, (gssize) size, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GByteArray) bytes = vp_hook_call_read (stream, NULL, &error);
  VpHookCall call = { NULL };

  g_assert_no_error (error);
  g_assert_cmpmem (bytes->data, bytes->len, data, size);
  if (vp_hook_call_parse (bytes, &call, &error))
    check_call (bytes, &call);
  else
    g_assert_error (error, VP_ERROR, VP_ERROR_PROTOCOL);
  return 0;
}
