/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The profile files, with the rules that give them and the limits that hold what a tag says beside them. */
#pragma once

#include "profile/key.h"
#include "profile/tag-limits.h"
#include "profile/tag-rules.h"

G_BEGIN_DECLS

typedef struct {
  char *name;
  char *path;           /* of the file */
  char *description;    /* one line; may be empty */
  VpSettings *settings; /* NULL when the file is broken */
  GError *error;        /* why it is */
} VpProfile;

/* All profiles of some folders; immutable after the load, shared by reference count between threads. */
typedef struct VpProfiles VpProfiles;

/*
 * Later folders hide files of the same name in earlier ones. A folder that is missing is empty. A broken
 * file is a broken profile and no error; a folder that cannot be read is one.
 */
VpProfiles *vp_profiles_load (const char *const *folders, GError **error);
/* The rules that give these profiles to domains without a tag of their own (tag-rules.h); before it is shared. */
gboolean vp_profiles_load_rules (VpProfiles *profiles, const char *const *folders, GError **error);
/* Takes them; before it is shared. Until then those that are built in hold. */
void vp_profiles_set_limits (VpProfiles *profiles, VpLimits *limits);
/*
 * Profiles of that folder, an ordinary user's, are held to the limits as a tag is: those that go beyond are broken.
 * After set_limits, before it is shared.
 */
void vp_profiles_limit_folder (VpProfiles *profiles, const char *folder);
/* The profiles'; never NULL. */
const VpLimits *vp_profiles_get_limits (const VpProfiles *profiles);
VpProfiles *vp_profiles_ref (VpProfiles *profiles);
/* NULL: nothing happens. */
void vp_profiles_unref (VpProfiles *profiles);
/* Borrowed. NULL for an unknown name (VP_ERROR_TAG, with the known ones) and for a broken file (VP_ERROR_PROFILE). */
const VpProfile *vp_profiles_get (const VpProfiles *profiles, const char *name, GError **error);
GPtrArray *vp_profiles_list (const VpProfiles *profiles); /* of const VpProfile *, by name; unref the array */
/* Breaks a rule that names a profile which is not there. */
void vp_profiles_check_rule (const VpProfiles *profiles, VpTagRule *rule);
/* Of VpTagRule *, in their order, borrowed; NULL: none were loaded, and what rules wrote into definitions stays. */
const GPtrArray *vp_profiles_get_rules (const VpProfiles *profiles);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpProfiles, vp_profiles_unref)

G_END_DECLS
