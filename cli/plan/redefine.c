/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read, plan, read again, define. Knows nothing of tags and profiles. */
#include "cli/plan/redefine.h"

#include "base/error.h"

#define MAX_TRIES 20 /* each needs an edit within the milliseconds of the one before */

typedef enum { TRY_FAILED, TRY_DONE, TRY_AGAIN } Try;

typedef struct {
  virConnectPtr connection; /* all of this is borrowed */
  virDomainPtr domain;
  VpRedefineFunc func;
  gpointer data;
} Redefine;

static Try
try_once (const Redefine *redefine, VpPlan **plan, gboolean *changed, GError **error)
{
  g_autoptr (VpDomain) base = vp_libvirt_read (redefine->domain, error);

  g_clear_pointer (plan, vp_plan_free);
  *plan = base != NULL ? redefine->func (base, redefine->data, error) : NULL;
  if (*plan == NULL)
    return TRY_FAILED;
  *changed = !vp_domain_equal (base, (*plan)->result);
  if (!*changed)
    return TRY_DONE;
  g_autoptr (VpDomain) present = vp_libvirt_read (redefine->domain, error);
  if (present == NULL)
    return TRY_FAILED;
  if (!vp_domain_equal (base, present))
    return TRY_AGAIN;
  return vp_libvirt_define (redefine->connection, (*plan)->result, error) ? TRY_DONE : TRY_FAILED;
}

VpPlan *
vp_redefine (virConnectPtr connection, virDomainPtr domain, VpRedefineFunc func, gpointer data, gboolean *changed,
             GError **error)
{
  const Redefine redefine = { connection, domain, func, data };
  g_autoptr (VpPlan) plan = NULL;
  Try outcome = TRY_AGAIN;

  for (int i = 0; i < MAX_TRIES && outcome == TRY_AGAIN; i++)
    outcome = try_once (&redefine, &plan, changed, error);
  if (outcome == TRY_DONE)
    return g_steal_pointer (&plan);
  if (outcome == TRY_AGAIN)
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "domain '%s' was edited by somebody else %d times while this tried to write it: nothing was changed; "
                 "try again when that has ended",
                 virDomainGetName (domain), MAX_TRIES);
  else
    g_prefix_error (error, "domain '%s': nothing was changed: ", virDomainGetName (domain));
  return NULL;
}
