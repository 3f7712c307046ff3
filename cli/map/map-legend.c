/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of a map: its title, what each guest has, what the signs mean. */
#include "cli/base/pins-view.h"
#include "cli/map/map-view.h"

#include <string.h>

static void
append_count (GString *text, const char *before, guint n, const char *what)
{
  g_string_append_printf (text, "%s%u %s%s", before, n, what, n == 1 ? "" : "s");
}

char *
vp_map_dup_title (const VpMap *map)
{
  const VpTopology *topology = map->topology;
  GString *text = g_string_new (NULL);

  append_count (text, "", topology->n_pus, "CPU");
  append_count (text, " on ", topology->n_cores, "core");
  append_count (text, "; ", topology->n_packages, "package");
  append_count (text, ", ", topology->n_nodes, "node");
  append_count (text, ", ", topology->n_l3s, "L3");
  if (topology->n_kinds > 1)
    g_string_append_printf (text, ", %u kinds of core", topology->n_kinds);
  if (topology->n_offline > 0)
    g_string_append_printf (text, "; %u offline", topology->n_offline);
  return g_string_free (text, FALSE);
}

/* What a guest's pinned vCPUs stand on. */
typedef struct {
  guint n_cores;
  guint n_whole; /* all their threads are this guest's */
  gboolean has_threads;
  VpBitmap *l3s, *nodes; /* positions; OS indexes */
  GString *kinds;
} Footing;

