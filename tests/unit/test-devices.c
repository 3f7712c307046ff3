/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which devices can be given to a guest, judged on recorded machines. */
#include <errno.h>
#include <glib/gstdio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "device-checks.h"

#define GEFORCE "0000:01:00.0"
#define GEFORCE_AUDIO "0000:01:00.1"
#define RADEON "0000:02:00.0"
#define RADEON_AUDIO "0000:02:00.1"

static VpRoot *
open_sysfs (const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_test_build_filename (G_TEST_DIST, "..", "data", "sysfs", name, NULL);
  VpRoot *root = vp_root_open_sysfs (folder, &error);

  g_assert_no_error (error);
  return root;
}

static GPtrArray *
check_howto (const char *devices, const VpDeviceQuestion *more)
{
  g_autoptr (VpRoot) root = open_sysfs ("howto-2015");

  return check_devices (root, devices, more);
}

static VpPciAddress
address_of (const char *text)
{
  VpPciAddress address = { 0 };

  g_assert_true (vp_pci_address_parse (text, &address));
  return address;
}

/* The root port in group 1 keeps its driver. */
static void
test_good_groups (void)
{
  g_autoptr (GPtrArray) one = check_howto (GEFORCE " " GEFORCE_AUDIO, NULL);
  g_autoptr (GPtrArray) twelve = check_howto (RADEON " " RADEON_AUDIO, NULL);
  g_autoptr (GPtrArray) both = check_howto (RADEON_AUDIO " " GEFORCE " " RADEON " " GEFORCE_AUDIO, NULL);

  expect_count (one, 0);
  expect_count (twelve, 0);
  expect_count (both, 0);
}

static void
test_companion_in_group (void)
{
  g_autoptr (GPtrArray) one = check_howto (GEFORCE, NULL);
  g_autoptr (GPtrArray) twelve = check_howto (RADEON, NULL);

  expect_count (one, 1);
  expect_finding (one, 0, VP_DEVICE_REFUSE, GEFORCE, "10de:1381", "group 1,", GEFORCE_AUDIO, "10de:0fbc",
                  "the card's audio", "snd_hda_intel", "assign it to the domain as well", "!00:01.0", NULL);
  expect_count (twelve, 1);
  expect_finding (twelve, 0, VP_DEVICE_REFUSE, RADEON, "group 12,", RADEON_AUDIO, "snd_hda_intel", NULL);
}

static void
test_card_left_out (void)
{
  g_autoptr (GPtrArray) findings = check_howto (GEFORCE_AUDIO, NULL);

  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, GEFORCE_AUDIO, GEFORCE, "nouveau", "another slot", "assign it as well",
                  NULL);
}

static void
test_bridges (void)
{
  g_autoptr (GPtrArray) findings = check_howto ("0000:00:1c.7 0000:05:00.0", NULL);

  expect_count (findings, 2);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, "0000:00:1c.7", "8086:244e", "bridge", "<hostdev>", NULL);
  expect_finding (findings, 1, VP_DEVICE_REFUSE, "0000:05:00.0", "1b21:1080", "bridge", NULL);
}

static void
test_board (void)
{
  g_autoptr (GPtrArray) findings = check_howto ("0000:00:1f.2", NULL);

  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, "0000:00:1f.2", "group 11,", "0000:00:1f.0", "lpc_ich", "0000:00:1f.3",
                  "i801_smbus", "parts of the board", NULL);
}

static void
test_missing (void)
{
  g_autoptr (GPtrArray) findings = check_howto ("0000:07:00.0", NULL);

  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, "0000:07:00.0", "no PCI device 0000:07:00.0", "virsh nodedev-list",
                  NULL);
}

/* A card more in the machine: the GeForce went from bus 1 to bus 2, and bus 1 is an NVMe disk's. */
static void
test_moved (void)
{
  g_autoptr (VpRoot) root = open_sysfs ("no-iommu");
  g_autoptr (GArray) expected = g_array_new (FALSE, TRUE, sizeof (VpDeviceIds));
  VpDeviceIds ids[] = { { address_of (GEFORCE), 0x10de, 0x1b80 }, { address_of ("0000:07:00.0"), 0x1002, 0x67df } };
  VpDeviceQuestion question = { .expected = expected };

  g_array_append_vals (expected, ids, G_N_ELEMENTS (ids));
  g_autoptr (GPtrArray) findings = check_devices (root, GEFORCE " 0000:07:00.0", &question);
  expect_count (findings, 2);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, GEFORCE, "144d:a808", "it was 10de:1b80", "is at 0000:0a:00.0 now",
                  "vfio-profile set", NULL);
  expect_finding (findings, 1, VP_DEVICE_REFUSE, "0000:07:00.0", "any more", "1002:67df", "is at 0000:0b:00.0 now",
                  NULL);
}

