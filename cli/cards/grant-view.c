/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table, JSON and a few words. */
#include "cli/cards/grant-view.h"

#include "base/list.h"
#include "cli/base/output.h"
#include "cli/cards/sequester-view.h"
#include "devices/devices.h"

static const char *
state_of (const VpGrantFiles *files, const GArray *devices, const VpGrant *grant)
{
  return vp_sequester_state_word (vp_sequester_get_state (files->root, devices, &grant->ids));
}

void
vp_grant_print (const VpGrantFiles *files)
{
  static const char *const heads[] = { "USER", "ADDRESS", "IDS", "MAY LOCK", "STATE", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);
  g_autoptr (GArray) devices = vp_pci_read_devices (files->root);

  for (guint i = 0; i < files->grants->len; i++) {
    const VpGrant *grant = files->grants->pdata[i];
    g_autofree char *address = vp_pci_address_dup_text (&grant->ids.address);
    g_autofree char *ids = vp_device_ids_dup_text (&grant->ids);
    guint64 limit_kib = vp_grant_read_limit (files, grant->uid);
    g_autofree char *lock = g_strdup_printf ("%.1f GiB", (double) limit_kib / (1024 * 1024));
    const char *cells[] = { grant->user, address, ids, lock, state_of (files, devices, grant) };
    vp_table_add (table, 0, VP_STYLE_PLAIN, cells);
  }
  if (files->grants->len == 0)
    vp_output_line (VP_STYLE_PLAIN, "no card is granted");
  else
    vp_table_print (table);
}

json_object *
vp_grant_to_json (const VpGrantFiles *files)
{
  json_object *array = json_object_new_array ();
  g_autoptr (GArray) devices = vp_pci_read_devices (files->root);

  for (guint i = 0; i < files->grants->len; i++) {
    const VpGrant *grant = files->grants->pdata[i];
    g_autofree char *address = vp_pci_address_dup_text (&grant->ids.address);
    g_autofree char *ids = vp_device_ids_dup_text (&grant->ids);
    guint64 limit_kib = vp_grant_read_limit (files, grant->uid);
    json_object *object = json_object_new_object ();
    json_object_object_add (object, "user", vp_output_json_string (grant->user));
    json_object_object_add (object, "address", vp_output_json_string (address));
    json_object_object_add (object, "ids", vp_output_json_string (ids));
    json_object_object_add (object, "limit_kib", json_object_new_int64 ((int64_t) limit_kib));
    json_object_object_add (object, "state", vp_output_json_string (state_of (files, devices, grant)));
    json_object_array_add (array, object);
  }
  return array;
}

void
vp_grant_say (const VpGrantUser *user, guint64 limit_kib, const GArray *picks)
{
  g_autoptr (GPtrArray) waiting = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    if (!vp_pci_is_on_vfio (device))
      g_ptr_array_add (waiting, vp_pci_address_dup_text (&device->address));
  }
  vp_output_line (VP_STYLE_PLAIN, "'%s' may lock %.1f GiB from the next login on", user->name,
                  (double) limit_kib / (1024 * 1024));
  if (waiting->len > 0) {
    g_autofree char *list = vp_list_dup_words (waiting);
    vp_output_line (VP_STYLE_PLAIN, "%s %s not on vfio-pci yet", list, waiting->len == 1 ? "is" : "are");
  }
}
