/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices that the host uses, on made machines: processes, the console, file systems, routes; and hostile trees. */
#include <fcntl.h>
#include <gio/gio.h>
#include <sys/stat.h>

#include "device-checks.h"
#include "devices/device-kernel.h"
#include "devices/device-users.h"
#include "made-tree.h"

#define CARD "0000:01:00.0"
#define CARD_FOLDER "pci0000:00/0000:01:00.0"
#define CARD_IDS "030000 10de 1381"
#define DISK "0000:03:00.0"
#define DISK_FOLDER "pci0000:00/0000:03:00.0"
#define DISK_IDS "010802 144d a808"
#define NIC "0000:04:00.0"
#define NIC_FOLDER "pci0000:00/0000:04:00.0"
#define NIC_IDS "020000 8086 1502"

static void
add_nvidia_card (const MadeTree *tree, const char *address, int minor_number, int group)
{
  g_autofree char *file = g_strdup_printf ("proc/driver/nvidia/gpus/%s/information", address);
  g_autofree char *text = g_strdup_printf ("Model: \t\t NVIDIA GeForce GTX 750\nIRQ:   \t\t 61\nBus Location: \t %s\n"
                                           "Device Minor: \t %d\nGPU Excluded:\t No\n",
                                           address, minor_number);

  made_device (tree, address, CARD_IDS, "nvidia", group);
  made_file (tree, file, text);
}

static void
test_nvidia (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  add_nvidia_card (tree, CARD, 0, 1);
  add_nvidia_card (tree, "0000:02:00.0", 1, 2);
  made_process (tree, 812, "Xorg", "/dev/null", "/dev/nvidiactl", "/dev/nvidia0", "socket:[4711]", "/dev/nvidia0",
                NULL);
  made_process (tree, 900, "blender", "/dev/nvidiactl", "/dev/nvidia1", NULL);
  made_process (tree, 901, "settings", "/dev/nvidiactl", "/dev/nvidia-uvm", NULL);

  g_autoptr (GPtrArray) managed = check_devices (tree->root, CARD, NULL);
  expect_count (managed, 1);
  expect_finding (managed, 0, VP_DEVICE_REFUSE, CARD, "10de:1381", "Xorg (812) has /dev/nvidia0 open",
                  "nvidia would hang", "stop who has it open", "!blender", "!settings", NULL);
  /* The way out is another one there, and nobody's processes are looked at. */
  g_autoptr (GPtrArray) unmanaged = check_devices (tree->root, "!" CARD, NULL);
  expect_count (unmanaged, 1);
  expect_finding (unmanaged, 0, VP_DEVICE_REFUSE, CARD, "virsh nodedev-detach pci_0000_01_00_0", "!Xorg", NULL);
  made_device (tree, CARD, CARD_IDS, "vfio-pci", 1);
  g_autoptr (GPtrArray) bound = check_devices (tree->root, CARD, NULL);
  expect_count (bound, 0);
}

static void
test_drm (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, CARD, CARD_IDS, "nouveau", 1);
  made_device (tree, "0000:00:02.0", "030000 8086 016a", "i915", 2);
  made_node (tree, "drm", CARD_FOLDER, "drm/card1", "dri/card1 226:1");
  made_node (tree, "drm", CARD_FOLDER, "drm/card1/card1-HDMI-A-1", NULL);
  made_node (tree, "drm", CARD_FOLDER, "drm/renderD129", "dri/renderD129 226:129");
  made_node (tree, "drm", "pci0000:00/0000:00:02.0", "drm/card0", "dri/card0 226:0");
  made_node (tree, "sound", CARD_FOLDER, "sound/card1/controlC1", "snd/controlC1 116:5");
  made_process (tree, 10, "systemd", "/dev/dri/card0", NULL);
  made_process (tree, 11, "pipewire", "/dev/snd/controlC1", NULL);
  g_autoptr (GPtrArray) idle = check_devices (tree->root, CARD, NULL);
  expect_count (idle, 0);

  made_process (tree, 20, "gnome-shell", "/dev/dri/card0", "/dev/dri/card1", NULL);
  for (int pid = 21; pid < 27; pid++)
    made_process (tree, pid, "firefox", "/dev/dri/renderD129", NULL);
  g_autoptr (GPtrArray) busy = check_devices (tree->root, CARD, NULL);
  expect_count (busy, 1);
  expect_finding (busy, 0, VP_DEVICE_REFUSE, CARD, "gnome-shell (20), firefox (21)", "and 2 more have",
                  "/dev/dri/card1 and /dev/dri/renderD129 open", "nouveau", "!pipewire", "!systemd", "!card0", NULL);
}

