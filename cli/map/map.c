/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lays the pins of guests over the CPUs of a host. Draws nothing. */
#include "cli/map/map.h"

#include <stdlib.h>
#include <string.h>

VpMapGuest *
vp_map_guest_new (const VpDomain *domain, VpMapState state)
{
  VpMapGuest *guest = g_new0 (VpMapGuest, 1);

  guest->name = vp_domain_dup_name (domain);
  guest->state = state;
  guest->pins = vp_pins_read (domain);
  guest->cpus = g_array_new (FALSE, FALSE, sizeof (int));
  vp_pins_add_default (guest->pins, domain);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (domain);
  guest->n_online = (guint) hwloc_bitmap_weight (online);
  for (guint i = 0; i < guest->pins->vcpus->len; i++) {
    int cpu = hwloc_bitmap_isset (online, i) ? vp_pins_vcpu_cpu (guest->pins, i) : -1;
    g_array_append_val (guest->cpus, cpu);
    guest->n_pinned += cpu >= 0 ? 1 : 0;
  }
  return guest;
}

void
vp_map_guest_free (VpMapGuest *guest)
{
  if (guest == NULL)
    return;
  g_free (guest->name);
  g_free (guest->label);
  g_free (guest->missing);
  vp_pins_free (guest->pins);
  g_array_unref (guest->cpus);
  g_free (guest);
}

static gint
compare_guests (gconstpointer left, gconstpointer right)
{
  const VpMapGuest *a = *(const VpMapGuest *const *) left;
  const VpMapGuest *b = *(const VpMapGuest *const *) right;

  return strcmp (a->name, b->name);
}

/* Counts like the columns of a spreadsheet: Z is followed by AA. */
static char *
dup_label (guint position)
{
  GString *label = g_string_new (NULL);

  for (guint rest = position + 1; rest > 0; rest = (rest - 1) / 26)
    g_string_prepend_c (label, (char) ('A' + (rest - 1) % 26));
  return g_string_free (label, FALSE);
}

static void
clear_cpu (gpointer data)
{
  VpMapCpu *cpu = data;

  g_array_unref (cpu->holds);
}

static GArray *
new_cpus (const VpTopology *topology)
{
  GArray *cpus = g_array_new (FALSE, TRUE, sizeof (VpMapCpu));

  g_array_set_clear_func (cpus, clear_cpu);
  for (guint i = 0; i < topology->n_pus + topology->n_offline; i++) {
    VpMapCpu cpu = { .holds = g_array_new (FALSE, FALSE, sizeof (VpMapHold)) };
    cpu.pu = i < topology->n_pus ? &topology->pus[i] : NULL;
    cpu.os_index = cpu.pu != NULL ? cpu.pu->os_index : topology->offline[i - topology->n_pus];
    g_array_append_val (cpus, cpu);
  }
  return cpus;
}

/* NULL: the host has no such CPU. */
static VpMapCpu *
find_cpu (const VpMap *map, unsigned os_index)
{
  int position = vp_topology_find_pu (map->topology, os_index);

  if (position >= 0)
    return &g_array_index (map->cpus, VpMapCpu, position);
  for (guint i = map->topology->n_pus; i < map->cpus->len; i++)
    if (g_array_index (map->cpus, VpMapCpu, i).os_index == os_index)
      return &g_array_index (map->cpus, VpMapCpu, i);
  return NULL;
}

static void
place_vcpus (const VpMap *map, guint position)
{
  VpMapGuest *guest = map->guests->pdata[position];
  g_autoptr (VpBitmap) missing = hwloc_bitmap_alloc ();

  for (guint i = 0; i < guest->cpus->len; i++) {
    int index = g_array_index (guest->cpus, int, i);
    VpMapCpu *cpu = index >= 0 ? find_cpu (map, (unsigned) index) : NULL;
    VpMapHold hold = { .guest = position, .vcpu = i };
    if (cpu != NULL)
      g_array_append_val (cpu->holds, hold);
    else if (index >= 0)
      hwloc_bitmap_set (missing, (unsigned) index);
  }
  guest->missing = hwloc_bitmap_iszero (missing) ? NULL : vp_list_dup (missing);
}

static void
mark_service (const VpMap *map, const char *cpuset)
{
  g_autoptr (VpBitmap) cpus = vp_list_parse (cpuset);

  for (guint i = 0; cpus != NULL && i < map->cpus->len; i++) {
    VpMapCpu *cpu = &g_array_index (map->cpus, VpMapCpu, i);
    cpu->service = cpu->service || hwloc_bitmap_isset (cpus, cpu->os_index);
  }
}

static void
conflict_free (gpointer data)
{
  VpMapConflict *conflict = data;

  g_free (conflict->mark);
  g_array_unref (conflict->guests);
  hwloc_bitmap_free (conflict->cpus);
  g_free (conflict);
}

