/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One pass over one domain: read it, plan, define it if that changes it, and
 * make sure that no edit of somebody else was lost on the way. Main thread only.
 */
#pragma once

#include "daemon/keep/versions.h"
#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

typedef enum {
  VP_PREPARE_READY,    /* nothing had to change */
  VP_PREPARE_DEFINED,  /* it was defined anew */
  VP_PREPARE_REPEATED, /* libvirt does not keep what we write: nothing was written again */
  VP_PREPARE_GONE,     /* no persistent domain of that name */
} VpPrepareOutcome;

/* All of it is borrowed for the call. */
typedef struct {
  virConnectPtr connection;
  VpVersions *versions;
  const VpHost *host;
  const VpProfiles *profiles;
  const VpNeighbours *neighbours; /* NULL: nobody to be placed beside */
  gboolean *wrapper_made; /* out: the state folder has another wrapper than `host` knows */
} VpPrepareContext;

/*
 * The caller's to keep for each domain, zeroed at first: what was defined last, to notice
 * that libvirt does not keep it, and what was warned of, to say it once.
 */
typedef struct {
  char *text;
  gint64 at; /* monotonic; 0: never */
  guint repeats;
  char *warnings;
} VpWritten;

/* Frees what is in it, not the struct. */
void vp_written_clear (VpWritten *written);

/* FALSE: nothing was written, or what was written may lack an edit that came between; the error says which. */
gboolean vp_prepare_domain (const VpPrepareContext *context, const char *name, VpWritten *written,
                            VpPrepareOutcome *outcome, GError **error);

G_END_DECLS
