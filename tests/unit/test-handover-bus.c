/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * systemd's answers are late, or there is no bus for a while: a start is refused before anything is touched, and a
 * desktop returns whenever it can be asked for.
 */
#include "desktop-host.h"

#define LATE_MS 1500 /* of a call that is waited for a second */

static guint
count_told (const DesktopHost *host, const char *words)
{
  g_autoptr (VpStory) story = vp_story_load (host->tree->root, "/run");
  const GPtrArray *lines = vp_story_get_lines (story);
  guint count = 0;

  for (guint i = 0; i < lines->len; i++)
    count += strstr (lines->pdata[i], words) != NULL;
  return count;
}

/* All is back, and nobody counted what systemd never heard of. */
static void
assert_returned (const DesktopHost *host)
{
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);

  desktop_host_assert_back (host);
  desktop_host_assert_told (host, "lightdm.service is started again");
  g_assert_cmpuint (count_told (host, "tried again"), ==, 0);
  g_assert_cmpstr (calls, ==, "stop lightdm.service; start lightdm.service");
}

/* As in a daemon-reload; then the bus is left alone for three seconds. */
static void
test_late_return (gconstpointer what)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  desktop_host_take_ok (host, A);
  fake_systemd_set_slow (host->systemd, what, LATE_MS);
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  assert_returned (host);
}

/* The module comes before the display manager that needs it. */
static void
test_late_module (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  desktop_host_set_driver (host, "nvidia");
  desktop_host_set_module (host->tree, "nvidia_drm", TRUE);
  desktop_host_take_ok (host, A);
  fake_systemd_set_slow (host->systemd, "SystemState", LATE_MS);
  desktop_host_release (host, A);
  desktop_host_await_told (host, "nvidia_drm waits for systemd");
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==,
                   "stop lightdm.service; start vfio-profile-unload@nvidia_drm.service; "
                   "start vfio-profile-load@nvidia_drm.service; start lightdm.service");
}

/* Longer than all tries together would take. */
static void
test_no_bus (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();
  FakeBus *bus = fake_systemd_get_bus (host->systemd);

  desktop_host_take_ok (host, A);
  fake_bus_stop (bus);
  desktop_host_release (host, A);
  desktop_host_await_told (host, "lightdm.service waits for systemd, which is asked until it answers");
  desktop_host_assert_console (host, "1"); /* it needs no systemd */
  g_usleep (50 * SECOND);
  g_assert_true (desktop_host_is_held (host, A));
  g_assert_cmpuint (count_told (host, "waits for systemd"), ==, 1);
  fake_bus_start (bus, FALSE); /* and nobody is on it yet */
  g_usleep (5 * SECOND);
  fake_bus_stop (bus);
  fake_bus_start (bus, TRUE);
  desktop_host_await_end (host, A);
  assert_returned (host);
}

/* Of whoever sits in front of a dark screen. */
static void
test_by_hand (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();
  g_autofree char *lines = NULL;

  desktop_host_take_ok (host, A);
  fake_systemd_set_mute (host->systemd, TRUE);
  desktop_host_release (host, A);
  desktop_host_await_told (host, "waits for systemd");
  fake_systemd_set_mute (host->systemd, FALSE);
  g_assert_true (vp_handover_give_back (host->handover, 2, &lines));
  g_assert_cmpstr (lines, ==, "nothing is to be brought back\n");
  assert_returned (host);
}

/* It was asked for, and is done. */
static void
test_late_stop (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  fake_systemd_set_slow (host->systemd, "StopUnit", LATE_MS);
  desktop_host_take_ok (host, A);
  desktop_host_assert_service (host, "inactive");
  desktop_host_assert_told (host, "lightdm.service is stopped");
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  assert_returned (host);
}

/* Nothing is stopped by a daemon that could not bring it back. */
static void
test_refused (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  fake_systemd_set_slow (host->systemd, "LoadUnit", LATE_MS);
  desktop_host_take_fails (host, A, "5", "systemd cannot be asked over D-Bus (LoadUnit)");
  desktop_host_take_fails (host, A, "5", "systemd did not answer a moment ago, it is not asked again yet");
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "");
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  desktop_host_assert_back (host);
}

/* Sessions are not known then, and a display manager is stopped without. */
static void
test_late_logind (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  fake_systemd_set_slow (host->systemd, "ListSessions", LATE_MS);
  desktop_host_take_ok (host, A);
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  assert_returned (host);
}

/* A session that cannot be ended now: the display manager is not stopped for that. */
static void
test_unknown_session (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  made_holder (host->tree, 578, "sway", "/user.slice/user-1000.slice/session-3.scope", "/dev/dri/card0");
  fake_systemd_add_session (host->systemd, "3", "seat0");
  fake_systemd_set_slow (host->systemd, "ListSessions", LATE_MS);
  desktop_host_take_fails (host, A, "5", "systemd-logind cannot be asked over D-Bus (ListSessions)");
  desktop_host_take_fails (host, A, "5", "systemd-logind did not answer a moment ago, it is not asked again yet");
  g_autofree char *calls = fake_systemd_take_writes (host->systemd);
  g_assert_cmpstr (calls, ==, "");
}

/* The host must not suspend as long as the guest has the card. */
static void
test_late_inhibitor (void)
{
  g_autoptr (DesktopHost) host = desktop_host_new ();

  fake_systemd_set_slow (host->systemd, "Inhibit", LATE_MS);
  desktop_host_take_ok (host, A);
  for (int i = 0; i < 200 && !fake_systemd_is_inhibited (host->systemd); i++)
    g_usleep (50000);
  g_usleep (2 * G_USEC_PER_SEC); /* that was the late one, which nobody has */
  for (int i = 0; i < 200 && !fake_systemd_is_inhibited (host->systemd); i++)
    g_usleep (50000);
  g_assert_true (fake_systemd_is_inhibited (host->systemd));
  desktop_host_release (host, A);
  desktop_host_await_end (host, A);
  assert_returned (host);
  desktop_host_await_no_inhibitor (host);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!fake_bus_is_possible ()) {
    g_print ("1..0 # SKIP there is no dbus-daemon\n");
    return 0;
  }
  g_test_add_data_func ("/handover-bus/late-look", "SystemState", test_late_return);
  g_test_add_data_func ("/handover-bus/late-state", "LoadUnit", test_late_return);
  g_test_add_data_func ("/handover-bus/late-start", "StartUnit", test_late_return);
  g_test_add_func ("/handover-bus/late-module", test_late_module);
  g_test_add_func ("/handover-bus/no-bus", test_no_bus);
  g_test_add_func ("/handover-bus/by-hand", test_by_hand);
  g_test_add_func ("/handover-bus/late-stop", test_late_stop);
  g_test_add_func ("/handover-bus/refused", test_refused);
  g_test_add_func ("/handover-bus/late-logind", test_late_logind);
  g_test_add_func ("/handover-bus/unknown-session", test_unknown_session);
  g_test_add_func ("/handover-bus/late-inhibitor", test_late_inhibitor);
  return g_test_run ();
}
