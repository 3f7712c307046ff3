/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of libvirt, our hook in it, and our daemon behind the hook. */
#include "doctor.h"

#include <errno.h>
#include <string.h>

#include "config.h"
#include "hold.h"

#define HOOKS_LEAST 6005000   /* libvirt reads the folder qemu.d since 6.5 */
#define LIBVIRT_LEAST 6000000
#define DAEMON "vfio-profiled"

/* A path of ours below the root. */
#define BELOW(path) (&(path)[1])

static const VpProcess *
find_libvirt (const VpDoctor *doctor)
{
  const VpProcess *modular = vp_system_find_process (doctor->system, "virtqemud");

  return modular != NULL ? modular : vp_system_find_process (doctor->system, "libvirtd");
}

static gboolean
is_there (const VpDoctor *doctor, const char *path)
{
  struct stat info;

  return vp_doctor_stat (doctor, path, &info);
}

static gboolean
has_program (const VpDoctor *doctor, const char *name)
{
  static const char *const folders[] = { "usr/sbin", "usr/bin" };

  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree char *path = g_build_filename (folders[i], name, NULL);
    if (vp_root_is_executable (doctor->root, path))
      return TRUE;
  }
  return FALSE;
}

/* "libvirtd" or "virtqemud", running or not; NULL: neither is installed. */
static const char *
libvirt_name (const VpDoctor *doctor)
{
  const VpProcess *process = find_libvirt (doctor);

  if (process != NULL)
    return strcmp (process->name, "virtqemud") == 0 ? "virtqemud" : "libvirtd";
  if (has_program (doctor, "virtqemud") &&
      (is_there (doctor, "run/libvirt/virtqemud-sock") || !has_program (doctor, "libvirtd")))
    return "virtqemud";
  return has_program (doctor, "libvirtd") ? "libvirtd" : NULL;
}

static void
check_version (VpDoctor *doctor)
{
  const VpDoctorGuests *guests = doctor->guests;
  const char *name = libvirt_name (doctor);
  unsigned long version = guests->version;

  if (name == NULL && guests->connection == NULL) {
    g_autofree char *advice = vp_system_dup_install (doctor->system, "libvirt-daemon-system qemu-system-x86",
                                                     "libvirt-daemon-driver-qemu qemu-kvm", "libvirt qemu-base");
    vp_doctor_fail (doctor, advice, "no libvirt with a driver for QEMU is installed");
  } else if (guests->problem != NULL && find_libvirt (doctor) != NULL && !doctor->privileged) {
    vp_doctor_fail (doctor, "run this command as root, or as a member of the group libvirt", "%s", guests->problem);
  } else if (guests->problem != NULL) {
    g_autofree char *advice =
      g_strdup_printf ("run 'systemctl enable --now %s.socket'", name != NULL ? name : "libvirtd");
    vp_doctor_fail (doctor, advice, "%s", guests->problem);
  } else if (version > 0 && version < LIBVIRT_LEAST) {
    vp_doctor_fail (doctor, "upgrade libvirt", "version %lu.%lu.%lu; 6.0.0 is the least", version / 1000000,
                    version / 1000 % 1000, version % 1000);
  } else {
    g_autofree char *number = version > 0 ? g_strdup_printf ("%lu.%lu.%lu, ", version / 1000000, version / 1000 % 1000,
                                                             version % 1000)
                                          : g_strdup ("");
    vp_doctor_ok (doctor, "%s%s", number,
                  g_strcmp0 (name, "virtqemud") == 0 ? "modular (virtqemud)" : "in one piece (libvirtd)");
  }
}