static void
test_console (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, CARD, CARD_IDS, "nouveau", 1);
  made_node (tree, "graphics", CARD_FOLDER, "graphics/fb0", "fb0 29:0");
  made_link (tree, "sys/devices/" CARD_FOLDER "/graphics/fb0/device", "../../../0000:01:00.0");
  made_file (tree, "sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
  made_file (tree, "sys/class/vtconsole/vtcon0/bind", "1\n");
  made_file (tree, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
  made_file (tree, "sys/class/vtconsole/vtcon1/bind", "1\n");
  g_autoptr (GPtrArray) bound = check_devices (tree->root, CARD, NULL);
  expect_count (bound, 1);
  expect_finding (bound, 0, VP_DEVICE_REFUSE, CARD, "text console", "echo 0 > /sys/class/vtconsole/vtcon1/bind",
                  "vfio-pci from boot on", NULL);

  /* The boot display's framebuffer is the console's, whatever its number. */
  made_device (tree, "0000:00:02.0", "030000 8086 016a", "i915", 2);
  made_file (tree, "sys/devices/pci0000:00/0000:00:02.0/boot_vga", "1\n");
  made_node (tree, "graphics", "pci0000:00/0000:00:02.0", "graphics/fb1", "fb1 29:1");
  made_link (tree, "sys/devices/pci0000:00/0000:00:02.0/graphics/fb1/device", "../../../0000:00:02.0");
  g_autoptr (GPtrArray) other = check_devices (tree->root, CARD, NULL);
  g_autoptr (GPtrArray) boot = check_devices (tree->root, "0000:00:02.0", NULL);
  expect_count (other, 0);
  expect_count (boot, 1);
  expect_finding (boot, 0, VP_DEVICE_REFUSE, "0000:00:02.0", "text console", "vtcon1", NULL);

  made_file (tree, "sys/class/vtconsole/vtcon1/bind", "0\n");
  g_autoptr (GPtrArray) unbound = check_devices (tree->root, "0000:00:02.0", NULL);
  expect_count (unbound, 0);
}

/* Kernels of 2026 mark a card's DRM device, and no longer guess boot_vga; where nothing is marked the console tells. */
static void
test_boot_display (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  VpDeviceQuestion refuse = { .refuse_boot_vga = TRUE };

  made_device (tree, CARD, CARD_IDS, "nouveau", 1);
  made_file (tree, "sys/devices/" CARD_FOLDER "/boot_vga", "0\n");
  made_device (tree, "0000:00:02.0", "030000 8086 016a", "i915", 2);
  made_node (tree, "graphics", "pci0000:00/0000:00:02.0", "graphics/fb0", "fb0 29:0");
  made_link (tree, "sys/devices/pci0000:00/0000:00:02.0/graphics/fb0/device", "../../../0000:00:02.0");
  g_autoptr (GPtrArray) unmarked = check_devices (tree->root, "0000:00:02.0", &refuse);
  expect_count (unmarked, 0);

  made_file (tree, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
  made_file (tree, "sys/class/vtconsole/vtcon1/bind", "1\n");
  g_autoptr (GPtrArray) console = check_devices (tree->root, "0000:00:02.0", &refuse);
  g_autoptr (GPtrArray) card = check_devices (tree->root, CARD, &refuse);
  expect_finding (console, 0, VP_DEVICE_REFUSE, "0000:00:02.0", "text console", "devices.boot-vga is refuse", NULL);
  expect_count (card, 0);

  made_file (tree, "sys/devices/" CARD_FOLDER "/drm/card1/boot_display", "1\n");
  g_autoptr (GPtrArray) marked = check_devices (tree->root, CARD, &refuse);
  expect_count (marked, 1);
  expect_finding (marked, 0, VP_DEVICE_REFUSE, CARD, "devices.boot-vga is refuse", NULL);
}

static void
test_all_reasons (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  VpDeviceQuestion refuse = { .refuse_boot_vga = TRUE };

  made_device (tree, CARD, "030000 1002 6611", "amdgpu", 1);
  made_file (tree, "sys/devices/" CARD_FOLDER "/boot_vga", "1\n");
  made_node (tree, "drm", CARD_FOLDER, "drm/card0", "dri/card0 226:0");
  made_node (tree, "graphics", CARD_FOLDER, "graphics/fb0", "fb0 29:0");
  made_file (tree, "sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
  made_file (tree, "sys/class/vtconsole/vtcon1/bind", "1\n");
  made_process (tree, 5, "Xwayland", "/dev/dri/card0", "/dev/fb0", NULL);
  g_autoptr (GPtrArray) findings = check_devices (tree->root, CARD, &refuse);
  expect_count (findings, 1);
  /* Open files come as the folder has them: on a tmpfs the last is first. */
  expect_finding (findings, 0, VP_DEVICE_REFUSE, CARD, "Xwayland (5) has /dev/", "/dev/dri/card0", " and /dev/",
                  "/dev/fb0", "text console", "devices.boot-vga", "amdgpu would hang", "vtcon1/bind", NULL);
}

/* nvme0n1: p1 is /boot/efi, p2 is LVM (root, swap; scratch is a guest's disk), p3 unused. */
static void
add_lvm_disk (const MadeTree *tree)
{
  made_device (tree, DISK, DISK_IDS, "nvme", 5);
  made_node (tree, "block", DISK_FOLDER, "nvme/nvme0/nvme0n1", "nvme0n1 259:0");
  made_node (tree, "block", DISK_FOLDER, "nvme/nvme0/nvme0n1/nvme0n1p1", "nvme0n1p1 259:1");
  made_node (tree, "block", DISK_FOLDER, "nvme/nvme0/nvme0n1/nvme0n1p2", "nvme0n1p2 259:2");
  made_node (tree, "block", DISK_FOLDER, "nvme/nvme0/nvme0n1/nvme0n1p3", "nvme0n1p3 259:3");
  for (int i = 0; i < 3; i++) {
    static const char *const names[] = { "vg-root", "vg-swap", "vg-scratch" };
    g_autofree char *node = g_strdup_printf ("dm-%d 253:%d", i, i);
    g_autofree char *below = g_strdup_printf ("block/dm-%d", i);
    g_autofree char *name = g_strdup_printf ("sys/devices/virtual/block/dm-%d/dm/name", i);
    g_autofree char *holder =
      g_strdup_printf ("sys/devices/" DISK_FOLDER "/nvme/nvme0/nvme0n1/nvme0n1p2/holders/dm-%d", i);
    g_autofree char *target = g_strdup_printf ("../../../../../../../virtual/block/dm-%d", i);
    made_node (tree, "block", "virtual", below, node);
    made_file (tree, name, names[i]);
    made_link (tree, holder, target);
  }
}

static void
test_lvm (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  add_lvm_disk (tree);
  g_autoptr (GPtrArray) idle = check_devices (tree->root, DISK, NULL);
  expect_count (idle, 0);

  made_file (tree, "proc/1/mountinfo",
             "22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n"
             "23 22 0:21 / /proc rw - proc proc rw\n"
             "24 22 259:1 / /boot/efi rw,relatime shared:2 - vfat /dev/nvme0n1p1 rw\n"
             "25 22 253:0 /srv/my\\040files /srv/my\\040files rw shared:3 - ext4 /dev/mapper/vg-root rw\n"
             "26 22 8:1 / /elsewhere rw - ext4 /dev/sda1 rw\n");
  made_file (tree, "proc/swaps", "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n/dev/dm-1 partition\t1048572\t0\t-2\n");
  made_process (tree, 77, "qemu-system-x86", "/dev/dm-2", NULL);
  g_autoptr (GPtrArray) used = check_devices (tree->root, DISK, NULL);
  expect_count (used, 1);
  expect_finding (used, 0, VP_DEVICE_REFUSE, DISK, "144d:a808", "nvme0n1p1 is mounted on /boot/efi",
                  "dm-0 (vg-root) on nvme0n1p2 is mounted on / and /srv/my files", "swap space is on dm-1 (vg-swap)",
                  "qemu-system-x86 (77) has dm-2 (vg-scratch) on nvme0n1p2 open", "lose that data", "!elsewhere",
                  "!nvme0n1p3", NULL);

  /* No advice to detach the system's disk. */
  g_autoptr (GPtrArray) unmanaged = check_devices (tree->root, "!" DISK, NULL);
  expect_count (unmanaged, 1);
  expect_finding (unmanaged, 0, VP_DEVICE_REFUSE, DISK, "mounted on /", "!nodedev-detach", NULL);
}

static void
test_nvme_in_group (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  add_lvm_disk (tree);
  made_device (tree, CARD, CARD_IDS, "vfio-pci", 5);
  made_device (tree, "0000:00:01.0", "060400 8086 0151", "pcieport", 5);
  g_autoptr (GPtrArray) findings = check_devices (tree->root, CARD, NULL);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, CARD, "group 5,", DISK, "144d:a808", "bound to nvme", "another slot",
                  "!pcieport", "!nodedev-detach", NULL);
}

/* btrfs counts in mountinfo under a number of its own, and names one of its devices only. */
static void
test_btrfs (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, DISK, DISK_IDS, "nvme", 5);
  made_node (tree, "block", DISK_FOLDER, "nvme/nvme0/nvme0n1", "nvme0n1 259:0");
  made_file (tree, "proc/self/mountinfo", "30 1 0:34 /@ / rw - btrfs /dev/nvme0n1 rw\n");
  g_autoptr (GPtrArray) named = check_devices (tree->root, DISK, NULL);
  expect_count (named, 1);
  expect_finding (named, 0, VP_DEVICE_REFUSE, DISK, "nvme0n1 is mounted on /:", NULL);

  made_file (tree, "proc/self/mountinfo", "30 1 0:34 /@ / rw - btrfs /dev/sda1 rw\n");
  made_link (tree, "sys/fs/btrfs/0f1e-2d/devices/nvme0n1", "../../../../devices/" DISK_FOLDER "/nvme/nvme0/nvme0n1");
  g_autoptr (GPtrArray) member = check_devices (tree->root, DISK, NULL);
  expect_count (member, 1);
  expect_finding (member, 0, VP_DEVICE_REFUSE, DISK, "nvme0n1 is mounted on btrfs 0f1e-2d", NULL);
}

/* Below the controller stands the hidden path; the disk that is used stands below none. */
static void
test_multipath (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, DISK, DISK_IDS, "nvme", 5);
  made_node (tree, "block", DISK_FOLDER, "nvme/nvme1/nvme0c1n1", NULL);
  made_node (tree, "block", "virtual", "nvme-subsystem/nvme-subsys0/nvme0n1", "nvme0n1 259:0");
  made_node (tree, "block", "virtual", "nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1", "nvme0n1p1 259:1");
  made_file (tree, "proc/1/mountinfo", "30 1 259:1 / /home rw - xfs /dev/nvme0n1p1 rw\n");
  g_autoptr (GPtrArray) findings = check_devices (tree->root, DISK, NULL);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, DISK, "nvme0n1p1 is mounted on /home", NULL);
}

