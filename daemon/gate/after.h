/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the gate asks of whoever keeps the definitions; the gate itself does not know them, nor libvirt. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The definition is prepared, and then, if that went well: nothing more; it is started; it is pinned once it runs. */
typedef enum { VP_AFTER_PREPARE, VP_AFTER_PREPARE_AND_START, VP_AFTER_TUNE_LIVE } VpAfter;

/*
 * Called from the threads that answer the hook, several at once, while libvirt holds the
 * domain's lock: only leaves the request, asks no libvirt and waits for nobody. The name is
 * borrowed. None comes after vp_gate_stop has said TRUE.
 */
typedef struct {
  void (*request) (const char *domain, VpAfter after, gpointer data);
  gpointer data;
} VpGateKeeper;

G_END_DECLS
