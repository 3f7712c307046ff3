/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became of the cards that host drivers are kept off. Changes nothing. */
#include "base/process.h"
#include "cli/base/output.h"
#include "cli/cards/sequester-cards.h"
#include "config.h"
#include "devices/devices.h"

static gboolean
is_newer_than_boot (const VpRoot *root)
{
  guint64 boot = vp_process_boot_time (root);
  struct stat info;

  return boot > 0 && vp_root_stat (root, &VP_SEQUESTER_LIST[1], &info) && info.st_mtime > (gint64) boot;
}

VpSequesterState
vp_sequester_get_state (const VpRoot *root, const GArray *devices, const VpDeviceIds *ids)
{
  const VpPciDevice *device = vp_pci_find (devices, &ids->address);

  if (device == NULL)
    return VP_SEQUESTER_GONE;
  if (device->vendor != ids->vendor || device->device != ids->device)
    return VP_SEQUESTER_MOVED;
  if (vp_pci_is_on_vfio (device))
    return VP_SEQUESTER_READY;
  return is_newer_than_boot (root) ? VP_SEQUESTER_WAITING : VP_SEQUESTER_MISSED;
}

const char *
vp_sequester_state_word (VpSequesterState state)
{
  static const char *const words[] = {
    [VP_SEQUESTER_READY] = "ready",   [VP_SEQUESTER_WAITING] = "next-boot", [VP_SEQUESTER_MISSED] = "missed",
    [VP_SEQUESTER_MOVED] = "another", [VP_SEQUESTER_GONE] = "gone",
  };

  return words[state];
}

static const char *
state_note (VpSequesterState state)
{
  switch (state) {
    case VP_SEQUESTER_MISSED:
      return "it was listed when the host booted, and is not on vfio-pci: the initramfs may be older than the list";
    case VP_SEQUESTER_MOVED:
      return "the device here has other ids than that which was listed, and is left alone";
    case VP_SEQUESTER_GONE:
      return "the host has no such device now";
    case VP_SEQUESTER_READY:
    case VP_SEQUESTER_WAITING:
      break;
  }
  return NULL;
}

typedef struct {
  char *address;
  char *ids;
  const char *driver; /* borrowed from the devices; NULL: none */
  VpSequesterState state;
} Line;

static void
line_clear (Line *line)
{
  g_free (line->address);
  g_free (line->ids);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Line, line_clear)

static Line
read_line (const VpRoot *root, const GArray *devices, const VpDeviceIds *ids)
{
  const VpPciDevice *device = vp_pci_find (devices, &ids->address);

  return (Line){ vp_pci_address_dup_text (&ids->address), vp_device_ids_dup_text (ids),
                 device != NULL ? device->driver : NULL, vp_sequester_get_state (root, devices, ids) };
}

void
vp_sequester_print (const VpRoot *root, const GArray *ids)
{
  static const char *const heads[] = { "ADDRESS", "IDS", "DRIVER", "STATE", NULL };
  static const VpStyle styles[] = {
    [VP_SEQUESTER_READY] = VP_STYLE_GOOD, [VP_SEQUESTER_WAITING] = VP_STYLE_WARN, [VP_SEQUESTER_MISSED] = VP_STYLE_BAD,
    [VP_SEQUESTER_MOVED] = VP_STYLE_BAD,  [VP_SEQUESTER_GONE] = VP_STYLE_BAD,
  };
  g_autoptr (VpTable) table = vp_table_new (heads);
  g_autoptr (GArray) devices = vp_pci_read_devices (root);

  for (guint i = 0; i < ids->len; i++) {
    g_auto (Line) line = read_line (root, devices, &g_array_index (ids, VpDeviceIds, i));
    const char *cells[] = { line.address, line.ids, line.driver, vp_sequester_state_word (line.state) };
    vp_table_add (table, 3, styles[line.state], cells);
    if (state_note (line.state) != NULL)
      vp_table_note (table, state_note (line.state));
  }
  vp_table_print (table);
}

json_object *
vp_sequester_to_json (const VpRoot *root, const GArray *ids)
{
  json_object *array = json_object_new_array ();
  g_autoptr (GArray) devices = vp_pci_read_devices (root);

  for (guint i = 0; i < ids->len; i++) {
    g_auto (Line) line = read_line (root, devices, &g_array_index (ids, VpDeviceIds, i));
    json_object *object = json_object_new_object ();
    json_object_object_add (object, "address", vp_output_json_string (line.address));
    json_object_object_add (object, "ids", vp_output_json_string (line.ids));
    json_object_object_add (object, "driver", vp_output_json_string (line.driver));
    json_object_object_add (object, "state", vp_output_json_string (vp_sequester_state_word (line.state)));
    json_object_array_add (array, object);
  }
  return array;
}
