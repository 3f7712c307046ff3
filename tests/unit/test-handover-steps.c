/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has to leave a card, in which order, and who is refused: on made machines. */
#include "device-checks.h"
#include "devices/handover-plan.h"
#include "made-desktop.h"

#define LIGHTDM "/system.slice/lightdm.service"
#define BOTH CARD " " CARD_AUDIO

/* `more`: "handover-sessions=no …". */
static VpHandoverWishes *
read_wishes (const MadeTree *tree, const char *more)
{
  g_autoptr (VpSettings) settings = vp_settings_new ();
  g_auto (GStrv) words = g_strsplit (more, ";", -1);

  settings->values[VP_KEY_DEVICES_HANDOVER] = g_strdup ("yes");
  for (guint i = 0; words[i] != NULL && words[i][0] != '\0'; i++) {
    g_auto (GStrv) parts = g_strsplit (words[i], "=", 2);
    g_autoptr (GError) error = NULL;
    VpKey key = VP_N_KEYS;
    g_assert_true (vp_key_find ("devices", parts[0], "test", &key, &error));
    g_assert_true (vp_key_check (key, parts[1], "test", &error));
    g_assert_no_error (error);
    settings->values[key] = g_strdup (parts[1]);
  }
  return vp_handover_wishes_read (tree->root, settings);
}

static void
add_session (GPtrArray *sessions, const char *id, guint64 uid, const char *seat)
{
  VpSeatSession *session = g_new0 (VpSeatSession, 1);

  *session = (VpSeatSession){ g_strdup (id), uid, g_strdup (seat) };
  g_ptr_array_add (sessions, session);
}

/* The keys of the steps, "unit lightdm.service; wait …". */
static void
expect_steps (const MadeTree *tree, const char *devices, const char *more, const GPtrArray *sessions,
              const char *expected)
{
  g_autoptr (VpHandoverWishes) wishes = read_wishes (tree, more);
  g_autoptr (VpDomain) domain = domain_with (devices);
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
  g_autoptr (VpDeviceFacts) facts = vp_devices_read (tree->root, hostdevs, 60000, NULL);
  g_autoptr (GString) text = g_string_new (NULL);

  g_assert_nonnull (facts);
  g_autoptr (GPtrArray) steps = vp_handover_list_steps (wishes, facts, hostdevs, sessions);
  for (guint i = 0; i < steps->len; i++) {
    const VpHandoverStep *step = steps->pdata[i];
    g_autofree char *key = vp_handover_step_dup_key (step);
    g_autoptr (VpHandoverStep) back = step->kind != VP_STEP_WAIT ? vp_handover_step_parse (key, step->before) : NULL;
    g_string_append_printf (text, "%s%s", i > 0 ? "; " : "", key);
    if (back != NULL) {
      g_assert_cmpint (back->kind, ==, step->kind);
      g_assert_cmpstr (back->name, ==, step->name);
      g_assert_cmpstr (back->before, ==, step->before);
    }
  }
  g_assert_cmpstr (text->str, ==, expected);
}

static GPtrArray *
check (const MadeTree *tree, const char *devices, const char *more, const GPtrArray *sessions)
{
  g_autoptr (VpHandoverWishes) wishes = read_wishes (tree, more);
  const VpDeviceQuestion question = { .handover = wishes, .sessions = sessions };

  return check_devices (tree->root, devices, &question);
}

static void
expect_fit (const MadeTree *tree, const char *devices, const char *more, const GPtrArray *sessions)
{
  g_autoptr (GPtrArray) findings = check (tree, devices, more, sessions);

  expect_count (findings, 0);
}

/* amdgpu, X in the display manager's own cgroup, the console on the card. */
static void
test_display_manager (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_card (tree, "030000 1002 67df", "amdgpu");
  made_console (tree, "1\n");
  expect_steps (tree, BOTH, "", NULL, "console vtcon1; card " CARD);
  made_holder (tree, 578, "Xorg", LIGHTDM, "/dev/dri/card0");
  expect_fit (tree, BOTH, "", NULL);
  expect_steps (tree, BOTH, "", NULL,
                "unit lightdm.service; wait /dev/dri/card0, /dev/dri/renderD128, /dev/fb0 and /dev/snd/controlC1; "
                "console vtcon1; card " CARD);
  /* Named by its own name, or not at all. */
  expect_fit (tree, BOTH, "handover-units=lightdm.service", NULL);
  g_autoptr (GPtrArray) none = check (tree, BOTH, "handover-units=none", NULL);
  expect_count (none, 1);
  expect_finding (none, 0, VP_DEVICE_REFUSE, CARD, "Xorg (578) has /dev/dri/card0 open",
                  "Xorg (578) runs in lightdm.service", "handover-units", "!text console", NULL);
  /* Without handover as ever, with the way. */
  g_autoptr (GPtrArray) plain = check_devices (tree->root, BOTH, NULL);
  expect_count (plain, 1);
  expect_finding (plain, 0, VP_DEVICE_REFUSE, CARD, "Xorg (578) has", "text console",
                  "or let them step back with devices.handover", NULL);
}

