/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grant: an ordinary user may give a card to guests of his own libvirt (qemu:///session):
 * his are the node of its IOMMU group and memory to lock, and from boot on it is on
 * vfio-pci, since a session cannot take it from a driver.
 */
#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/cards/grant-cards.h"
#include "devices/devices.h"

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

/* The user gets all that is in the group on vfio-pci, so all of it must be meant. */
static gboolean
check_groups (const VpSequesterHost *host, const GArray *picks, GError **error)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    if (device->iommu_group < 0) {
      g_autofree char *alone = vp_pci_dup_title (device, host->names);
      g_set_error (error, VP_ERROR, VP_ERROR_HOST, "%s is not granted: it is in no IOMMU group, so it has no node that "
                                                   "could be the user's", alone);
      return FALSE;
    }
    for (guint j = 0; j < host->groups->devices->len; j++) {
      const VpPciDevice *other = &g_array_index (host->groups->devices, VpPciDevice, j);
      if (vp_sequester_is_picked (picks, other) || other->iommu_group != device->iommu_group ||
          !vp_pci_is_endpoint (other))
        continue;
      g_autofree char *title = vp_pci_dup_title (device, host->names);
      g_autofree char *foreign = vp_pci_dup_title (other, host->names);
      g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                   "%s is not granted: its IOMMU group %d, which goes to a user as a whole, also has %s: name that as "
                   "well if it is meant", title, device->iommu_group, foreign);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_owners (const VpGrantFiles *files, const VpGrantUser *user, const GArray *picks, GError **error)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    const VpGrant *grant = vp_grants_find (files->grants, &device->address);
    g_autofree char *address = vp_pci_address_dup_text (&device->address);
    if (grant == NULL || grant->uid == user->uid)
      continue;
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "%s is granted to '%s' already: run 'vfio-profile grant --undo %s %s' first", address, grant->user,
                 grant->user, address);
    return FALSE;
  }
  return TRUE;
}

/* KiB; 0 and an error. Where nothing is said, a limit that is there does not shrink. */
static guint64
find_limit (const VpGrantFiles *files, const VpGrantUser *user, const char *memory, GError **error)
{
  guint64 kib = 0;

  if (memory != NULL) {
    (void) vp_grant_parse_memory (memory, &kib); /* checked before */
    return kib + VP_GRANT_BESIDE_KIB;
  }
  guint64 before = vp_grant_read_limit (files, user->uid);
  kib = vp_grant_find_largest (files->folder, user);
  if (kib == 0 && before == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "how much memory '%s' may lock is not known, as the user has no guest defined: give the largest "
                 "guest's with --memory, such as --memory 8GiB", user->name);
    return 0;
  }
  return MAX (before, kib > 0 ? kib + VP_GRANT_BESIDE_KIB : 0);
}

/* Those that were sequestered before stay so when the grant goes. */
static void
add_grants (const VpGrantFiles *files, const VpGrantUser *user, const GArray *picks, const GArray *listed)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    const VpDeviceIds ids = { device->address, device->vendor, device->device };
    VpGrant *grant = (VpGrant *) vp_grants_find (files->grants, &device->address);
    if (grant != NULL)
      grant->ids = ids;
    else
      vp_grants_add (files->grants, user->uid, user->name, &ids, vp_device_ids_find (listed, &device->address) == NULL);
  }
}

static void
say_what_now (const GArray *picks, const VpGrantUser *user, guint64 limit)
{
  g_autoptr (GPtrArray) waiting = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    if (!vp_pci_is_on_vfio (device))
      g_ptr_array_add (waiting, vp_pci_address_dup_text (&device->address));
  }
  vp_output_line (VP_STYLE_PLAIN, "'%s' may lock %.1f GiB from the next login on", user->name,
                  (double) limit / (1024 * 1024));
  if (waiting->len > 0) {
    g_autofree char *list = vp_list_dup_words (waiting);
    vp_output_line (VP_STYLE_PLAIN, "%s %s not on vfio-pci yet", list, waiting->len == 1 ? "is" : "are");
  }
}

static gboolean
grant (VpGrantFiles *files, VpSequester *sequester, const Options *options, const VpGrantUser *user,
       const GArray *addresses, GError **error)
{
  g_autoptr (VpGroups) groups = vp_groups_read (files->root);
  g_autoptr (VpDeviceNames) names = vp_device_names_new (NULL);
  g_autoptr (GPtrArray) wrote = g_ptr_array_new_with_free_func (g_free);
  const VpSequesterHost host = { files->root, groups, names, options->force };
  g_autoptr (GArray) picks = vp_sequester_choose (&host, addresses, error);

  if (picks == NULL || !check_groups (&host, picks, error) || !check_owners (files, user, picks, error))
    return FALSE;
  guint64 limit = find_limit (files, user, options->memory, error);
  if (limit == 0)
    return FALSE;
  vp_sequester_warn (&host, picks);
  add_grants (files, user, picks, sequester->ids);
  /* Our list first: it knows which cards it has to give back. */
  if (!vp_grant_write (files, user, limit, wrote, error))
    return FALSE;
  guint n_before = wrote->len;
  if (!vp_sequester_add (sequester, picks, wrote, error))
    return FALSE;
  vp_output_line (VP_STYLE_HEAD, "granted to '%s':", user->name);
  vp_sequester_say (&host, picks);
  vp_files_say (wrote, "wrote");
  vp_grant_apply (files);
  say_what_now (picks, user, limit);
  return vp_sequester_finish (files->root, options->initramfs, wrote->len > n_before, error);
}