/* A USB controller with a stick, and md on top of it. */
static void
test_usb_stick (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  const char *stick = "usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb";
  g_autofree char *holder = g_strdup_printf ("sys/devices/pci0000:00/0000:05:00.0/%s/holders/md0", stick);

  made_device (tree, "0000:05:00.0", "0c0330 8086 1e31", "xhci_hcd", 6);
  made_node (tree, "block", "pci0000:00/0000:05:00.0", stick, "sdb 8:16");
  made_node (tree, "block", "virtual", "block/md0", "md0 9:0");
  made_node (tree, "block", "virtual", "block/md0/md0p1", "md0p1 259:7");
  made_file (tree, holder, "");
  made_file (tree, "proc/1/mountinfo", "30 1 259:7 / /media/stick rw - vfat /dev/md0p1 rw\n");
  g_autoptr (GPtrArray) findings = check_devices (tree->root, "0000:05:00.0", NULL);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, "0000:05:00.0", "md0p1 on sdb is mounted on /media/stick", NULL);
}

#define ROUTES "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ZEROS "00000000000000000000000000000000"

static void
test_default_route (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, NIC, NIC_IDS, "e1000e", 7);
  made_node (tree, "net", NIC_FOLDER, "net/eth0", NULL);
  made_file (tree, "proc/net/route",
             ROUTES "eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
                    "eth01\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
  made_file (tree, "proc/net/ipv6_route",
             ZEROS " 00 " ZEROS " 00 " ZEROS " ffffffff 00000001 00000000 00200200       lo\n");
  g_autoptr (GPtrArray) idle = check_devices (tree->root, NIC, NULL);
  expect_count (idle, 0);

  made_file (tree, "proc/net/route", ROUTES "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
  g_autoptr (GPtrArray) four = check_devices (tree->root, NIC, NULL);
  expect_count (four, 1);
  expect_finding (four, 0, VP_DEVICE_REFUSE, NIC, "8086:1502", "default route leads over eth0", "lose its network",
                  NULL);

  made_file (tree, "proc/net/route", ROUTES);
  made_file (tree, "proc/net/ipv6_route",
             ZEROS " 00 " ZEROS " 00 fe80000000000000000000000000beef 00000400 00000001 00000000 00000003     eth0\n");
  g_autoptr (GPtrArray) six = check_devices (tree->root, NIC, NULL);
  expect_count (six, 1);
  expect_finding (six, 0, VP_DEVICE_REFUSE, NIC, "default route leads over eth0", NULL);
}

/* As under systemd's PrivateNetwork=. */
static void
test_route_of_the_host (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, NIC, NIC_IDS, "e1000e", 7);
  made_node (tree, "net", NIC_FOLDER, "net/eth0", NULL);
  made_file (tree, "proc/net/route", ROUTES);
  made_file (tree, "proc/1/net/route", ROUTES "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
  g_autoptr (GPtrArray) findings = check_devices (tree->root, NIC, NULL);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, NIC, "default route leads over eth0", NULL);
}

