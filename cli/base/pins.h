/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pins that a definition has, whoever put them there. */
#pragma once

#include <json-c/json.h>

#include "domain/domain.h"

G_BEGIN_DECLS

typedef struct {
  GPtrArray *vcpus;     /* of char *: the CPUs of each vCPU, NULL for one that is not pinned */
  char *emulator;       /* NULL: not pinned */
  GArray *iothread_ids; /* of guint */
  GPtrArray *iothreads; /* of char *, in the order of the ids */
  char *node;           /* NULL: memory from anywhere */
} VpPins;

VpPins *vp_pins_read (const VpDomain *domain);
void vp_pins_free (VpPins *pins);
/* {"vcpus": […], "emulator": …, "iothreads": […], "node": …} */
json_object *vp_pins_to_json (const VpPins *pins);
/* "vCPUs 2,6,3,7; emulator 0-1,4-5"; NULL: nothing is pinned. */
char *vp_pins_dup_text (const VpPins *pins);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPins, vp_pins_free)

G_END_DECLS
