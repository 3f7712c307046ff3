/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sequester: keeps the host's drivers off cards from the next boot on, by address. It
 * writes two small files; what acts on them is installed with the package. It binds and
 * unbinds nothing now.
 */
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/own-file.h"
#include "cli/cards/initramfs.h"
#include "cli/cards/sequester-files.h"
#include "cli/cards/sequester-view.h"

typedef struct {
  char *root; /* NULL: this machine's */
  gboolean all;
  gboolean list;
  gboolean undo;
  gboolean initramfs;
  gboolean force;
  gboolean json;
} Options;

static void
options_clear (Options *options)
{
  g_clear_pointer (&options->root, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
add (VpSequester *self, const Options *options, const GArray *addresses, GError **error)
{
  g_autoptr (VpGroups) groups = vp_groups_read (self->root);
  g_autoptr (VpDeviceNames) names = vp_device_names_new (NULL);
  g_autoptr (GPtrArray) wrote = g_ptr_array_new_with_free_func (g_free);
  const VpSequesterHost host = { self->root, groups, names, options->force };
  g_autoptr (GArray) picks =
    options->all ? vp_sequester_choose_cards (&host, error) : vp_sequester_choose (&host, addresses, error);

  if (picks == NULL)
    return FALSE;
  vp_sequester_warn (&host, picks);
  if (!vp_sequester_add (self, picks, wrote, error))
    return FALSE;
  vp_output_line (VP_STYLE_HEAD,
                  wrote->len > 0 ? "kept for vfio-pci from the next boot on:" : "kept for vfio-pci already:");
  vp_sequester_say (&host, picks);
  vp_own_files_say (wrote, "wrote");
  return vp_initramfs_finish (self->root, options->initramfs, wrote->len > 0, error);
}

/* A card goes as a whole, as it came. */
static GArray *
select_cards (const GArray *ids, const GArray *addresses)
{
  GArray *selected = g_array_new (FALSE, TRUE, sizeof (VpPciAddress));

  for (guint i = 0; i < ids->len; i++) {
    const VpPciAddress *listed = &g_array_index (ids, VpDeviceIds, i).address;
    for (guint j = 0; j < addresses->len; j++) {
      if (vp_pci_address_same_slot (&g_array_index (addresses, VpPciAddress, j), listed)) {
        g_array_append_val (selected, *listed);
        break;
      }
    }
  }
  return selected;
}

static gboolean
undo_some (VpSequester *self, const Options *options, const GArray *addresses, GError **error)
{
  g_autoptr (GPtrArray) changed = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) selected = select_cards (self->ids, addresses);

  if (selected->len == 0) {
    vp_output_line (VP_STYLE_PLAIN, "none of these is sequestered");
    return TRUE;
  }
  if (!vp_sequester_drop (self, selected, changed, error))
    return FALSE;
  vp_own_files_say (changed, self->ids->len == 0 ? "removed" : "wrote");
  return vp_initramfs_finish (self->root, options->initramfs, TRUE, error);
}

static gboolean
undo_all (const VpSequester *self, const Options *options, GError **error)
{
  g_autoptr (GPtrArray) removed = g_ptr_array_new_with_free_func (g_free);

  if (!vp_sequester_remove (self, removed, error))
    return FALSE;
  if (removed->len == 0) {
    vp_output_line (VP_STYLE_PLAIN, "no card is sequestered");
    return TRUE;
  }
  vp_own_files_say (removed, "removed");
  return vp_initramfs_finish (self->root, options->initramfs, TRUE, error);
}

static gboolean
show (const VpSequester *self, gboolean json, GError **error)
{
  if (json)
    return vp_output_json (vp_sequester_to_json (self->root, self->ids), error);
  if (self->ids->len == 0)
    vp_output_line (VP_STYLE_PLAIN, "no card is sequestered");
  else
    vp_sequester_print (self->root, self->ids);
  return TRUE;
}

static gboolean
check_usage (const VpCommand *command, const Options *options, guint n_addresses, GError **error)
{
  gboolean adds = !options->list && !options->undo;

  if ((options->list && (options->undo || n_addresses > 0)) || (options->all && (!adds || n_addresses > 0)))
    vp_command_set_usage (command, error,
                          "sequester takes addresses, --all-but-boot-vga, --list or --undo, one of "
                          "them");
  else if (adds && !options->all && n_addresses == 0)
    vp_command_set_usage (command, error, "sequester needs %s", command->arguments);
  else if (options->json && !options->list)
    vp_command_set_usage (command, error, "--json goes with --list");
  else if (options->force && !adds)
    vp_command_set_usage (command, error, "--force goes with addresses");
  else if (options->initramfs && (options->list || options->root != NULL))
    vp_command_set_usage (command, error, "--initramfs goes neither with --list nor with --root");
  else
    return TRUE;
  return FALSE;
}

static gboolean
run_sequester (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  g_auto (VpSequester) self = { 0 };
  const char *wrong = NULL;
  const GOptionEntry entries[] = {
    { "all-but-boot-vga", 0, 0, G_OPTION_ARG_NONE, &options.all,
      "Every graphics card but the display that the host started on", NULL },
    { "list", 'l', 0, G_OPTION_ARG_NONE, &options.list, "Show which are, and whether it came to pass", NULL },
    { "undo", 0, 0, G_OPTION_ARG_NONE, &options.undo, "Give these cards back, or all where none is named", NULL },
    { "initramfs", 0, 0, G_OPTION_ARG_NONE, &options.initramfs, "Make the initramfs anew as well", NULL },
    { "force", 0, 0, G_OPTION_ARG_NONE, &options.force, "Also the boot display, and without an IOMMU", NULL },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "Print JSON (with --list)", NULL },
    { "root", 0, 0, G_OPTION_ARG_FILENAME, &options.root, "Look at, and write to, the machine below DIR", "DIR" },
    G_OPTION_ENTRY_NULL
  };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (!check_usage (command, &options, (guint) argc - 1, error))
    return FALSE;
  const char *folder = options.root != NULL ? options.root : "/";
  g_autoptr (GArray) addresses = vp_addresses_parse (argv + 1, &wrong);
  if (addresses == NULL) {
    vp_command_set_usage (command, error, "'%s' is no PCI address such as 0000:01:00.0", wrong);
    return FALSE;
  }
  g_autoptr (VpRoot) root = vp_root_open (folder, error);
  /* What takes all away needs no list, and it may be a damaged one. */
  gboolean all_away = options.undo && addresses->len == 0;
  if (root == NULL || !vp_sequester_open (&self, root, folder, !all_away, error))
    return FALSE;
  if (options.list)
    return show (&self, options.json, error);
  if (!options.undo)
    return add (&self, &options, addresses, error);
  return all_away ? undo_all (&self, &options, error) : undo_some (&self, &options, addresses, error);
}

const VpCommand vp_command_sequester = {
  "sequester",
  "ADDRESS…",
  "Keep the host's drivers off cards from boot on",
  "A card is named by the address of one of its functions; the others come along. It writes the list\n"
  "of them and a file for modprobe, which the initramfs must have, too: initramfs-tools and dracut\n"
  "take them up when it is made anew. Not covered: drivers that are built into the kernel, and cards\n"
  "that are plugged in while the host runs.",
  0,
  G_MAXINT,
  run_sequester,
};