static void
test_route_over_bridge (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, NIC, NIC_IDS, "e1000e", 7);
  made_node (tree, "net", NIC_FOLDER, "net/eth0", NULL);
  made_node (tree, "net", "virtual", "net/bond0", NULL);
  made_node (tree, "net", "virtual", "net/br0", NULL);
  made_link (tree, "sys/devices/" NIC_FOLDER "/net/eth0/upper_bond0", "../../../../virtual/net/bond0");
  made_link (tree, "sys/devices/virtual/net/bond0/upper_br0", "../br0");
  made_link (tree, "sys/devices/virtual/net/br0/upper_bond0", "../bond0"); /* no kernel does that */
  made_file (tree, "proc/net/route", ROUTES "br0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n");
  g_autoptr (GPtrArray) findings = check_devices (tree->root, NIC, NULL);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_REFUSE, NIC, "leads over br0, which stands on eth0", NULL);
}

/* The companion is in a group of its own: assigned or not, the card can go. */
static void
test_companion_warning (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  made_device (tree, CARD, CARD_IDS, "vfio-pci", 1);
  made_device (tree, "0000:01:00.1", "040300 10de 0fbc", "snd_hda_intel", 2);
  made_device (tree, "0000:01:00.2", "0c0330 10de 1ad6", "xhci_hcd", 3);
  made_device (tree, "0000:01:00.3", "0c8000 10de 1ad7", NULL, 1);
  made_device (tree, "0000:02:00.1", "040300 10de 0fbc", "snd_hda_intel", 4);
  g_autoptr (GPtrArray) findings = check_devices (tree->root, CARD " 0000:01:00.2", NULL);
  expect_count (findings, 2);
  expect_finding (findings, 0, VP_DEVICE_WARN, CARD, "0000:01:00.1", "the card's audio", "assign it as well", NULL);
  expect_finding (findings, 1, VP_DEVICE_WARN, CARD, "0000:01:00.3", "USB-C", NULL);
  g_assert_null (vp_device_findings_dup_refusal (findings));
}

