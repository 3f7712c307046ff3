/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads sys/class/vtconsole: of its consoles the one that is bound is seen. */
#include "host/console.h"

#include <string.h>

/* Of the first console that is bound and whose name has, or has not, that part: its folder, and its name. */
static char *
dup_bound (const VpRoot *root, const char *part, gboolean has, char **name)
{
  g_auto (GStrv) consoles = vp_root_list (root, "sys/class/vtconsole");

  for (guint i = 0; consoles[i] != NULL; i++) {
    g_autofree char *folder = g_build_filename ("sys/class/vtconsole", consoles[i], NULL);
    g_autofree char *name_file = g_build_filename (folder, "name", NULL);
    g_autofree char *bind_file = g_build_filename (folder, "bind", NULL);
    g_autofree char *text = vp_root_dup_text (root, name_file);
    g_autofree char *bound = vp_root_dup_text (root, bind_file);
    if (text == NULL || g_strcmp0 (bound, "1") != 0 || (strstr (text, part) != NULL) != has)
      continue;
    if (name != NULL)
      *name = g_steal_pointer (&text);
    return g_strconcat ("/", folder, NULL);
  }
  return NULL;
}

char *
vp_console_dup_framebuffer (const VpRoot *root)
{
  return dup_bound (root, "frame buffer", TRUE, NULL);
}

/* "(M) frame buffer device": what is in brackets is how it came there. */
char *
vp_console_dup_display (const VpRoot *root)
{
  g_autofree char *name = NULL;
  g_autofree char *folder = dup_bound (root, "dummy", FALSE, &name);
  const char *words = folder != NULL ? strstr (name, ") ") : NULL;

  return g_strdup (words != NULL ? words + 2 : name);
}

gboolean
vp_console_find_device (const VpRoot *root, const char *framebuffer, VpPciAddress *address)
{
  g_autofree char *link = g_strdup_printf ("sys/class/graphics/%s/device", framebuffer);
  g_autofree char *owner = vp_root_dup_link_name (root, link);

  return owner != NULL && vp_pci_address_parse (owner, address);
}
