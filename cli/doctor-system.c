/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /etc/os-release, the kernel's command line and /proc. */
#include "doctor-system.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES (1024u * 1024)
#define STAT_STATE 1 /* among what spaces part behind the name in /proc/PID/stat; see proc(5) */
#define STAT_STARTED 20

static const char *const watched[] = {
  "libvirtd", "virtqemud", "vfio-profiled", NULL,
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

static guint64
read_boot_time (const VpRoot *root)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, "proc/stat", MAX_BYTES, &length);
  const char *line = text != NULL ? strstr (text, "\nbtime ") : NULL;

  return line != NULL ? g_ascii_strtoull (line + strlen ("\nbtime "), NULL, 10) : 0;
}

/* FALSE: it has ended. The name may hold spaces and brackets, so the words are counted from its last bracket on. */
static gboolean
read_started (const VpRoot *root, const char *pid, guint64 boot, guint64 *started)
{
  g_autofree char *path = g_strdup_printf ("proc/%s/stat", pid);
  g_autofree char *text = vp_root_dup_text (root, path);
  const char *rest = text != NULL ? strrchr (text, ')') : NULL;
  g_auto (GStrv) words = g_strsplit (rest != NULL ? rest + 1 : "", " ", -1);

  *started = 0;
  if (g_strv_length (words) <= STAT_STARTED)
    return TRUE;
  if (boot > 0)
    *started = boot + g_ascii_strtoull (words[STAT_STARTED], NULL, 10) / (guint64) sysconf (_SC_CLK_TCK);
  return strcmp (words[STAT_STATE], "Z") != 0 && strcmp (words[STAT_STATE], "X") != 0;
}

static void
clear_process (gpointer data)
{
  g_free (((VpProcess *) data)->name);
}

/* What stands behind that word at the begin of a line; NULL: nothing. */
static const char *
find_field (const char *text, const char *word)
{
  const char *at = text != NULL ? strstr (text, word) : NULL;

  return at != NULL ? at + strlen (word) : NULL;
}

/* A recorded machine may not say: then it is. One of a container has a number in its PID namespace as well. */
static gboolean
is_the_hosts (const VpRoot *root, const char *pid, guint64 uid)
{
  g_autofree char *path = g_strdup_printf ("proc/%s/status", pid);
  g_autofree char *text = vp_root_dup_text (root, path);
  const char *owner = find_field (text, "\nUid:\t");
  const char *numbers = find_field (text, "\nNSpid:\t");

  return (owner == NULL || g_ascii_strtoull (owner, NULL, 10) == uid) &&
         (numbers == NULL || memchr (numbers, '\t', strcspn (numbers, "\n")) == NULL);
}

static GArray *
read_processes (const VpRoot *root, guint64 uid)
{
  GArray *processes = g_array_new (FALSE, TRUE, sizeof (VpProcess));
  g_auto (GStrv) names = vp_root_list (root, "proc");
  guint64 boot = read_boot_time (root);

  g_array_set_clear_func (processes, clear_process);
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_strdup_printf ("proc/%s/comm", names[i]);
    g_autofree char *name = g_ascii_isdigit (names[i][0]) ? vp_root_dup_text (root, path) : NULL;
    if (name == NULL || !g_strv_contains (watched, name) || !is_the_hosts (root, names[i], uid))
      continue;
    VpProcess process = { .pid = atoi (names[i]) };
    if (!read_started (root, names[i], boot, &process.started))
      continue;
    process.name = g_steal_pointer (&name);
    g_array_append_val (processes, process);
  }
  return processes;
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
  system->processes = read_processes (root, session ? getuid () : 0);
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
  for (guint i = 0; i < system->processes->len; i++) {
    const VpProcess *process = &g_array_index (system->processes, VpProcess, i);
    if (strcmp (process->name, name) == 0)
      return process;
  }
  return NULL;
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
                            "/boot/grub/grub.cfg' and boot", verb, parameter, to);
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

const char *
vp_system_initramfs (const VpSystem *system)
{
  switch (system->family) {
    case VP_FAMILY_DEBIAN:
      return "run 'update-initramfs -u'";
    case VP_FAMILY_FEDORA:
      return "run 'dracut -f'";
    case VP_FAMILY_ARCH:
      return "run 'mkinitcpio -P'";
    case VP_FAMILY_OTHER:
      break;
  }
  return "make the initramfs anew";
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

static gboolean
is_below (const char *path, const char *mount)
{
  gsize length = strlen (mount);

  return strcmp (mount, "/") == 0 ||
         (strncmp (path, mount, length) == 0 && (path[length] == '/' || path[length] == '\0'));
}

char *
vp_system_dup_mount_options (const VpRoot *root, const char *path)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, "proc/self/mountinfo", MAX_BYTES, &length);
  g_auto (GStrv) lines = g_strsplit (text != NULL ? text : "", "\n", -1);
  g_autofree char *options = NULL;
  gsize best = 0;

  for (guint i = 0; lines[i] != NULL; i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", 7);
    g_autofree char *mount = g_strv_length (words) == 7 ? g_strcompress (words[4]) : NULL;
    /* Of two at one place the later is on top. */
    if (mount == NULL || !is_below (path, mount) || strlen (mount) < best)
      continue;
    best = strlen (mount);
    g_free (options);
    options = g_strdup (words[5]);
  }
  return g_steal_pointer (&options);
}
