/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the hook asks (lib/base/gate-protocol.h), read from any stream. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* The strings are libvirt's arguments as they came: any bytes but NUL. All borrowed from the bytes that came. */
typedef struct {
  const char *operation;
  const char *suboperation;
  const char *domain;
  const char *xml;                             /* not NUL-terminated */
  gsize xml_length;                            /* bytes */
  void (*wait) (guint seconds, gpointer data); /* tells the hook that it takes longer; whoever answers sets it */
  gpointer data;
} VpHookCall;

/*
 * All that comes, to the end of the stream. The caller's; empty where nothing came. NULL: the stream's own error, or
 * VP_ERROR_PROTOCOL where it is more than a request can have.
 */
GByteArray *vp_hook_call_read (GInputStream *stream, GCancellable *ending, GError **error);

/* FALSE with VP_ERROR_PROTOCOL: it is no request of this version. */
gboolean vp_hook_call_parse (const GByteArray *bytes, VpHookCall *call, GError **error);

G_END_DECLS