static void
check_hook (VpDoctor *doctor)
{
  struct stat info;
  const unsigned long version = doctor->guests->version;
  gboolean there = vp_doctor_stat (doctor, BELOW (VP_HOOK_FILE), &info);
  int number = errno;
  g_autofree char *options = vp_system_dup_mount_options (doctor->root, VP_HOOK_FILE);
  g_auto (GStrv) words = g_strsplit (options != NULL ? options : "", ",", -1);

  if (!there && number == EACCES)
    vp_doctor_unseen (doctor, VP_HOOK_FILE);
  else if (!there)
    vp_doctor_fail (doctor, "install vfio-profile again: nothing makes tagged guests ready for their start",
                    VP_HOOK_FILE " is not there");
  else if ((info.st_mode & 0100) == 0)
    vp_doctor_fail (doctor, "run 'chmod 755 " VP_HOOK_FILE "' and 'systemctl reload libvirtd' (or virtqemud)",
                    VP_HOOK_FILE " is not executable, and libvirt passes it over without a word");
  else if (g_strv_contains ((const char *const *) words, "noexec"))
    vp_doctor_fail (doctor, "mount that file system without noexec",
                    VP_HOOK_FILE " is on a file system that is mounted noexec");
  else if (version > 0 && version < HOOKS_LEAST)
    vp_doctor_fail (doctor, "upgrade libvirt to 6.5 or newer, or call the hook from /etc/libvirt/hooks/qemu",
                    "this libvirt does not read " VP_HOOK_FILE);
  else
    vp_doctor_ok (doctor, VP_HOOK_FILE);
}

/* libvirt looks once whether there is any qemu hook; the others' age counts as well. */
static gint64
first_hook_time (const VpDoctor *doctor)
{
  g_autofree char *folder = g_path_get_dirname (BELOW (VP_HOOK_FILE));
  g_autofree char *top = g_path_get_dirname (folder);
  g_autofree char *main_hook = g_build_filename (top, "qemu", NULL);
  g_auto (GStrv) names = vp_root_list (doctor->root, folder);
  gint64 first = G_MAXINT64;
  struct stat info;

  if (vp_doctor_stat (doctor, main_hook, &info) && (info.st_mode & 0100) != 0)
    first = info.st_ctime;
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    if (vp_doctor_stat (doctor, path, &info) && S_ISREG (info.st_mode) && (info.st_mode & 0100) != 0)
      first = MIN (first, (gint64) info.st_ctime);
  }
  return first;
}

static char *
dup_time (gint64 seconds)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local (seconds);

  return time != NULL ? g_date_time_format (time, "%F %T") : g_strdup ("?");
}

/* A reload leaves no trace, so a hook that is newer may be known all the same. */
static void
check_registered (VpDoctor *doctor)
{
  const VpProcess *libvirt = find_libvirt (doctor);
  gint64 first = first_hook_time (doctor);

  if (first == G_MAXINT64 || libvirt_name (doctor) == NULL)
    return;
  if (libvirt == NULL) {
    vp_doctor_ok (doctor, "%s does not run now, and looks for hooks when it starts", libvirt_name (doctor));
    return;
  }
  if (libvirt->started == 0) {
    vp_doctor_unseen (doctor, "when libvirt started");
    return;
  }
  g_autofree char *started = dup_time ((gint64) libvirt->started);
  g_autofree char *came = dup_time (first);
  /* The kernel says in whole seconds when it booted. */
  if ((gint64) libvirt->started + 1 >= first) {
    vp_doctor_ok (doctor, "%s started at %s, after the hook came", libvirt->name, started);
    return;
  }
  g_autofree char *advice = g_strdup_printf ("run 'systemctl reload %s'; once more does no harm", libvirt->name);
  vp_doctor_warn (doctor, advice, "%s started at %s, before the hook came or was changed at %s: unless it was reloaded "
                                  "since, it does not know the hook", libvirt->name, started, came);
}

