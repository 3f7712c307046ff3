/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A rule owns some places of the definition and says what it wants there. It
 * reads; applying and undoing are the same for all (plan/slot.h). A new rule is a
 * new file and a line in rule-table.c.
 */
#pragma once

#include "host/host.h"
#include "placement/neighbours.h"
#include "plan/changes.h"
#include "plan/content.h"
#include "plan/slot.h"
#include "profile/tag.h"

G_BEGIN_DECLS

typedef struct {
  const VpDomain *original; /* what the user wrote: all of ours undone */
  const VpDomain *present;  /* as it stands now: what is valid in it may stay */
  const VpHost *host;
  const VpNeighbours *neighbours; /* NULL: none */
  const VpSettings *settings;
  const VpSlotOwners *owners; /* to read slots with */
  gboolean host_only;         /* what the guest sees is not undone, and stays */
  VpPlan *plan;               /* out: pins, memory, warnings */
  GPtrArray *wants;           /* out: of VpWant */
} VpRuleContext;

typedef enum { VP_HOST_ONLY, VP_GUEST_VISIBLE } VpVisibility;

/*
 * Places that a rule owns, and all that may be remembered of them. The state comes from outside: what it
 * holds is held against these patterns (base/pattern.h, plan/content.h), and what a user has there that
 * does not fit is not replaced in the first place. No pattern lets a path of the host through, or
 * what has one would be handed to a guest by whoever may write metadata.
 */
typedef struct {
  const char *place; /* of the place itself */
  VpVisibility visibility;
  const char *was;     /* of what a user may have there; NULL: only nothing */
  const char *set;     /* of what the rule puts there; NULL: it only takes out */
  gboolean takes_out;  /* it may take out as well as put */
  gboolean is_renamed; /* what was there does not have the predicates of the place, which names a device */
} VpRulePlace;

typedef struct {
  const char *name;
  const VpRulePlace *places; /* ended by one without a place */
  gboolean (*plan) (VpRuleContext *context, GError **error);
  /* Whether what stands at a place is still ours, as libvirt changes it of itself; NULL: it changes nothing there. */
  gboolean (*is_ours) (const xmlNode *set, const xmlNode *present);
  /* What patterns cannot say of a slot: NULL, or what is wrong. NULL: they say it all. */
  const char *(*find_problem) (const VpSlot *slot);
} VpRule;

/* Each in a file of its own name. */
extern const VpRule vp_rule_cpu;
extern const VpRule vp_rule_topology;
extern const VpRule vp_rule_numa;
extern const VpRule vp_rule_memory;
extern const VpRule vp_rule_hypervisor;
extern const VpRule vp_rule_hyperv;
extern const VpRule vp_rule_vga;
extern const VpRule vp_rule_trim;
extern const VpRule vp_rule_arguments; /* the last: it looks at what the others want */

/*
 * Element place: `element` is taken over; NULL takes out what is there. `place` is taken over too.
 * Borrowed from the context's wants, for what else is to be said of it.
 */
VpWant *vp_rule_want (VpRuleContext *context, const VpRule *rule, VpVisibility visibility, char *place,
                      xmlNode *element, const char *reason, ...) G_GNUC_PRINTF (6, 7);
/* Attribute place: all strings are copied; `value` NULL takes the attribute out. */
void vp_rule_want_attribute (VpRuleContext *context, const VpRule *rule, VpVisibility visibility, const char *place,
                             const char *value, const char *reason);
/* Into the plan's warnings. */
void vp_rule_warn (VpRuleContext *context, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* A guest NUMA cell that is ours, and the host's nodes (OS indexes) that its memory comes from. */
typedef struct {
  guint64 memory_kib;
  hwloc_bitmap_t vcpus;
  hwloc_bitmap_t nodes;
} VpGuestCell;

/* Whether a guest on several nodes gets cells: the profile asks for it, and nothing in the domain is against it. */
gboolean vp_rule_numa_can_expose (const VpRuleContext *context);
/* Whether a saved guest goes on with cells of ours: they are bound to where its vCPUs are, not the other way round. */
gboolean vp_rule_numa_is_saved (const VpRuleContext *context);
/* Of VpGuestCell, the caller's: those that will be made, or that a saved guest was given; empty: none. */
GArray *vp_rule_numa_list_cells (const VpRuleContext *context);
/* Memory (KiB) of all cells that come from exactly these nodes. */
guint64 vp_rule_numa_sum_kib (const GArray *cells, hwloc_const_bitmap_t nodes);
/* KiB that cells must be a multiple of, as the hugepages that will be behind them are. */
guint64 vp_rule_memory_grain_kib (const VpRuleContext *context);
/* Whether hugepages are asked for; with "auto" none where memory, or a cell of the user's, is no multiple of them. */
gboolean vp_rule_memory_has_pages (const VpRuleContext *context);

/* Whether features of one's own may stand in that <hyperv>; else libvirt drops them, and takes the host's. */
gboolean vp_rule_hypervisor_takes_own (const VpRuleContext *context, const xmlNode *hyperv);

G_END_DECLS
