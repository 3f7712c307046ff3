/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of SELinux and AppArmor: our module and lines, labels, booleans, and what was denied lately. */
#include "cli/doctor/doctor.h"

#include <string.h>

#include "cli/doctor/doctor-denials.h"
#include "config.h"

#define SELINUX "sys/fs/selinux"
#define APPARMOR "etc/apparmor.d"
#define WRAPPERS VP_STATE_FOLDER "/emulators"
#define HOOK_PROFILE "vfio_profile_hook" /* part of libvirt's profile, from apparmor/libvirt.in */

typedef enum { SELINUX_OFF, SELINUX_PERMISSIVE, SELINUX_ENFORCING } Selinux;

static Selinux
read_selinux (const VpDoctor *doctor)
{
  guint64 enforcing = 0;

  if (!vp_root_read_number (doctor->root, SELINUX "/enforce", 10, &enforcing))
    return SELINUX_OFF;
  return enforcing == 1 ? SELINUX_ENFORCING : SELINUX_PERMISSIVE;
}

/* What stops a guest where it is enforced is only logged elsewhere. */
static void
report_selinux (VpDoctor *doctor, const char *advice, const char *seen)
{
  vp_doctor_report (doctor, read_selinux (doctor) == SELINUX_ENFORCING ? VP_CHECK_FAIL : VP_CHECK_WARN, advice, seen);
}

static char *
dup_policy (const VpDoctor *doctor)
{
  g_autofree char *text = vp_root_dup_text (doctor->root, "etc/selinux/config");
  const char *line = text != NULL ? strstr (text, "\nSELINUXTYPE=") : NULL;

  if (line == NULL)
    return NULL;
  line += strlen ("\nSELINUXTYPE=");
  char *name = g_strstrip (g_strndup (line, strcspn (line, "\n")));
  if (strchr (name, '/') == NULL && name[0] != '\0')
    return name;
  g_free (name);
  return NULL;
}

/* The list of modules is root's; the file contexts that they brought are for all to read. */
static gboolean
has_module (const VpDoctor *doctor)
{
  g_autofree char *policy = dup_policy (doctor);
  g_autofree char *path = g_strdup_printf ("etc/selinux/%s/contexts/files/file_contexts", policy != NULL ? policy : "");
  g_autofree char *contexts = policy != NULL ? vp_doctor_dup_file (doctor, path) : NULL;

  return contexts != NULL && strstr (contexts, ":vfioprofile_") != NULL;
}

static void
check_selinux (VpDoctor *doctor)
{
  static const char *const words[] = {
    [SELINUX_OFF] = "off", [SELINUX_PERMISSIVE] = "permissive", [SELINUX_ENFORCING] = "enforcing"
  };
  Selinux selinux = read_selinux (doctor);

  if (selinux == SELINUX_OFF || has_module (doctor)) {
    vp_doctor_ok (doctor, "%s%s", words[selinux], selinux != SELINUX_OFF ? ", our module is loaded" : "");
    return;
  }
  g_autofree char *seen =
    g_strdup_printf ("%s, and the module vfioprofile is not loaded: libvirt may run no wrapper, and "
                     "refuses starts for the hook, or passes it over",
                     words[selinux]);
  g_autofree char *config = g_path_get_dirname (VP_PROFILES_LOCAL);
  g_autofree char *advice = g_strdup_printf ("run 'semodule -X 200 -i /usr/share/selinux/packages/vfioprofile.pp.bz2', "
                                             "'restorecon -R %s %s " VP_HOOK_FILE " " VP_STATE_FOLDER " " VP_RUN_FOLDER
                                             "' and 'systemctl restart vfio-profiled'",
                                             VP_DAEMON_PROGRAM, config);
  report_selinux (doctor, advice, seen);
}

static void
judge_label (VpDoctor *doctor, const char *path, const char *wanted)
{
  struct stat info;
  g_autofree char *label = vp_doctor_dup_label (doctor, &path[1]);
  g_auto (GStrv) parts = g_strsplit (label != NULL ? label : "", ":", 4);
  const char *type = g_strv_length (parts) >= 3 ? parts[2] : "unlabeled_t";

  if (!vp_doctor_stat (doctor, &path[1], &info))
    return;
  if (strcmp (type, wanted) == 0) {
    vp_doctor_ok (doctor, "%s: %s", path, type);
    return;
  }
  g_autofree char *seen = g_strdup_printf ("%s is %s, not %s: libvirt may not run it", path, type, wanted);
  g_autofree char *advice = g_strdup_printf ("run 'restorecon -R %s'", path);
  report_selinux (doctor, advice, seen);
}

static void
check_labels (VpDoctor *doctor)
{
  if (read_selinux (doctor) == SELINUX_OFF || !has_module (doctor))
    return;
  judge_label (doctor, VP_HOOK_FILE, "vfioprofile_hook_exec_t");
  judge_label (doctor, WRAPPERS, "vfioprofile_wrapper_exec_t");
  g_auto (GStrv) names = vp_root_list (doctor->root, &WRAPPERS[1]);
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (WRAPPERS, names[i], NULL);
    judge_label (doctor, path, "vfioprofile_wrapper_exec_t");
  }
}

