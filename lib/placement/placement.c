/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest: a fresh answer, held against the pins it has, then everything
 * that follows from the CPUs chosen. Whatever is said of an answer is derived
 * from its CPUs, so that an answer that is kept says the same again.
 */
#include "placement/placement.h"

#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "placement/placement-cells.h"
#include "placement/placement-host.h"
#include "placement/placement-offline.h"
#include "placement/placement-report.h"
#include "placement/placement-search.h"

/* The fresh answer's CPUs, with those vCPUs where they are now that have one of them. */
static void
keep_some (const VpPlacementView *view, const int *fresh, int *vcpus)
{
  guint n = view->request->n_vcpus;
  g_autoptr (VpBitmap) left = hwloc_bitmap_alloc ();
  guint next = 0;

  for (guint i = 0; i < n; i++)
    hwloc_bitmap_set (left, (unsigned) fresh[i]);
  for (guint i = 0; i < n; i++) {
    int cpu = view->request->current[i];

    vcpus[i] = cpu >= 0 && hwloc_bitmap_isset (left, (unsigned) cpu) ? cpu : -1;
    if (vcpus[i] >= 0)
      hwloc_bitmap_clr (left, (unsigned) cpu);
  }
  for (guint i = 0; i < n; i++) {
    if (vcpus[i] >= 0)
      continue;
    while (!hwloc_bitmap_isset (left, (unsigned) fresh[next]))
      next++;
    vcpus[i] = fresh[next++];
  }
}

/* Cells need the vCPUs of a node to stand together; the search sees to that, people may not. */
static gboolean
suits_cells (const VpPlacementView *view, const int *vcpus, const VpPlacementKey *key)
{
  const VpTopology *topology = view->topology;
  guint n_runs = 0;
  guint last = G_MAXUINT;

  if (!view->request->expose)
    return TRUE;
  for (guint i = 0; i < view->request->n_vcpus; i++) {
    guint node = topology->cores[topology->pus[vp_topology_find_pu (topology, (unsigned) vcpus[i])].core].node;
    n_runs += node != last ? 1 : 0;
    last = node;
  }
  return n_runs <= key->part[VP_PART_NODES];
}

static gboolean
is_as_good (const VpPlacementView *view, const int *vcpus, const VpPlacementKey *fresh, VpPlacementKey *key)
{
  return vp_placement_view_rate (view, vcpus, key) && vp_placement_key_compare (key, fresh) <= 0 &&
         suits_cells (view, vcpus, key);
}

/* Pins that are as good as the fresh answer by every rule stay; see placement.h. */
static void
prefer_current (const VpPlacementView *view, int *vcpus, VpPlacementKey *key)
{
  guint n = view->request->n_vcpus;
  g_autofree int *mixed = g_new (int, n);
  VpPlacementKey of_current;

  if (view->request->current == NULL)
    return;
  if (is_as_good (view, view->request->current, key, &of_current)) {
    memcpy (vcpus, view->request->current, n * sizeof *vcpus);
    *key = of_current;
    return;
  }
  keep_some (view, vcpus, mixed);
  if (is_as_good (view, mixed, key, &of_current)) {
    memcpy (vcpus, mixed, n * sizeof *vcpus);
    *key = of_current;
  }
}

/* NULL: there is no answer with pins. */
static int *
solve (const VpPlacementView *view, VpPlacementKey *key)
{
  const VpPlacementRequest *request = view->request;
  g_autofree int *vcpus = g_new (int, request->n_vcpus);

  if (request->fixed && request->current != NULL && vp_placement_view_rate (view, request->current, key)) {
    memcpy (vcpus, request->current, request->n_vcpus * sizeof *vcpus);
    return g_steal_pointer (&vcpus);
  }
  if (!(view->homes != NULL && vp_placement_cells_search (view, vcpus)) && !vp_placement_search (view, vcpus))
    return NULL;
  vp_placement_view_rate (view, vcpus, key);
  prefer_current (view, vcpus, key);
  return g_steal_pointer (&vcpus);
}

/*
 * Threads that the guest may have: as many as the host's cores, where its vCPUs come out even. Where some are
 * offline, they would often get other cores than those that the guest was shown: none while each that runs has a core
 * of its own, or they have gaps.
 */
static guint
find_matching_threads (const VpPlacementView *view, const VpPlacementKey *single)
{
  const VpPlacementRequest *request = view->request;
  guint width = MAX (view->width, 1);

  if (request->n_offline > 0 && (single->part[VP_PART_CORES] == request->n_vcpus ||
                                 (request->ids != NULL && request->ids[request->n_vcpus - 1] >= request->n_vcpus)))
    return 1;
  while ((request->n_vcpus + request->n_offline) % width != 0)
    width--;
  return width;
}

