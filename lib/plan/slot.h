/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Slots: the places of a definition that rules took over, with what stood there
 * before. They are kept in the domain itself, in
 *
 *   <metadata>
 *     <state:state xmlns:state="urn:vfio-profile:state:1">
 *       <state:slot rule="cpu" place="cputune/vcpupin[@vcpu='0']" made="1">
 *         <state:was position="2" comments="1">…</state:was>   what the user had; missing: nothing
 *         <state:set>…</state:set>                             what we put there; missing: we took it out
 *       </state:slot>
 *
 * so that they travel with dumpxml, migration and backups. A place whose present
 * content is not what we set was edited by the user: his value is the original then.
 */
#pragma once

#include "plan/places.h"

G_BEGIN_DECLS

/* One element or attribute that a rule wants changed. */
typedef struct {
  const char *rule; /* static */
  char *place;      /* where it is once applied (see base/xml.h) */
  char *find;       /* where it is before, when that differs; else NULL */
  xmlNode *element; /* owned; NULL: nothing shall be there (or the place is an attribute) */
  char *value;      /* of an attribute place */
  gboolean guest_visible;
  gboolean follows; /* the element names a device: what names that elsewhere is to follow (domain/aliases.h) */
  char *reason;     /* for a person */
} VpWant;

typedef struct VpSlotOwners VpSlotOwners;

typedef struct {
  const VpSlotOwners *owners; /* borrowed; NULL: it was made now, not read */
  char *rule;
  char *place;
  gboolean guest_visible;
  gboolean follows; /* what named devices then followed, and is to come back */
  guint made;       /* parents that were made for it */
  int position;     /* of `was` among its siblings; -1: it was not there */
  guint comments;   /* that stood between it and the next of them; of what was taken out */
  xmlNode *was;     /* owned; of an element place */
  xmlNode *set;
  char *was_value; /* of an attribute place */
  char *set_value;
  char *reason; /* not stored; from the want */
} VpSlot;

/* What slots must know of the rules, which stand above them. */
struct VpSlotOwners {
  /* NULL: its rule owns the place, and may have put there and found there what it says. Else what is wrong (to free). */
  char *(*dup_problem) (const VpSlot *slot);
  /* Whether `present` is what libvirt of itself made of `set`, which the rule put there. */
  gboolean (*knows_change) (const char *rule, const xmlNode *set, const xmlNode *present);
};

/* Either may be NULL. */
void vp_want_free (VpWant *want);
void vp_slot_free (VpSlot *slot);

/*
 * Of VpSlot, an owning array; empty without a <state>. `owners` must outlive it. NULL and
 * VP_ERROR_STATE, which says exactly what is damaged, where the state holds anything but slots that
 * the rules could have made, and devices (devices/device-ids.h).
 */
GPtrArray *vp_slots_read (const VpDomain *domain, const VpSlotOwners *owners, GError **error);
/* Replaces <state>; without slots it goes. The slots are copied. */
void vp_slots_write (VpDomain *domain, const GPtrArray *slots);
/* Borrowed from the array; NULL: there is none for that place. */
const VpSlot *vp_slots_find (const GPtrArray *slots, const char *place);

/* The same rule, place, original and value; where the original stood does not count. */
gboolean vp_slot_equal (const VpSlot *a, const VpSlot *b);
/* Whether the place holds what we set. */
gboolean vp_slot_is_intact (const VpSlot *slot, const VpPlaces *places);
/* The same, or what libvirt of itself made of it. */
gboolean vp_slot_is_ours (const VpSlot *slot, const VpPlaces *places);
/* In one line, freed by the caller; NULL where it is nothing: what stands at the place now, what we put, what was. */
char *vp_slot_dup_present (const VpSlot *slot, const VpPlaces *places);
char *vp_slot_dup_set (const VpSlot *slot);
char *vp_slot_dup_was (const VpSlot *slot);

/*
 * Carries out a want and says what to remember (the caller's); NULL where it was so already, or where what
 * is there may not be remembered: then `problem` says why (the caller's).
 */
VpSlot *vp_want_apply (const VpWant *want, VpPlaces *places, const VpSlotOwners *owners, char **problem);
/* Puts the original back, unless the user has changed the place since. */
void vp_slot_undo (const VpSlot *slot, VpPlaces *places);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpSlot, vp_slot_free)

G_END_DECLS
