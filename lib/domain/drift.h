/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a guest that runs is not what it was started to be: its live XML, which was
 * prepared, against the host and what the kernel shows of its QEMU. Pure.
 */
#pragma once

#include "domain/domain.h"
#include "domain/guest-facts.h"
#include "host/host.h"

G_BEGIN_DECLS

/* Of char *, a line each; empty: it is as planned. The caller's. */
GPtrArray *vp_drift_list (const VpDomain *live, const VpHost *host, const VpGuestFacts *facts);
/* Whether `facts` should have the pages, which QEMU stops for: it is to have hugepages. */
gboolean vp_drift_needs_pages (const VpDomain *live);

G_END_DECLS
