/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tag in a domain's metadata:
 *
 *   <vfio:profile xmlns:vfio="urn:vfio-profile:1" name="pinned vga">
 *     <vfio:cpu reserve-cores="2"/>
 *   </vfio:profile>
 *
 * `name` lists profiles, later ones over earlier ones; a child is a section, its
 * attributes are keys, and they hold for this domain alone. A tag that a rule put
 * there (tag-match.h) has rule="NAME" beside the name, and comes and goes with it.
 * vcpus="N" is a request that goes when it is carried out (domain/vcpu-request.h).
 */
#pragma once

#include "domain/domain.h"
#include "profile/profile.h"

G_BEGIN_DECLS

typedef struct {
  char *names;          /* as written, single spaces */
  VpSettings *settings; /* all profiles and the overrides, resolved */
} VpTag;

/*
 * `tag` is the <vfio:profile> element. The caller's. NULL and VP_ERROR_TAG, which lists what is allowed, for words
 * that nobody knows, or names the limit of `profiles` that an override is beyond; and VP_ERROR_PROFILE where a profile
 * that it names is broken.
 */
VpTag *vp_tag_resolve (const xmlNode *tag, const VpProfiles *profiles, GError **error);
void vp_tag_free (VpTag *tag); /* may be NULL */

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpTag, vp_tag_free)

G_END_DECLS
