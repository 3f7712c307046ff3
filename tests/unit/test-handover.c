/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A desktop steps back and returns: a made host, systemd and logind on a bus of our own. The daemon is killed after
 * each change that it makes, both ways, and the next one finds what is missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "daemon/handover/handover.h"
#include "fake-systemd.h"
#include "journal/story.h"
#include "made-claim.h"
#include "made-desktop.h"
#include "profile/profile.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define DM "lightdm.service"
#define KILLED 99
#define VICTIM "VP_TEST_VICTIM" /* in the environment: a file for the process that is killed */

typedef struct {
  MadeTree *tree;
  VpRoot *root; /* the daemon's: the shim is here */
  VpBook *book;
  VpHandover *handover;
  FakeSystemd *systemd; /* NULL: it is another process's */
  char *bus;
  GArray *hostdevs;
  gboolean bios;    /* a console that was taken off does not come back */
  gboolean libvirt; /* it gives the card back to its driver */
  int left;         /* changes until the daemon is killed; 0: it is not */
} Host;

/* Who draws on the card. */
static void
set_desktop (const MadeTree *tree, gboolean runs)
{
  if (runs)
    made_holder (tree, 578, "Xorg", "/system.slice/" DM, "/dev/dri/card0");
  else {
    g_autofree char *folder = g_build_filename (tree->folder, "proc/578", NULL);
    if (g_file_test (folder, G_FILE_TEST_IS_DIR))
      made_tree_remove (folder);
  }
}

static void
set_module (const MadeTree *tree, const char *name, gboolean loaded)
{
  g_autofree char *file = g_strdup_printf ("sys/module/%s/refcnt", name);
  g_autofree char *folder = g_strdup_printf ("%s/sys/module/%s", tree->folder, name);

  if (loaded)
    made_file (tree, file, "0\n");
  else if (g_file_test (folder, G_FILE_TEST_IS_DIR))
    made_tree_remove (folder);
}

/* In the bus's thread. */
static void
on_change (const char *name, gboolean start, gpointer data)
{
  const Host *host = data;

  if (strcmp (name, DM) == 0)
    set_desktop (host->tree, start);
  else if (g_str_has_prefix (name, "vfio-profile-unload@"))
    set_module (host->tree, "nvidia_drm", FALSE);
  else if (g_str_has_prefix (name, "vfio-profile-load@"))
    set_module (host->tree, "nvidia_drm", TRUE);
}

static void
set_driver (const Host *host, const char *driver)
{
  g_autofree char *target = g_strconcat ("../../../bus/pci/drivers/", driver, NULL);
  g_autofree char *link = g_build_filename (host->tree->folder, "sys/devices/" CARD_FOLDER "/driver", NULL);

  (void) g_unlink (link);
  if (driver != NULL)
    made_link (host->tree, "sys/devices/" CARD_FOLDER "/driver", target);
}

/* The kernel. */
static int
on_write (const char *path, const char *text, gpointer data)
{
  const Host *host = data;

  if (strcmp (path, "sys/bus/pci/drivers_probe") == 0) {
    set_driver (host, "amdgpu");
    return 0;
  }
  if (!host->bios || strcmp (text, "1") != 0)
    made_file (host->tree, path, text);
  return 0;
}

/* Of what matters: the story is no ground that anybody stands on. */
static void
on_step (const char *what, const char *path, gpointer data)
{
  Host *host = data;

  (void) what;
  if (host->left > 0 && (g_str_has_prefix (path, "run/holds") || g_str_has_prefix (path, "sys/")) && --host->left == 0)
    _exit (KILLED);
}

static void
start_daemon (Host *host)
{
  g_autoptr (GError) error = NULL;
  const VpRootShim shim = { .write = on_write, .step = on_step, .data = host };

  host->root = vp_root_open (host->tree->folder, &error);
  g_assert_no_error (error);
  vp_root_set_shim (host->root, &shim);
  host->book = vp_book_new (host->root, "run", &error);
  g_assert_no_error (error);
  host->handover = vp_handover_new (host->root, host->book, "run", host->bus);
}

