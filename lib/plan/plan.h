/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pure core. Host snapshot + profiles + definition in; the definition as it
 * should be, and the list of changes with their reasons, out. No I/O, no clock,
 * no libvirt.
 *
 *   rewrite (rewrite (x)) = rewrite (x)
 *   undo (rewrite (x))    = x, up to libvirt's own canonical form
 */
#pragma once

#include "host/host.h"
#include "placement/neighbours.h"
#include "plan/changes.h"

G_BEGIN_DECLS

typedef enum {
  VP_PLAN_DEFAULT = 0,
  VP_PLAN_HOST_ONLY = 1 << 0, /* touch nothing that the guest sees, nor the tag: for restore and migrate */
  VP_PLAN_UNDO = 1 << 1,      /* put the originals back although the tag stands; a rule's tag goes with them */
} VpPlanFlags;

/*
 * Gives a domain without a tag of its own the one that the rules say, undoes what is saved in
 * the definition, then lays the tag's profiles over it. Without a tag the result is the undone
 * definition. `neighbours`: what is known of the other guests; NULL: the guest has the host
 * for itself. All arguments are only read, and the plan, the caller's, keeps none of them.
 * NULL and an error where tag, profiles, state or the host do not allow an answer.
 */
VpPlan *vp_plan_new (const VpDomain *domain, const VpHost *host, const VpProfiles *profiles,
                     const VpNeighbours *neighbours, VpPlanFlags flags, GError **error);
void vp_plan_free (VpPlan *plan); /* may be NULL */

/* Nothing is to be changed. */
static inline gboolean
vp_plan_is_ready (const VpPlan *plan)
{
  return plan->changes->len == 0;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPlan, vp_plan_free)

G_END_DECLS
