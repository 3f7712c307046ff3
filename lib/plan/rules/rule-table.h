/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All rules. For the plan, which stands above them; a rule knows of no others but what rule.h says. */
#pragma once

#include "plan/rules/rule.h"

G_BEGIN_DECLS

/* In the order in which they plan; NULL-ended, static. */
const VpRule *const *vp_rules_get (void);
/* The table as slots see it. */
extern const VpSlotOwners vp_rules_owners;

G_END_DECLS