static void
stop_daemon (Host *host)
{
  g_clear_pointer (&host->handover, vp_handover_free);
  g_clear_pointer (&host->book, vp_book_free);
  g_clear_pointer (&host->root, vp_root_free);
}

static void
add_hostdev (GArray *hostdevs, const char *address)
{
  VpHostdev hostdev = { .managed = TRUE };

  g_assert_true (vp_pci_address_parse (address, &hostdev.address));
  g_array_append_val (hostdevs, hostdev);
}

static Host *
host_new_without (void)
{
  Host *host = g_new0 (Host, 1);

  host->hostdevs = g_array_new (FALSE, TRUE, sizeof (VpHostdev));
  add_hostdev (host->hostdevs, CARD);
  add_hostdev (host->hostdevs, CARD_AUDIO);
  return host;
}

/* X in the display manager's cgroup, the text console on the card. */
static Host *
host_new (void)
{
  Host *host = host_new_without ();

  host->tree = made_tree_new ();
  host->systemd = fake_systemd_new ();
  host->bus = g_strdup (fake_systemd_get_address (host->systemd));
  made_file (host->tree, "run/here", "");
  made_card (host->tree, "030000 1002 67df", "amdgpu");
  made_file (host->tree, "sys/devices/" CARD_FOLDER "/drm/card0/dev", "226:0\n");
  made_console (host->tree, "1\n");
  set_desktop (host->tree, TRUE);
  fake_systemd_set_service (host->systemd, DM, "active");
  fake_systemd_on_change (host->systemd, on_change, host);
  start_daemon (host);
  return host;
}

static void
host_free (Host *host)
{
  stop_daemon (host);
  fake_systemd_free (host->systemd);
  made_tree_free (host->tree);
  g_array_unref (host->hostdevs);
  g_free (host->bus);
  g_free (host);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Host, host_free)

static VpSettings *
new_settings (const char *deadline)
{
  VpSettings *settings = vp_settings_new ();

  settings->values[VP_KEY_DEVICES_HANDOVER] = g_strdup ("yes");
  settings->values[VP_KEY_DEVICES_HANDOVER_DEADLINE] = g_strdup (deadline);
  return settings;
}

static gboolean
take (Host *host, const char *uuid, const char *deadline, GError **error)
{
  g_autoptr (VpSettings) settings = new_settings (deadline);
  g_autofree char *name = g_strndup (uuid, 1);
  const VpHandoverRequest request = { uuid, name, host->hostdevs, settings };

  made_claim_ok (host->book, uuid, name, NULL, CARD);
  return vp_handover_take (host->handover, &request, error);
}

static void
take_ok (Host *host, const char *uuid)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (take (host, uuid, "5", &error));
  g_assert_no_error (error);
}

static void
take_fails (Host *host, const char *uuid, const char *deadline, const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (take (host, uuid, deadline, &error));
  g_assert_nonnull (error);
  if (strstr (error->message, words) == NULL)
    g_error ("no \"%s\" in: %s", words, error->message);
}

static void
release (Host *host, const char *uuid)
{
  g_assert_true (vp_book_release (host->book, uuid, g_get_monotonic_time () + 5 * G_TIME_SPAN_SECOND));
  vp_handover_poke (host->handover);
}

static gboolean
is_held (const Host *host, const char *uuid)
{
  g_autoptr (VpHolding) holding = vp_book_dup (host->book, uuid);

  return holding != NULL;
}

static void
await_end (const Host *host, const char *uuid)
{
  for (int i = 0; i < 400 && is_held (host, uuid); i++)
    g_usleep (50000);
  g_assert_false (is_held (host, uuid));
}

static void
assert_console (const Host *host, const char *expected)
{
  g_autofree char *bound = vp_root_dup_text (host->tree->root, CONSOLE "/bind");

  g_assert_cmpstr (bound, ==, expected);
}

