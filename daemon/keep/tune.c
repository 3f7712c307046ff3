/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pins the threads of a running guest through libvirt. Changes no definition. */
#include "daemon/keep/tune.h"

#include <string.h>

#include "base/error.h"
#include "base/list.h"

/* libvirt's CPU maps: bit N of byte N / 8 is CPU N. */
static GByteArray *
new_cpu_map (hwloc_const_bitmap_t cpus)
{
  GByteArray *map = g_byte_array_new ();

  for (int cpu = hwloc_bitmap_first (cpus); cpu >= 0; cpu = hwloc_bitmap_next (cpus, cpu)) {
    guint need = (guint) cpu / 8 + 1;
    guint had = map->len;
    if (need > had) {
      g_byte_array_set_size (map, need);
      memset (map->data + had, 0, need - had);
    }
    map->data[cpu / 8] |= (guint8) (1u << (cpu % 8));
  }
  return map;
}

static gboolean
pin_vcpus (virDomainPtr domain, const VpPlacement *placement, GError **error)
{
  for (guint i = 0; i < placement->n_vcpus; i++) {
    g_autoptr (VpBitmap) one = hwloc_bitmap_alloc ();
    hwloc_bitmap_only (one, (unsigned) placement->vcpus[i]);
    g_autoptr (GByteArray) map = new_cpu_map (one);
    if (virDomainPinVcpuFlags (domain, i, map->data, (int) map->len, VIR_DOMAIN_AFFECT_LIVE) != 0) {
      vp_libvirt_set_error (error, "cannot pin vCPU %u to CPU %d", i, placement->vcpus[i]);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
pin_others (virDomainPtr domain, const VpPlacement *placement, const GArray *iothreads, GError **error)
{
  if (placement->emulator != NULL) {
    g_autoptr (GByteArray) map = new_cpu_map (placement->emulator);
    if (virDomainPinEmulator (domain, map->data, (int) map->len, VIR_DOMAIN_AFFECT_LIVE) != 0) {
      vp_libvirt_set_error (error, "cannot pin the emulator's threads");
      return FALSE;
    }
  }
  for (guint i = 0; placement->iothreads != NULL && i < placement->n_iothreads; i++) {
    guint id = g_array_index (iothreads, guint, i);
    g_autoptr (GByteArray) map = new_cpu_map (placement->iothreads[i]);
    if (virDomainPinIOThread (domain, id, map->data, (int) map->len, VIR_DOMAIN_AFFECT_LIVE) != 0) {
      vp_libvirt_set_error (error, "cannot pin iothread %u", id);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
vp_tune_live (virDomainPtr domain, const VpHost *host, const VpProfiles *profiles, const VpNeighbours *neighbours,
              GError **error)
{
  g_autoptr (VpDomain) running = vp_libvirt_read_live (domain, error);
  g_autoptr (VpPlan) plan =
    running != NULL ? vp_plan_new (running, host, profiles, neighbours, VP_PLAN_HOST_ONLY, error) : NULL;
  if (plan == NULL)
    return FALSE;
  if (plan->placement == NULL || plan->placement->level == VP_LEVEL_UNPINNED)
    return TRUE;
  g_autoptr (GArray) iothreads = vp_domain_iothreads (running);
  if (!pin_vcpus (domain, plan->placement, error) || !pin_others (domain, plan->placement, iothreads, error))
    return FALSE;
  g_message ("domain '%s': it started on other CPUs than planned and was pinned live: %s", plan->domain,
             plan->placement->summary);
  return TRUE;
}
