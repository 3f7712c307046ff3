/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has udev and systemd take the files up, and gives nodes back. What fails is a warning: a boot does the same. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/output.h"
#include "cli/cards/grant-cards.h"

static void
run (const char *const *command)
{
  g_autofree char *words = g_strjoinv (" ", (char **) command);
  g_autoptr (GError) error = NULL;
  int status = 0;

  if (!g_spawn_sync (NULL, (char **) command, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                     NULL, &status, &error) ||
      !g_spawn_check_wait_status (status, &error))
    vp_output_warn ("'%s' failed, so this holds from the next boot on: %s", words, error->message);
}

void
vp_grant_apply (const VpGrantFiles *files)
{
  static const char *const commands[][6] = {
    { "udevadm", "control", "--reload", NULL },
    { "udevadm", "trigger", "--action=add", "--subsystem-match=vfio", "--settle", NULL },
    { "systemctl", "daemon-reload", NULL },
  };
  struct stat info;

  if (strcmp (files->folder, "/") != 0 || !vp_root_stat (files->root, "run/systemd/system", &info))
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    run (commands[i]);
}

/* udev does not give a node back by itself when its rule goes. */
void
vp_grant_take_back (const VpGrantFiles *files, const GArray *ids)
{
  g_autoptr (GArray) devices = vp_pci_read_devices (files->root);

  for (guint i = 0; i < ids->len && strcmp (files->folder, "/") == 0; i++) {
    const VpDeviceIds *one = &g_array_index (ids, VpDeviceIds, i);
    const VpPciDevice *device = vp_pci_find (devices, &one->address);
    if (device == NULL || device->iommu_group < 0)
      continue;
    g_autofree char *node = g_strdup_printf ("/dev/vfio/%d", device->iommu_group);
    if (lchown (node, 0, 0) != 0 && errno != ENOENT)
      vp_output_warn ("%s is not given back to root: %s", node, g_strerror (errno));
  }
}
