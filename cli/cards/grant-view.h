/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who was granted what, for people and for programs. */
#pragma once

#include "cli/cards/grant-files.h"
#include "cli/cards/sequester-choose.h"

G_BEGIN_DECLS

/* A table of all grants. */
void vp_grant_print (const VpGrantFiles *files);
/* The array of `vfio-profile grant --list --json`, whose fields vfio-profile(1) lists. The caller's. */
json_object *vp_grant_to_json (const VpGrantFiles *files);
/* What the user has to wait for. */
void vp_grant_say (const VpGrantUser *user, guint64 limit_kib, const GArray *picks);

G_END_DECLS
