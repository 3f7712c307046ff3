/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules, and whom they fit, as text and JSON. */
#pragma once

#include "cli/base/output.h"
#include "profile/tag-match.h"

G_BEGIN_DECLS

/* A domain that a rule fits. */
typedef struct {
  char *domain;
  char *reason;  /* why it fits */
  char *names;   /* what it has or gets from this rule; NULL: nothing */
  char *instead; /* "its own tag", "rule 10-hashtag": why it gets nothing; NULL: it does, or the rule is off */
} VpTagRuleFit;

typedef struct {
  const VpTagRule *rule; /* borrowed */
  GPtrArray *fits;       /* of VpTagRuleFit, by domain; NULL: libvirt could not be asked */
} VpTagRuleReport;

/* The caller's, without fits yet; the rule must outlive it. */
VpTagRuleReport *vp_tag_rule_report_new (const VpTagRule *rule);
void vp_tag_rule_report_free (VpTagRuleReport *report);

/* Before the first of libvirt's domains. */
void vp_tag_rule_reports_begin (const GPtrArray *reports);
/* One of libvirt's domains: into the reports of the rules that fit it. */
void vp_tag_rule_reports_add (const GPtrArray *reports, const VpDomain *domain, const VpHost *host,
                              const VpProfiles *profiles);

/* A table of all, one in detail, and that as JSON, which is the caller's. */
void vp_tag_rule_reports_print (const GPtrArray *reports);
void vp_tag_rule_report_print (const VpTagRuleReport *report);
json_object *vp_tag_rule_report_to_json (const VpTagRuleReport *report);

G_END_DECLS
