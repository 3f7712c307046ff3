/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection, one question, one answer. */
#include "cli/base/daemon-question.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>

#include "base/error.h"
#include "base/gate-protocol.h"
#include "config.h"

static GSocketConnection *
connect_to_daemon (GError **error)
{
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (VP_GATE_SOCKET);
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GError) problem = NULL;
  GSocketConnection *connection = g_socket_client_connect (client, G_SOCKET_CONNECTABLE (address), NULL, &problem);

  if (connection == NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "vfio-profiled cannot be asked, and a handover is its work: %s; it takes root, and 'systemctl start "
                 "vfio-profiled'",
                 problem->message);
  return connection;
}

static gboolean
ask (GSocketConnection *connection, const char *operation, const char *domain, const char *xml, GError **error)
{
  GOutputStream *out = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  g_autofree char *length = g_strdup_printf ("%" G_GSIZE_FORMAT, strlen (xml));
  const char *const strings[] = { VP_GATE_GREETING, operation, "", "", domain, length };
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (strings); i++)
    g_byte_array_append (bytes, (const guint8 *) strings[i], (guint) strlen (strings[i]) + 1);
  g_byte_array_append (bytes, (const guint8 *) xml, (guint) strlen (xml));
  return g_output_stream_write_all (out, bytes->data, bytes->len, NULL, NULL, error) &&
         g_socket_shutdown (g_socket_connection_get_socket (connection), FALSE, TRUE, error);
}

/* Its text; NULL: it is not whole. */
static char *
read_answer (GSocketConnection *connection, gboolean *ok, GError **error)
{
  g_autoptr (GDataInputStream) in = g_data_input_stream_new (g_io_stream_get_input_stream (G_IO_STREAM (connection)));
  g_autofree char *line = g_data_input_stream_read_line (in, NULL, NULL, error);
  guint64 length = 0;
  gsize got = 0;

  while (line != NULL && g_str_has_prefix (line, "WAIT ")) {
    g_free (line);
    line = g_data_input_stream_read_line (in, NULL, NULL, error);
  }
  *ok = line != NULL && g_str_has_prefix (line, "OK ");
  const char *space = line != NULL ? strchr (line, ' ') : NULL;
  if (space == NULL || !g_ascii_string_to_unsigned (space + 1, 10, 0, VP_GATE_ANSWER_MAX, &length, NULL))
    return NULL;
  g_autofree char *text = g_malloc0 (length + 1);
  return g_input_stream_read_all (G_INPUT_STREAM (in), text, length, &got, NULL, error) && got == length
           ? g_steal_pointer (&text)
           : NULL;
}

char *
vp_daemon_ask (const char *operation, const char *domain, const char *xml, GError **error)
{
  g_autoptr (GSocketConnection) connection = connect_to_daemon (error);
  gboolean ok = FALSE;

  if (connection == NULL || !ask (connection, operation, domain != NULL ? domain : "", xml != NULL ? xml : "", error))
    return NULL;
  g_autofree char *text = read_answer (connection, &ok, error);
  if (text == NULL && error != NULL && *error == NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_PROTOCOL, "vfio-profiled ended before its answer: see its log");
  if (text == NULL || ok)
    return g_steal_pointer (&text);
  g_set_error (error, VP_ERROR, VP_ERROR_UNFIT, "%s", g_strchomp (text));
  return NULL;
}
