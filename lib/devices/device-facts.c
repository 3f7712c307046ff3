/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of a domain's devices, and what gathers it. */
#include "devices/device-facts.h"

#include <string.h>

static void
clear_use (gpointer data)
{
  VpDeviceUse *use = data;

  g_free (use->node);
  g_free (use->user);
  g_free (use->unit);
}

GArray *
vp_device_uses_new (void)
{
  GArray *uses = g_array_new (FALSE, TRUE, sizeof (VpDeviceUse));

  g_array_set_clear_func (uses, clear_use);
  return uses;
}

VpDeviceUse *
vp_device_use_add (GArray *uses, const VpPciAddress *device, VpDeviceUseKind kind, const char *node, const char *user,
                   int pid)
{
  g_autofree char *shown = g_strescape (user, NULL);

  for (guint i = 0; i < uses->len; i++) {
    VpDeviceUse *use = &g_array_index (uses, VpDeviceUse, i);
    if (use->kind == kind && use->pid == pid && vp_pci_address_equal (&use->device, device) &&
        strcmp (use->user, shown) == 0 && strcmp (use->node, node) == 0)
      return use;
  }
  VpDeviceUse use = { *device, kind, g_strdup (node), g_steal_pointer (&shown), pid, NULL };
  g_array_append_val (uses, use);
  return &g_array_index (uses, VpDeviceUse, uses->len - 1);
}

void
vp_device_facts_free (VpDeviceFacts *facts)
{
  if (facts == NULL)
    return;
  g_clear_pointer (&facts->devices, g_array_unref);
  g_clear_pointer (&facts->nodes, g_array_unref);
  g_clear_pointer (&facts->uses, g_array_unref);
  g_strfreev (facts->modules);
  g_free (facts->seat);
  g_free (facts);
}
