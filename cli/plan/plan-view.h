/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan for people, for programs, and as a diff. */
#pragma once

#include <json-c/json.h>

#include "plan/plan.h"

G_BEGIN_DECLS

/* On stdout: what changes and why, the pins, the memory. */
void vp_plan_print (const VpPlan *plan);
/* The object of `vfio-profile plan --json`, whose fields vfio-profile(1) lists. The caller's. */
json_object *vp_plan_to_json (const VpPlan *plan);
/* `name` stands in the head lines. Passwords of either definition are masked. */
gboolean vp_plan_print_diff (const VpPlan *plan, const VpDomain *before, const char *name, GError **error);
/* Warnings on stderr, each with the domain's name. */
void vp_plan_warn (const VpPlan *plan);

G_END_DECLS