static void
test_as_expected (void)
{
  g_autoptr (GArray) expected = g_array_new (FALSE, TRUE, sizeof (VpDeviceIds));
  VpDeviceIds ids[] = { { address_of (GEFORCE), 0x10de, 0x1381 }, { address_of ("0000:05:00.0"), 1, 1 } };
  VpDeviceQuestion question = { .expected = expected };

  g_array_append_vals (expected, ids, G_N_ELEMENTS (ids));
  g_autoptr (GPtrArray) findings = check_howto (GEFORCE " " GEFORCE_AUDIO, &question);
  expect_count (findings, 0);
}

static void
test_no_iommu (void)
{
  g_autoptr (VpRoot) root = open_sysfs ("no-iommu");
  g_autoptr (GPtrArray) findings = check_devices (root, "0000:0b:00.0 0000:0b:00.1", NULL);

  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, "0000:0b:00.0", "no IOMMU", "firmware", "intel_iommu=on", NULL);
}

/* The host bridge is in no group there, and no header says that it is a bridge. */
static void
test_no_group (void)
{
  g_autoptr (VpDomain) domain = domain_with (GEFORCE);
  g_autoptr (GArray) devices = vp_pci_devices_new ();
  g_autoptr (GArray) nothing = g_array_new (FALSE, FALSE, sizeof (VpDeviceUse));
  VpPciDevice device = { .address = address_of (GEFORCE), .class_code = 0x030000, .iommu_group = -1 };
  VpDeviceFacts facts = { .devices = devices, .uses = nothing, .has_iommu = TRUE };
  VpDeviceQuestion question = { .facts = &facts, .domain = domain };

  g_array_append_val (devices, device);
  g_autoptr (GPtrArray) findings = vp_device_check (&question);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, GEFORCE, "in no IOMMU group", "igfx_off", NULL);
  facts.has_iommu = FALSE;
  facts.cpu = VP_CPU_INTEL;
  g_autoptr (GPtrArray) intel = vp_device_check (&question);
  expect_finding (intel, 0, VP_DEVICE_REFUSE, GEFORCE, "VT-d", "intel_iommu=on", "!AMD", NULL);
  facts.cpu = VP_CPU_AMD;
  g_autoptr (GPtrArray) amd = vp_device_check (&question);
  expect_finding (amd, 0, VP_DEVICE_REFUSE, GEFORCE, "AMD-Vi", "firmware", "!intel_iommu", NULL);
  facts.iommu_off = "amd_iommu=off";
  g_autoptr (GPtrArray) amd_off = vp_device_check (&question);
  expect_finding (amd_off, 0, VP_DEVICE_REFUSE, GEFORCE, "take amd_iommu=off out", "in the firmware", NULL);
  facts.has_iommu_table = TRUE;
  g_autoptr (GPtrArray) amd_on = vp_device_check (&question);
  expect_finding (amd_on, 0, VP_DEVICE_REFUSE, GEFORCE, "take amd_iommu=off out", "!firmware", NULL);
  facts.iommu_off = NULL;
  facts.cpu = VP_CPU_INTEL;
  g_autoptr (GPtrArray) intel_off = vp_device_check (&question);
  expect_finding (intel_off, 0, VP_DEVICE_REFUSE, GEFORCE, "intel_iommu=on", "!turn VT-d on", NULL);
}

static void
test_held (void)
{
  g_autoptr (GArray) held = g_array_new (FALSE, TRUE, sizeof (VpDeviceHeld));
  char other[] = "steam";
  VpDeviceHeld one = { address_of (GEFORCE_AUDIO), other };
  VpDeviceQuestion question = { .held = held };

  g_array_append_val (held, one);
  g_autoptr (GPtrArray) both = check_howto (GEFORCE " " GEFORCE_AUDIO, &question);
  expect_count (both, 1);
  expect_finding (both, 0, VP_DEVICE_REFUSE, GEFORCE_AUDIO, "10de:0fbc", "the guest 'steam'", "shut that down", NULL);
  /* It is in the group of what this guest wants. */
  g_autoptr (GPtrArray) card = check_howto (GEFORCE, &question);
  expect_count (card, 1);
  expect_finding (card, 0, VP_DEVICE_REFUSE, GEFORCE, "group 1,", GEFORCE_AUDIO, "the guest 'steam'", "shut that guest",
                  NULL);
  g_autoptr (GPtrArray) free_card = check_howto (RADEON " " RADEON_AUDIO, &question);
  expect_count (free_card, 0);
}

