/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads: main (this file and keep/: asks libvirt), versions (reads libvirt's
 * folder), gate and its pool (answer the hook), one for each start of a domain that
 * we were asked to repeat (asks libvirt), end (hears SIGTERM; main.c). Main and starts
 * may wait for libvirt, the others never do; main waits for versions a second at most,
 * and for an answer that readies the host a second a guest; answers wait for each other to
 * a deadline; end waits for starts and answers, bounded.
 */
#include "daemon/daemon.h"

#include <systemd/sd-daemon.h>

#include "base/error.h"
#include "config.h"
#include "daemon/gate/admission.h"
#include "daemon/gate/gate-socket.h"
#include "daemon/gate/ledger.h"
#include "daemon/keep/connection.h"
#include "daemon/keep/host-watch.h"
#include "daemon/keep/keeper.h"
#include "daemon/keep/plug-watch.h"
#include "daemon/keep/silent.h"
#include "domain/guest-facts.h"
#include "edits/writer.h"
#include "host/wrapper.h"
#include "profile/tag-rules.h"

struct VpDaemon {
  gboolean session;
  char *run_folder;
  char *config_folder;
  unsigned long libvirt_version;
  VpRoot *root;
  VpLedger *ledger;
  VpAdmission *admission;
  VpWriter *writer;
  VpKeeper *keeper;
  VpGate *gate;
  VpHostWatch *host_watch;
  VpPlugWatch *plug_watch;
  VpConnection *connection;
  guint reconcile_timer; /* 0: none is planned */
};

#define RECONCILE_SECONDS 15
#define WRITER_MS 5000  /* at the start, for a command that writes */
#define STARTS_MS 500   /* at the end, for starts; they ask the gate, so they come first */
#define ANSWERS_MS 1000 /* for answers, from the same moment on */

/* Emulators behind our wrappers: when one is upgraded, its wrapper must change too. */
static void
watch_emulators (VpDaemon *daemon, const VpHost *host)
{
  for (guint i = 0; i < host->wrappers->len; i++) {
    const VpWrapperEntry *entry = host->wrappers->pdata[i];
    g_autoptr (GError) error = NULL;
    gboolean changed = FALSE;

    if (daemon->host_watch != NULL)
      vp_host_watch_add_file (daemon->host_watch, entry->emulator);
    if (!vp_wrapper_refresh (host->wrapper_folder, entry->emulator, &changed, &error))
      g_warning ("%s", error->message);
    if (!changed)
      continue;
    g_message ("%s changed: its wrapper was made anew", entry->emulator);
    if (daemon->connection != NULL && vp_connection_get (daemon->connection) != NULL)
      vp_libvirt_warm (vp_connection_get (daemon->connection), entry->path);
  }
}

/*
 * A definition that comes from another host may name the wrapper, and libvirt does not take
 * it where there is none: those for guests with BIOS firmware are there from the first start on.
 */
static gboolean
make_first_wrappers (const VpHost *host)
{
  gboolean made = FALSE;

  for (guint i = 0; host->emulators[i] != NULL; i++) {
    const char *emulator = host->emulators[i];
    g_autofree char *path = vp_wrapper_dup_path (host->wrapper_folder, emulator);
    g_autoptr (GError) error = NULL;
    gboolean changed = FALSE;

    if ((!g_str_has_suffix (emulator, "/qemu-system-x86_64") && !g_str_has_suffix (emulator, "/qemu-kvm")) ||
        vp_host_wrapped_emulator (host, path) != NULL)
      continue;
    if (!vp_wrapper_refresh (host->wrapper_folder, emulator, &changed, &error))
      g_warning ("%s", error->message);
    made = made || changed;
  }
  return made;
}

static VpHost *
load_host (VpDaemon *daemon, GError **error)
{
  VpHost *host = vp_libvirt_load_host (daemon->session, daemon->libvirt_version, error);

  if (host == NULL || !make_first_wrappers (host))
    return host;
  vp_host_unref (host);
  return vp_libvirt_load_host (daemon->session, daemon->libvirt_version, error);
}

/* Those that are on: what they gave stays, and nobody gets it anew. */
static void
warn_of_rules (const VpProfiles *profiles)
{
  const GPtrArray *rules = vp_profiles_get_rules (profiles);

  for (guint i = 0; i < rules->len; i++) {
    const VpTagRule *rule = rules->pdata[i];
    if (rule->enabled && rule->error != NULL)
      g_warning ("rule '%s' is broken: %s", rule->name, rule->error->message);
  }
}

static void
warn_of_limits (const VpProfiles *profiles)
{
  const GError *error = vp_limits_get_error (vp_profiles_get_limits (profiles));

  if (error != NULL)
    g_warning ("%s; the limits that are built in hold until it is mended", error->message);
}

