/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of libvirt, our hook in it, and our daemon behind the hook. */
#include "cli/doctor/doctor.h"

#include <errno.h>
#include <string.h>

#include "config.h"
#include "host/hook-file.h"
#include "journal/journal.h"

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
    g_autofree char *number =
      version > 0 ? g_strdup_printf ("%lu.%lu.%lu, ", version / 1000000, version / 1000 % 1000, version % 1000)
                  : g_strdup ("");
    vp_doctor_ok (doctor, "%s%s", number,
                  g_strcmp0 (name, "virtqemud") == 0 ? "modular (virtqemud)" : "in one piece (libvirtd)");
  }
}

static void
check_hook (VpDoctor *doctor)
{
  VpHookFault fault = vp_hook_find_fault (doctor->root, doctor->guests->version);

  if (fault == VP_HOOK_UNSEEN)
    vp_doctor_unseen (doctor, VP_HOOK_FILE);
  else
    vp_doctor_report (doctor, fault == VP_HOOK_FINE ? VP_CHECK_OK : VP_CHECK_FAIL, vp_hook_fault_advice (fault),
                      vp_hook_fault_seen (fault));
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
  gint64 first = vp_hook_first_time (doctor->root);

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
  if (vp_hook_is_older (first, libvirt->started)) {
    vp_doctor_ok (doctor, "%s started at %s, after the hook came", libvirt->name, started);
    return;
  }
  g_autofree char *advice = g_strdup_printf ("run 'systemctl reload %s'; once more does no harm", libvirt->name);
  vp_doctor_warn (doctor, advice,
                  "%s started at %s, before the hook came or was changed at %s: unless it was reloaded "
                  "since, it does not know the hook",
                  libvirt->name, started, came);
}

/* Of a running guest the daemon keeps a file from the hook's call to its end, or one that says that there was none. */
static void
judge_call (VpDoctor *doctor, const VpDoctorGuest *guest, guint *called)
{
  g_autoptr (VpJournal) journal = vp_journal_new (doctor->root, VP_RUN_FOLDER);
  g_autoptr (VpHolding) holding = vp_journal_read (journal, guest->uuid, NULL);

  if (holding != NULL && holding->silent != NULL) {
    g_autofree char *seen = g_strdup_printf ("'%s' was started past the hook: %s", guest->name, holding->silent);
    vp_doctor_report (doctor, VP_CHECK_FAIL, "do that, then stop and start the guest", seen);
  } else if (holding != NULL) {
    (*called)++;
  } else if (guest->live != NULL && vp_domain_was_prepared (guest->live)) {
    vp_doctor_warn (doctor,
                    "stop and start the guest; if it is the same then, see the checks of the hook and of "
                    "SELinux: its label, its mode, and whether libvirt was reloaded",
                    "'%s' runs, and the hook was not called at its start", guest->name);
  }
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