/* Labels of one letter need nothing between them. */
static const char *
separator (const VpMap *map)
{
  return map->guests->len > 26 ? "+" : "";
}

/* "AB" or "A+B" of the guests whose vCPUs are here; a guest with two of them is named once. */
static char *
dup_holders (const VpMap *map, const VpMapCpu *cpu)
{
  GString *mark = g_string_new (NULL);

  for (guint i = 0; i < cpu->holds->len; i++) {
    guint guest = g_array_index (cpu->holds, VpMapHold, i).guest;
    if (i > 0 && g_array_index (cpu->holds, VpMapHold, i - 1).guest == guest)
      continue;
    g_string_append_printf (mark, "%s%s", mark->len > 0 ? separator (map) : "", vp_map_guest (map, guest)->label);
  }
  return g_string_free (mark, FALSE);
}

static VpMapConflict *
conflict_new (const VpMap *map, const VpMapCpu *cpu, const char *mark)
{
  VpMapConflict *conflict = g_new0 (VpMapConflict, 1);

  conflict->mark = g_strdup (mark);
  conflict->cpus = hwloc_bitmap_alloc ();
  conflict->guests = g_array_new (FALSE, FALSE, sizeof (guint));
  for (guint i = 0; i < cpu->holds->len; i++) {
    guint guest = g_array_index (cpu->holds, VpMapHold, i).guest;
    if (i > 0 && g_array_index (cpu->holds, VpMapHold, i - 1).guest == guest)
      continue;
    g_array_append_val (conflict->guests, guest);
    conflict->n_running += vp_map_guest (map, guest)->state == VP_MAP_RUNNING ? 1 : 0;
  }
  return conflict;
}

static void
find_conflicts (VpMap *map)
{
  g_autoptr (GHashTable) by_mark = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < map->cpus->len; i++) {
    const VpMapCpu *cpu = vp_map_cpu (map, i);
    if (cpu->holds->len < 2)
      continue;
    g_autofree char *mark = dup_holders (map, cpu);
    VpMapConflict *conflict = g_hash_table_lookup (by_mark, mark);
    if (conflict == NULL) {
      conflict = conflict_new (map, cpu, mark);
      g_hash_table_insert (by_mark, conflict->mark, conflict);
      g_ptr_array_add (map->conflicts, conflict);
    }
    hwloc_bitmap_set (conflict->cpus, cpu->os_index);
  }
}

VpMap *
vp_map_new (const VpTopology *topology, GPtrArray *guests)
{
  VpMap *map = g_new0 (VpMap, 1);

  map->topology = topology;
  map->guests = guests;
  map->cpus = new_cpus (topology);
  map->conflicts = g_ptr_array_new_with_free_func (conflict_free);
  g_ptr_array_sort (guests, compare_guests);
  for (guint i = 0; i < guests->len; i++) {
    VpMapGuest *guest = guests->pdata[i];
    guest->label = dup_label (i);
    place_vcpus (map, i);
    mark_service (map, guest->pins->emulator);
    for (guint j = 0; j < guest->pins->iothreads->len; j++)
      mark_service (map, guest->pins->iothreads->pdata[j]);
  }
  find_conflicts (map);
  return map;
}

void
vp_map_free (VpMap *map)
{
  if (map == NULL)
    return;
  g_ptr_array_unref (map->guests);
  g_ptr_array_unref (map->conflicts);
  g_array_unref (map->cpus);
  g_free (map);
}

const VpMapCpu *
vp_map_cpu (const VpMap *map, guint position)
{
  return &g_array_index (map->cpus, VpMapCpu, position);
}

const VpMapGuest *
vp_map_guest (const VpMap *map, guint position)
{
  return map->guests->pdata[position];
}

char *
vp_map_dup_mark (const VpMap *map, const VpMapCpu *cpu)
{
  g_autofree char *holders = dup_holders (map, cpu);

  if (!cpu->service)
    return g_steal_pointer (&holders);
  return holders[0] != '\0' ? g_strconcat (holders, separator (map), "e", NULL) : g_strdup ("e");
}

gboolean
vp_map_is_host_share (const VpMapCpu *cpu)
{
  return cpu->pu != NULL && cpu->pu->usable && cpu->holds->len == 0;
}

const char *
vp_map_state_name (VpMapState state)
{
  static const char *const names[] = {
    [VP_MAP_FILE] = "definition",
    [VP_MAP_STOPPED] = "stopped",
    [VP_MAP_RUNNING] = "running",
  };

  return names[state];
}

char *
vp_map_dup_kind (const VpTopology *topology, const VpCore *core)
{
  if (topology->n_kinds < 2)
    return NULL;
  if (topology->n_kinds > 3)
    return g_strdup_printf ("K%u", core->kind);
  return g_strdup (core->kind == 0 ? "E" : core->kind + 1 == topology->n_kinds ? "P" : "M");
}