static void
assert_service (const Host *host, const char *expected)
{
  g_autofree char *state = fake_systemd_dup_service (host->systemd, DM);

  g_assert_cmpstr (state, ==, expected);
}

static gboolean
is_told (const Host *host, const char *words)
{
  g_autoptr (VpStory) story = vp_story_load (host->tree->root, "/run");
  const GPtrArray *lines = vp_story_get_lines (story);

  for (guint i = 0; i < lines->len; i++)
    if (strstr (lines->pdata[i], words) != NULL)
      return TRUE;
  return FALSE;
}

static void
assert_told (const Host *host, const char *words)
{
  if (!is_told (host, words))
    g_error ("the story does not say '%s'", words);
}

static void
assert_back (const Host *host)
{
  g_auto (GStrv) files = vp_root_list (host->tree->root, "run/holds");

  assert_service (host, "active");
  assert_console (host, "1");
  g_assert_cmpuint (g_strv_length (files), ==, 0);
}

/* Its end is closed, and the bus carries that to the other one. */
static void
await_no_inhibitor (const Host *host)
{
  for (int i = 0; i < 50 && fake_systemd_is_inhibited (host->systemd); i++)
    g_usleep (100000);
  g_assert_false (fake_systemd_is_inhibited (host->systemd));
}

static void
test_round (void)
{
  g_autoptr (Host) host = host_new ();

  for (int i = 0; i < 3; i++) {
    take_ok (host, A);
    assert_service (host, "inactive");
    assert_console (host, "0");
    g_assert_true (fake_systemd_is_inhibited (host->systemd));
    assert_told (host, "a: lightdm.service is stopped: Xorg (578) has /dev/dri/card0 open");
    vp_book_started (host->book, A);
    set_driver (host, "vfio-pci");
    /* libvirt's `stopped`: the card is not back yet, and nothing comes to life on it. */
    release (host, A);
    g_usleep (300000);
    assert_service (host, "inactive");
    set_driver (host, "amdgpu");
    await_end (host, A);
    assert_back (host);
    await_no_inhibitor (host);
    assert_told (host, "lightdm.service is started again");
  }
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==,
                   "stop lightdm.service; start lightdm.service; stop lightdm.service; start lightdm.service; "
                   "stop lightdm.service; start lightdm.service");
}

/* libvirt leaves a card without a driver where its own probe fails. */
static void
test_probe (void)
{
  g_autoptr (Host) host = host_new ();

  take_ok (host, A);
  set_driver (host, NULL);
  release (host, A);
  await_end (host, A);
  assert_back (host);
  assert_told (host, "0000:01:00.0 was left without a driver: it is probed");
}

/* Nothing is stopped for a start that is refused. */
static void
test_stranger (void)
{
  g_autoptr (Host) host = host_new ();

  made_holder (host->tree, 700, "sleep", "/system.slice/cron.service", "/dev/dri/renderD128");
  take_fails (host, A, "5", "sleep (700, in cron.service) has /dev/dri/renderD128 open; nothing was stopped");
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "");
  release (host, A);
  await_end (host, A);
  assert_back (host);
}

/* It does not stop, or somebody comes while it does: all is put back, and who it was is said. */
static void
test_deadline (void)
{
  g_autoptr (Host) host = host_new ();

  fake_systemd_set_faults (host->systemd, 0, TRUE, FALSE);
  take_fails (host, A, "1", "lightdm.service did not stop in time: it is 'deactivating'");
  fake_systemd_set_faults (host->systemd, 0, FALSE, FALSE);
  release (host, A);
  await_end (host, A);
  assert_back (host);

  made_holder (host->tree, 579, "Xwayland", "/system.slice/" DM, "/dev/dri/card0"); /* it outlives its service */
  take_fails (host, A, "1", "Xwayland (579, in lightdm.service) has /dev/dri/card0 open");
  assert_console (host, "1");
  release (host, A);
  await_end (host, A);
  assert_back (host);
  assert_told (host, "the start is refused: the card is still in use after 1 s");
}

