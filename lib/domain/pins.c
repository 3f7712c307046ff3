/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads <cputune> and <numatune>. */
#include "domain/pins.h"

#include "base/number.h"

static GPtrArray *
new_cells (guint n)
{
  GPtrArray *cells = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_set_size (cells, (int) n); /* all NULL */
  return cells;
}

static void
take_cpuset (GPtrArray *cells, guint at, const xmlNode *node)
{
  g_free (cells->pdata[at]);
  cells->pdata[at] = vp_xml_dup_attr (node, "cpuset");
}

static gboolean
read_index (const xmlNode *node, const char *name, guint64 *index)
{
  g_autofree char *text = vp_xml_dup_attr (node, name);

  return vp_number_parse (text, 10, G_MAXUINT, index);
}

static void
read_pin (const xmlNode *node, VpPins *pins)
{
  guint64 index = 0;

  if (vp_xml_is (node, "emulatorpin")) {
    g_free (pins->emulator);
    pins->emulator = vp_xml_dup_attr (node, "cpuset");
  } else if (vp_xml_is (node, "vcpupin") && read_index (node, "vcpu", &index) && index < pins->vcpus->len) {
    take_cpuset (pins->vcpus, (guint) index, node);
  } else if (vp_xml_is (node, "iothreadpin") && read_index (node, "iothread", &index)) {
    for (guint i = 0; i < pins->iothread_ids->len; i++)
      if (g_array_index (pins->iothread_ids, guint, i) == index)
        take_cpuset (pins->iothreads, i, node);
  }
}

VpPins *
vp_pins_read (const VpDomain *domain)
{
  VpPins *pins = g_new0 (VpPins, 1);
  const xmlNode *tune = vp_xml_child (vp_domain_root (domain), "cputune");
  const xmlNode *memory = vp_xml_find (domain->doc, "numatune/memory");

  pins->vcpus = new_cells (vp_domain_vcpus (domain, NULL));
  pins->iothread_ids = vp_domain_iothreads (domain);
  pins->iothreads = new_cells (pins->iothread_ids->len);
  pins->node = memory != NULL ? vp_xml_dup_attr (memory, "nodeset") : NULL;
  for (const xmlNode *node = tune != NULL ? vp_xml_first (tune) : NULL; node != NULL; node = vp_xml_next (node))
    read_pin (node, pins);
  return pins;
}

void
vp_pins_free (VpPins *pins)
{
  if (pins == NULL)
    return;
  g_ptr_array_unref (pins->vcpus);
  g_free (pins->emulator);
  g_array_unref (pins->iothread_ids);
  g_ptr_array_unref (pins->iothreads);
  g_free (pins->node);
  g_free (pins);
}

/* vCPUs and emulator; iothreads are bound by their own pins alone. */
void
vp_pins_add_default (VpPins *pins, const VpDomain *domain)
{
  const xmlNode *node = vp_xml_child (vp_domain_root (domain), "vcpu");
  g_autofree char *cpuset = node != NULL ? vp_xml_dup_attr (node, "cpuset") : NULL;

  if (cpuset == NULL)
    return;
  for (guint i = 0; i < pins->vcpus->len; i++)
    if (pins->vcpus->pdata[i] == NULL)
      pins->vcpus->pdata[i] = g_strdup (cpuset);
  if (pins->emulator == NULL)
    pins->emulator = g_strdup (cpuset);
}

hwloc_bitmap_t
vp_pins_new_vcpu_set (const VpPins *pins, guint vcpu)
{
  return vcpu < pins->vcpus->len ? vp_list_parse (pins->vcpus->pdata[vcpu]) : NULL;
}

int
vp_pins_vcpu_cpu (const VpPins *pins, guint vcpu)
{
  g_autoptr (VpBitmap) cpus = vp_pins_new_vcpu_set (pins, vcpu);

  return cpus != NULL && hwloc_bitmap_weight (cpus) == 1 ? hwloc_bitmap_first (cpus) : -1;
}
