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

static void
fill_bound (VpPlacementRequest *self, const VpDomain *original)
{
  g_autoptr (GArray) cells = vp_domain_bound_cells (original);

  self->n_bound = cells->len;
  /* The array's memory is taken over, and the bitmaps with it. */
  g_array_set_clear_func (cells, NULL);
  self->bound = (VpBoundCell *) g_array_free (g_steal_pointer (&cells), FALSE);
}

static int *
list_pins (const VpDomain *domain, guint n_vcpus)
{
  g_autoptr (VpPins) pins = vp_pins_read (domain);
  int *cpus = g_new (int, n_vcpus);

  for (guint i = 0; i < n_vcpus; i++)
    cpus[i] = vp_pins_vcpu_cpu (pins, i);
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

  self->n_vcpus = vp_domain_vcpus (original, error);
  if (self->n_vcpus == 0)
    return NULL;
  self->memory_kib = vp_domain_memory_kib (original, error);
  if (self->memory_kib == 0)
    return NULL;
  self->threads = vp_domain_threads (original);
  self->n_iothreads = iothreads->len;
  self->current = list_pins (present, self->n_vcpus);
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