/* Of a running guest the daemon keeps a file from the hook's call to its end. */
static void
judge_call (VpDoctor *doctor, const VpDoctorGuest *guest, guint *called)
{
  g_autofree char *path = g_strdup_printf ("%s/holds/%s", BELOW (VP_RUN_FOLDER), guest->uuid);
  g_autofree char *text = vp_root_load_own (doctor->root, path, VP_HOLD_MAX_BYTES, NULL);
  g_autoptr (VpHold) hold = text != NULL ? vp_hold_parse (guest->uuid, text, NULL) : NULL;
  gboolean takes = guest->n_devices > 0 || (guest->plan != NULL && guest->plan->pages > 0);

  if (hold != NULL)
    (*called)++;
  else if (takes)
    vp_doctor_warn (doctor, "stop and start the guest; if it is the same then, see the checks of the hook and of "
                            "SELinux: its label, its mode, and whether libvirt was reloaded",
                    "'%s' runs, and the hook was not called at its start: it was tagged later, or libvirt passes the "
                    "hook over", guest->name);
}

static void
check_called (VpDoctor *doctor)
{
  guint called = 0;
  guint running = 0;

  for (guint i = 0; i < doctor->guests->all->len && !doctor->session; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    if (!guest->running || !guest->tagged || guest->uuid == NULL)
      continue;
    running++;
    if (doctor->privileged)
      judge_call (doctor, guest, &called);
  }
  if (called > 0)
    vp_doctor_ok (doctor, "at the start of %u of %u tagged guest%s that run%s", called, running,
                  running == 1 ? "" : "s", running == 1 ? "s" : "");
  else if (running > 0 && !doctor->privileged)
    vp_doctor_unseen (doctor, "whether the hook was called for the guests that run");
}

static void
check_daemon (VpDoctor *doctor)
{
  const VpProcess *process = vp_system_find_process (doctor->system, DAEMON);
  gboolean needed = vp_doctor_guests_count_tagged (doctor->guests) > 0;
  const char *advice = doctor->session ? "run 'vfio-profiled --session' in the session"
                                       : "run 'systemctl enable --now vfio-profiled'; why it ended: 'journalctl -u "
                                         "vfio-profiled'";
  struct stat info;

  /* systemd holds the socket and starts the daemon for the hook, but nobody prepares definitions until then. */
  if (process == NULL && is_there (doctor, "run/systemd/system") && is_there (doctor, BELOW (VP_GATE_SOCKET))) {
    vp_doctor_warn (doctor, advice, DAEMON " does not run; its socket starts it when a tagged guest starts");
    return;
  }
  if (process == NULL) {
    vp_doctor_report (doctor, needed ? VP_CHECK_FAIL : VP_CHECK_WARN, advice,
                      needed ? DAEMON " does not run, and tagged guests do not start without it"
                             : DAEMON " does not run; no guest is tagged yet");
    return;
  }
  if (doctor->session || vp_doctor_stat (doctor, BELOW (VP_GATE_SOCKET), &info))
    vp_doctor_ok (doctor, DAEMON " runs (process %d)%s", process->pid, doctor->session ? "" : ", its socket is there");
  else if (errno == EACCES)
    vp_doctor_unseen (doctor, DAEMON " runs; its socket " VP_GATE_SOCKET);
  else
    vp_doctor_fail (doctor, "run 'systemctl restart vfio-profiled.socket vfio-profiled.service'",
                    DAEMON " runs (process %d), but its socket " VP_GATE_SOCKET " is not there", process->pid);
}

/* At the next boot libvirt's autostart would find nobody. */
static void
check_enabled (VpDoctor *doctor)
{
  if (doctor->session || !is_there (doctor, "run/systemd/system"))
    return;
  if (is_there (doctor, "etc/systemd/system/multi-user.target.wants/vfio-profiled.service"))
    vp_doctor_ok (doctor, "at boot");
  else
    vp_doctor_warn (doctor, "run 'systemctl enable vfio-profiled'", DAEMON " is not started at boot");
}

const VpCheck vp_doctor_libvirt_checks[] = {
  { "libvirt.version", "libvirt", check_version },
  { "hook.installed", "hook installed", check_hook },
  { "hook.registered", "hook registered", check_registered },
  { "hook.called", "hook called", check_called },
  { "daemon.runs", "daemon", check_daemon },
  { "daemon.enabled", "daemon enabled", check_enabled },
  { NULL, NULL, NULL },
};
