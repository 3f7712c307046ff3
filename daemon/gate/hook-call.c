/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lengths are checked before they count for anything. */
#include "daemon/gate/hook-call.h"

#include <string.h>

#include "base/error.h"
#include "base/gate-protocol.h"

#define HEADER_STRINGS 6

GByteArray *
vp_hook_call_read (GInputStream *stream, GCancellable *ending, GError **error)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint8 chunk[64 * 1024];
  gssize got = 0;

  while ((got = g_input_stream_read (stream, chunk, sizeof chunk, ending, error)) > 0) {
    if (bytes->len + (gsize) got > VP_GATE_HEADER_MAX + VP_GATE_XML_MAX) {
      g_set_error (error, VP_ERROR, VP_ERROR_PROTOCOL, "the request is larger than %u bytes",
                   VP_GATE_HEADER_MAX + VP_GATE_XML_MAX);
      return NULL;
    }
    g_byte_array_append (bytes, chunk, (guint) got);
  }
  return got == 0 ? g_steal_pointer (&bytes) : NULL;
}

gboolean
vp_hook_call_parse (const GByteArray *bytes, VpHookCall *call, GError **error)
{
  const char *strings[HEADER_STRINGS] = { NULL };
  const char *at = bytes->len > 0 ? (const char *) bytes->data : "";
  const char *end = at + bytes->len;
  guint64 length = 0;

  for (guint i = 0; i < HEADER_STRINGS; i++) {
    const char *stop = at < end ? memchr (at, '\0', (gsize) (end - at)) : NULL;
    if (stop == NULL)
      break;
    strings[i] = at;
    at = stop + 1;
  }
  if (strings[0] == NULL || strcmp (strings[0], VP_GATE_GREETING) != 0 || strings[5] == NULL ||
      !g_ascii_isdigit (strings[5][0]) || /* the next lets a vertical tab stand there */
      !g_ascii_string_to_unsigned (strings[5], 10, 0, VP_GATE_XML_MAX, &length, NULL) ||
      length != (guint64) (end - at)) {
    g_set_error (error, VP_ERROR, VP_ERROR_PROTOCOL, "the request is not one of this version's hook (%s)",
                 VP_GATE_GREETING);
    return FALSE;
  }
  *call = (VpHookCall){
    .operation = strings[1], .suboperation = strings[2], .domain = strings[4], .xml = at, .xml_length = length
  };
  return TRUE;
}
