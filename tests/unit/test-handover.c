/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A desktop steps back and returns: a made host, systemd and logind on a bus of our own. The daemon is killed after
 * each change that it makes, both ways, and the next one finds what is missing.
 */
#include <stdlib.h>

#include "desktop-host.h"

#define VICTIM "VP_TEST_VICTIM" /* in the environment: a file for the process that is killed */

static void
test_round (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  for (int i = 0; i < 3; i++) {
    desktop_host_take_ok (host, A);
    desktop_host_assert_service (host, "inactive");
    desktop_host_assert_console (host, "0");
    g_assert_true (fake_systemd_is_inhibited (host->systemd));
    desktop_host_assert_told (host, "a: lightdm.service is stopped: Xorg (578) has /dev/dri/card0 open");
    vp_book_started (host->book, A);
    desktop_host_set_driver (host, "vfio-pci");
    /* libvirt's `stopped`: the card is not back yet, and nothing comes to life on it. */
    desktop_host_release (host, A);
    g_usleep (300000);
    desktop_host_assert_service (host, "inactive");
    desktop_host_set_driver (host, "amdgpu");
    desktop_host_await_end (host, A);
    desktop_host_assert_back (host);
    desktop_host_await_no_inhibitor (host);
    desktop_host_assert_told (host, "lightdm.service is started again");
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
  g_autoptr (DesktopHost) host = desktop_host_new ();

  desktop_host_take_ok (host, A);
  desktop_host_set_driver (host, NULL);
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
  desktop_host_assert_told (host, "0000:01:00.0 was left without a driver: it is probed");
}

/* Nothing is stopped for a start that is refused. */
static void
test_stranger (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  made_holder (host->tree, 700, "sleep", "/system.slice/cron.service", "/dev/dri/renderD128");
  desktop_host_take_fails (host, A, "5",
                           "sleep (700, in cron.service) has /dev/dri/renderD128 open; nothing was stopped");
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "");
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
}

/* It does not stop, or somebody comes while it does: all is put back, and who it was is said. */
static void
test_deadline (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  fake_systemd_set_faults (host->systemd, 0, TRUE, FALSE);
  desktop_host_take_fails (host, A, "1", "lightdm.service did not stop in time: it is 'deactivating'");
  fake_systemd_set_faults (host->systemd, 0, FALSE, FALSE);
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);

  made_holder (host->tree, 579, "Xwayland", "/system.slice/" DM, "/dev/dri/card0"); /* it outlives its service */
  desktop_host_take_fails (host, A, "1", "Xwayland (579, in lightdm.service) has /dev/dri/card0 open");
  desktop_host_assert_console (host, "1");
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
  desktop_host_assert_told (host, "the start is refused: the card is still in use after 1 s");
}

/* Where the host booted by BIOS the console stays away, and that is said. */
static void
test_bios (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  host->bios = TRUE;
  desktop_host_take_ok (host, A);
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_service (host, "active");
  desktop_host_assert_console (host, "0");
  desktop_host_assert_told (host, "the text console is not back");
}

/* At once, three times more, each later than the last; then by hand. */
static void
test_broken_service (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();
  g_autofree char *lines = NULL;
  g_autofree char *after = NULL;

  desktop_host_take_ok (host, A);
  fake_systemd_set_faults (host->systemd, 4, FALSE, FALSE);
  gint64 begin = g_get_monotonic_time ();
  desktop_host_release (host, A);
  desktop_host_await_told (host, "lightdm.service is not back: ");
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, (2 + 10 + 30) * SECOND);
  desktop_host_assert_service (host, "failed");
  g_assert_true (desktop_host_is_held (host, A));
  desktop_host_assert_told (host, "it is 'failed'; it is tried again in 2 s");
  desktop_host_assert_told (host, "tried again three times: see 'systemctl status' of it");
  g_usleep (10 * SECOND);
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==,
                   "stop lightdm.service; start lightdm.service; start lightdm.service; start lightdm.service; "
                   "start lightdm.service");
  fake_systemd_set_faults (host->systemd, 1000, FALSE, FALSE);
  g_assert_false (vp_handover_give_back (host->handover, 1, &lines));
  g_assert_nonnull (strstr (lines, "unit lightdm.service: is not back yet"));
  fake_systemd_set_faults (host->systemd, 0, FALSE, FALSE);
  g_assert_true (vp_handover_give_back (host->handover, 10, &after));
  g_assert_cmpstr (after, ==, "nothing is to be brought back\n");
  desktop_host_assert_back (host);
}