/* Where the host booted by BIOS the console stays away, and that is said. */
static void
test_bios (void)
{
  g_autoptr (Host) host = host_new ();

  host->bios = TRUE;
  take_ok (host, A);
  release (host, A);
  await_end (host, A);
  assert_service (host, "active");
  assert_console (host, "0");
  assert_told (host, "the text console is not back");
}

/* Three times, then by hand. */
static void
test_broken_service (void)
{
  g_autoptr (Host) host = host_new ();
  g_autofree char *lines = NULL;
  g_autofree char *after = NULL;

  take_ok (host, A);
  fake_systemd_set_faults (host->systemd, 3, FALSE, FALSE);
  release (host, A);
  for (int i = 0; i < 200 && !is_told (host, "tried three times"); i++)
    g_usleep (50000);
  assert_service (host, "failed");
  g_assert_true (is_held (host, A));
  assert_told (host, "tried three times");
  g_usleep (1500000);
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==,
                   "stop lightdm.service; start lightdm.service; start lightdm.service; start lightdm.service");
  fake_systemd_set_faults (host->systemd, 1000, FALSE, FALSE);
  g_assert_false (vp_handover_give_back (host->handover, 1, &lines));
  g_assert_nonnull (strstr (lines, "unit lightdm.service: is not back yet"));
  fake_systemd_set_faults (host->systemd, 0, FALSE, FALSE);
  g_assert_true (vp_handover_give_back (host->handover, 10, &after));
  g_assert_cmpstr (after, ==, "nothing is to be brought back\n");
  assert_back (host);
}

/* A service that did not run is not started; a session is ended behind its display manager. */
static void
test_sessions (void)
{
  g_autoptr (Host) host = host_new ();
  g_autoptr (VpSettings) settings = new_settings ("5");
  const VpHandoverRequest request = { A, "a", host->hostdevs, settings };
  g_autoptr (GError) error = NULL;

  set_desktop (host->tree, FALSE);
  fake_systemd_set_service (host->systemd, DM, "inactive");
  made_holder (host->tree, 578, "sway", "/user.slice/user-1000.slice/session-3.scope", "/dev/dri/card0");
  take_fails (host, A, "5", "sway (578, in session-3.scope)");
  fake_systemd_add_session (host->systemd, "3", "seat0");
  g_autofree char *plan = vp_handover_dup_plan (host->handover, &request, &error);
  g_assert_no_error (error);
  g_assert_nonnull (strstr (plan, " 1  stop lightdm.service: it would start a greeter"));
  g_assert_nonnull (strstr (plan, " 2  end session 3: sway (578) has /dev/dri/card0 open, on seat0"));
  g_assert_nonnull (strstr (plan, "take the text console off the card (vtcon1)"));
  take_fails (host, A, "1", "sway (578"); /* ended, and still there */
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "end 3");
  release (host, A);
  await_end (host, A);
  assert_service (host, "inactive");
}

static void
test_nvidia (void)
{
  g_autoptr (Host) host = host_new ();

  set_driver (host, "nvidia");
  set_module (host->tree, "nvidia_drm", TRUE);
  made_file (host->tree, "sys/module/nvidia_uvm/refcnt", "2\n");
  take_ok (host, A);
  assert_told (host, "the module nvidia_drm is unloaded");
  assert_told (host, "the module nvidia_uvm stays: it has 2 other users");
  release (host, A);
  await_end (host, A);
  assert_back (host);
  assert_told (host, "the module nvidia_drm is loaded again");
}

/* The second guest that wants the card has it next; the desktop waits for that one as well. */
static void
test_second_guest (void)
{
  g_autoptr (Host) host = host_new ();

  take_ok (host, A);
  set_driver (host, "vfio-pci");
  release (host, A);
  take_ok (host, B);
  set_driver (host, "amdgpu"); /* for a moment */
  g_usleep (1500000);
  assert_service (host, "inactive");
  release (host, B);
  await_end (host, A);
  await_end (host, B);
  assert_back (host);
}