static gboolean
is_meant (const VpGrant *one, const char *name, const GArray *addresses)
{
  if (name != NULL && strcmp (one->user, name) != 0)
    return FALSE;
  for (guint i = 0; i < addresses->len; i++) {
    if (vp_pci_address_same_slot (&g_array_index (addresses, VpPciAddress, i), &one->ids.address))
      return TRUE;
  }
  return addresses->len == 0;
}

/* Takes them out of the list; `uids`: of guint, whose they were. */
static GArray *
take_grants (const VpGrantFiles *files, const char *name, const GArray *addresses, GArray *uids, GArray *sequestered)
{
  GArray *taken = g_array_new (FALSE, TRUE, sizeof (VpDeviceIds));

  for (guint i = files->grants->len; i > 0; i--) {
    const VpGrant *one = files->grants->pdata[i - 1];
    if (!is_meant (one, name, addresses))
      continue;
    g_array_append_val (taken, one->ids);
    g_array_append_val (uids, one->uid);
    if (one->sequestered)
      g_array_append_val (sequestered, one->ids.address);
    g_ptr_array_remove_index (files->grants, i - 1);
  }
  return taken;
}

static gboolean
undo (VpGrantFiles *files, VpSequester *sequester, const Options *options, const char *name, const GArray *addresses,
      GError **error)
{
  g_autoptr (GPtrArray) changed = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) uids = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GArray) sequestered = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  g_autoptr (GArray) taken = take_grants (files, name, addresses, uids, sequestered);

  if (taken->len == 0) {
    vp_output_line (VP_STYLE_PLAIN, "nothing of that is granted");
    return TRUE;
  }
  if (sequestered->len > 0 && !vp_sequester_drop (sequester, sequestered, changed, error))
    return FALSE;
  gboolean boot = changed->len > 0;
  for (guint i = 0; i < uids->len; i++)
    if (!vp_grant_remove (files, g_array_index (uids, guint, i), changed, error))
      return FALSE;
  vp_files_say (changed, "changed or removed");
  vp_grant_apply (files);
  vp_grant_take_back (files, taken);
  return vp_sequester_finish (files->root, options->initramfs, boot, error);
}

static const char *
state_of (const VpRoot *root, const GArray *devices, const VpGrant *one)
{
  return vp_sequester_state_word (vp_sequester_get_state (root, devices, &one->ids));
}

static gboolean
show (const VpGrantFiles *files, gboolean json, GError **error)
{
  static const char *const heads[] = { "USER", "ADDRESS", "IDS", "MAY LOCK", "STATE", NULL };
  g_autoptr (VpTable) table = vp_table_new (heads);
  g_autoptr (GArray) devices = vp_pci_read_devices (files->root);
  json_object *array = json_object_new_array ();

  for (guint i = 0; i < files->grants->len; i++) {
    const VpGrant *one = files->grants->pdata[i];
    guint64 limit = vp_grant_read_limit (files, one->uid);
    g_autofree char *address = vp_pci_address_dup_text (&one->ids.address);
    g_autofree char *ids = vp_device_ids_dup_text (&one->ids);
    g_autofree char *lock = g_strdup_printf ("%.1f GiB", (double) limit / (1024 * 1024));
    const char *cells[] = { one->user, address, ids, lock, state_of (files->root, devices, one) };
    json_object *object = json_object_new_object ();
    vp_table_add (table, 0, VP_STYLE_PLAIN, cells);
    json_object_object_add (object, "user", vp_output_json_string (one->user));
    json_object_object_add (object, "address", vp_output_json_string (address));
    json_object_object_add (object, "ids", vp_output_json_string (ids));
    json_object_object_add (object, "limit_kib", json_object_new_int64 ((int64_t) limit));
    json_object_object_add (object, "state", vp_output_json_string (cells[4]));
    json_object_array_add (array, object);
  }
  if (json)
    return vp_output_json (array, error);
  json_object_put (array);
  if (files->grants->len == 0)
    vp_output_line (VP_STYLE_PLAIN, "no card is granted");
  else
    vp_table_print (table);
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
    { "undo", 0, 0, G_OPTION_ARG_NONE, &options.undo,
      "Take back these cards, or all of the user's, or all there are", NULL },
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
  "grant", "USER ADDRESS…", "Let a user give cards to guests of his own libvirt",
  "For qemu:///session. The user gets the node of the card's IOMMU group in /dev/vfio and may lock the\n"
  "memory of his largest guest and 1 GiB beside it; the card is sequestered, see there. In his guest's\n"
  "definition the <hostdev> has managed='no'.",
  0, G_MAXINT, run_grant,
};