static void
footing_clear (Footing *footing)
{
  hwloc_bitmap_free (footing->l3s);
  hwloc_bitmap_free (footing->nodes);
  g_string_free (footing->kinds, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Footing, footing_clear)

static gboolean
holds (const VpMapCpu *cpu, guint guest)
{
  for (guint i = 0; i < cpu->holds->len; i++)
    if (g_array_index (cpu->holds, VpMapHold, i).guest == guest)
      return TRUE;
  return FALSE;
}

static guint
count_threads (const VpMap *map, const VpCore *core, guint guest)
{
  guint n = 0;

  for (guint i = 0; i < core->n_pus; i++)
    n += holds (vp_map_cpu (map, core->first_pu + i), guest) ? 1 : 0;
  return n;
}

static Footing
find_footing (const VpMap *map, guint guest)
{
  const VpTopology *topology = map->topology;
  Footing footing = { .l3s = hwloc_bitmap_alloc (), .nodes = hwloc_bitmap_alloc (), .kinds = g_string_new (NULL) };

  for (guint i = 0; i < topology->n_cores; i++) {
    const VpCore *core = &topology->cores[i];
    guint n = count_threads (map, core, guest);
    if (n == 0)
      continue;
    footing.n_cores++;
    footing.n_whole += n == core->n_pus ? 1 : 0;
    footing.has_threads = footing.has_threads || core->n_pus > 1;
    hwloc_bitmap_set (footing.l3s, core->l3);
    if (topology->nodes[core->node].os_index != VP_NODE_NONE)
      hwloc_bitmap_set (footing.nodes, topology->nodes[core->node].os_index);
    g_autofree char *kind = vp_map_dup_kind (topology, core);
    if (kind != NULL && strstr (footing.kinds->str, kind) == NULL)
      g_string_append_printf (footing.kinds, "%s%s", footing.kinds->len > 0 ? "/" : "", kind);
  }
  return footing;
}

static void
append_footing (GString *text, const Footing *footing)
{
  g_autofree char *l3s = vp_list_dup (footing->l3s);
  g_autofree char *nodes = vp_list_dup (footing->nodes);
  const char *blank = footing->kinds->len > 0 ? " " : "";

  if (footing->has_threads && footing->n_whole == footing->n_cores)
    g_string_append_printf (text, " on %u whole", footing->n_cores);
  else
    g_string_append_printf (text, " on %u", footing->n_cores);
  g_string_append_printf (text, " %s%score%s", footing->kinds->str, blank, footing->n_cores == 1 ? "" : "s");
  if (footing->has_threads && footing->n_whole == 0)
    g_string_append (text, " (none whole)");
  else if (footing->has_threads && footing->n_whole < footing->n_cores)
    g_string_append_printf (text, " (%u whole)", footing->n_whole);
  g_string_append_printf (text, " of L3 %s", l3s);
  if (!hwloc_bitmap_iszero (footing->nodes))
    g_string_append_printf (text, ", node%s %s", hwloc_bitmap_weight (footing->nodes) == 1 ? "" : "s", nodes);
}

/* vCPUs cannot run there: libvirt refuses the start. NULL: no such pins. */
static char *
dup_unusable (const VpMap *map, guint guest)
{
  g_autoptr (VpBitmap) cpus = hwloc_bitmap_alloc ();

  for (guint i = 0; i < map->cpus->len; i++) {
    const VpMapCpu *cpu = vp_map_cpu (map, i);
    if ((cpu->pu == NULL || !cpu->pu->usable) && holds (cpu, guest))
      hwloc_bitmap_set (cpus, cpu->os_index);
  }
  return hwloc_bitmap_iszero (cpus) ? NULL : vp_list_dup (cpus);
}

char *
vp_map_dup_summary (const VpMap *map, guint position)
{
  const VpMapGuest *guest = vp_map_guest (map, position);
  g_autofree char *unusable = dup_unusable (map, position);
  g_auto (Footing) footing = find_footing (map, position);
  GString *text = g_string_new (NULL);

  append_count (text, "", guest->n_online, "vCPU");
  if (guest->n_pinned == 0)
    g_string_append (text, ", unpinned");
  else if (guest->n_pinned < guest->n_online)
    g_string_append_printf (text, ", %u of them unpinned, the others", guest->n_online - guest->n_pinned);
  if (footing.n_cores > 0)
    append_footing (text, &footing);
  if (guest->cpus->len > guest->n_online)
    g_string_append_printf (text, "; %u more offline", guest->cpus->len - guest->n_online);
  if (guest->missing != NULL)
    g_string_append_printf (text, "; this host has no CPU %s", guest->missing);
  if (unusable != NULL)
    g_string_append_printf (text, "; offline or not allowed: CPU %s", unusable);
  return g_string_free (text, FALSE);
}

static void
entry_free (gpointer data)
{
  VpMapEntry *entry = data;

  g_free (entry->mark);
  g_free (entry->text);
  g_free (entry->note);
  g_free (entry);
}

/* Takes over the text. */
static VpMapEntry *
add_entry (GPtrArray *entries, const char *mark, VpStyle style, char *text)
{
  VpMapEntry *entry = g_new0 (VpMapEntry, 1);

  entry->mark = g_strdup (mark);
  entry->guest = -1;
  entry->style = style;
  entry->text = text;
  g_ptr_array_add (entries, entry);
  return entry;
}

static void
add_guest (const VpMap *map, guint position, GPtrArray *entries)
{
  const VpMapGuest *guest = vp_map_guest (map, position);
  g_autofree char *summary = vp_map_dup_summary (map, position);
  g_autofree char *name = vp_map_dup_clean (guest->name);
  g_autofree char *pins = vp_pins_dup_text (guest->pins);
  VpMapEntry *entry = add_entry (entries, guest->label, VP_STYLE_PLAIN,
                                 g_strdup_printf ("%s (%s): %s", name, vp_map_state_name (guest->state), summary));

  entry->guest = (int) position;
  entry->note = pins != NULL ? vp_map_dup_clean (pins) : NULL;
}

static void
add_conflict (const VpMap *map, const VpMapConflict *conflict, GPtrArray *entries)
{
  g_autofree char *cpus = vp_list_dup (conflict->cpus);
  const char *s = hwloc_bitmap_weight (conflict->cpus) == 1 ? "" : "s";
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  guint n = conflict->guests->len;

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (words, vp_map_guest (map, g_array_index (conflict->guests, guint, i))->label);
  g_autofree char *labels = vp_list_dup_words (words);
  if (n == 1)
    add_entry (entries, "!", VP_STYLE_BAD,
               g_strdup_printf ("conflict: CPU%s %s: more than one vCPU of %s on each", s, cpus, labels));
  else
    add_entry (entries, "!", conflict->n_running > 1 ? VP_STYLE_BAD : VP_STYLE_WARN,
               g_strdup_printf ("conflict: CPU%s %s: held by %s%s", s, cpus, labels,
                                conflict->n_running == n  ? ", which run now"
                                : conflict->n_running > 1 ? ", some of which run now"
                                                          : ""));
}

static gboolean
is_service (const VpMapCpu *cpu)
{
  return cpu->service;
}

static gboolean
is_isolated (const VpMapCpu *cpu)
{
  return cpu->pu != NULL && cpu->pu->isolated;
}

static gboolean
is_disallowed (const VpMapCpu *cpu)
{
  return cpu->pu != NULL && !cpu->pu->usable;
}

static gboolean
is_offline (const VpMapCpu *cpu)
{
  return cpu->pu == NULL;
}

static const struct {
  const char *mark;
  gboolean (*is) (const VpMapCpu *cpu);
  const char *text;
} signs[] = {
  { VP_MAP_HOST_MARK, vp_map_is_host_share, "the host's share, no vCPU is pinned here" },
  { "e", is_service, "emulator threads or iothreads are pinned here" },
  { "i", is_isolated, "isolated from the scheduler" },
  { "x", is_disallowed, "not allowed to this session's cgroup" },
  { "o", is_offline, "offline" },
};

static void
add_signs (const VpMap *map, GPtrArray *entries)
{
  for (gsize i = 0; i < G_N_ELEMENTS (signs); i++) {
    g_autoptr (VpBitmap) cpus = hwloc_bitmap_alloc ();
    for (guint j = 0; j < map->cpus->len; j++)
      if (signs[i].is (vp_map_cpu (map, j)))
        hwloc_bitmap_set (cpus, vp_map_cpu (map, j)->os_index);
    g_autofree char *list = vp_list_dup (cpus);
    if (!hwloc_bitmap_iszero (cpus))
      add_entry (entries, signs[i].mark, VP_STYLE_DIM, g_strdup_printf ("%s: %s", signs[i].text, list));
  }
  if (map->topology->n_kinds > 3)
    add_entry (entries, "K", VP_STYLE_DIM,
               g_strdup_printf ("kinds of core, from K0 up to K%u, which performs most", map->topology->n_kinds - 1));
  else if (map->topology->n_kinds > 1)
    add_entry (entries, "P", VP_STYLE_DIM,
               g_strdup_printf ("performance cores, E: efficiency cores%s",
                                map->topology->n_kinds == 3 ? ", M: those between" : ""));
}

GPtrArray *
vp_map_legend (const VpMap *map)
{
  GPtrArray *entries = g_ptr_array_new_with_free_func (entry_free);

  for (guint i = 0; i < map->guests->len; i++)
    add_guest (map, i, entries);
  for (guint i = 0; i < map->conflicts->len; i++)
    add_conflict (map, map->conflicts->pdata[i], entries);
  add_signs (map, entries);
  return entries;
}