/* The header says what is a bridge, where it can be read. */
static void
test_header_type (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  char config[64] = { 0 };

  made_device (tree, CARD, CARD_IDS, "vfio-pci", 1);
  made_device (tree, "0000:00:01.0", "068000 8086 0151", "some_bridge", 1);
  g_autoptr (GPtrArray) unknown = check_devices (tree->root, CARD, NULL);
  expect_count (unknown, 1);
  expect_finding (unknown, 0, VP_DEVICE_REFUSE, CARD, "0000:00:01.0", "some_bridge", NULL);

  config[0x0e] = (char) 0x81; /* a bridge with several functions */
  made_data (tree, "sys/devices/pci0000:00/0000:00:01.0/config", config, sizeof config);
  g_autoptr (GPtrArray) bridge = check_devices (tree->root, CARD, NULL);
  expect_count (bridge, 0);
}

static VpVgaSupport
read_vga (const MadeTree *tree)
{
  return vp_kernel_read_vga (tree->root);
}

static void
add_packed_config (const MadeTree *tree, const char *text)
{
  g_autoptr (GZlibCompressor) pack = g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP, 6);
  g_autoptr (GOutputStream) memory = g_memory_output_stream_new_resizable ();
  g_autoptr (GOutputStream) stream = g_converter_output_stream_new (memory, G_CONVERTER (pack));

  g_assert_true (g_output_stream_write_all (stream, text, strlen (text), NULL, NULL, NULL));
  g_assert_true (g_output_stream_close (stream, NULL, NULL));
  made_data (tree, "proc/config.gz", g_memory_output_stream_get_data (G_MEMORY_OUTPUT_STREAM (memory)),
             (gssize) g_memory_output_stream_get_data_size (G_MEMORY_OUTPUT_STREAM (memory)));
}

