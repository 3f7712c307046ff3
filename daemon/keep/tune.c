/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pins the threads of a running guest through libvirt. Changes no definition. */
#include "daemon/keep/tune.h"

#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "domain/pins.h"
#include "placement/placement-request.h"
#include "profile/tag.h"

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
pin_vcpu (virDomainPtr domain, const VpPlacement *placement, guint place, GError **error)
{
  g_autoptr (VpBitmap) set = vp_placement_new_set (placement, place);

  if (set == NULL)
    return TRUE;
  g_autoptr (GByteArray) map = new_cpu_map (set);
  if (virDomainPinVcpuFlags (domain, placement->ids[place], map->data, (int) map->len, VIR_DOMAIN_AFFECT_LIVE) == 0)
    return TRUE;
  g_autofree char *list = vp_list_dup (set);
  vp_libvirt_set_error (error, "cannot pin vCPU %u to CPU %s", placement->ids[place], list);
  return FALSE;
}

static gboolean
pin_vcpus (virDomainPtr domain, const VpPlacement *placement, GError **error)
{
  for (guint i = 0; i < placement->n_vcpus + placement->n_offline; i++)
    if (!pin_vcpu (domain, placement, i, error))
      return FALSE;
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

/* As the guest runs, wherever that is; NULL: its profile does not pin, nothing is offline, or its pins are no places. */
static VpPlacement *
place_offline (const VpDomain *live, const VpHost *host, const VpProfiles *profiles, const VpNeighbours *neighbours)
{
  g_autoptr (VpTag) tag = vp_domain_was_prepared (live) ? vp_tag_resolve (vp_domain_tag (live), profiles, NULL) : NULL;
  g_autoptr (VpPlacementRequest) own = tag != NULL && vp_settings_pin (tag->settings)
                                         ? vp_placement_request_new (live, live, host, tag->settings, NULL)
                                         : NULL;

  if (own == NULL || own->n_offline == 0)
    return NULL;
  VpPlacementRequest request = *own; /* its memory stays own's */
  request.match = FALSE;             /* what it is shown is in its definition */
  request.fixed = TRUE;
  request.taken = neighbours->taken;
  request.planned = neighbours->planned;
  g_autoptr (VpPlacement) answer = vp_placement_new (host->topology, &request, NULL);
  if (answer == NULL || answer->vcpus == NULL ||
      memcmp (answer->vcpus, own->current, own->n_vcpus * sizeof *own->current) != 0)
    return NULL;
  return g_steal_pointer (&answer);
}

gboolean
vp_tune_offline (virDomainPtr domain, const VpDomain *live, const VpHost *host, const VpProfiles *profiles,
                 const VpNeighbours *neighbours, GError **error)
{
  g_autoptr (VpPlacement) answer = place_offline (live, host, profiles, neighbours);
  g_autoptr (VpPins) pins = answer != NULL ? vp_pins_read (live) : NULL;

  for (guint i = 0; answer != NULL && i < answer->n_offline; i++) {
    guint place = answer->n_vcpus + i;
    g_autoptr (VpBitmap) wanted = vp_placement_new_set (answer, place);
    g_autoptr (VpBitmap) present = vp_pins_new_vcpu_set (pins, answer->ids[place]);
    if (wanted != NULL && (present == NULL || !hwloc_bitmap_isequal (wanted, present)) &&
        !pin_vcpu (domain, answer, place, error))
      return FALSE;
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