void
vp_daemon_reload (VpDaemon *daemon)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpHost) host = load_host (daemon, &error);
  g_autoptr (VpProfiles) profiles = host != NULL ? vp_libvirt_load_profiles (daemon->session, &error) : NULL;

  if (profiles == NULL) {
    g_warning ("%s; going on with what was read before", error->message);
    vp_ledger_set_problem (daemon->ledger, error->message);
    return;
  }
  g_autoptr (GPtrArray) list = vp_profiles_list (profiles);
  for (guint i = 0; i < list->len; i++) {
    const VpProfile *profile = list->pdata[i];
    if (profile->error != NULL)
      g_warning ("profile '%s' is broken: %s", profile->name, profile->error->message);
  }
  warn_of_rules (profiles);
  warn_of_limits (profiles);
  watch_emulators (daemon, host);
  vp_book_set_keep (vp_admission_get_book (daemon->admission), vp_limits_get_keep (vp_profiles_get_limits (profiles)));
  vp_ledger_set (daemon->ledger, g_steal_pointer (&host), g_steal_pointer (&profiles));
  vp_keeper_touch_all (daemon->keeper);
}

static void
on_host_changed (gpointer data)
{
  vp_daemon_reload (data);
}

/* Not at once: it was made in the midst of a look at a domain. */
static void
on_wrapper_made (gpointer data)
{
  VpDaemon *daemon = data;

  vp_host_watch_note (daemon->host_watch);
}

/* What guests held that ended while nobody looked is given back. */
static void
reconcile (VpDaemon *daemon, virConnectPtr connection)
{
  g_autoptr (GError) error = NULL;

  vp_book_begin_reconcile (vp_admission_get_book (daemon->admission));
  g_auto (GStrv) running = vp_libvirt_list_running (connection, &error);
  if (running == NULL)
    g_warning ("%s: what guests held before stays held", error->message);
  else
    vp_admission_reconcile (daemon->admission, (const char *const *) running);
}

static gboolean
on_reconcile (gpointer data)
{
  VpDaemon *daemon = data;

  daemon->reconcile_timer = 0;
  if (vp_connection_get (daemon->connection) != NULL)
    reconcile (daemon, vp_connection_get (daemon->connection));
  return G_SOURCE_REMOVE;
}

static void
on_stopped (const char *domain, gpointer data)
{
  VpDaemon *daemon = data;

  vp_keeper_touch (daemon->keeper, domain);
  /* Its hook gives back what it held, but may have found nobody, or have been too late. */
  if (daemon->reconcile_timer == 0)
    daemon->reconcile_timer = g_timeout_add_seconds (RECONCILE_SECONDS, on_reconcile, daemon);
}

static void
on_definition (const char *domain, gpointer data)
{
  VpDaemon *daemon = data;

  if (domain != NULL)
    vp_keeper_touch (daemon->keeper, domain);
  else
    vp_keeper_touch_all (daemon->keeper);
}

static void
on_guest (const char *domain, gpointer data)
{
  VpDaemon *daemon = data;

  vp_keeper_touch_plugged (daemon->keeper, domain);
}

static VpSilentContext
silent_context (const VpDaemon *daemon)
{
  return (VpSilentContext){ vp_admission_get_book (daemon->admission), daemon->libvirt_version, daemon->session };
}

static void
on_connected (virConnectPtr connection, gpointer data)
{
  VpDaemon *daemon = data;
  g_autoptr (GError) error = NULL;

  (void) virConnectGetLibVersion (connection, &daemon->libvirt_version);
  g_message ("connected to libvirt %lu.%lu.%lu", daemon->libvirt_version / 1000000,
             daemon->libvirt_version / 1000 % 1000, daemon->libvirt_version % 1000);
  /* A libvirt that never stored a domain has no such folder yet; it makes it with this mode. */
  (void) g_mkdir_with_parents (daemon->config_folder, 0700);
  if (!vp_versions_ensure (daemon->writer->versions, &error))
    g_warning ("%s: edits with --config are noticed at the start only", error->message);
  vp_keeper_set_connection (daemon->keeper, connection);
  reconcile (daemon, connection);
  const VpSilentContext silent = silent_context (daemon);
  vp_silent_check_running (&silent, connection);
  vp_daemon_reload (daemon);
}

static void
on_disconnected (gpointer data)
{
  VpDaemon *daemon = data;

  vp_keeper_set_connection (daemon->keeper, NULL);
}

static void
on_started (virDomainPtr domain, gpointer data)
{
  VpDaemon *daemon = data;
  const VpSilentContext silent = silent_context (daemon);

  vp_silent_check_started (&silent, domain);
  vp_keeper_started (daemon->keeper, domain);
}

