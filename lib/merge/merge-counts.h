/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values that follow from others, such as the length of a list. Internal to merge.c. */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

/*
 * Makes <iothreads> and <vcpu> of the merged document agree with their lists, so that libvirt
 * invents no thread that a side took away, and refuses nothing for a vCPU that is not there.
 */
void vp_merge_settle_counts (xmlDoc *result, const xmlDoc *base, const xmlDoc *ours, const xmlDoc *theirs);

G_END_DECLS
