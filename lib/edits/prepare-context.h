/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a look at a domain works with, and what is kept from one look to the next. */
#pragma once

#include "edits/intents.h"
#include "edits/versions.h"
#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

/* All of it is borrowed for the call. */
typedef struct {
  virConnectPtr connection;
  VpVersions *versions;
  VpIntents *intents;
  const VpHost *host;
  const VpProfiles *profiles;
  const VpNeighbours *neighbours; /* NULL: nobody to be placed beside */
  gboolean *wrapper_made;         /* out: the state folder has another wrapper than `host` knows */
  VpPlanFlags flags;              /* VP_PLAN_UNDO: as it was before, and no host or profile is needed */
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

G_END_DECLS
