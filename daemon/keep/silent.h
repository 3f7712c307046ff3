/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that were started past the hook, which libvirt passes over in silence where it
 * cannot run it or does not know it: noticed, noted in the journal, said once. Main thread.
 */
#pragma once

#include "daemon/hold/book.h"
#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

/* Borrowed for the call. */
typedef struct {
  VpBook *book;
  unsigned long libvirt_version; /* 0: not known */
  gboolean session;              /* a user's libvirt may well not see the hook: that is no error */
} VpSilentContext;

/* libvirt says that it was started just now. */
void vp_silent_check_started (const VpSilentContext *context, virDomainPtr domain);
/* All that run, after what libvirt says of them was reconciled with the journal. */
void vp_silent_check_running (const VpSilentContext *context, virConnectPtr connection);

G_END_DECLS
