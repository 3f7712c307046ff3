/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /etc/os-release, the kernel's command line and /proc. */
#include "cli/base/system.h"

#include <string.h>
#include <unistd.h>

static const char *const watched[] = {
  "libvirtd",
  "virtqemud",
  "vfio-profiled",
  NULL,
};

const char *
vp_family_word (VpFamily family)
{
  static const char *const words[] = {
    [VP_FAMILY_OTHER] = "other", [VP_FAMILY_DEBIAN] = "debian", [VP_FAMILY_FEDORA] = "fedora", [VP_FAMILY_ARCH] = "arch"
  };

  return words[family];
}

/* A value of a shell-like file, without its quotes. */
static char *
dup_value (const char *text, const char *key)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  gsize length = strlen (key);

  for (guint i = 0; lines[i] != NULL; i++)
    if (strncmp (lines[i], key, length) == 0 && lines[i][length] == '=') {
      char *value = g_shell_unquote (lines[i] + length + 1, NULL);
      return value != NULL ? value : g_strdup (lines[i] + length + 1);
    }
  return NULL;
}

static VpFamily
find_family (const char *release)
{
  static const struct {
    const char *id;
    VpFamily family;
  } ids[] = {
    { "debian", VP_FAMILY_DEBIAN }, { "ubuntu", VP_FAMILY_DEBIAN }, { "fedora", VP_FAMILY_FEDORA },
    { "rhel", VP_FAMILY_FEDORA },   { "centos", VP_FAMILY_FEDORA }, { "arch", VP_FAMILY_ARCH },
  };
  g_autofree char *id = dup_value (release, "ID");
  g_autofree char *like = dup_value (release, "ID_LIKE");
  g_autofree char *both = g_strdup_printf ("%s %s", id != NULL ? id : "", like != NULL ? like : "");
  g_auto (GStrv) words = g_strsplit (both, " ", -1);

  for (guint i = 0; words[i] != NULL; i++)
    for (gsize j = 0; j < G_N_ELEMENTS (ids); j++)
      if (strcmp (words[i], ids[j].id) == 0)
        return ids[j].family;
  return VP_FAMILY_OTHER;
}

VpSystem *
vp_system_read (const VpRoot *root, gboolean session)
{
  VpSystem *system = g_new0 (VpSystem, 1);
  g_autofree char *release = vp_root_dup_text (root, "etc/os-release");
  g_autofree char *grub = vp_root_dup_text (root, "etc/default/grub");
  g_auto (GStrv) entries = vp_root_list (root, "boot/loader/entries");

  system->family = release != NULL ? find_family (release) : VP_FAMILY_OTHER;
  system->name = release != NULL ? dup_value (release, "PRETTY_NAME") : NULL;
  if (system->name == NULL)
    system->name = g_strdup ("an unknown distribution");
  system->command_line = vp_root_dup_text (root, "proc/cmdline");
  if (system->command_line == NULL)
    system->command_line = g_strdup ("");
  system->grub = grub != NULL || entries[0] == NULL;
  system->processes = vp_processes_read (root, watched, session ? getuid () : 0);
  return system;
}

void
vp_system_free (VpSystem *system)
{
  if (system == NULL)
    return;
  g_array_unref (system->processes);
  g_free (system->name);
  g_free (system->command_line);
  g_free (system);
}

const VpProcess *
vp_system_find_process (const VpSystem *system, const char *name)
{
  return vp_processes_find (system->processes, name);
}

gboolean
vp_system_has_parameter (const VpSystem *system, const char *key, const char *value)
{
  g_auto (GStrv) words = g_strsplit (system->command_line, " ", -1);
  gsize length = strlen (key);

  for (guint i = 0; words[i] != NULL; i++) {
    if (strncmp (words[i], key, length) != 0 || words[i][length] != '=')
      continue;
    g_auto (GStrv) values = g_strsplit (words[i] + length + 1, ",", -1);
    if (g_strv_contains ((const char *const *) values, value))
      return TRUE;
  }
  return FALSE;
}

static char *
dup_change_parameter (const VpSystem *system, const char *parameter, gboolean add)
{
  const char *verb = add ? "add" : "take";
  const char *to = add ? "to" : "out of";

  if (system->family == VP_FAMILY_FEDORA)
    return g_strdup_printf ("run 'grubby --update-kernel=ALL --%s=\"%s\"' and boot", add ? "args" : "remove-args",
                            parameter);
  if (!system->grub)
    return g_strdup_printf ("%s %s %s the line 'options' of the entry in /boot/loader/entries and boot", verb,
                            parameter, to);
  if (system->family == VP_FAMILY_DEBIAN)
    return g_strdup_printf ("%s %s %s GRUB_CMDLINE_LINUX in /etc/default/grub, run 'update-grub' and boot", verb,
                            parameter, to);
  if (system->family == VP_FAMILY_ARCH)
    return g_strdup_printf ("%s %s %s GRUB_CMDLINE_LINUX in /etc/default/grub, run 'grub-mkconfig -o "
                            "/boot/grub/grub.cfg' and boot",
                            verb, parameter, to);
  return g_strdup_printf ("%s %s %s the kernel's command line in the boot loader and boot", verb, parameter, to);
}

char *
vp_system_dup_add_parameter (const VpSystem *system, const char *parameter)
{
  return dup_change_parameter (system, parameter, TRUE);
}

char *
vp_system_dup_drop_parameter (const VpSystem *system, const char *parameter)
{
  return dup_change_parameter (system, parameter, FALSE);
}

char *
vp_system_dup_install (const VpSystem *system, const char *debian, const char *fedora, const char *arch)
{
  switch (system->family) {
    case VP_FAMILY_DEBIAN:
      return g_strdup_printf ("run 'apt install %s'", debian);
    case VP_FAMILY_FEDORA:
      return g_strdup_printf ("run 'dnf install %s'", fedora);
    case VP_FAMILY_ARCH:
      return g_strdup_printf ("run 'pacman -S %s'", arch);
    case VP_FAMILY_OTHER:
      break;
  }
  return g_strdup_printf ("install %s", debian);
}
