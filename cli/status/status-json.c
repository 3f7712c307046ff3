/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains as JSON. Fields are added in later versions, never renamed. */
#include "cli/base/output.h"
#include "cli/status/status.h"

static json_object *
one_to_json (const VpStatus *status)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "domain", vp_output_json_string (status->name));
  json_object_object_add (object, "profile", vp_output_json_string (status->profile));
  json_object_object_add (object, "tag_rule", vp_output_json_string (status->rule));
  json_object_object_add (object, "state", vp_output_json_string (vp_status_state_name (status->state)));
  json_object_object_add (object, "running", json_object_new_boolean (status->running));
  json_object_object_add (object, "changes", json_object_new_uint64 (status->n_changes));
  json_object_object_add (object, "reason", vp_output_json_string (status->why));
  json_object_object_add (object, "warnings", vp_output_json_strings (status->warnings));
  json_object_object_add (object, "drift", vp_output_json_strings (status->drift));
  json_object_object_add (object, "holds", vp_output_json_strv (status->holds));
  json_object_object_add (object, "handover", vp_output_json_strings (status->handover));
  json_object_object_add (object, "hook_silent", vp_output_json_string (status->silent));
  json_object_object_add (object, "pins", status->pins != NULL ? vp_pins_to_json (status->pins) : NULL);
  return object;
}

json_object *
vp_status_to_json (const GPtrArray *all)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < all->len; i++)
    json_object_array_add (array, one_to_json (all->pdata[i]));
  return array;
}