static void
test_strangers (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_card (tree, "030000 8086 3e92", "i915");
  made_holder (tree, 578, "Xorg", LIGHTDM, "/dev/dri/card0");
  made_holder (tree, 700, "ffmpeg", "/system.slice/encoder.service", "/dev/dri/renderD128");
  made_process (tree, 701, "sleep", "/dev/dri/card0", NULL);
  g_autoptr (GPtrArray) findings = check (tree, BOTH, "", NULL);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, CARD, "ffmpeg (700)", "ffmpeg (700) runs in encoder.service",
                  "sleep (701) runs in no unit", "!Xorg", NULL);
  g_autoptr (GPtrArray) one = check (tree, BOTH, "handover-units=lightdm.service encoder.service", NULL);
  expect_finding (one, 0, VP_DEVICE_REFUSE, CARD, "sleep (701) has /dev/dri/card0 open", "!ffmpeg", NULL);

  /* What a start stands on is stopped for none. */
  made_holder (tree, 701, "libvirtd", "/system.slice/libvirtd.service", "/dev/dri/card0");
  g_autoptr (GPtrArray) ground =
    check (tree, BOTH, "handover-units=lightdm.service encoder.service libvirtd.service", NULL);
  expect_finding (ground, 0, VP_DEVICE_REFUSE, CARD, "libvirtd (701)", NULL);
}

/* A compositor in its session's scope, another's in the user's own systemd; ssh has no seat. */
static void
test_sessions (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autoptr (GPtrArray) sessions = vp_seat_sessions_new ();

  made_card (tree, "030000 1002 67df", "amdgpu");
  made_holder (tree, 900, "sway", "/user.slice/user-1000.slice/session-3.scope", "/dev/dri/card0");
  add_session (sessions, "5", 1000, "");
  g_autoptr (GPtrArray) over_ssh = check (tree, BOTH, "", sessions);
  expect_finding (over_ssh, 0, VP_DEVICE_REFUSE, CARD, "sway (900)", "session-3.scope", NULL);
  add_session (sessions, "3", 1000, "seat0");
  expect_fit (tree, BOTH, "", sessions);
  expect_steps (tree, CARD, "handover-units=none", sessions,
                "session 3; wait /dev/dri/card0, /dev/dri/renderD128 and /dev/fb0; card " CARD);
  /* A greeter would be there at once. */
  expect_steps (tree, CARD, "", sessions,
                "unit lightdm.service; session 3; wait /dev/dri/card0, /dev/dri/renderD128 and /dev/fb0; card " CARD);
  g_autoptr (GPtrArray) no = check (tree, BOTH, "handover-sessions=no", sessions);
  expect_count (no, 1);

  made_holder (tree, 900, "gnome-shell",
               "/user.slice/user-1000.slice/user@1000.service/session.slice/org.gnome.Shell@wayland.service",
               "/dev/dri/card0");
  expect_steps (tree, CARD, "", sessions,
                "unit lightdm.service; session 3; wait /dev/dri/card0, /dev/dri/renderD128 and /dev/fb0; card " CARD);
  made_file (tree, "run/udev/data/c226:0", "S:dri/by-path\nE:ID_SEAT=seat1\n");
  g_autoptr (GPtrArray) elsewhere = check (tree, BOTH, "", sessions);
  expect_finding (elsewhere, 0, VP_DEVICE_REFUSE, CARD, "gnome-shell (900)", "user@1000.service", NULL);
}

/* The servers let go; a player does not. */
static void
test_sound (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_card (tree, "030000 1002 67df", "amdgpu");
  made_holder (tree, 11, "pipewire", "/user.slice/user-1000.slice/user@1000.service/session.slice/pipewire.service",
               "/dev/snd/controlC1");
  expect_fit (tree, BOTH, "handover-sessions=no", NULL);
  made_holder (tree, 12, "mpd", "/system.slice/mpd.service", "/dev/snd/controlC1");
  g_autoptr (GPtrArray) player = check (tree, BOTH, "", NULL);
  expect_count (player, 1);
  expect_finding (player, 0, VP_DEVICE_REFUSE, CARD_AUDIO, "mpd (12) has /dev/snd/controlC1 open", "!pipewire", NULL);
  expect_fit (tree, BOTH, "handover-units=mpd.service", NULL);
}

static void
test_nvidia (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_card (tree, "030000 10de 1b80", "nvidia");
  made_file (tree, "proc/driver/nvidia/gpus/" CARD "/information", "Device Minor: \t 0\n");
  made_holder (tree, 40, "nvidia-persiste", "/system.slice/nvidia-persistenced.service", "/dev/nvidia0");
  made_file (tree, "sys/module/nvidia_drm/refcnt", "1\n");
  made_file (tree, "sys/module/nvidia_uvm/refcnt", "0\n");
  expect_fit (tree, BOTH, "", NULL);
  expect_steps (
    tree, CARD, "", NULL,
    "unit nvidia-persistenced.service; wait /dev/dri/card0, /dev/dri/renderD128, /dev/fb0 and /dev/nvidia0; "
    "module nvidia_drm; module nvidia_uvm; card " CARD);
}