static void
on_gate_request (const char *domain, VpAfter after, gpointer data)
{
  vp_keeper_request (data, domain, after);
}

static gboolean
start_gate (VpDaemon *daemon, GError **error)
{
  g_autofree char *path = g_build_filename (daemon->run_folder, "gate.sock", NULL);
  const VpGateKeeper keeper = { on_gate_request, daemon->keeper };
  const VpGateContext context = { daemon->ledger, daemon->admission, keeper, daemon->config_folder };
  int fd = sd_listen_fds (1) > 0 ? SD_LISTEN_FDS_START : -1;

  daemon->gate = vp_gate_new (&context, path, fd, error);
  return daemon->gate != NULL;
}

/* The gate must answer before libvirt is there: autostart asks it while libvirt starts. */
static gboolean
start_parts (VpDaemon *daemon, GError **error)
{
  g_autofree char *own = g_build_filename (g_get_user_config_dir (), "vfio-profile", "profiles.d", NULL);
  const char *profiles[] = { VP_PROFILES_SHIPPED, VP_PROFILES_LOCAL, daemon->session ? own : NULL, NULL };
  g_auto (GStrv) rules = vp_libvirt_list_rule_folders (daemon->session);
  VpConnectionHandlers handlers = { on_connected, on_disconnected, on_definition, on_started, on_stopped, daemon };

  daemon->ledger = vp_ledger_new ();
  daemon->root = vp_root_open ("/", error);
  if (daemon->root != NULL)
    daemon->admission = vp_admission_new (daemon->root, daemon->run_folder, NULL, daemon->session, error);
  if (daemon->admission == NULL)
    return FALSE;
  daemon->keeper = vp_keeper_new (daemon->ledger, vp_admission_get_book (daemon->admission), daemon->writer->versions,
                                  daemon->writer->intents, daemon->session, on_wrapper_made, daemon);
  daemon->host_watch = vp_host_watch_new (on_host_changed, daemon);
  vp_host_watch_add_folders (daemon->host_watch, profiles);
  vp_host_watch_add_folders (daemon->host_watch, (const char *const *) rules);
  vp_host_watch_add_file (daemon->host_watch, VP_LIMITS_FILE);
  g_autofree char *guests = vp_guest_facts_dup_folder (daemon->session);
  g_autofree char *guests_path = g_strconcat ("/", guests, NULL);
  daemon->plug_watch = vp_plug_watch_new (guests_path, on_guest, daemon);
  (void) virGetVersion (&daemon->libvirt_version, NULL, NULL); /* until the connection says better */
  vp_daemon_reload (daemon);
  if (!start_gate (daemon, error))
    return FALSE;
  daemon->connection = vp_connection_new (daemon->session ? "qemu:///session" : "qemu:///system", &handlers);
  return TRUE;
}

VpDaemon *
vp_daemon_new (gboolean session, GError **error)
{
  g_autoptr (VpDaemon) daemon = g_new0 (VpDaemon, 1);

  daemon->session = session;
  daemon->run_folder = vp_libvirt_dup_run_folder (session);
  daemon->config_folder = vp_libvirt_dup_config_folder (session);
  daemon->writer = vp_writer_new (session, WRITER_MS, on_definition, daemon, error);
  if (daemon->writer == NULL || !start_parts (daemon, error))
    return NULL;
  return g_steal_pointer (&daemon);
}

gboolean
vp_daemon_stop (VpDaemon *daemon)
{
  gint64 now = g_get_monotonic_time ();
  gboolean started = vp_keeper_stop (daemon->keeper, now + STARTS_MS * G_TIME_SPAN_MILLISECOND);
  gboolean answered = vp_gate_stop (daemon->gate, now + ANSWERS_MS * G_TIME_SPAN_MILLISECOND);

  return started && answered;
}

void
vp_daemon_free (VpDaemon *daemon)
{
  if (daemon == NULL)
    return;
  if (daemon->reconcile_timer != 0)
    g_source_remove (daemon->reconcile_timer);
  vp_connection_free (daemon->connection);
  vp_gate_free (daemon->gate);
  vp_host_watch_free (daemon->host_watch);
  vp_plug_watch_free (daemon->plug_watch);
  vp_keeper_free (daemon->keeper);
  vp_admission_free (daemon->admission);
  vp_root_free (daemon->root);
  vp_ledger_free (daemon->ledger);
  vp_writer_free (daemon->writer); /* the last: then another may begin */
  g_free (daemon->run_folder);
  g_free (daemon->config_folder);
  g_free (daemon);
}