static void
test_vga_support (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  const char *with = "CONFIG_PCI=y\nCONFIG_VFIO_PCI=m\nCONFIG_VFIO_PCI_VGA=y\n";
  const char *without = "CONFIG_PCI=y\nCONFIG_VFIO_PCI=m\n# CONFIG_VFIO_PCI_VGA is not set\n";

  g_assert_cmpint (read_vga (tree), ==, VP_VGA_UNKNOWN);
  made_file (tree, "proc/sys/kernel/osrelease", "6.1.0-49-amd64\n");
  made_file (tree, "boot/config-6.1.0-48-amd64", without);
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_UNKNOWN);
  made_file (tree, "proc/config.gz", "no gzip at all");
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_UNKNOWN);
  add_packed_config (tree, with);
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_YES);
  add_packed_config (tree, without);
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_NO);
  made_file (tree, "lib/modules/6.1.0-49-amd64/config", with);
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_YES);
  made_file (tree, "boot/config-6.1.0-49-amd64", without);
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_NO);
  /* What is loaded knows best. */
  made_file (tree, "sys/module/vfio_pci/parameters/nointxmask", "N\n");
  made_file (tree, "boot/config-6.1.0-49-amd64", with);
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_NO);
  made_file (tree, "sys/module/vfio_pci/parameters/disable_vga", "N\n");
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_YES);
  made_file (tree, "sys/module/vfio_pci/parameters/disable_vga", "Y\n");
  g_assert_cmpint (read_vga (tree), ==, VP_VGA_DISABLED);
}

static void
test_cpu_and_iommu (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  g_assert_cmpint (vp_kernel_read_cpu (tree->root), ==, VP_CPU_OTHER);
  made_file (tree, "proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n");
  g_assert_cmpint (vp_kernel_read_cpu (tree->root), ==, VP_CPU_INTEL);
  made_file (tree, "proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n");
  g_assert_cmpint (vp_kernel_read_cpu (tree->root), ==, VP_CPU_AMD);
  g_assert_false (vp_kernel_read_has_iommu (tree->root));
  made_file (tree, "sys/class/iommu/dmar0", "");
  g_assert_true (vp_kernel_read_has_iommu (tree->root));
  g_assert_false (vp_kernel_read_has_iommu_table (tree->root));
  made_file (tree, "sys/firmware/acpi/tables/DMAR", "");
  g_assert_true (vp_kernel_read_has_iommu_table (tree->root));
  g_assert_null (vp_kernel_find_iommu_off (tree->root));
  made_file (tree, "proc/cmdline", "root=/dev/vda intel_iommu=off quiet\n");
  g_assert_cmpstr (vp_kernel_find_iommu_off (tree->root), ==, "intel_iommu=off");
}

