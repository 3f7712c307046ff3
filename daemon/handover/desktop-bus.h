/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a handover asks of systemd and logind. Each call ends within a second or two; failures are VpSystemBus's. */
#pragma once

#include "daemon/hold/system-bus.h"

G_BEGIN_DECLS

typedef struct {
  gboolean active;  /* runs, or is on the way to it */
  gboolean settled; /* no job of systemd's is about to change that, and it is not between two states */
  char state[32];   /* systemd's word: "active", "deactivating", "failed" */
} VpServiceState;

/* One that systemd does not know is inactive. */
gboolean vp_desktop_read_service (VpSystemBus *bus, const char *unit, VpServiceState *state, GError **error);
/* TRUE: the job is queued, or the answer is late: what came of it is in the state. */
gboolean vp_desktop_start_service (VpSystemBus *bus, const char *unit, GError **error);
gboolean vp_desktop_stop_service (VpSystemBus *bus, const char *unit, GError **error);
/* It says nothing of the service: systemd was not reached, or is late with its answer. */
gboolean vp_desktop_is_unheard (const GError *error);
/* The host is about to end, and systemd starts nothing any more; FALSE also where it is not known. */
gboolean vp_desktop_is_ending (VpSystemBus *bus);

/* Of VpSeatSession *: those that are there; the caller's. NULL: logind cannot be asked. */
GPtrArray *vp_desktop_list_sessions (VpSystemBus *bus, GError **error);
/* TRUE also where the answer is late. */
gboolean vp_desktop_end_session (VpSystemBus *bus, const char *id, GError **error);
/* The host does not suspend as long as the descriptor is open. The caller's; -1: logind does not let us. */
int vp_desktop_inhibit_sleep (VpSystemBus *bus, const char *why, GError **error);

G_END_DECLS
