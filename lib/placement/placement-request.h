/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain and its settings ask of placement. */
#pragma once

#include "domain/domain.h"
#include "host/host.h"
#include "placement/placement.h"
#include "profile/profile.h"

G_BEGIN_DECLS

/* The request, with the memory that it points into. */
typedef struct {
  VpPlacementRequest request;
  GArray *device_nodes;
  char *device_name;
  int *current;
} VpRequest;

/*
 * `original`: what the user wrote; `present`: as it stands now, with the pins that it has.
 * Only for settings that pin.
 */
VpRequest *vp_request_new (const VpDomain *original, const VpDomain *present, const VpHost *host,
                           const VpSettings *settings, GError **error);
void vp_request_free (VpRequest *request);
gboolean vp_settings_pin (const VpSettings *settings);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpRequest, vp_request_free)

G_END_DECLS
