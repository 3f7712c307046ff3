/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The administrator's file: what a domain's tag may override beside its profiles, and how
 * far, and how much memory stays free when hugepages are allocated. The file as it is
 * shipped is in the program too: it holds where there is none, and where one is damaged.
 * A key that it does not mention cannot be overridden.
 */
#pragma once

#include "profile/key.h"

G_BEGIN_DECLS

/* Of the memory that is available. One of both is 0. */
typedef struct {
  guint percent; /* of all that is not in hugepages */
  guint64 kib;
} VpMemoryKeep;

/* Immutable after the load. */
typedef struct VpLimits VpLimits;

VpLimits *vp_limits_new (void); /* those that are built in; the caller's, as that of load */
/* Never NULL, and never wider than what is built in because of a fault: see get_error. */
VpLimits *vp_limits_load (const char *path);
void vp_limits_free (VpLimits *limits);
/* VP_ERROR_TAG, which names key, value, limit and file: it is beyond. `where` names what says so. */
gboolean vp_limits_check (const VpLimits *limits, VpKey key, const char *value, const char *where, GError **error);

/* All are the limits'. What the file says of the key: "at most 60", "any". */
const char *vp_limits_get (const VpLimits *limits, VpKey key);
const char *vp_limits_get_source (const VpLimits *limits);  /* "/etc/vfio-profile/vfio-profile.conf" or why not that */
const GError *vp_limits_get_error (const VpLimits *limits); /* VP_ERROR_PROFILE: the file is damaged; NULL: it is not */
VpMemoryKeep vp_limits_get_keep (const VpLimits *limits);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpLimits, vp_limits_free)

G_END_DECLS
