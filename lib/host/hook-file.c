/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at the hook's file, its folder and libvirt's process. */
#include "host/hook-file.h"

#include <errno.h>
#include <string.h>

#include "base/label.h"
#include "base/process.h"
#include "config.h"
#include "host/mount.h"

#define FOLDER_LEAST 6005000 /* libvirt reads the folder qemu.d since 6.5 */
#define SCRIPT_MAX (256u * 1024)

/* A path of ours below the root. */
#define BELOW(path) (&(path)[1])

static const struct {
  const char *seen;
  const char *advice;
} faults[] = {
  [VP_HOOK_FINE] = { VP_HOOK_FILE, NULL },
  [VP_HOOK_UNSEEN] = { VP_HOOK_FILE " cannot be looked at", "look as root" },
  [VP_HOOK_ABSENT] = { VP_HOOK_FILE " is not there",
                       "install vfio-profile again: nothing makes tagged guests ready for their start" },
  [VP_HOOK_NOT_EXECUTABLE] = { VP_HOOK_FILE " is not executable, and libvirt passes it over without a word",
                               "run 'chmod 755 " VP_HOOK_FILE "' and 'systemctl reload libvirtd' (or virtqemud)" },
  [VP_HOOK_NOEXEC] = { VP_HOOK_FILE " is on a file system that is mounted noexec",
                       "mount that file system without noexec" },
  [VP_HOOK_OLD_LIBVIRT] = { "this libvirt does not read " VP_HOOK_FILE,
                            "upgrade libvirt to 6.5 or newer, or call the hook from /etc/libvirt/hooks/qemu" },
};

const char *
vp_hook_fault_seen (VpHookFault fault)
{
  return faults[fault].seen;
}

const char *
vp_hook_fault_advice (VpHookFault fault)
{
  return faults[fault].advice;
}

static char *
dup_folder (void)
{
  return g_path_get_dirname (BELOW (VP_HOOK_FILE));
}

/* The one hook of old, beside the folder: an administrator's may call those in the folder. */
static char *
dup_main_hook (void)
{
  g_autofree char *folder = dup_folder ();
  g_autofree char *top = g_path_get_dirname (folder);

  return g_build_filename (top, "qemu", NULL);
}

static gboolean
is_dispatched (const VpRoot *root)
{
  g_autofree char *path = dup_main_hook ();
  g_autofree char *name = g_path_get_basename (VP_HOOK_FILE);
  gsize length = 0;
  g_autofree char *text =
    vp_root_is_executable (root, path) ? vp_root_dup_bytes (root, path, SCRIPT_MAX, &length) : NULL;

  return text != NULL && (strstr (text, name) != NULL || strstr (text, "qemu.d") != NULL);
}

VpHookFault
vp_hook_find_fault (const VpRoot *root, unsigned long version)
{
  struct stat info;

  if (!vp_root_stat (root, BELOW (VP_HOOK_FILE), &info))
    return errno == EACCES ? VP_HOOK_UNSEEN : VP_HOOK_ABSENT;
  if (!vp_root_is_executable (root, BELOW (VP_HOOK_FILE)))
    return VP_HOOK_NOT_EXECUTABLE;
  g_auto (GStrv) options = vp_mount_dup_options (root, VP_HOOK_FILE);
  if (options != NULL && g_strv_contains ((const char *const *) options, "noexec"))
    return VP_HOOK_NOEXEC;
  return version > 0 && version < FOLDER_LEAST && !is_dispatched (root) ? VP_HOOK_OLD_LIBVIRT : VP_HOOK_FINE;
}

/* G_MAXINT64: libvirt does not run it. Root runs a file for which anybody has the bit. */
static gint64
read_hook_time (const VpRoot *root, const char *path)
{
  struct stat info;

  return vp_root_is_executable (root, path) && vp_root_stat (root, path, &info) ? (gint64) info.st_ctime : G_MAXINT64;
}

gint64
vp_hook_first_time (const VpRoot *root)
{
  g_autofree char *folder = dup_folder ();
  g_autofree char *main_hook = dup_main_hook ();
  g_auto (GStrv) names = vp_root_list (root, folder);
  gint64 first = read_hook_time (root, main_hook);

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    first = MIN (first, read_hook_time (root, path));
  }
  return first;
}

gboolean
vp_hook_is_older (gint64 first, guint64 libvirt_started)
{
  return (gint64) libvirt_started + 1 >= first; /* the kernel says in whole seconds when it booted */
}

static char *
dup_unregistered (const VpRoot *root)
{
  static const char *const names[] = { "virtqemud", "libvirtd", NULL };
  g_autoptr (GArray) processes = vp_processes_read (root, names, 0);
  gint64 first = vp_hook_first_time (root);

  for (guint i = 0; names[i] != NULL; i++) {
    const VpProcess *libvirt = vp_processes_find (processes, names[i]);
    if (libvirt != NULL && libvirt->started > 0 && !vp_hook_is_older (first, libvirt->started))
      return g_strdup_printf ("the hook came or was changed after %s was started, which looks for hooks then and when "
                              "it is reloaded: run 'systemctl reload %s'",
                              names[i], names[i]);
  }
  return NULL;
}

char *
vp_hook_dup_likely_cause (const VpRoot *root, unsigned long version)
{
  VpHookFault fault = vp_hook_find_fault (root, version);

  if (fault != VP_HOOK_FINE)
    return g_strdup_printf ("%s: %s", faults[fault].seen, faults[fault].advice);
  g_autofree char *label = vp_label_dup_difference (VP_HOOK_FILE);
  if (label != NULL)
    return g_strdup_printf (VP_HOOK_FILE " has the SELinux type %s, and libvirt passes over what it may not run: run "
                                         "'restorecon -v " VP_HOOK_FILE "'",
                            label);
  char *unregistered = dup_unregistered (root);
  return unregistered != NULL
           ? unregistered
           : g_strdup (VP_HOOK_FILE " is there and can be run by now: look at 'vfio-profile doctor' for what SELinux "
                                    "or AppArmor denied, else run 'systemctl reload libvirtd' (or virtqemud)");
}