/* "1 1": now, and when pending ones are committed. */
static void
check_booleans (VpDoctor *doctor)
{
  static const struct {
    const char *name;
    const char *what;
  } booleans[] = {
    { "virt_use_vfio", "guests may have assigned devices" },
    { "virt_use_sysfs", "guests may read their devices in /sys" },
    { "virt_use_execmem", "guests may have memory that can be run, which old QEMU need" },
    { "vfioprofile_isolate_cpus", "'cpu.isolate' works" },
  };
  g_autoptr (GString) off = g_string_new (NULL);
  g_autoptr (GString) command = g_string_new ("run 'setsebool -P");
  gboolean any = FALSE;

  for (gsize i = 0; i < G_N_ELEMENTS (booleans); i++) {
    g_autofree char *path = g_strdup_printf (SELINUX "/booleans/%s", booleans[i].name);
    g_autofree char *value = vp_root_dup_text (doctor->root, path);
    any |= value != NULL;
    if (value == NULL || value[0] == '1')
      continue;
    g_string_append_printf (off, "%s%s is off (on: %s)", off->len > 0 ? "; " : "", booleans[i].name, booleans[i].what);
    g_string_append_printf (command, " %s=1", booleans[i].name);
  }
  g_string_append_c (command, '\'');
  if (off->len > 0)
    report_selinux (doctor, command->str, off->str);
  else if (any)
    vp_doctor_ok (doctor, "all that the policy has are on");
}

static gboolean
names_wrappers (const VpDoctor *doctor, const char *path)
{
  g_autofree char *text = vp_doctor_dup_file (doctor, path);

  return text != NULL && strstr (text, WRAPPERS) != NULL;
}

/* Only root sees this list. What is in the files counts from when libvirt's profile was loaded on. */
static gboolean
is_loaded (const VpDoctor *doctor)
{
  g_autofree char *profiles = vp_root_dup_text (doctor->root, "sys/kernel/security/apparmor/profiles");

  return profiles == NULL || strstr (profiles, "//" HOOK_PROFILE " (") != NULL ||
         (strstr (profiles, "libvirtd (") == NULL && strstr (profiles, "virtqemud (") == NULL);
}

static gboolean
guests_may (const VpDoctor *doctor)
{
  g_auto (GStrv) names = vp_root_list (doctor->root, APPARMOR "/abstractions/libvirt-qemu.d");

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_strdup_printf (APPARMOR "/abstractions/libvirt-qemu.d/%s", names[i]);
    if (names_wrappers (doctor, path))
      return TRUE;
  }
  return names_wrappers (doctor, APPARMOR "/local/abstractions/libvirt-qemu");
}

static void
check_apparmor (VpDoctor *doctor)
{
  static const char *const profiles[] = { "usr.sbin.libvirtd", "usr.sbin.virtqemud" };
  g_autofree char *enabled = vp_root_dup_text (doctor->root, "sys/module/apparmor/parameters/enabled");
  g_autofree char *programs = g_path_get_dirname (VP_EMULATOR_PROGRAM);
  g_autofree char *advice = g_strdup_printf ("run '%s/vfio-profile-apparmor add'", programs);
  g_auto (GStrv) names = vp_root_list (doctor->root, APPARMOR);
  guint there = 0;
  guint missing = 0;

  if (g_strcmp0 (enabled, "Y") != 0) {
    vp_doctor_ok (doctor, "off");
    return;
  }
  for (gsize i = 0; i < G_N_ELEMENTS (profiles); i++) {
    g_autofree char *path = g_strdup_printf (APPARMOR "/local/%s", profiles[i]);
    if (!g_strv_contains ((const char *const *) names, profiles[i]))
      continue;
    there++;
    missing += names_wrappers (doctor, path) ? 0 : 1;
  }
  if (there == 0)
    vp_doctor_ok (doctor, "on, without profiles for libvirt");
  else if (missing > 0 || !guests_may (doctor))
    vp_doctor_fail (doctor, advice, "on, and the profiles of %s do not let it run the wrappers",
                    missing > 0 ? "libvirt" : "guests");
  else if (!is_loaded (doctor))
    vp_doctor_fail (doctor, "run 'systemctl reload apparmor'",
                    "on, with our lines for libvirt and its guests, but the kernel has libvirt's profile without them");
  else
    vp_doctor_ok (doctor, "on, with our lines for libvirt and its guests");
}

static void
check_denials (VpDoctor *doctor)
{
  gboolean seen = FALSE;
  g_autoptr (GPtrArray) lines = vp_denials_read (doctor->root, !doctor->recorded, &seen);

  if (lines->len > 0)
    vp_doctor_warn (doctor, "see the checks of SELinux and AppArmor above; where all are OK, report it with this line",
                    "%u about us, the last: %s", lines->len, (const char *) lines->pdata[lines->len - 1]);
  else if (!seen)
    vp_doctor_unseen (doctor, "the audit log and the journal");
  else
    vp_doctor_ok (doctor, "none about us since yesterday");
}

const VpCheck vp_doctor_security_checks[] = {
  { "selinux.module", "SELinux", check_selinux },
  { "selinux.labels", "SELinux labels", check_labels },
  { "selinux.booleans", "SELinux booleans", check_booleans },
  { "apparmor.lines", "AppArmor", check_apparmor },
  { "security.denials", "recent denials", check_denials },
  { NULL, NULL, NULL },
};
