/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a look at a domain works with, and what is kept from one look to the next. */
#pragma once

#include "edits/intents.h"
#include "edits/versions.h"
#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

/* A domain as it was read. */
typedef struct {
  virDomainPtr handle; /* NULL: there is none of that name */
  VpDomain *stored;    /* NULL: it is not persistent */
  VpDomain *live;      /* NULL: it does not run */
  gboolean running;    /* its start has ended, and it is not paused */
  guint64 serial;      /* of the last version (versions.h) that is not younger than `stored` */
} VpSeen;

void vp_seen_clear (VpSeen *seen); /* frees what it owns, not the struct */

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpSeen, vp_seen_clear)

/* All of it is borrowed for the call. */
typedef struct {
  virConnectPtr connection;
  VpVersions *versions;
  VpIntents *intents;
  const VpHost *host;
  const VpProfiles *profiles;
  const VpNeighbours *neighbours; /* NULL: nobody to be placed beside */
  gboolean *wrapper_made;         /* out: the state folder has another wrapper than `host` knows */
  VpSeen *seen; /* the definition as it was read for this look, which takes it; NULL, or nothing in it: it is read */
  VpPlanFlags flags; /* VP_PLAN_UNDO: as it was before, and no host or profile is needed */
} VpPrepareContext;

/*
 * The caller's to keep for each domain, zeroed at first: what was defined last, to notice
 * that libvirt does not keep it, and what was warned of, to say it once.
 */
typedef struct {
  char *digest;
  gint64 at; /* monotonic; 0: never */
  guint repeats;
  char *warnings;
} VpWritten;

G_END_DECLS
