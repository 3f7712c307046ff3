/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mark of one define of ours, on the state in the metadata:
 *
 *   <state:state xmlns:state="urn:vfio-profile:state:1" write="0b6f…">
 *
 * libvirt keeps it through all that it completes, so a version of the definition that
 * carries it is that define's or was made from it.
 */
#pragma once

#include "domain/domain.h"

G_BEGIN_DECLS

/* A state without originals is made where there is none: vp_write_id_is_alone. */
void vp_write_id_set (VpDomain *domain, const char *id);
/* NULL: no define of ours made it. The caller's. */
char *vp_write_id_dup (const VpDomain *domain);
/* The state holds the mark and nothing else, as after an undo: it is to be taken away. */
gboolean vp_write_id_is_alone (const VpDomain *domain);
/* One that nobody has used; the caller's. */
char *vp_write_id_new (void);

G_END_DECLS
