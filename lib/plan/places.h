/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the places of a definition are. Of pins and memory bindings there are as many as vCPUs,
 * and one look through all of them for each would take the square of that: those are listed once.
 * All others are looked up in the tree.
 */
#pragma once

#include "domain/domain.h"

G_BEGIN_DECLS

typedef struct {
  VpDomain *domain;  /* borrowed; changed by vp_want_apply and vp_slot_undo alone, which keep the list right */
  GHashTable *nodes; /* of GQueue of xmlNode, in the definition's order, by place */
} VpPlaces;

/* An index of what stands at places of that domain, which must outlive it; the caller's. */
VpPlaces *vp_places_new (VpDomain *domain);
void vp_places_free (VpPlaces *places); /* may be NULL */

/* As vp_xml_find. */
xmlNode *vp_places_find (const VpPlaces *places, const char *place);
/* More than one element is at the place: whose original one slot holds could not be said. */
gboolean vp_places_is_double (const VpPlaces *places, const char *place);
/* What was found there is gone, or another element (NULL: none) is in its place or is new. */
void vp_places_note (VpPlaces *places, const char *place, xmlNode *now);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPlaces, vp_places_free)

G_END_DECLS
