/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers the hook, in threads of its own. While it does, libvirt holds the
 * domain's lock: nothing here calls libvirt (this folder does not even link it) or
 * waits for a thread that does.
 */
#pragma once

#include "daemon/gate/admission.h"
#include "daemon/gate/after.h"
#include "daemon/gate/ledger.h"

G_BEGIN_DECLS

typedef struct VpGate VpGate;

typedef struct {
  VpLedger *ledger;
  VpAdmission *admission;
  VpGateKeeper keeper;
  const char *config_folder; /* where libvirt keeps the definitions of persistent domains */
} VpGateContext;

/* Listens on `path`, or on `fd` (from systemd) where that is not -1. The context is copied. */
VpGate *vp_gate_new (const VpGateContext *context, const char *path, int fd, GError **error);
void vp_gate_free (VpGate *gate);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpGate, vp_gate_free)

G_END_DECLS
