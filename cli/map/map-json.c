/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A map as JSON. Fields are added in later versions, never renamed. */
#include "cli/base/pins-view.h"
#include "cli/map/map-view.h"

static void
add_number (json_object *object, const char *name, guint64 number)
{
  json_object_object_add (object, name, json_object_new_uint64 (number));
}

static void
add_flag (json_object *object, const char *name, gboolean flag)
{
  json_object_object_add (object, name, json_object_new_boolean (flag));
}

static json_object *
host_to_json (const VpTopology *topology)
{
  json_object *object = json_object_new_object ();

  add_number (object, "cpus", topology->n_pus);
  add_number (object, "offline", topology->n_offline);
  add_number (object, "cores", topology->n_cores);
  add_number (object, "l3s", topology->n_l3s);
  add_number (object, "nodes", topology->n_nodes);
  add_number (object, "packages", topology->n_packages);
  add_number (object, "kinds", topology->n_kinds);
  return object;
}

static json_object *
holds_to_json (const VpMap *map, const GArray *holds)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < holds->len; i++) {
    const VpMapHold *hold = &g_array_index (holds, VpMapHold, i);
    json_object *object = json_object_new_object ();
    json_object_object_add (object, "label", vp_output_json_string (vp_map_guest (map, hold->guest)->label));
    add_number (object, "vcpu", hold->vcpu);
    json_object_array_add (array, object);
  }
  return array;
}

/* Where it stands; an offline CPU has no place. */
static void
add_place (json_object *object, const VpTopology *topology, const VpPu *pu)
{
  const VpCore *core = &topology->cores[pu->core];
  const VpNode *node = &topology->nodes[core->node];
  g_autofree char *kind = vp_map_dup_kind (topology, core);

  add_number (object, "package", core->package);
  json_object_object_add (object, "node",
                          node->os_index != VP_NODE_NONE ? json_object_new_uint64 (node->os_index) : NULL);
  add_number (object, "l3", core->l3);
  add_number (object, "l3_bytes", topology->l3s[core->l3].size);
  add_number (object, "core", core->os_index);
  add_number (object, "thread", pu->thread);
  json_object_object_add (object, "kind", vp_output_json_string (kind));
}

static json_object *
cpu_to_json (const VpMap *map, const VpMapCpu *cpu)
{
  json_object *object = json_object_new_object ();

  add_number (object, "cpu", cpu->os_index);
  add_flag (object, "online", cpu->pu != NULL);
  if (cpu->pu != NULL)
    add_place (object, map->topology, cpu->pu);
  add_flag (object, "allowed", cpu->pu != NULL && cpu->pu->usable);
  add_flag (object, "isolated", cpu->pu != NULL && cpu->pu->isolated);
  add_flag (object, "host_share", vp_map_is_host_share (cpu));
  add_flag (object, "emulator", cpu->service);
  json_object_object_add (object, "vcpus", holds_to_json (map, cpu->holds));
  return object;
}

static json_object *
guest_to_json (const VpMap *map, guint position)
{
  const VpMapGuest *guest = vp_map_guest (map, position);
  g_autofree char *summary = vp_map_dup_summary (map, position);
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "label", vp_output_json_string (guest->label));
  json_object_object_add (object, "name", vp_output_json_string (guest->name));
  json_object_object_add (object, "state", vp_output_json_string (vp_map_state_name (guest->state)));
  add_number (object, "vcpus", guest->n_online);
  add_number (object, "offline", guest->cpus->len - guest->n_online);
  add_number (object, "pinned", guest->n_pinned);
  json_object_object_add (object, "summary", vp_output_json_string (summary));
  json_object_object_add (object, "pins", vp_pins_to_json (guest->pins));
  return object;
}

static json_object *
conflict_to_json (const VpMap *map, const VpMapConflict *conflict)
{
  json_object *object = json_object_new_object ();
  json_object *labels = json_object_new_array ();
  g_autofree char *cpus = vp_list_dup (conflict->cpus);

  for (guint i = 0; i < conflict->guests->len; i++) {
    const VpMapGuest *guest = vp_map_guest (map, g_array_index (conflict->guests, guint, i));
    json_object_array_add (labels, vp_output_json_string (guest->label));
  }
  json_object_object_add (object, "cpus", vp_output_json_string (cpus));
  json_object_object_add (object, "guests", labels);
  add_number (object, "running", conflict->n_running);
  return object;
}

json_object *
vp_map_to_json (const VpMap *map)
{
  json_object *object = json_object_new_object ();
  json_object *cpus = json_object_new_array ();
  json_object *guests = json_object_new_array ();
  json_object *conflicts = json_object_new_array ();

  for (guint i = 0; i < map->cpus->len; i++)
    json_object_array_add (cpus, cpu_to_json (map, vp_map_cpu (map, i)));
  for (guint i = 0; i < map->guests->len; i++)
    json_object_array_add (guests, guest_to_json (map, i));
  for (guint i = 0; i < map->conflicts->len; i++)
    json_object_array_add (conflicts, conflict_to_json (map, map->conflicts->pdata[i]));
  json_object_object_add (object, "host", host_to_json (map->topology));
  json_object_object_add (object, "cpus", cpus);
  json_object_object_add (object, "guests", guests);
  json_object_object_add (object, "conflicts", conflicts);
  return object;
}
