/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads <cputune> and <numatune>; shows them as text and as JSON. */
#include "cli/base/pins.h"

#include <string.h>

#include "cli/base/output.h"

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

  return text != NULL && g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT, index, NULL);
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

static json_object *
cells_to_json (const GPtrArray *cells)
{
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < cells->len; i++)
    json_object_array_add (array, vp_output_json_string (cells->pdata[i]));
  return array;
}

json_object *
vp_pins_to_json (const VpPins *pins)
{
  json_object *object = json_object_new_object ();

  json_object_object_add (object, "vcpus", cells_to_json (pins->vcpus));
  json_object_object_add (object, "emulator", vp_output_json_string (pins->emulator));
  json_object_object_add (object, "iothreads", cells_to_json (pins->iothreads));
  json_object_object_add (object, "node", vp_output_json_string (pins->node));
  return object;
}

static void
append_part (GString *text, const char *name, const char *value)
{
  g_string_append_printf (text, "%s%s %s", text->len > 0 ? "; " : "", name, value);
}

/* A set of several CPUs has commas of its own. */
static void
append_cells (GString *text, const char *name, const GPtrArray *cells)
{
  g_autoptr (GString) list = g_string_new (NULL);
  gboolean is_pinned = FALSE;
  gboolean is_single = TRUE;

  for (guint i = 0; i < cells->len; i++) {
    const char *cell = cells->pdata[i];
    is_pinned = is_pinned || cell != NULL;
    is_single = is_single && (cell == NULL || strpbrk (cell, ",-^") == NULL);
  }
  for (guint i = 0; i < cells->len; i++)
    g_string_append_printf (list, "%s%s", i == 0 ? "" : is_single ? "," : " ",
                            cells->pdata[i] != NULL ? (const char *) cells->pdata[i] : "-");
  if (is_pinned)
    append_part (text, name, list->str);
}

char *
vp_pins_dup_text (const VpPins *pins)
{
  g_autoptr (GString) text = g_string_new (NULL);

  append_cells (text, "vCPUs", pins->vcpus);
  if (pins->emulator != NULL)
    append_part (text, "emulator", pins->emulator);
  append_cells (text, "iothreads", pins->iothreads);
  if (pins->node != NULL)
    append_part (text, "node", pins->node);
  return text->len > 0 ? g_string_free (g_steal_pointer (&text), FALSE) : NULL;
}