/* Somebody else got it to run; the next guest that ends has tries of its own. */
static void
test_mended_service (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  desktop_host_take_ok (host, A);
  fake_systemd_set_faults (host->systemd, 4, FALSE, FALSE);
  desktop_host_release (host, A);
  desktop_host_await_told (host, "lightdm.service is not back: ");
  fake_systemd_set_service (host->systemd, DM, "active");
  desktop_host_set_drawn (host->tree, TRUE);
  desktop_host_take_ok (host, A);
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
  desktop_host_assert_told (host, "lightdm.service is started again");
}

/* A service that did not run is not started; a session is ended behind its display manager. */
static void
test_sessions (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();
  g_autoptr (VpSettings) settings = desktop_host_new_settings ("5");
  const VpHandoverRequest request = { A, "a", host->hostdevs, settings };
  g_autoptr (GError) error = NULL;

  desktop_host_set_drawn (host->tree, FALSE);
  fake_systemd_set_service (host->systemd, DM, "inactive");
  made_holder (host->tree, 578, "sway", "/user.slice/user-1000.slice/session-3.scope", "/dev/dri/card0");
  desktop_host_take_fails (host, A, "5", "sway (578, in session-3.scope)");
  fake_systemd_add_session (host->systemd, "3", "seat0");
  g_autofree char *plan = vp_handover_dup_plan (host->handover, &request, &error);
  g_assert_no_error (error);
  g_assert_nonnull (strstr (plan, " 1  stop lightdm.service: it would start a greeter"));
  g_assert_nonnull (strstr (plan, " 2  end session 3: sway (578) has /dev/dri/card0 open, on seat0"));
  g_assert_nonnull (strstr (plan, "take the text console off the card (vtcon1)"));
  desktop_host_take_fails (host, A, "1", "sway (578"); /* ended, and still there */
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "end 3");
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_service (host, "inactive");
}

static void
test_nvidia (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  desktop_host_set_driver (host, "nvidia");
  desktop_host_set_module (host->tree, "nvidia_drm", TRUE);
  made_file (host->tree, "sys/module/nvidia_uvm/refcnt", "2\n");
  desktop_host_take_ok (host, A);
  desktop_host_assert_told (host, "the module nvidia_drm is unloaded");
  desktop_host_assert_told (host, "the module nvidia_uvm stays: it has 2 other users");
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
  desktop_host_assert_told (host, "the module nvidia_drm is loaded again");
}

/* The second guest that wants the card has it next; the desktop waits for that one as well. */
static void
test_second_guest (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  desktop_host_take_ok (host, A);
  desktop_host_set_driver (host, "vfio-pci");
  desktop_host_release (host, A);
  desktop_host_take_ok (host, B);
  desktop_host_set_driver (host, "amdgpu"); /* for a moment */
  g_usleep (1500000);
  desktop_host_assert_service (host, "inactive");
  desktop_host_release (host, B);
  desktop_host_await_end (host, A);
  desktop_host_await_end (host, B);
  desktop_host_assert_back (host);
}

static void
test_ending_host (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  desktop_host_take_ok (host, A);
  g_autofree char *before = fake_systemd_take_writes (host->systemd);
  fake_systemd_set_faults (host->systemd, 0, FALSE, TRUE);
  desktop_host_release (host, A);
  g_usleep (1500000);
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "");
}

/* In a process of its own, which is killed after some changes: folder, bus, way, changes stand in a file. */
static void
test_victim (void)
{
  DesktopHost *host = desktop_host_new_without ();
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
  desktop_host_start_daemon (host);
  if (strcmp (words[2], "take") == 0) {
    (void) desktop_host_take (host, A, "5", &error);
  } else {
    desktop_host_release (host, A);
    desktop_host_await_end (host, A);
  }
  _exit (0);
}

/* TRUE: it was killed. */
static gboolean
run_victim (const DesktopHost *host, const char *way, int left)
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
take_over (DesktopHost *host)
{
  const char *const nobody[] = { NULL };

  desktop_host_start_daemon (host);
  vp_book_reconcile (host->book, nobody);
  vp_handover_poke (host->handover);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
}

static void
test_killed (gconstpointer way)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();
  int kills = 0;

  for (int left = 1; left < 100; left++, kills++) {
    if (strcmp (way, "give") == 0)
      desktop_host_take_ok (host, A);
    desktop_host_stop_daemon (host);
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
  g_test_add_func ("/handover/mended-service", test_mended_service);
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