/* Nothing of this is a kernel's; none of it may crash, hang or reach a terminal as it is. */
static void
test_hostile (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autofree char *digits = g_strnfill (200000, 'f');
  g_autofree char *backslashes = g_strnfill (5000, '\\');
  g_autofree char *line =
    g_strdup_printf ("%s %s 1:2 / %s a - %s %s\n", digits, digits, backslashes, digits, backslashes);
  g_autofree char *fifo = made_place (tree, "sys/devices/" CARD_FOLDER "/config");

  add_lvm_disk (tree);
  made_device (tree, CARD, CARD_IDS, "nouveau", 1);
  made_file (tree, "sys/devices/" CARD_FOLDER "/vendor", digits);
  made_file (tree, "sys/devices/" CARD_FOLDER "/numa_node", digits);
  made_link (tree, "sys/devices/" CARD_FOLDER "/iommu_group", "../../../99999999999999999999");
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  made_link (tree, "sys/bus/pci/devices/0000:07:00.0", "0000:07:00.0");
  made_link (tree, "sys/bus/pci/devices/0000:08:00.0", "../../../../../../../../../etc");
  made_file (tree, "sys/bus/pci/devices/no address", "");
  made_link (tree, "sys/class/block/loop", "loop");
  made_link (tree, "sys/class/block/..0000:03:00.0", "/0000:03:00.0");
  made_link (tree, "sys/devices/virtual/block/dm-0/holders/dm-1", "../../dm-1");
  made_link (tree, "sys/devices/virtual/block/dm-1/holders/dm-0", "../../dm-0");
  made_link (tree, "sys/devices/virtual/block/dm-1/holders/nvme0n1", "x");
  made_file (tree, "sys/devices/virtual/block/dm-2/uevent", digits);
  made_node (tree, "drm", CARD_FOLDER, "drm/card0", "dri/card0 99999999999:99999999999");
  made_node (tree, "drm", CARD_FOLDER, "drm/card1", "dri/card1 226:1");
  made_node (tree, "net", CARD_FOLDER, "net/eth0", NULL);
  made_file (tree, "proc/1/mountinfo", line);
  made_file (tree, "proc/self/mountinfo",
             "1 2 3\n\n - \n1 2 259:1 / / - - -\n1 2 259:1 / \\ a -\n1 2 a:b / \\0 a - \\777 \\\n");
  made_file (tree, "proc/swaps", line);
  made_file (tree, "proc/net/route", "\xff\xfe\t\t\t\t\t\t\t\t\n");
  made_file (tree, "proc/net/ipv6_route", digits);
  made_file (tree, "proc/driver/nvidia/gpus/" CARD "/information", "Device Minor: \t 99999999999999999999\n");
  made_process (tree, 6, "a\033[31m\nb\xff", "/dev/dri/card1", NULL);
  made_link (tree, "proc/7/fd", "fd");
  made_file (tree, "proc/99999999999/comm", "x");
  g_autoptr (GPtrArray) findings = check_devices (tree->root, CARD " " DISK " 0000:07:00.0 0000:08:00.0", NULL);

  expect_finding (findings, 1, VP_DEVICE_REFUSE, CARD, "a\\033[31m\\nb\\377 (6)", "/dev/dri/card1", NULL);
  for (guint i = 0; i < findings->len; i++)
    g_assert_true (g_str_is_ascii (((const VpDeviceFinding *) findings->pdata[i])->text));
}

/* Random bytes in every file that is parsed; the seed makes it the same each time. */
static void
test_noise (void)
{
  static const char *const files[] = { "proc/1/mountinfo",
                                       "proc/swaps",
                                       "proc/net/route",
                                       "proc/net/ipv6_route",
                                       "proc/driver/nvidia/gpus/" CARD "/information",
                                       "sys/devices/" DISK_FOLDER "/nvme/nvme0/nvme0n1/uevent" };
  static const char alphabet[] = "0123456789abcdef \t\n\n::/-\\=DEVNAME=MAJOR=MINOR=\xff";
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autoptr (GRand) random = g_rand_new_with_seed (4);

  add_lvm_disk (tree);
  made_device (tree, CARD, CARD_IDS, "nvidia", 1);
  made_device (tree, NIC, NIC_IDS, "e1000e", 7);
  made_node (tree, "net", NIC_FOLDER, "net/eth0", NULL);
  for (guint round = 0; round < 200; round++) {
    for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
      char noise[300];
      for (gsize j = 0; j < sizeof noise; j++)
        noise[j] = alphabet[g_rand_int_range (random, 0, (gint32) sizeof alphabet)];
      made_data (tree, files[i], noise, sizeof noise);
    }
    g_autoptr (GPtrArray) findings = check_devices (tree->root, CARD " " DISK " " NIC, NULL);
    g_assert_cmpuint (findings->len, <=, 3);
  }
}

