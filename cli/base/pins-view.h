/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pins of a definition, shown. */
#pragma once

#include <json-c/json.h>

#include "domain/pins.h"

G_BEGIN_DECLS

/* {"vcpus": […], "emulator": …, "iothreads": […], "node": …}; the caller's. */
json_object *vp_pins_to_json (const VpPins *pins);
/* "vCPUs 2,6,3,7; emulator 0-1,4-5"; NULL: nothing is pinned. The caller's. */
char *vp_pins_dup_text (const VpPins *pins);

G_END_DECLS
