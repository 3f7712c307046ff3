/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the journal says of a guest and one of systemd's units, and the text of it. Only a
 * text that is written so is read; journals stay readable, so no text may change.
 *
 *   key     system.slice without 2-3       the unit and the guest's CPUs
 *   value   in force | all | 0-1,4-7       what the unit may use
 */
#pragma once

#include "base/list.h"

G_BEGIN_DECLS

typedef struct {
  char *unit;        /* systemd's name of it */
  VpBitmap *without; /* never empty */
} VpUnitKey;

typedef enum {
  VP_UNIT_IN_FORCE, /* all but the CPUs of guests */
  VP_UNIT_ALL,      /* it has no setting of its own */
  VP_UNIT_SOME,     /* those that it was set to */
} VpUnitState;

typedef struct {
  VpUnitState state;
  VpBitmap *cpus; /* of VP_UNIT_SOME, never empty; else NULL */
} VpUnitValue;

/* The caller's. */
char *vp_unit_key_dup_text (const char *unit, hwloc_const_bitmap_t without);
char *vp_unit_value_dup_text (const VpUnitValue *value);

/* Into an empty one, which is the caller's to clear. FALSE: it is no such text, and the record stays empty. */
gboolean vp_unit_key_parse (const char *text, VpUnitKey *key);
gboolean vp_unit_value_parse (const char *text, VpUnitValue *value);

/* Free what is in it, not the record; it is empty afterwards. */
void vp_unit_key_clear (VpUnitKey *key);
void vp_unit_value_clear (VpUnitValue *value);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpUnitKey, vp_unit_key_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpUnitValue, vp_unit_value_clear)

G_END_DECLS
