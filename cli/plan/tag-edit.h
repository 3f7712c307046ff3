/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's own overrides of single keys, as `vfio-profile set --option` takes them. */
#pragma once

#include "domain/domain.h"
#include "profile/profile.h"

G_BEGIN_DECLS

typedef struct {
  VpKey key;
  char *value; /* "": the override goes */
} VpOverride;

/* Of VpOverride, from "section.key=value", the caller's; `texts` is NULL-ended or NULL. The error, of usage, lists what
 * is allowed. */
GArray *vp_overrides_parse (const char *const *texts, GError **error);
/* Into the domain's tag, which must be there. */
void vp_overrides_apply (const GArray *overrides, VpDomain *domain);

G_END_DECLS
