/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a grant is on the disk, and udev and systemd made to take it up. Decides nothing.
 *
 *   /etc/vfio-profile/grants                          whose which card is
 *   /etc/udev/rules.d/72-vfio-profile.rules           the nodes of group and device are his
 *   /etc/security/limits.d/vfio-profile-UID.conf      what he may lock after a login by PAM
 *   /etc/systemd/system/user@UID.service.d/vfio-profile.conf   and below his own systemd
 *
 * Both limits are needed: what a desktop starts descends from user@UID.service, whose limit
 * is systemd's own, and a shell of ssh's or login's does not.
 */
#include "cli/cards/grant-files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/base/output.h"
#include "config.h"

#define RULES "etc/udev/rules.d/72-vfio-profile.rules"
#define LIMIT "LimitMEMLOCK="
#define OWNED ", PROGRAM=\"" VP_GROUP_OWNER_PROGRAM " %k\", OWNER=\"%c\", MODE=\"0600\"\n"
#define IOMMU_RULE "SUBSYSTEM==\"misc\", KERNEL==\"iommu\", "
#define IOMMU_NODE "/dev/iommu"
#define IOMMU_MODE 0660 /* the kernel's own */

gboolean
vp_grant_open (VpGrantFiles *files, const VpRoot *root, const char *folder, GError **error)
{
  files->folder = folder;
  files->root = root;
  files->place = (VpOwnPlace){ root, folder };
  files->grants = vp_grants_load (root, error);
  return files->grants != NULL;
}

void
vp_grant_close (VpGrantFiles *files)
{
  g_clear_pointer (&files->grants, g_ptr_array_unref);
}

static char *
dup_limits_path (guint uid)
{
  g_autofree char *name = g_strdup_printf ("vfio-profile-%u.conf", uid);

  return g_build_filename ("etc/security/limits.d", name, NULL);
}

static char *
dup_unit_path (guint uid)
{
  g_autofree char *name = g_strdup_printf ("user@%u.service.d", uid);

  return g_build_filename ("etc/systemd/system", name, "vfio-profile.conf", NULL);
}

guint64
vp_grant_read_limit (const VpGrantFiles *files, guint uid)
{
  g_autofree char *path = dup_unit_path (uid);
  g_autofree char *text = vp_own_file_load (&files->place, path, VP_GRANT_MARK, NULL);
  const char *value = text != NULL ? strstr (text, LIMIT) : NULL;

  return value != NULL ? g_ascii_strtoull (value + strlen (LIMIT), NULL, 10) : 0;
}

static gboolean
store (const VpGrantFiles *files, const char *path, const char *text, GPtrArray *changed, GError **error)
{
  return vp_own_file_store (&files->place, path, VP_GRANT_MARK, text, changed, error);
}

static gboolean
write_list (const VpGrantFiles *files, GPtrArray *changed, GError **error)
{
  g_autofree char *list = vp_grants_dup_text (files->grants);

  return store (files, &VP_GRANTS_FILE[1], list, changed, error);
}

/* The one user who has any grant; 0: there are several. */
static guint
find_only_user (const GPtrArray *grants)
{
  guint uid = grants->len > 0 ? ((const VpGrant *) grants->pdata[0])->uid : 0;

  for (guint i = 0; i < grants->len; i++)
    if (((const VpGrant *) grants->pdata[i])->uid != uid)
      return 0;
  return uid;
}

/*
 * /dev/iommu holds what its opener maps and leads to no device, as /dev/vfio/vfio does, which is everybody's;
 * so it is where two users have cards. One node has but one owner.
 */
static char *
dup_iommu_rule (const GPtrArray *grants)
{
  guint uid = find_only_user (grants);

  return uid != 0 ? g_strdup_printf (IOMMU_RULE "OWNER=\"%u\", MODE=\"0660\"\n", uid)
                  : g_strdup (IOMMU_RULE "OWNER=\"root\", MODE=\"0666\"\n");
}

/* OWNER alone would leave the mode of some other rule; %c is what the program printed. */
static gboolean
write_rules (const VpGrantFiles *files, GPtrArray *changed, GError **error)
{
  g_autofree char *iommu = dup_iommu_rule (files->grants);
  g_autofree char *rules =
    g_strconcat (VP_GRANT_MARK "# A group has another number at each boot, so a program looks whose its devices are.\n"
                               "SUBSYSTEM==\"vfio\", KERNEL==\"[0-9]*\"" OWNED "# The same through iommufd.\n"
                               "SUBSYSTEM==\"vfio-dev\", KERNEL==\"vfio[0-9]*\"" OWNED,
                 iommu, NULL);

  return store (files, RULES, rules, changed, error);
}

