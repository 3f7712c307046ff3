/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has to leave a graphics card before a guest can have it, and what of that may be asked to. Pure, but for the
 * wishes: facts in, steps out. The steps are those of the journal, too, so their names stay readable.
 */
#pragma once

#include "devices/device-facts.h"
#include "profile/profile.h"

G_BEGIN_DECLS

/* In the order in which they are taken; given back in reverse. */
typedef enum {
  VP_STEP_UNIT,     /* a service is stopped */
  VP_STEP_SESSION,  /* a session is ended */
  VP_STEP_WAIT,     /* until nobody has the nodes open; nothing to give back */
  VP_STEP_CONSOLE,  /* the text console is taken off */
  VP_STEP_FIRMWARE, /* the firmware's frame buffer is taken off, for good */
  VP_STEP_MODULE,   /* a module is unloaded */
  VP_STEP_CARD,     /* libvirt takes the card; given back it has a driver again */
  VP_N_STEP_KINDS
} VpStepKind;

typedef struct {
  VpStepKind kind;
  char *name;   /* "lightdm.service", a session's id, "vtcon0", "efi-framebuffer.0", "nvidia_drm", "0000:01:00.0" */
  char *before; /* of a card its driver; else what is undone: "active", "there", "bound", "loaded" */
  char *reason; /* one line: who uses what, and by which key it may be stopped; "" where the name says it all */
} VpHandoverStep;

/* One of logind's sessions. */
typedef struct {
  char *id;
  guint64 uid;
  char *seat; /* "": none, as of one over the network */
} VpSeatSession;

/* What the profile allows. */
typedef struct {
  GStrv units; /* as the profile names them, but for those that libvirt or we need */
  GStrv ids;   /* the same by systemd's own names, which a process's cgroup has: "lightdm.service" */
  gboolean sessions;
  gboolean firmware_console;
  guint deadline; /* seconds */
} VpHandoverWishes;

/* The caller's; NULL: devices.handover is no. Looks below `root` for whose other names the services' are. */
VpHandoverWishes *vp_handover_wishes_read (const VpRoot *root, const VpSettings *settings);
void vp_handover_wishes_free (VpHandoverWishes *wishes); /* NULL is allowed */

GPtrArray *vp_seat_sessions_new (void); /* of VpSeatSession *; empty, the caller's */

/*
 * Whether a use by a process ends with a step: which, and by which rule (the caller's; with `step` NULL not wanted).
 * `sessions`: of VpSeatSession *; NULL: not known, so any may be on the card's seat. Sound servers let go by themselves:
 * TRUE without a step.
 */
gboolean vp_handover_covers (const VpHandoverWishes *wishes, const VpDeviceFacts *facts, const GPtrArray *sessions,
                             const VpDeviceUse *use, VpHandoverStep **step);

/* A process that has a node of an assigned card, or of its sound, open. `hostdevs`: of VpHostdev. */
gboolean vp_handover_is_holder (const VpDeviceFacts *facts, const GArray *hostdevs, const VpDeviceUse *use);

/* Of VpHandoverStep *, in order, for devices that were found fit for it; empty: nobody has to leave. The caller's. */
GPtrArray *vp_handover_list_steps (const VpHandoverWishes *wishes, const VpDeviceFacts *facts, const GArray *hostdevs,
                                   const GPtrArray *sessions);
VpHandoverStep *vp_handover_step_new (VpStepKind kind, const char *name, const char *before, const char *reason);
void vp_handover_step_free (VpHandoverStep *step);

/* "unit lightdm.service", the key of its record in the journal; the caller's. */
char *vp_handover_step_dup_key (const VpHandoverStep *step);
/* Of such a key and what was before, the caller's; NULL: it is none. */
VpHandoverStep *vp_handover_step_parse (const char *key, const char *before);
/* "stop lightdm.service": what it does, or with `back` what undoes it ("start lightdm.service"); the caller's. */
char *vp_handover_step_describe (const VpHandoverStep *step, gboolean back);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHandoverWishes, vp_handover_wishes_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpHandoverStep, vp_handover_step_free)

G_END_DECLS