static void
test_ending_host (void)
{
  g_autoptr (Host) host = host_new ();

  take_ok (host, A);
  g_autofree char *before = fake_systemd_take_writes (host->systemd);
  fake_systemd_set_faults (host->systemd, 0, FALSE, TRUE);
  release (host, A);
  g_usleep (1500000);
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "");
}

/* In a process of its own, which is killed after some changes: folder, bus, way, changes stand in a file. */
static void
test_victim (void)
{
  Host *host = host_new_without ();
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_get_contents (g_getenv (VICTIM), &text, NULL, &error));
  g_auto (GStrv) words = g_strsplit (text, "\n", -1);
  host->tree = g_new0 (MadeTree, 1);
  host->tree->folder = g_strdup (words[0]);
  host->tree->root = vp_root_open (host->tree->folder, &error);
  g_assert_no_error (error);
  host->bus = g_strdup (words[1]);
  host->left = atoi (words[3]);
  start_daemon (host);
  if (strcmp (words[2], "take") == 0) {
    (void) take (host, A, "5", &error);
  } else {
    release (host, A);
    await_end (host, A);
  }
  _exit (0);
}

/* TRUE: it was killed. */
static gboolean
run_victim (const Host *host, const char *way, int left)
{
  g_autofree char *text = g_strdup_printf ("%s\n%s\n%s\n%d\n", host->tree->folder, host->bus, way, left);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (g_getenv (VICTIM), text, -1, &error);
  g_assert_no_error (error);
  g_test_trap_subprocess ("/handover/victim/subprocess", 0, G_TEST_SUBPROCESS_DEFAULT);
  return !g_test_trap_has_passed ();
}

/* The next daemon: libvirt says that nobody runs. */
static void
take_over (Host *host)
{
  const char *const nobody[] = { NULL };

  start_daemon (host);
  vp_book_reconcile (host->book, nobody);
  vp_handover_poke (host->handover);
  await_end (host, A);
  assert_back (host);
}

static void
test_killed (gconstpointer way)
{
  g_autoptr (Host) host = host_new ();
  int kills = 0;

  for (int left = 1; left < 100; left++, kills++) {
    if (strcmp (way, "give") == 0)
      take_ok (host, A);
    stop_daemon (host);
    gboolean killed = run_victim (host, way, left);
    take_over (host);
    if (!killed)
      break;
  }
  g_test_message ("killed at %d places", kills);
  g_assert_cmpint (kills, >=, 6);
  g_assert_cmpint (kills, <, 99);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!fake_bus_is_possible ()) {
    g_print ("1..0 # SKIP there is no dbus-daemon\n");
    return 0;
  }
  g_autofree char *file = g_strdup_printf ("%s/vp-victim-%d", g_get_tmp_dir (), (int) getpid ());
  (void) g_setenv (VICTIM, file, g_test_subprocess () ? FALSE : TRUE);
  g_test_add_func ("/handover/round", test_round);
  g_test_add_func ("/handover/probe", test_probe);
  g_test_add_func ("/handover/stranger", test_stranger);
  g_test_add_func ("/handover/deadline", test_deadline);
  g_test_add_func ("/handover/bios", test_bios);
  g_test_add_func ("/handover/broken-service", test_broken_service);
  g_test_add_func ("/handover/sessions", test_sessions);
  g_test_add_func ("/handover/nvidia", test_nvidia);
  g_test_add_func ("/handover/second-guest", test_second_guest);
  g_test_add_func ("/handover/ending-host", test_ending_host);
  g_test_add_func ("/handover/victim/subprocess", test_victim);
  g_test_add_data_func ("/handover/killed-taking", "take", test_killed);
  g_test_add_data_func ("/handover/killed-giving-back", "give", test_killed);
  int status = g_test_run ();
  (void) g_unlink (file);
  return status;
}