static void
test_unmanaged (void)
{
  g_autoptr (VpRoot) server = open_sysfs ("numa-2node");
  g_autoptr (GPtrArray) findings = check_howto ("!" RADEON " !" RADEON_AUDIO, NULL);
  g_autoptr (GPtrArray) bound = check_devices (server, "!0000:81:02.1", NULL);
  g_autoptr (GPtrArray) unbound = check_devices (server, "!0001:17:00.0", NULL);

  expect_count (findings, 2);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, RADEON, "managed='no'", "radeon",
                  "virsh nodedev-detach pci_0000_02_00_0", NULL);
  expect_finding (findings, 1, VP_DEVICE_REFUSE, RADEON_AUDIO, "virsh nodedev-detach pci_0000_02_00_1", NULL);
  expect_count (bound, 0);
  expect_count (unbound, 1);
  expect_finding (unbound, 0, VP_DEVICE_REFUSE, "0001:17:00.0", "bound to nothing", "pci_0001_17_00_0", NULL);
}

static void
test_boot_vga (void)
{
  VpDeviceQuestion refuse = { .refuse_boot_vga = TRUE };
  g_autoptr (GPtrArray) refused = check_howto ("0000:00:02.0", &refuse);
  g_autoptr (GPtrArray) allowed = check_howto ("0000:00:02.0", NULL);
  g_autoptr (GPtrArray) other = check_howto (RADEON " " RADEON_AUDIO, &refuse);

  expect_count (refused, 1);
  expect_finding (refused, 0, VP_DEVICE_REFUSE, "0000:00:02.0", "8086:016a", "devices.boot-vga is refuse",
                  "set devices.boot-vga to allow", "!hang", NULL);
  expect_count (allowed, 0);
  expect_count (other, 0);
}

static void
test_i915 (void)
{
  g_autoptr (GPtrArray) beside = check_howto ("*" RADEON " " RADEON_AUDIO, NULL);
  g_autoptr (GPtrArray) itself = check_howto ("*0000:00:02.0", NULL);

  expect_count (beside, 1);
  expect_finding (beside, 0, VP_DEVICE_WARN, RADEON, "x-vga", "0000:00:02.0", "i915", "arbitration", "OVMF", NULL);
  g_assert_null (vp_device_findings_dup_refusal (beside));
  expect_count (itself, 0);
}

static void
test_x_vga_class (void)
{
  g_autoptr (VpRoot) root = open_sysfs ("numa-2node");
  g_autoptr (GPtrArray) findings = check_devices (root, "*0000:81:02.1", NULL);

  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, "0000:81:02.1", "class 0200", "0300", "vga.x-vga", NULL);
}

static void
test_x_vga_support (void)
{
  g_autoptr (VpRoot) root = open_sysfs ("numa-2node");
  g_autoptr (VpDomain) domain = domain_with ("0000:41:00.0 0000:41:00.1");
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
  g_autoptr (VpDeviceFacts) facts = vp_devices_read (root, hostdevs, 0, NULL);
  VpPciAddress card = address_of ("0000:41:00.0");
  VpDeviceQuestion question = { .facts = facts, .domain = domain, .x_vga = &card };

  g_assert_cmpint (facts->vga, ==, VP_VGA_UNKNOWN); /* a recorded /sys has no kernel configuration */
  g_autoptr (GPtrArray) unknown = vp_device_check (&question);
  expect_count (unknown, 0);
  facts->vga = VP_VGA_NO;
  g_autoptr (GPtrArray) lacks = vp_device_check (&question);
  expect_count (lacks, 1);
  expect_finding (lacks, 0, VP_DEVICE_REFUSE, "0000:41:00.0", "10de:2231", "CONFIG_VFIO_PCI_VGA", "OVMF", NULL);
  facts->vga = VP_VGA_DISABLED;
  g_autoptr (GPtrArray) disabled = vp_device_check (&question);
  expect_count (disabled, 1);
  expect_finding (disabled, 0, VP_DEVICE_REFUSE, "0000:41:00.0", "disable_vga=1", "modprobe.d", NULL);
}