/* A card without a driver, or with one that leaves the firmware's frame buffer where it is. */
static void
expect_firmware (const char *driver, const char *platform, const char *memory, gboolean drm)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *steps =
    g_strdup_printf ("console vtcon1; firmware %s%s", platform, driver != NULL ? "; card " CARD : "");

  made_device (tree, CARD, "030000 10de 1b80", driver, 1);
  made_firmware (tree, platform, memory, drm);
  made_console (tree, "1\n");
  g_autoptr (GPtrArray) plain = check_devices (tree->root, CARD, NULL);
  expect_count (plain, 1);
  expect_finding (plain, 0, VP_DEVICE_REFUSE, CARD, "text console through the firmware's frame buffer", platform,
                  "before the next boot", "devices.handover-firmware-console", NULL);
  g_autoptr (GPtrArray) unasked = check (tree, CARD, "", NULL);
  expect_count (unasked, 1);
  expect_fit (tree, CARD, "handover-firmware-console=yes", NULL);
  expect_steps (tree, CARD, "handover-firmware-console=yes", NULL, steps);
  /* Not the console: as before. Not this card's: neither. */
  made_console (tree, "0\n");
  g_autoptr (GPtrArray) unbound = check_devices (tree->root, CARD, NULL);
  expect_count (unbound, 0);
  made_console (tree, "1\n");
  made_device (tree, "0000:02:00.0", "030000 10de 1b80", NULL, 2);
  g_autoptr (GPtrArray) other = check_devices (tree->root, "0000:02:00.0", NULL);
  expect_count (other, 0);
  if (!drm)
    return;
  made_holder (tree, 578, "Xorg", LIGHTDM, "/dev/dri/card0");
  g_autoptr (GPtrArray) held = check_devices (tree->root, CARD, NULL);
  expect_finding (held, 0, VP_DEVICE_REFUSE, CARD, "Xorg (578) has /dev/dri/card0 open", NULL);
}

static void
test_firmware (void)
{
  expect_firmware (NULL, "efi-framebuffer.0", "efifb", FALSE);
  expect_firmware ("nvidia", "efi-framebuffer.0", "efifb", FALSE);
  expect_firmware (NULL, "vesa-framebuffer.0", "vesafb", FALSE);
  expect_firmware (NULL, "simple-framebuffer.0", "BOOTFB", TRUE);
}

/* Kernels since 6.9 have it below the card; one that vfio-pci has was given away already. */
static void
test_firmware_below (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, CARD, "030000 10de 1b80", NULL, 1);
  made_node (tree, "graphics", CARD_FOLDER, "simple-framebuffer.0/graphics/fb0", "fb0 29:0");
  made_console (tree, "1\n");
  g_autoptr (GPtrArray) plain = check_devices (tree->root, CARD, NULL);
  expect_count (plain, 1);
  expect_finding (plain, 0, VP_DEVICE_REFUSE, CARD, "simple-framebuffer.0", NULL);
  made_device (tree, CARD, "030000 10de 1b80", "vfio-pci", 1);
  g_autoptr (GPtrArray) bound = check_devices (tree->root, CARD, NULL);
  expect_count (bound, 0);
}

/* Of the journal anybody may have made something. */
static void
test_keys (void)
{
  static const char *const bad[] = { "", "unit", "unit ", "units lightdm.service", "console ../../etc", "x y", NULL };

  g_assert_null (vp_handover_step_parse (NULL, NULL));
  for (guint i = 0; bad[i] != NULL; i++)
    g_assert_null (vp_handover_step_parse (bad[i], ""));
  g_autoptr (VpHandoverStep) step = vp_handover_step_parse ("unit lightdm.service", "active");
  g_autofree char *take = vp_handover_step_describe (step, FALSE);
  g_autofree char *give = vp_handover_step_describe (step, TRUE);
  g_assert_cmpstr (take, ==, "stop lightdm.service");
  g_assert_cmpstr (give, ==, "start lightdm.service");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/handover-steps/display-manager", test_display_manager);
  g_test_add_func ("/handover-steps/strangers", test_strangers);
  g_test_add_func ("/handover-steps/sessions", test_sessions);
  g_test_add_func ("/handover-steps/sound", test_sound);
  g_test_add_func ("/handover-steps/nvidia", test_nvidia);
  g_test_add_func ("/handover-steps/firmware", test_firmware);
  g_test_add_func ("/handover-steps/firmware-below", test_firmware_below);
  g_test_add_func ("/handover-steps/keys", test_keys);
  return g_test_run ();
}
