/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* groups: the host's IOMMU groups, and which can go to a guest. Writes nothing. */
#include "base/error.h"
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/cards/groups.h"
#include "devices/device-kernel.h"

static gboolean
show (const char *sysfs, gboolean json, GError **error)
{
  g_autoptr (VpRoot) root = sysfs != NULL ? vp_root_open_sysfs (sysfs, error) : vp_root_open ("/", error);

  if (root == NULL)
    return FALSE;
  g_autoptr (VpGroups) groups = vp_groups_read (root);
  g_autoptr (VpDeviceNames) names = vp_device_names_new (NULL);
  if (groups->groups->len == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "the host has no IOMMU groups, so none of its %u PCI devices can be assigned: %s; "
                 "'vfio-profile doctor' says what to do",
                 groups->devices->len,
                 vp_kernel_read_has_iommu (root) ? "its IOMMU is not used for devices" : "it uses no IOMMU");
    return FALSE;
  }
  if (json)
    return vp_output_json (vp_groups_to_json (groups, names), error);
  vp_groups_print (groups, names);
  return TRUE;
}

static gboolean
run_groups (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_autofree char *sysfs = NULL;
  gboolean json = FALSE;
  const GOptionEntry entries[] = { { "json", 'j', 0, G_OPTION_ARG_NONE, &json, "Print JSON", NULL },
                                   { "sysfs", 0, 0, G_OPTION_ARG_FILENAME, &sysfs,
                                     "The host's devices from a recorded /sys", "DIR" },
                                   G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  return show (sysfs, json, error);
}

const VpCommand vp_command_groups = {
  "groups",
  "",
  "Show the IOMMU groups, and what of them can be assigned to a guest",
  "A group goes to one guest or to none. \"yes\": it can be assigned; \"host\": it can, and the host loses its "
  "display;\n\"no\": it cannot. Needs neither libvirt nor root.",
  0,
  0,
  run_groups,
};