static void
write_list (const char *path, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
expect_name (const char *file, guint16 vendor, guint16 device, const char *wanted)
{
  g_autoptr (VpDeviceNames) names = vp_device_names_new (file);
  g_autofree char *name = vp_device_names_dup (names, vendor, device);
  g_autofree char *again = vp_device_names_dup (names, vendor, device);

  g_assert_cmpstr (name, ==, wanted);
  g_assert_cmpstr (again, ==, wanted);
}

static void
test_names (void)
{
  g_autofree char *folder = g_dir_make_tmp ("vp-devices-XXXXXX", NULL);
  g_autofree char *good = g_build_filename (folder, "pci.ids", NULL);
  g_autofree char *broken = g_build_filename (folder, "broken.ids", NULL);
  g_autofree char *none = g_build_filename (folder, "none.ids", NULL);

  write_list (good, "10de  NVIDIA Corporation\n\t1381  GM107 [GeForce GTX 750]\n1002  Caf\xe9\n");
  write_list (broken, "10de  NVIDIA Corporation\nthis is no list\n\t1381  GM107\n");
  expect_name (good, 0x10de, 0x1381, "NVIDIA Corporation GM107 [GeForce GTX 750]");
  expect_name (good, 0x10de, 0x0001, "NVIDIA Corporation");
  expect_name (good, 0x1234, 0x1381, NULL);
  expect_name (good, 0x1002, 0x0001, "Caf\xef\xbf\xbd");
  expect_name (broken, 0x10de, 0x1381, "NVIDIA Corporation"); /* as far as it could be read */
  expect_name (none, 0x10de, 0x1381, NULL);

  g_autoptr (VpDeviceNames) names = vp_device_names_new (good);
  VpDeviceQuestion question = { .names = names };
  g_autoptr (GPtrArray) findings = check_howto ("!" GEFORCE " " GEFORCE_AUDIO, &question);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, GEFORCE, "(10de:1381, NVIDIA Corporation GM107 [GeForce GTX 750])",
                  NULL);
  g_assert_cmpint (g_remove (good), ==, 0);
  g_assert_cmpint (g_remove (broken), ==, 0);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* This system's own: whatever there is, it ends well. */
static void
test_system_names (void)
{
  g_autoptr (VpDeviceNames) names = vp_device_names_new (NULL);
  g_autofree char *name = vp_device_names_dup (names, 0x10de, 0x1381);

  if (name == NULL)
    g_test_skip ("this system has neither pci.ids nor a hardware database");
  else
    g_assert_true (g_str_has_prefix (name, "NVIDIA"));
}

static void
test_refusal (void)
{
  g_autoptr (GPtrArray) findings = check_howto ("0000:07:00.0 !" RADEON " " RADEON_AUDIO, NULL);
  g_autofree char *text = vp_device_findings_dup_refusal (findings);

  expect_count (findings, 2);
  g_assert_nonnull (strstr (text, "0000:07:00.0"));
  g_assert_nonnull (strstr (text, "; and 0000:02:00.0"));
}

/* No device at all is a host that cannot be read, not a device that is missing. */
static void
test_no_sysfs (void)
{
  g_autofree char *folder = g_dir_make_tmp ("vp-devices-XXXXXX", NULL);
  g_autoptr (VpRoot) root = vp_root_open (folder, NULL);
  g_autoptr (GArray) hostdevs = g_array_new (FALSE, FALSE, sizeof (VpHostdev));
  g_autoptr (GError) error = NULL;

  g_assert_null (vp_devices_read (root, hostdevs, 0, &error));
  g_assert_nonnull (strstr (error->message, "/sys/bus/pci/devices"));
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

/* What an older kernel says, and what a container runtime says that has not heard of it. */
static void
forbid_openat2 (int number)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (guint32) number),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = { G_N_ELEMENTS (filter), filter };

  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
}

static void
test_no_openat2 (gconstpointer number)
{
  g_autoptr (GError) error = NULL;

  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed ();
    return;
  }
  forbid_openat2 (GPOINTER_TO_INT (number));
  g_assert_null (vp_root_open ("/", &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_HOST);
  g_assert_nonnull (strstr (error->message, "openat2"));
  g_assert_nonnull (strstr (error->message, "Linux 5.6"));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/devices/group/good", test_good_groups);
  g_test_add_func ("/devices/group/companion", test_companion_in_group);
  g_test_add_func ("/devices/group/card-left-out", test_card_left_out);
  g_test_add_func ("/devices/group/bridges", test_bridges);
  g_test_add_func ("/devices/group/board", test_board);
  g_test_add_func ("/devices/missing", test_missing);
  g_test_add_func ("/devices/moved", test_moved);
  g_test_add_func ("/devices/as-expected", test_as_expected);
  g_test_add_func ("/devices/no-iommu", test_no_iommu);
  g_test_add_func ("/devices/no-group", test_no_group);
  g_test_add_func ("/devices/held", test_held);
  g_test_add_func ("/devices/unmanaged", test_unmanaged);
  g_test_add_func ("/devices/boot-vga", test_boot_vga);
  g_test_add_func ("/devices/x-vga/i915", test_i915);
  g_test_add_func ("/devices/x-vga/class", test_x_vga_class);
  g_test_add_func ("/devices/x-vga/support", test_x_vga_support);
  g_test_add_func ("/devices/names", test_names);
  g_test_add_func ("/devices/names/system", test_system_names);
  g_test_add_func ("/devices/refusal", test_refusal);
  g_test_add_func ("/devices/no-sysfs", test_no_sysfs);
  g_test_add_data_func ("/devices/no-openat2/unknown", GINT_TO_POINTER (ENOSYS), test_no_openat2);
  g_test_add_data_func ("/devices/no-openat2/forbidden", GINT_TO_POINTER (EPERM), test_no_openat2);
  return g_test_run ();
}
