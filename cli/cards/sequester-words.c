/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a person gives and is told about sequestered cards. Writes no file. */
#include <stdio.h>

#include "cli/base/output.h"
#include "cli/base/system.h"
#include "cli/cards/sequester-cards.h"

GArray *
vp_addresses_parse (char *const *words, const char **wrong)
{
  g_autoptr (GArray) addresses = g_array_new (FALSE, TRUE, sizeof (VpPciAddress));

  for (guint i = 0; words[i] != NULL; i++) {
    g_autofree char *lower = g_ascii_strdown (words[i], -1);
    g_autofree char *whole = g_strconcat ("0000:", lower, NULL);
    VpPciAddress address;
    if (!vp_pci_address_parse (lower, &address) && !vp_pci_address_parse (whole, &address)) {
      *wrong = words[i];
      return NULL;
    }
    g_array_append_val (addresses, address);
  }
  return g_steal_pointer (&addresses);
}

void
vp_files_say (const GPtrArray *files, const char *verb)
{
  for (guint i = 0; i < files->len; i++)
    vp_output_line (VP_STYLE_PLAIN, "%s %s", verb, (const char *) files->pdata[i]);
}

gboolean
vp_sequester_finish (const VpRoot *root, gboolean initramfs, gboolean changed, GError **error)
{
  if (initramfs) {
    (void) fflush (stdout); /* before the other program's lines */
    if (!vp_initramfs_make (root, error))
      return FALSE;
    vp_output_line (VP_STYLE_HEAD, "the initramfs is made anew; it holds from the next boot on");
  } else if (changed || vp_initramfs_is_stale (root)) {
    g_autofree char *advice = vp_initramfs_dup_advice (root);
    vp_output_line (VP_STYLE_HEAD, "for it to hold, %s", advice);
  }
  return TRUE;
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
                        "take that line out", path);
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
                      "kernel that has it as a module is needed", address, device->driver);
    if (!device->boot_vga)
      continue;
    g_autofree char *advice = vp_system_dup_add_parameter (system, "initcall_blacklist=sysfb_init");
    vp_output_warn ("%s: the firmware's own picture on it (efifb, simpledrm) is no driver of the card's, and keeps its "
                    "memory: %s; the host shows nothing from then on", address, advice);
  }
  warn_of_others (host->root);
}
