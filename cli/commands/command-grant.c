/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grant: an ordinary user may give a card to guests of his own libvirt (qemu:///session):
 * his are the node of its IOMMU group and memory to lock, and from boot on it is on
 * vfio-pci, since a session cannot take it from a driver.
 */
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/own-file.h"
#include "cli/cards/grant-choose.h"
#include "cli/cards/grant-view.h"
#include "cli/cards/initramfs.h"
#include "cli/cards/sequester-files.h"
#include "cli/cards/sequester-view.h"

typedef struct {
  char *root; /* NULL: this machine's */
  char *memory;
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
  g_clear_pointer (&options->memory, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
grant (VpGrantFiles *files, VpSequester *sequester, const Options *options, const VpGrantUser *user,
       const GArray *addresses, GError **error)
{
  g_autoptr (VpGroups) groups = vp_groups_read (files->root);
  g_autoptr (VpDeviceNames) names = vp_device_names_new (NULL);
  g_autoptr (GPtrArray) wrote = g_ptr_array_new_with_free_func (g_free);
  const VpSequesterHost host = { files->root, groups, names, options->force };
  g_autoptr (GArray) picks = vp_sequester_choose (&host, addresses, error);

  if (picks == NULL || !vp_grant_check (files, user, &host, picks, error))
    return FALSE;
  guint64 limit = vp_grant_find_limit (files, user, options->memory, error);
  if (limit == 0)
    return FALSE;
  vp_sequester_warn (&host, picks);
  vp_grant_add (files, user, picks, sequester->ids);
  /* Our list first: it knows which cards it has to give back. */
  if (!vp_grant_write (files, user, limit, wrote, error))
    return FALSE;
  guint n_before = wrote->len;
  if (!vp_sequester_add (sequester, picks, wrote, error))
    return FALSE;
  vp_output_line (VP_STYLE_HEAD, "granted to '%s':", user->name);
  vp_sequester_say (&host, picks);
  vp_own_files_say (wrote, "wrote");
  vp_grant_apply (files);
  vp_grant_say (user, limit, picks);
  return vp_initramfs_finish (files->root, options->initramfs, wrote->len > n_before, error);
}

static gboolean
undo (VpGrantFiles *files, VpSequester *sequester, const Options *options, const char *name, const GArray *addresses,
      GError **error)
{
  g_autoptr (GPtrArray) changed = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) sequestered = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  g_autoptr (GPtrArray) taken = vp_grant_take (files, name, addresses);

  if (taken->len == 0) {
    vp_output_line (VP_STYLE_PLAIN, "nothing of that is granted");
    return TRUE;
  }
  for (guint i = 0; i < taken->len; i++) {
    const VpGrant *one = taken->pdata[i];
    if (one->sequestered)
      g_array_append_val (sequestered, one->ids.address);
  }
  if (sequestered->len > 0 && !vp_sequester_drop (sequester, sequestered, changed, error))
    return FALSE;
  gboolean boot = changed->len > 0;
  for (guint i = 0; i < taken->len; i++)
    if (!vp_grant_remove (files, ((const VpGrant *) taken->pdata[i])->uid, changed, error))
      return FALSE;
  vp_own_files_say (changed, "changed or removed");
  vp_grant_take_back (files, taken);
  vp_grant_apply (files);
  return vp_initramfs_finish (files->root, options->initramfs, boot, error);
}

static gboolean
show (const VpGrantFiles *files, gboolean json, GError **error)
{
  if (json)
    return vp_output_json (vp_grant_to_json (files), error);
  vp_grant_print (files);
  return TRUE;
}

static gboolean
check_usage (const VpCommand *command, const Options *options, int n, GError **error)
{
  gboolean grants = !options->list && !options->undo;
  guint64 kib = 0;

  if ((options->list && (options->undo || n > 0)) || ((options->memory != NULL || options->force) && !grants))
    vp_command_set_usage (command, error, "grant takes a user and addresses, --list, or --undo, one of them");
  else if (grants && n < 2)
    vp_command_set_usage (command, error, "grant needs %s", command->arguments);
  else if (options->json && !options->list)
    vp_command_set_usage (command, error, "--json goes with --list");
  else if (options->initramfs && (options->list || options->root != NULL))
    vp_command_set_usage (command, error, "--initramfs goes neither with --list nor with --root");
  else if (options->memory != NULL && !vp_grant_parse_memory (options->memory, &kib))
    vp_command_set_usage (command, error, "'%s' is no size such as 8GiB", options->memory);
  else
    return TRUE;
  return FALSE;
}

static gboolean
act (const Options *options, const char *name, const GArray *addresses, GError **error)
{
  const char *folder = options->root != NULL ? options->root : "/";
  g_autoptr (VpRoot) root = vp_root_open (folder, error);
  g_auto (VpGrantFiles) files = { 0 };
  g_auto (VpSequester) sequester = { 0 };
  g_auto (VpGrantUser) user = { 0 };

  if (root == NULL || !vp_grant_open (&files, root, folder, error))
    return FALSE;
  if (options->list)
    return show (&files, options->json, error);
  if (!vp_sequester_open (&sequester, root, folder, TRUE, error))
    return FALSE;
  if (options->undo)
    return undo (&files, &sequester, options, name, addresses, error);
  return vp_grant_user_find (&user, folder, name, error) &&
         grant (&files, &sequester, options, &user, addresses, error);
}

static gboolean
run_grant (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (Options) options = { 0 };
  const char *wrong = NULL;
  const GOptionEntry entries[] = {
    { "memory", 'm', 0, G_OPTION_ARG_STRING, &options.memory,
      "Memory of the user's largest guest (default: as defined now)", "SIZE" },
    { "list", 'l', 0, G_OPTION_ARG_NONE, &options.list, "Show what is granted", NULL },
    { "undo", 0, 0, G_OPTION_ARG_NONE, &options.undo, "Take back these cards, or all of the user's, or all there are",
      NULL },
    { "initramfs", 0, 0, G_OPTION_ARG_NONE, &options.initramfs, "Make the initramfs anew as well", NULL },
    { "force", 0, 0, G_OPTION_ARG_NONE, &options.force, "Also the boot display", NULL },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &options.json, "Print JSON (with --list)", NULL },
    { "root", 0, 0, G_OPTION_ARG_FILENAME, &options.root, "Look at, and write to, the machine below DIR", "DIR" },
    G_OPTION_ENTRY_NULL
  };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (!check_usage (command, &options, argc - 1, error))
    return FALSE;
  g_autoptr (GArray) addresses = vp_addresses_parse (argv + MIN (argc, 2), &wrong);
  if (addresses == NULL) {
    vp_command_set_usage (command, error, "'%s' is no PCI address such as 0000:01:00.0", wrong);
    return FALSE;
  }
  return act (&options, argc > 1 ? argv[1] : NULL, addresses, error);
}

const VpCommand vp_command_grant = {
  "grant",
  "USER ADDRESS…",
  "Let a user give cards to guests of his own libvirt",
  "For qemu:///session. The user gets the node of the card's IOMMU group in /dev/vfio and may lock the\n"
  "memory of his largest guest and 1 GiB beside it; the card is sequestered, see there. In his guest's\n"
  "definition the <hostdev> has managed='no'.",
  0,
  G_MAXINT,
  run_grant,
};
