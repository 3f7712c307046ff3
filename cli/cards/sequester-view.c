/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words, a table and JSON. */
#include "cli/cards/sequester-view.h"

#include "base/process.h"
#include "cli/base/output.h"
#include "cli/base/system.h"
#include "config.h"
#include "devices/devices.h"
#include "devices/sequester.h"

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

static void
say_pick (const VpSequesterPick *pick, VpDeviceNames *names)
{
  g_autofree char *title = vp_pci_dup_title (pick->device, names);

  vp_output_line (VP_STYLE_PLAIN, "  %s%s%s%s", title, pick->reason != NULL ? " (" : "",
                  pick->reason != NULL ? pick->reason : "", pick->reason != NULL ? ")" : "");
}

void
vp_sequester_say (const VpSequesterHost *host, const GArray *picks)
{
  for (guint i = 0; i < picks->len; i++)
    say_pick (&g_array_index (picks, VpSequesterPick, i), host->names);
}

/* One `install` line of modprobe's counts, and nobody says which. */
static void
warn_of_others (const VpRoot *root)
{
  static const char *const folders[] = { "etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d",
                                         "usr/lib/modprobe.d" };

  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_auto (GStrv) names = vp_root_list (root, folders[i]);
    for (guint j = 0; names[j] != NULL; j++) {
      gsize length = 0;
      g_autofree char *path = g_build_filename (folders[i], names[j], NULL);
      g_autofree char *text = vp_root_dup_bytes (root, path, 1024 * 1024, &length);
      if (text != NULL && !g_str_has_prefix (text, VP_SEQUESTER_MARK) &&
          g_regex_match_simple ("^\\s*install\\s+vfio[-_]pci\\s", text, G_REGEX_MULTILINE | G_REGEX_RAW, 0))
        vp_output_warn ("/%s also says what to do in place of loading vfio-pci, and modprobe heeds one of the two: "
                        "take that line out",
                        path);
    }
  }
}

void
vp_sequester_warn (const VpSequesterHost *host, const GArray *picks)
{
  g_autoptr (VpSystem) system = vp_system_read (host->root, FALSE);

  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    g_autofree char *address = vp_pci_address_dup_text (&device->address);
    if (device->driver != NULL && vp_sequester_is_built_in (host->root, device->driver))
      vp_output_warn ("%s: its driver %s is built into this kernel and takes it before anything can keep it off; a "
                      "kernel that has it as a module is needed",
                      address, device->driver);
    if (!device->boot_vga)
      continue;
    g_autofree char *advice = vp_system_dup_add_parameter (system, "initcall_blacklist=sysfb_init");
    vp_output_warn ("%s: the firmware's own picture on it (efifb, simpledrm) is no driver of the card's, and keeps its "
                    "memory: %s; the host shows nothing from then on",
                    address, advice);
  }
  warn_of_others (host->root);
}
