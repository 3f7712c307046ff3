/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles, and what one of them says, for people and for programs. */
#pragma once

#include <json-c/json.h>

#include "profile/profile.h"

G_BEGIN_DECLS

/* `list` is of VpProfile. */
void vp_profiles_print (const GPtrArray *list);
/* All keys, also those that it does not set, and how far a tag may go beside it. */
void vp_profile_print (const VpProfile *profile, const VpLimits *limits);
/*
 * An object of `vfio-profile profiles --json`, whose fields vfio-profile(1) lists; without keys where `limits` is
 * NULL. The caller's.
 */
json_object *vp_profile_to_json (const VpProfile *profile, const VpLimits *limits);

G_END_DECLS
