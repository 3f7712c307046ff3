/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of the generated emulator wrappers: there, fresh, and runnable. */
#include "cli/doctor/doctor.h"

#include <stdint.h>
#include <string.h>

#include "config.h"
#include "host/mount.h"
#include "host/wrapper.h"

#define AGAIN "run 'systemctl restart vfio-profiled', which makes it anew"

/* As host/wrapper.c writes it: by this the daemon knows that a QEMU was upgraded. */
static char *
dup_identity (const struct stat *info)
{
  return g_strdup_printf ("%ju:%ju:%jd:%jd.%09ld", (uintmax_t) info->st_dev, (uintmax_t) info->st_ino,
                          (intmax_t) info->st_size, (intmax_t) info->st_mtim.tv_sec, info->st_mtim.tv_nsec);
}

static gboolean
has_line (const char *text, const char *key, const char *value)
{
  g_autofree char *line = g_strdup_printf ("\n%s=%s", key, value);
  const char *at = strstr (text, line);

  return at != NULL && (at[strlen (line)] == '\n' || at[strlen (line)] == '\0');
}

static gboolean
is_wanted (const VpDoctor *doctor, const char *path)
{
  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDomain *next = vp_doctor_guest_next (doctor->guests->all->pdata[i]);
    g_autofree char *emulator = next != NULL ? vp_domain_dup_emulator (next) : NULL;
    if (g_strcmp0 (emulator, path) == 0)
      return TRUE;
  }
  return FALSE;
}

static void
judge_wrapper (VpDoctor *doctor, const char *path)
{
  g_autofree char *text = vp_root_dup_text (doctor->root, &path[1]);
  g_autofree char *emulator = text != NULL ? vp_wrapper_dup_emulator (text) : NULL;
  struct stat info;

  if (emulator == NULL)
    return;
  if (!vp_root_is_executable (doctor->root, &path[1])) {
    vp_doctor_fail (doctor, AGAIN, "%s is not executable", path);
  } else if (!vp_doctor_stat (doctor, emulator, &info)) {
    VpCheckLevel level = is_wanted (doctor, path) ? VP_CHECK_FAIL : VP_CHECK_WARN;
    g_autofree char *seen = g_strdup_printf ("%s runs %s, which is not there", path, emulator);
    vp_doctor_report (doctor, level, "install that QEMU again, or give its guests another <emulator>", seen);
  } else {
    g_autofree char *identity = dup_identity (&info);
    if (has_line (text, "identity", identity))
      vp_doctor_ok (doctor, "%s runs %s and is fresh", path, emulator);
    else
      vp_doctor_warn (doctor, AGAIN,
                      "%s is older than the %s it runs, so libvirt may believe in what the old one "
                      "could",
                      path, emulator);
  }
}

/* A definition that names a wrapper which is not there cannot even be edited. */
static void
check_missing (VpDoctor *doctor, const char *folder)
{
  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    g_autofree char *emulator = guest->domain != NULL ? vp_domain_dup_emulator (guest->domain) : NULL;
    struct stat info;
    if (emulator == NULL || !g_str_has_prefix (emulator, folder) || vp_doctor_stat (doctor, emulator, &info))
      continue;
    vp_doctor_fail (doctor, AGAIN, "'%s' runs through %s, which is not there", guest->name, emulator);
  }
}

static void
check_files (VpDoctor *doctor)
{
  g_autofree char *folder = vp_libvirt_dup_wrapper_folder (doctor->session);
  g_auto (GStrv) names = vp_root_list (doctor->root, &folder[1]);

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    judge_wrapper (doctor, path);
  }
  check_missing (doctor, folder);
}

static void
check_mount (VpDoctor *doctor)
{
  g_autofree char *folder = vp_libvirt_dup_wrapper_folder (doctor->session);
  g_auto (GStrv) options = vp_mount_dup_options (doctor->root, folder);

  if (options == NULL)
    return;
  if (g_strv_contains ((const char *const *) options, "noexec"))
    vp_doctor_fail (doctor, "mount that file system without noexec (in /etc/fstab), or use vga.method = override",
                    "%s is on a file system that is mounted noexec: no wrapper runs there", folder);
  else
    vp_doctor_ok (doctor, "%s can run programs", folder);
}

static void
check_program (VpDoctor *doctor)
{
  if (vp_root_is_executable (doctor->root, &VP_EMULATOR_PROGRAM[1]))
    vp_doctor_ok (doctor, VP_EMULATOR_PROGRAM);
  else
    vp_doctor_fail (doctor, "install vfio-profile again",
                    VP_EMULATOR_PROGRAM ", which runs the wrappers, is not there");
}

const VpCheck vp_doctor_wrapper_checks[] = {
  { "wrappers.program", "wrapper program", check_program },
  { "wrappers.mount", "wrapper folder", check_mount },
  { "wrappers.files", "wrappers", check_files },
  { NULL, NULL, NULL },
};
