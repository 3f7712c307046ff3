/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which tag the rules give a domain. Pure: definition, host and rules in, names and the
 * rule that gave them out.
 *
 *   own tag                 the rules have no say
 *   no tag, or a rule's     the first rule that is on and fits; none: no tag
 *
 * Where nobody can say whether a rule fits (an assigned device is not on this host, the
 * rule's file is broken) a domain that it tagged keeps its tag, and no other gets one.
 */
#pragma once

#include "domain/domain.h"
#include "host/host.h"
#include "profile/profile.h"
#include "profile/tag-rules.h"

G_BEGIN_DECLS

typedef enum { VP_TAG_VERDICT_NO, VP_TAG_VERDICT_YES, VP_TAG_VERDICT_UNKNOWN } VpTagVerdict;

/*
 * Whether the rule alone fits, on or off, whatever tag the domain has. `reason` (freed by the caller): why it
 * does; NULL where it does not.
 */
VpTagVerdict vp_tag_rule_fits (const VpTagRule *rule, const VpDomain *domain, const VpHost *host, char **reason);

typedef struct {
  char *rule;    /* its name; NULL: no rule fits */
  char *names;   /* of the profiles; NULL: no tag */
  char *reason;  /* "an NVIDIA GPU is assigned"; NULL where no rule fits */
  char *warning; /* NULL: none */
} VpTagMatch;

/* The caller's. NULL: the rules have no say, as the tag is the domain's own or no rules were loaded. */
VpTagMatch *vp_tag_match_new (const VpProfiles *profiles, const VpDomain *domain, const VpHost *host);
void vp_tag_match_free (VpTagMatch *match); /* may be NULL */

/* Whether the domain has that tag, of that rule, already. */
gboolean vp_tag_match_stands (const VpTagMatch *match, const VpDomain *domain);
/* Puts the tag in, or takes it out. */
void vp_tag_match_apply (const VpTagMatch *match, VpDomain *domain);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpTagMatch, vp_tag_match_free)

G_END_DECLS
