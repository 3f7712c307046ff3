/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pins: vCPUs, emulator thread, iothreads, and the NUMA nodes that memory comes
 * from. Which CPUs those are is placement's matter; this turns the domain into a
 * request and the answer into XML. All of it is host-only.
 */

#include "vp-rule.h"

/* GPUs first: their traffic is what the node matters for. `name` is the first one's address. */
static GArray *
list_device_nodes (const VpRuleContext *context, char **name)
{
  GArray *nodes = g_array_new (FALSE, FALSE, sizeof (int));
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (context->original);

  for (int pass = 0; pass < 2; pass++) {
    for (guint i = 0; i < hostdevs->len; i++) {
      const VpPciDevice *device =
        vp_host_find_device (context->host, &g_array_index (hostdevs, VpHostdev, i).address);
      gboolean is_gpu = device != NULL && device->class_code >> 16 == VP_PCI_CLASS_DISPLAY;
      if (device == NULL || device->node < 0 || is_gpu != (pass == 0))
        continue;
      g_array_append_val (nodes, device->node);
      if (*name == NULL)
        *name = vp_pci_address_dup_text (&device->address);
    }
  }
  return nodes;
}

static int *
list_present_pins (const VpDomain *domain, guint n_vcpus)
{
  int *pins = g_new (int, n_vcpus);

  for (guint i = 0; i < n_vcpus; i++)
    pins[i] = vp_domain_vcpu_pin (domain, i);
  return pins;
}

static VpPlacement *
place (const VpRuleContext *context, const GArray *iothreads, GError **error)
{
  g_autofree char *name = NULL;
  g_autoptr (GArray) nodes = list_device_nodes (context, &name);
  VpPlacementRequest request = {
    .n_vcpus = vp_domain_vcpus (context->original, error),
    .threads = vp_domain_threads (context->original),
    .n_iothreads = iothreads->len,
    .device_nodes = (const int *) (void *) nodes->data,
    .n_device_nodes = nodes->len,
    .device_name = name,
    .pin = (VpPin) vp_settings_choice (context->settings, VP_KEY_CPU_PIN),
    .reserve_cores =
      (guint) g_ascii_strtoull (vp_settings_get (context->settings, VP_KEY_CPU_RESERVE_CORES), NULL, 10),
    .kind = (VpKind) vp_settings_choice (context->settings, VP_KEY_CPU_KIND),
    .cache = (VpCache) vp_settings_choice (context->settings, VP_KEY_CPU_CACHE),
  };

  /* A topology that the user wrote stays, and with it the threads that it names. */
  request.match = vp_settings_choice (context->settings, VP_KEY_CPU_TOPOLOGY) == VP_TOPOLOGY_MATCH &&
                  vp_xml_find (context->original->doc, "cpu/topology") == NULL;
  if (request.n_vcpus == 0)
    return NULL;
  request.memory_kib = vp_domain_memory_kib (context->original, error);
  if (request.memory_kib == 0)
    return NULL;
  g_autofree int *present = list_present_pins (context->present, request.n_vcpus);
  request.current = present;
  return vp_placement_new (context->host->topology, &request, error);
}

static char *
dup_cpu_list (hwloc_const_bitmap_t cpus)
{
  char *text = NULL;

  if (hwloc_bitmap_list_asprintf (&text, cpus) < 0)
    g_error ("out of memory");
  return text; /* from malloc, which is what g_free frees */
}

static void
want_vcpu_pins (VpRuleContext *context, const VpPlacement *placement)
{
  for (guint i = 0; i < placement->n_vcpus; i++) {
    g_autofree char *vcpu = g_strdup_printf ("%u", i);
    g_autofree char *cpu = g_strdup_printf ("%d", placement->vcpus[i]);
    vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup_printf ("cputune/vcpupin[@vcpu='%u']", i),
                  vp_xml_new ("vcpupin", "vcpu", vcpu, "cpuset", cpu, NULL), "vCPU %u → %s", i,
                  placement->reasons[i]);
  }
}

static void
want_other_pins (VpRuleContext *context, const VpPlacement *placement, const GArray *iothreads)
{
  if (placement->emulator != NULL) {
    g_autofree char *cpus = dup_cpu_list (placement->emulator);
    vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup ("cputune/emulatorpin"),
                  vp_xml_new ("emulatorpin", "cpuset", cpus, NULL),
                  "emulator threads → CPUs %s: the host's, nearest to the guest", cpus);
  }
  for (guint i = 0; placement->iothreads != NULL && i < placement->n_iothreads; i++) {
    guint id = g_array_index (iothreads, guint, i);
    g_autofree char *text = g_strdup_printf ("%u", id);
    g_autofree char *cpus = dup_cpu_list (placement->iothreads[i]);
    vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup_printf ("cputune/iothreadpin[@iothread='%u']", id),
                  vp_xml_new ("iothreadpin", "iothread", text, "cpuset", cpus, NULL),
                  "iothread %u → CPUs %s: the host's, nearest to the guest", id, cpus);
  }
}

static void
want_nodes (VpRuleContext *context, const VpPlacement *placement)
{
  if (placement->nodes == NULL)
    return;
  if (vp_xml_find (context->original->doc, "numatune/memnode") != NULL) {
    vp_rule_warn (context, "the domain binds its guest NUMA cells itself (numatune/memnode): that stays as it is");
    return;
  }
  g_autofree char *nodes = dup_cpu_list (placement->nodes);
  vp_rule_want (context, &vp_rule_cpu, VP_HOST_ONLY, g_strdup ("numatune/memory"),
                vp_xml_new ("memory", "mode", vp_settings_get (context->settings, VP_KEY_CPU_NUMA), "nodeset", nodes,
                            NULL),
                "memory from node %s, where the guest's CPUs are", nodes);
}

static gboolean
plan_cpu (VpRuleContext *context, GError **error)
{
  g_autoptr (GArray) iothreads = vp_domain_iothreads (context->original);

  if (vp_settings_choice (context->settings, VP_KEY_CPU_PIN) == VP_PIN_NO)
    return TRUE;
  VpPlacement *placement = place (context, iothreads, error);
  context->plan->placement = placement;
  if (placement == NULL)
    return FALSE;
  for (guint i = 0; i < placement->warnings->len; i++)
    vp_rule_warn (context, "%s", (const char *) placement->warnings->pdata[i]);
  if (placement->level == VP_LEVEL_UNPINNED)
    return TRUE;
  /* With placement='auto' libvirt asks numad and ignores emulatorpin. */
  g_autofree char *automatic = vp_xml_dup_place_value (context->original->doc, "vcpu/@placement");
  if (g_strcmp0 (automatic, "auto") == 0)
    vp_rule_want_attribute (context, &vp_rule_cpu, VP_HOST_ONLY, "vcpu/@placement", "static",
                            "libvirt must not ask numad for CPUs that are pinned here");
  want_vcpu_pins (context, placement);
  want_other_pins (context, placement, iothreads);
  want_nodes (context, placement);
  return TRUE;
}

static const char *const places[] = {
  "cputune/vcpupin\\[@vcpu='[0-9]{1,5}'\\]",
  "cputune/emulatorpin",
  "cputune/iothreadpin\\[@iothread='[0-9]{1,10}'\\]",
  "numatune/memory",
  "vcpu/@placement",
  NULL,
};

const VpRule vp_rule_cpu = { "cpu", places, plan_cpu };
