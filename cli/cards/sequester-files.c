/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of sequestered cards: read, changed, taken away. Decides nothing about cards. */
#include "cli/cards/sequester-files.h"

#include "config.h"

#define MODPROBE_FILE "etc/modprobe.d/vfio-profile.conf"

static gboolean
read_files (VpSequester *self, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *text = vp_own_file_load (&self->place, MODPROBE_FILE, VP_SEQUESTER_MARK, &problem);

  if (problem != NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  self->modules = vp_sequester_parse_modules (text != NULL ? text : "");
  self->ids = vp_sequester_load (self->root, error);
  return self->ids != NULL;
}

gboolean
vp_sequester_open (VpSequester *self, const VpRoot *root, const char *folder, gboolean read, GError **error)
{
  self->root = root;
  self->place = (VpOwnPlace){ root, folder };
  return !read || read_files (self, error);
}

void
vp_sequester_clear (VpSequester *self)
{
  g_clear_pointer (&self->ids, g_array_unref);
  g_clear_pointer (&self->modules, g_ptr_array_unref);
}

/* The list first: without one the other file does nothing. */
static gboolean
write_files (const VpSequester *self, GPtrArray *changed, GError **error)
{
  g_autofree char *list = vp_sequester_dup_list (self->ids);
  g_autofree char *modprobe = vp_sequester_dup_modprobe (self->modules);

  return vp_own_file_store (&self->place, &VP_SEQUESTER_LIST[1], VP_SEQUESTER_MARK, list, changed, error) &&
         vp_own_file_store (&self->place, MODPROBE_FILE, VP_SEQUESTER_MARK, modprobe, changed, error);
}

/* One that is listed with other ids is what is there now. */
static void
add_ids (GArray *ids, const VpPciDevice *device)
{
  VpDeviceIds *listed = (VpDeviceIds *) vp_device_ids_find (ids, &device->address);
  VpDeviceIds one = { device->address, device->vendor, device->device };

  if (listed != NULL)
    *listed = one;
  else
    g_array_append_val (ids, one);
}

static void
add_modules (const VpSequester *self, const VpPciDevice *device)
{
  g_autoptr (GPtrArray) found = vp_sequester_find_modules (self->root, device);

  for (guint i = 0; i < found->len; i++)
    if (!g_ptr_array_find_with_equal_func (self->modules, found->pdata[i], g_str_equal, NULL))
      g_ptr_array_add (self->modules, g_strdup (found->pdata[i]));
}

gboolean
vp_sequester_add (VpSequester *self, const GArray *picks, GPtrArray *changed, GError **error)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    add_ids (self->ids, device);
    add_modules (self, device);
  }
  return write_files (self, changed, error);
}

/* Drivers that no card needs any more stay named: that does no harm. */
gboolean
vp_sequester_drop (VpSequester *self, const GArray *addresses, GPtrArray *changed, GError **error)
{
  for (guint i = self->ids->len; i > 0; i--)
    for (guint j = 0; j < addresses->len; j++)
      if (vp_pci_address_equal (&g_array_index (self->ids, VpDeviceIds, i - 1).address,
                                &g_array_index (addresses, VpPciAddress, j))) {
        g_array_remove_index (self->ids, i - 1);
        break;
      }
  return self->ids->len == 0 ? vp_sequester_remove (self, changed, error) : write_files (self, changed, error);
}

gboolean
vp_sequester_remove (const VpSequester *self, GPtrArray *removed, GError **error)
{
  return vp_own_file_remove (&self->place, MODPROBE_FILE, VP_SEQUESTER_MARK, removed, error) &&
         vp_own_file_remove (&self->place, &VP_SEQUESTER_LIST[1], VP_SEQUESTER_MARK, removed, error);
}
