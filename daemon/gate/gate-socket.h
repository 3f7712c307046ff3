/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers the hook, in threads of its own. While it does, libvirt holds the
 * domain's lock: nothing here calls libvirt (this folder does not even link it) or
 * waits for a thread that does.
 */
#pragma once

#include "daemon/gate/answer.h"

G_BEGIN_DECLS

typedef struct VpGate VpGate;

/*
 * Listens on `path`, or on `fd` (from systemd; taken over) where that is not -1, and answers from now on. The
 * context is copied; what it points to must be there until the gate is stopped.
 */
VpGate *vp_gate_new (const VpGateContext *context, const char *path, int fd, GError **error);
/*
 * Takes no more questions, and waits until those that were taken are answered, at most until `deadline`
 * (monotonic, µs). FALSE: some are not, and what they use must stay: the gate, and all of its context. From any
 * thread, from one at a time; again does no harm.
 */
gboolean vp_gate_stop (VpGate *gate, gint64 deadline);
/* Stops it too. One whose answers do not end within seconds is lost rather than freed below them. */
void vp_gate_free (VpGate *gate);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpGate, vp_gate_free)

G_END_DECLS
