/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns a domain into a placement request. Places nothing. */
#include "placement/placement-request.h"

#include "domain/pins.h"

/* GPUs first: their traffic is what the node matters for. */
static void
fill_device_nodes (VpPlacementRequest *self, const VpDomain *original, const VpHost *host)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (original);
  g_autofree int *nodes = g_new (int, hostdevs->len + 1);

  for (int pass = 0; pass < 2; pass++) {
    for (guint i = 0; i < hostdevs->len; i++) {
      const VpPciDevice *device = vp_host_find_device (host, &g_array_index (hostdevs, VpHostdev, i).address);
      gboolean is_gpu = device != NULL && vp_pci_is_display (device);
      if (device == NULL || device->node < 0 || is_gpu != (pass == 0))
        continue;
      if (self->n_device_nodes == 0)
        self->device_name = vp_pci_address_dup_text (&device->address);
      nodes[self->n_device_nodes++] = device->node;
    }
  }
  self->device_nodes = g_steal_pointer (&nodes);
}

/* Of the guest core's vCPUs, which begin there. */
static guint
count_online (hwloc_const_bitmap_t online, guint first, guint n)
{
  guint count = 0;

  for (guint i = first; i < first + n; i++)
    count += hwloc_bitmap_isset (online, i) ? 1 : 0;
  return count;
}

/*
 * Those that run are placed as if they were all: guest cores that run whole, then the one of which a part does. Where
 * there are more of such parts, what is off of these has its place beside the others, or two guest cores would be on
 * one host core. A guest of which no core runs two threads has none.
 */
static void
fill_vcpus (VpPlacementRequest *self, const VpDomain *original, hwloc_const_bitmap_t online, guint n)
{
  guint threads = vp_domain_threads (original);
  guint *ids = g_new (guint, n);
  guint most = 0;
  guint n_parts = 0;
  guint next = 0;

  for (guint first = 0; first < n; first += threads) {
    guint n_on = count_online (online, first, MIN (threads, n - first));
    most = MAX (most, n_on);
    n_parts += n_on > 0 && n_on < MIN (threads, n - first) ? 1 : 0;
  }
  gboolean fill = most > 1 && n_parts > 1;
  for (guint pass = 0; pass < 3; pass++) {
    for (guint first = 0; first < n; first += threads) {
      guint size = MIN (threads, n - first);
      guint n_on = count_online (online, first, size);
      guint last_pass = fill && n_on > 0 ? 0 : 2;
      for (guint i = first; i < first + size; i++)
        if (pass == (!hwloc_bitmap_isset (online, i) ? last_pass : n_on < size && !fill ? 1 : 0))
          ids[next++] = i;
    }
    self->n_vcpus = pass < 2 ? next : self->n_vcpus;
  }
  self->ids = ids;
  self->n_offline = n - self->n_vcpus;
  self->n_beside = self->n_vcpus - (guint) hwloc_bitmap_weight (online);
  self->core_threads = threads;
  self->threads = self->n_offline > 0 && most < 2 ? 1 : threads;
}

/* By the places of those that run, and behind them of those that are off. */
static hwloc_bitmap_t
new_places (const VpPlacementRequest *self, hwloc_const_bitmap_t vcpus)
{
  hwloc_bitmap_t places = hwloc_bitmap_alloc ();

  for (guint i = 0; i < self->n_vcpus + self->n_offline; i++)
    if (hwloc_bitmap_isset (vcpus, self->ids[i]))
      hwloc_bitmap_set (places, i);
  return places;
}

static void
fill_bound (VpPlacementRequest *self, const VpDomain *original)
{
  g_autoptr (GArray) cells = vp_domain_bound_cells (original);

  self->n_bound = cells->len;
  for (guint i = 0; i < cells->len; i++) {
    VpBoundCell *cell = &g_array_index (cells, VpBoundCell, i);
    g_autoptr (VpBitmap) vcpus = cell->vcpus;
    cell->vcpus = new_places (self, vcpus);
  }
  /* The array's memory is taken over, and the bitmaps with it. */
  g_array_set_clear_func (cells, NULL);
  self->bound = (VpBoundCell *) g_array_free (g_steal_pointer (&cells), FALSE);
}

/* What a vCPU is pinned to while it is off in `domain` alone is nobody's yet. */
static int *
list_pins (const VpDomain *domain, const VpPlacementRequest *request, hwloc_const_bitmap_t wanted)
{
  g_autoptr (VpPins) pins = vp_pins_read (domain);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (domain);
  int *cpus = g_new (int, request->n_vcpus);

  for (guint i = 0; i < request->n_vcpus; i++) {
    guint id = request->ids[i];
    gboolean is_held = hwloc_bitmap_isset (online, id) || !hwloc_bitmap_isset (wanted, id);
    cpus[i] = is_held ? vp_pins_vcpu_cpu (pins, id) : -1;
  }
  return cpus;
}

static void
fill_settings (VpPlacementRequest *self, const VpDomain *original, const VpSettings *settings)
{
  self->pin = (VpPin) vp_settings_choice (settings, VP_KEY_CPU_PIN);
  self->reserve_cores = (guint) g_ascii_strtoull (vp_settings_get (settings, VP_KEY_CPU_RESERVE_CORES), NULL, 10);
  self->kind = (VpCoreKind) vp_settings_choice (settings, VP_KEY_CPU_KIND);
  self->cache = (VpCache) vp_settings_choice (settings, VP_KEY_CPU_CACHE);
  self->expose = vp_settings_choice (settings, VP_KEY_CPU_NUMA) == VP_NUMA_EXPOSE;
  /* A topology that the user wrote stays, and with it the threads that it names. */
  self->match = vp_settings_choice (settings, VP_KEY_CPU_TOPOLOGY) == VP_TOPOLOGY_MATCH &&
                vp_xml_find (original->doc, "cpu/topology") == NULL;
}

void
vp_placement_request_free (VpPlacementRequest *request)
{
  if (request == NULL)
    return;
  g_free ((gpointer) request->ids);
  g_free ((gpointer) request->device_nodes);
  g_free ((gpointer) request->device_name);
  g_free ((gpointer) request->current);
  for (guint i = 0; i < request->n_bound; i++) {
    hwloc_bitmap_free (request->bound[i].vcpus);
    hwloc_bitmap_free (request->bound[i].nodes);
  }
  g_free ((gpointer) request->bound);
  g_free (request);
}

VpPlacementRequest *
vp_placement_request_new (const VpDomain *original, const VpDomain *present, const VpHost *host,
                          const VpSettings *settings, GError **error)
{
  g_autoptr (VpPlacementRequest) self = g_new0 (VpPlacementRequest, 1);
  g_autoptr (GArray) iothreads = vp_domain_iothreads (original);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (original);
  guint n_vcpus = vp_domain_vcpus (original, error);
  if (n_vcpus == 0)
    return NULL;
  self->memory_kib = vp_domain_memory_kib (original, error);
  if (self->memory_kib == 0)
    return NULL;
  fill_vcpus (self, original, online, n_vcpus);
  self->n_iothreads = iothreads->len;
  self->current = list_pins (present, self, online);
  fill_device_nodes (self, original, host);
  fill_bound (self, original);
  fill_settings (self, original, settings);
  return g_steal_pointer (&self);
}

gboolean
vp_settings_pin (const VpSettings *settings)
{
  return vp_settings_choice (settings, VP_KEY_CPU_PIN) != VP_PIN_NO;
}