/* What goes before the guest's shape must not suffer from threads. */
static gboolean
is_worth_threads (const VpPlacementKey *with, const VpPlacementKey *without)
{
  if (with->part[VP_PART_SPLIT] != 0)
    return FALSE;
  for (guint i = 0; i <= VP_PART_KIND; i++) {
    if (with->part[i] != without->part[i])
      return with->part[i] < without->part[i];
  }
  return with->part[VP_PART_NODES] <= without->part[VP_PART_NODES];
}

static int *
solve_matching (const VpTopology *topology, const VpPlacementRequest *request, VpPlacementView **view,
                VpPlacementKey *key)
{
  *view = vp_placement_view_new (topology, request, 1);
  g_autofree int *single = solve (*view, key);
  guint threads = single != NULL ? find_matching_threads (*view, key) : 1;

  if (threads > 1) {
    g_autoptr (VpPlacementView) other = vp_placement_view_new (topology, request, threads);
    VpPlacementKey other_key;
    g_autofree int *matching = solve (other, &other_key);

    if (matching != NULL && is_worth_threads (&other_key, key)) {
      vp_placement_view_free (*view);
      *view = g_steal_pointer (&other);
      *key = other_key;
      return g_steal_pointer (&matching);
    }
  }
  return g_steal_pointer (&single);
}

/* The CPUs, and the level as far as they alone tell it. The view is made, whatever comes of it. */
static VpPlacement *
choose (const VpTopology *topology, const VpPlacementRequest *request, VpPlacementView **view, VpPlacementKey *key)
{
  VpPlacement *answer = g_new0 (VpPlacement, 1);

  answer->n_vcpus = request->n_vcpus;
  answer->n_offline = request->n_offline;
  answer->n_iothreads = request->n_iothreads;
  answer->warnings = g_ptr_array_new_with_free_func (g_free);
  if (request->match) {
    answer->vcpus = solve_matching (topology, request, view, key);
  } else {
    *view = vp_placement_view_new (topology, request, request->threads);
    answer->vcpus = solve (*view, key);
  }
  answer->level = answer->vcpus == NULL          ? VP_LEVEL_UNPINNED
                  : key->part[VP_PART_RUNG] == 2 ? VP_LEVEL_SHARED
                  : key->part[VP_PART_RUNG] == 1 ? VP_LEVEL_RESERVE
                                                 : VP_LEVEL_WHOLE_CORES;
  return answer;
}

VpPlacement *
vp_placement_choose (const VpTopology *topology, const VpPlacementRequest *request)
{
  g_autoptr (VpPlacementView) view = NULL;
  VpPlacementKey key = { .n_planned = 0 };

  return request->n_vcpus > 0 ? choose (topology, request, &view, &key) : NULL;
}

VpPlacement *
vp_placement_new (const VpTopology *topology, const VpPlacementRequest *request, GError **error)
{
  g_autoptr (VpPlacementView) view = NULL;
  VpPlacementKey key = { .n_planned = 0 };

  if (request->n_vcpus == 0) {
    g_set_error_literal (error, VP_ERROR, VP_ERROR_UNFIT,
                         "a guest without vCPUs cannot be placed; it needs at least 1");
    return NULL;
  }
  g_autoptr (VpPlacement) answer = choose (topology, request, &view, &key);
  if (answer->vcpus == NULL && request->pin == VP_PIN_REQUIRED) {
    g_autofree char *shortage = vp_placement_report_dup_shortage (view);

    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "cannot pin the guest: %s; give it fewer vCPUs, or do not require pins", shortage);
    return NULL;
  }
  if (answer->vcpus != NULL) {
    vp_placement_offline_fill (view, answer);
    vp_host_side_fill (view, &key, answer);
  }
  vp_placement_report_fill (view, &key, answer);
  return g_steal_pointer (&answer);
}

hwloc_bitmap_t
vp_placement_new_set (const VpPlacement *placement, guint place)
{
  if (placement->vcpus[place] < 0)
    return placement->emulator != NULL ? hwloc_bitmap_dup (placement->emulator) : NULL;
  hwloc_bitmap_t set = hwloc_bitmap_alloc ();
  hwloc_bitmap_set (set, (unsigned) placement->vcpus[place]);
  return set;
}

void
vp_placement_free (VpPlacement *placement)
{
  if (placement == NULL)
    return;
  for (guint i = 0; i < placement->n_iothreads && placement->iothreads != NULL; i++)
    hwloc_bitmap_free (placement->iothreads[i]);
  for (guint i = 0; i < placement->n_cells; i++)
    hwloc_bitmap_free (placement->cells[i].vcpus);
  hwloc_bitmap_free (placement->emulator);
  hwloc_bitmap_free (placement->nodes);
  if (placement->warnings != NULL)
    g_ptr_array_unref (placement->warnings);
  g_strfreev (placement->reasons);
  g_free (placement->iothreads);
  g_free (placement->cells);
  g_free (placement->summary);
  g_free (placement->vcpus);
  g_free (placement->ids);
  g_free (placement);
}
