/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How it stands with domains: are they as their profiles want them, and what do those that run hold. */
#pragma once

#include "cli/base/pins-view.h"
#include "cli/base/source.h"

G_BEGIN_DECLS

typedef enum { VP_STATUS_UNTAGGED, VP_STATUS_READY, VP_STATUS_STALE, VP_STATUS_INVALID } VpStatusState;

typedef struct {
  char *name;
  char *profile; /* as the tag says it; NULL: no tag */
  char *rule;    /* that put the tag there; NULL: it is the domain's own */
  VpStatusState state;
  gboolean running;
  guint n_changes;
  char *why;           /* NULL when there is nothing to explain */
  GPtrArray *warnings; /* of char *: the plan's; NULL where there is none */
  GPtrArray *drift;    /* of char *: where a guest that runs is not as planned; NULL: it does not run */
  GStrv holds;         /* what it holds of the host, or is still to come back; NULL: nothing, or not for us to read */
  GPtrArray *handover; /* of char *: what the last handover of its card did; NULL: none, or not for us to read */
  char *silent;        /* it was started past the hook, and why; NULL: it was not, or the same */
  VpPins *pins;        /* of the definition as it is; NULL when it could not be read */
} VpStatus;

/*
 * Of VpStatus, the caller's. `names` is NULL-ended; where it has none, all that have a tag or something to put back, by
 * name. All of the input must be loaded.
 */
GPtrArray *vp_status_read (const VpInput *input, char **names, GError **error);
const char *vp_status_state_name (VpStatusState state);

/* Of VpStatus: as a table. */
void vp_status_print (const GPtrArray *all);
/* The array of `vfio-profile status --json`, whose fields vfio-profile(1) lists. The caller's. */
json_object *vp_status_to_json (const GPtrArray *all);

G_END_DECLS
