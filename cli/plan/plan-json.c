/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plan as JSON. Fields are added in later versions, never renamed. */
#include "cli/base/output.h"
#include "cli/base/pins-view.h"
#include "cli/plan/plan-view.h"

static json_object *
change_to_json (const VpChange *change)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "rule", vp_output_json_string (change->rule));
  json_object_object_add (object, "path", vp_output_json_string (change->place));
  json_object_object_add (object, "from", vp_output_json_string (change->from));
  json_object_object_add (object, "to", vp_output_json_string (change->to));
  json_object_object_add (object, "guest_visible", json_object_new_boolean (change->guest_visible));
  json_object_object_add (object, "reason", vp_output_json_string (change->reason));
  return object;
}

static json_object *
changes_to_json (const GPtrArray *changes)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < changes->len; i++)
    json_object_array_add (array, change_to_json (changes->pdata[i]));
  return array;
}

static json_object *
pins_to_json (const VpDomain *domain)
{
  g_autoptr (VpPins) pins = vp_pins_read (domain);

  return vp_pins_to_json (pins);
}

static json_object *
memory_to_json (const VpPlan *plan)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "page_kib", json_object_new_uint64 (plan->page_kib));
  json_object_object_add (object, "pages", json_object_new_uint64 (plan->pages));
  return object;
}

/* The reason of each vCPU's place, by its number; null where nothing was placed. */
static json_object *
placement_to_json (const VpPlacement *placement)
{
  if (placement == NULL)
    return NULL;
  json_object *object = json_object_new_object ();
  json_object *reasons = json_object_new_array ();
  for (guint i = 0; placement->vcpus != NULL && i < placement->n_vcpus + placement->n_offline; i++)
    json_object_array_put_idx (reasons, placement->ids[i], vp_output_json_string (placement->reasons[i]));
  json_object_object_add (object, "summary", vp_output_json_string (placement->summary));
  json_object_object_add (object, "reasons", reasons);
  return object;
}

json_object *
vp_plan_to_json (const VpPlan *plan)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "domain", vp_output_json_string (plan->domain));
  json_object_object_add (object, "profile", vp_output_json_string (plan->profile));
  json_object_object_add (object, "tag_rule", vp_output_json_string (plan->rule));
  json_object_object_add (object, "ready", json_object_new_boolean (vp_plan_is_ready (plan)));
  json_object_object_add (object, "changes", changes_to_json (plan->changes));
  json_object_object_add (object, "pins", pins_to_json (plan->result));
  json_object_object_add (object, "memory", memory_to_json (plan));
  json_object_object_add (object, "placement", placement_to_json (plan->placement));
  json_object_object_add (object, "warnings", vp_output_json_strings (plan->warnings));
  return object;
}