static gboolean
write_limits (const VpGrantFiles *files, const VpGrantUser *user, guint64 kib, GPtrArray *changed, GError **error)
{
  g_autofree char *limits_path = dup_limits_path (user->uid);
  g_autofree char *unit_path = dup_unit_path (user->uid);
  g_autofree char *limits =
    g_strdup_printf (VP_GRANT_MARK "# %s; in KiB\n:%u - memlock %" G_GUINT64_FORMAT "\n", user->name, user->uid, kib);
  g_autofree char *unit =
    g_strdup_printf (VP_GRANT_MARK "# %s\n[Service]\n" LIMIT "%" G_GUINT64_FORMAT "K\n", user->name, kib);

  return store (files, limits_path, limits, changed, error) && store (files, unit_path, unit, changed, error);
}

/* The list first: a rule without it grants nothing. */
gboolean
vp_grant_write (const VpGrantFiles *files, const VpGrantUser *user, guint64 limit_kib, GPtrArray *changed,
                GError **error)
{
  return write_list (files, changed, error) && write_rules (files, changed, error) &&
         write_limits (files, user, limit_kib, changed, error);
}

static gboolean
has_grant (const GPtrArray *grants, guint uid)
{
  for (guint i = 0; i < grants->len; i++)
    if (((const VpGrant *) grants->pdata[i])->uid == uid)
      return TRUE;
  return FALSE;
}

/* Its folder was made for it; where somebody has another file there, it stays. */
static gboolean
remove_limits (const VpGrantFiles *files, guint uid, GPtrArray *changed, GError **error)
{
  g_autofree char *limits_path = dup_limits_path (uid);
  g_autofree char *unit_path = dup_unit_path (uid);
  g_autofree char *unit_folder = g_path_get_dirname (unit_path);

  if (!vp_own_file_remove (&files->place, limits_path, VP_GRANT_MARK, changed, error) ||
      !vp_own_file_remove (&files->place, unit_path, VP_GRANT_MARK, changed, error))
    return FALSE;
  vp_root_remove_folder (files->root, unit_folder);
  return TRUE;
}

/* What grants goes before the list that says what there is to take away. */
gboolean
vp_grant_remove (const VpGrantFiles *files, guint uid, GPtrArray *changed, GError **error)
{
  if (!has_grant (files->grants, uid) && !remove_limits (files, uid, changed, error))
    return FALSE;
  if (files->grants->len > 0)
    return write_list (files, changed, error) && write_rules (files, changed, error);
  return vp_own_file_remove (&files->place, RULES, VP_GRANT_MARK, changed, error) &&
         vp_own_file_remove (&files->place, &VP_GRANTS_FILE[1], VP_GRANT_MARK, changed, error);
}

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
  static const char *const commands[][7] = {
    { "udevadm", "control", "--reload", NULL },
    { "udevadm", "trigger", "--action=add", "--subsystem-match=vfio", "--subsystem-match=vfio-dev", "--settle", NULL },
    { "udevadm", "trigger", "--action=add", "--subsystem-match=misc", "--sysname-match=iommu", "--settle", NULL },
    { "systemctl", "daemon-reload", NULL },
  };
  struct stat info;

  if (strcmp (files->folder, "/") != 0 || !vp_root_stat (files->root, "run/systemd/system", &info))
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    run (commands[i]);
}

static void
give_back (const char *node)
{
  if (lchown (node, 0, (gid_t) -1) != 0 && errno != ENOENT)
    vp_output_warn ("%s is not given back to root: %s", node, g_strerror (errno));
}

/* Of its group, and its own for iommufd. */
static void
give_back_nodes (const VpGrantFiles *files, const VpPciDevice *device)
{
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *folder = g_strdup_printf ("sys/bus/pci/devices/%s/vfio-dev", address);
  g_auto (GStrv) names = vp_root_list (files->root, folder);
  g_autofree char *group = g_strdup_printf ("/dev/vfio/%d", device->iommu_group);

  give_back (group);
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *node = g_build_filename ("/dev/vfio/devices", names[i], NULL);
    give_back (node);
  }
}

static void
give_back_iommu (void)
{
  give_back (IOMMU_NODE);
  if (chmod (IOMMU_NODE, IOMMU_MODE) != 0 && errno != ENOENT)
    vp_output_warn ("the mode of %s is not as it was: %s", IOMMU_NODE, g_strerror (errno));
}

/* udev does not give a node back by itself when its rule goes; what other rules say of it they say again, after. */
void
vp_grant_take_back (const VpGrantFiles *files, const GPtrArray *taken)
{
  g_autoptr (GArray) devices = vp_pci_read_devices (files->root);

  for (guint i = 0; i < taken->len && strcmp (files->folder, "/") == 0; i++) {
    const VpGrant *grant = taken->pdata[i];
    const VpPciDevice *device = vp_pci_find (devices, &grant->ids.address);
    if (device != NULL && device->iommu_group >= 0)
      give_back_nodes (files, device);
  }
  if (files->grants->len == 0 && strcmp (files->folder, "/") == 0)
    give_back_iommu ();
}
