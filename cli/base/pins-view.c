/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pins as text and as JSON. */
#include "cli/base/pins-view.h"

#include <string.h>

#include "cli/base/output.h"

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
    g_string_append_printf (list, "%s%s",
                            i == 0      ? ""
                            : is_single ? ","
                                        : " ",
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
