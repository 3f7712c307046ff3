/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of VpHandover share; nobody else includes it. On handover-ground.c stand handover-take.c and
 * handover-return.c, and on those handover-thread.c. */
#pragma once

#include "daemon/handover/desktop-bus.h"
#include "daemon/handover/handover.h"
#include "journal/story.h"

G_BEGIN_DECLS

#define VP_HANDOVER_POLL_MS 100
#define VP_HANDOVER_BOOK_WAIT (5 * G_TIME_SPAN_SECOND)
#define VP_CONSOLES "sys/class/vtconsole"

/* Of what systemd was asked to bring back. */
typedef struct {
  guint failed;  /* so often; what systemd was not reached for is no try */
  gint64 again;  /* not before; monotonic, µs */
  gboolean told; /* that systemd is waited for */
} VpReturnTry;

struct VpHandover {
  const VpRoot *root;
  VpBook *book;
  VpSystemBus *bus;
  VpStory *story;
  int inhibitor;       /* descriptor; -1: none */
  gint64 second;       /* µs: in the waits between two looks, and two tries */
  GHashTable *tries;   /* char *, a service or module that is not back -> VpReturnTry */
  GHashTable *waiting; /* char *, a UUID -> since when its card is waited for; monotonic, µs */
  GThread *thread;

  GMutex mutex; /* of what follows */
  GCond changed;
  gboolean busy; /* somebody hands over or gives back; what is above is theirs */
  guint wanted;  /* threads that wait to hand over */
  guint pokes;
  gboolean ending;
};

/* FALSE at the deadline, with VP_ERROR_BUSY. */
gboolean vp_handover_begin (VpHandover *handover, gint64 deadline, GError **error);
void vp_handover_end (VpHandover *handover);
/* Sleeps until the next look; FALSE: the daemon ends, or with `yield` somebody wants to hand over. */
gboolean vp_handover_pause (VpHandover *handover, gboolean yield);

/* Whether giving back may go on: nobody wants to hand over, and the daemon does not end. */
gboolean vp_handover_may_return (VpHandover *handover);

/* Into the log and the story. */
void vp_handover_tell (VpHandover *handover, const char *name, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* Whether somebody holds a card now: then the host does not suspend. TRUE: logind was not reached, so again later. */
gboolean vp_handover_set_inhibitor (VpHandover *handover);
/* To a state that is settled; FALSE: not in time, or it cannot be asked (the error), or the wait was ended. */
gboolean vp_handover_await_service (VpHandover *handover, const char *unit, gboolean active, gint64 deadline,
                                    gboolean yield, GError **error);
gboolean vp_handover_is_module (const VpHandover *handover, const char *name, guint64 *users); /* it is loaded */
/* vfio-profile-load@.service, vfio-profile-unload@.service: by systemd, so that the daemon needs no such capability. */
gboolean vp_handover_run_module (VpHandover *handover, const char *verb, const char *name, gboolean yield,
                                 GError **error);

/* One look at all guests that have ended; TRUE: something is still to be done. By whoever has begun. */
gboolean vp_handover_return_all (VpHandover *handover);

G_END_DECLS
