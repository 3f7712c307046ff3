/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns a domain into a placement request. Places nothing. */
#include "placement/placement-request.h"

/* GPUs first: their traffic is what the node matters for. */
static void
fill_device_nodes (VpRequest *self, const VpDomain *original, const VpHost *host)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (original);

  for (int pass = 0; pass < 2; pass++) {
    for (guint i = 0; i < hostdevs->len; i++) {
      const VpPciDevice *device = vp_host_find_device (host, &g_array_index (hostdevs, VpHostdev, i).address);
      gboolean is_gpu = device != NULL && vp_pci_is_display (device);
      if (device == NULL || device->node < 0 || is_gpu != (pass == 0))
        continue;
      g_array_append_val (self->device_nodes, device->node);
      if (self->device_name == NULL)
        self->device_name = vp_pci_address_dup_text (&device->address);
    }
  }
}

static int *
list_pins (const VpDomain *domain, guint n_vcpus)
{
  int *pins = g_new (int, n_vcpus);

  for (guint i = 0; i < n_vcpus; i++)
    pins[i] = vp_domain_vcpu_pin (domain, i);
  return pins;
}

VpRequest *
vp_request_new (const VpDomain *original, const VpDomain *present, const VpHost *host, const VpSettings *settings,
                GError **error)
{
  g_autoptr (VpRequest) self = g_new0 (VpRequest, 1);
  g_autoptr (GArray) iothreads = vp_domain_iothreads (original);
  VpPlacementRequest *request = &self->request;

  self->device_nodes = g_array_new (FALSE, FALSE, sizeof (int));
  request->n_vcpus = vp_domain_vcpus (original, error);
  if (request->n_vcpus == 0)
    return NULL;
  request->memory_kib = vp_domain_memory_kib (original, error);
  if (request->memory_kib == 0)
    return NULL;
  fill_device_nodes (self, original, host);
  self->current = list_pins (present, request->n_vcpus);
  request->threads = vp_domain_threads (original);
  request->n_iothreads = iothreads->len;
  request->device_nodes = (const int *) (void *) self->device_nodes->data;
  request->n_device_nodes = self->device_nodes->len;
  request->device_name = self->device_name;
  request->current = self->current;
  request->pin = (VpPin) vp_settings_choice (settings, VP_KEY_CPU_PIN);
  request->reserve_cores =
    (guint) g_ascii_strtoull (vp_settings_get (settings, VP_KEY_CPU_RESERVE_CORES), NULL, 10);
  request->kind = (VpKind) vp_settings_choice (settings, VP_KEY_CPU_KIND);
  request->cache = (VpCache) vp_settings_choice (settings, VP_KEY_CPU_CACHE);
  request->expose = vp_settings_choice (settings, VP_KEY_CPU_NUMA) == VP_NUMA_EXPOSE;
  /* A topology that the user wrote stays, and with it the threads that it names. */
  request->match = vp_settings_choice (settings, VP_KEY_CPU_TOPOLOGY) == VP_TOPOLOGY_MATCH &&
                   vp_xml_find (original->doc, "cpu/topology") == NULL;
  return g_steal_pointer (&self);
}

void
vp_request_free (VpRequest *self)
{
  if (self == NULL)
    return;
  g_array_unref (self->device_nodes);
  g_free (self->device_name);
  g_free (self->current);
  g_free (self);
}

gboolean
vp_settings_pin (const VpSettings *settings)
{
  return vp_settings_choice (settings, VP_KEY_CPU_PIN) != VP_PIN_NO;
}