/* This machine's /proc: by the number of what is open, whatever the node is called. */
static void
test_own_process (void)
{
  g_autoptr (VpRoot) root = vp_root_open ("/", NULL);
  g_autoptr (GArray) wanted = g_array_new (FALSE, TRUE, sizeof (VpPciAddress));
  g_autoptr (GArray) nodes = g_array_new (FALSE, TRUE, sizeof (VpDeviceNode));
  g_autoptr (GArray) layers = g_array_new (FALSE, TRUE, sizeof (VpDeviceLayer));
  g_autoptr (GArray) uses = vp_device_uses_new ();
  VpPciAddress address = { 0, 1, 0, 0 };
  char name[] = "card0";
  char path[] = "/dev/dri/card0";
  struct stat info;
  int fd = open ("/dev/full", O_RDONLY | O_CLOEXEC); /* few have that open */
  gboolean found = FALSE;

  if (fd < 0 || fstat (fd, &info) != 0) {
    g_test_skip ("there is no /dev/full");
    return;
  }
  VpDeviceNode node = { address, VP_NODE_DRM, name, path, info.st_rdev, NULL };
  g_array_append_val (wanted, address);
  g_array_append_val (nodes, node);
  g_assert_true (vp_device_users_read_processes (root, wanted, nodes, layers, 60000, uses));
  for (guint i = 0; i < uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (uses, VpDeviceUse, i);
    found |= use->pid == (int) getpid () && strcmp (use->user, "test-device-use") == 0;
  }
  g_assert_true (found);
  g_assert_false (vp_device_users_read_processes (root, wanted, nodes, layers, 0, uses));
  (void) close (fd);
}

static void
test_cut_short (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();
  g_autoptr (VpDomain) domain = domain_with (CARD);
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);

  add_nvidia_card (tree, CARD, 0, 1);
  made_process (tree, 812, "Xorg", "/dev/nvidia0", NULL);
  g_autoptr (VpDeviceFacts) facts = vp_devices_read (tree->root, hostdevs, 0, NULL);
  VpDeviceQuestion question = { .facts = facts, .domain = domain };
  g_autoptr (GPtrArray) findings = vp_device_check (&question);
  expect_count (findings, 1);
  expect_finding (findings, 0, VP_DEVICE_WARN, CARD, "not known", NULL);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/device-use/nvidia", test_nvidia);
  g_test_add_func ("/device-use/drm", test_drm);
  g_test_add_func ("/device-use/console", test_console);
  g_test_add_func ("/device-use/boot-display", test_boot_display);
  g_test_add_func ("/device-use/all-reasons", test_all_reasons);
  g_test_add_func ("/device-use/lvm", test_lvm);
  g_test_add_func ("/device-use/nvme-in-group", test_nvme_in_group);
  g_test_add_func ("/device-use/btrfs", test_btrfs);
  g_test_add_func ("/device-use/multipath", test_multipath);
  g_test_add_func ("/device-use/usb-stick", test_usb_stick);
  g_test_add_func ("/device-use/default-route", test_default_route);
  g_test_add_func ("/device-use/default-route-of-the-host", test_route_of_the_host);
  g_test_add_func ("/device-use/route-over-bridge", test_route_over_bridge);
  g_test_add_func ("/device-use/companion-warning", test_companion_warning);
  g_test_add_func ("/device-use/header-type", test_header_type);
  g_test_add_func ("/device-use/vga-support", test_vga_support);
  g_test_add_func ("/device-use/cpu-and-iommu", test_cpu_and_iommu);
  g_test_add_func ("/device-use/hostile", test_hostile);
  g_test_add_func ("/device-use/noise", test_noise);
  g_test_add_func ("/device-use/own-process", test_own_process);
  g_test_add_func ("/device-use/cut-short", test_cut_short);
  return g_test_run ();
}
