/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that runs against its live XML; /proc is a made one, as Linux 6.1 and QEMU 7.2 show it. */
#include <string.h>

#include "domain/drift.h"
#include "made-tree.h"
#include "support.h"

#define CARD                                                                                                           \
  "<devices><hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x01' "           \
  "slot='0x00' function='0x0'/></source><alias name='ua-gtx-x-vga'/></hostdev></devices>"
#define BODY                                                                                                           \
  "<iothreads>1</iothreads><cputune><vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='6'/>"                      \
  "<vcpupin vcpu='2' cpuset='3'/><vcpupin vcpu='3' cpuset='7'/><emulatorpin cpuset='0-1,4-5'/>"                        \
  "<iothreadpin iothread='1' cpuset='1'/></cputune><numatune><memory mode='strict' nodeset='0'/></numatune>"           \
  "<memoryBacking><hugepages/></memoryBacking>" CARD

static void
add_thread (const MadeTree *tree, guint task, const char *name, const char *cpus)
{
  g_autofree char *path = g_strdup_printf ("proc/4711/task/%u/status", task);
  g_autofree char *text = g_strdup_printf ("Name:\t%s\nUmask:\t0022\nState:\tS (sleeping)\nCpus_allowed:\t04\n"
                                           "Cpus_allowed_list:\t%s\nMems_allowed:\t1\n",
                                           name, cpus);

  made_file (tree, path, text);
}

/* As it should be: each test makes one thing different. */
static MadeTree *
make_guest (void)
{
  static const char arguments[] = "qemu-system-x86_64\0-device\0{\"driver\":\"vfio-pci\",\"host\":\"0000:01:00.0\","
                                  "\"id\":\"ua-gtx-x-vga\",\"x-vga\":true}";
  MadeTree *tree = made_tree_new ();

  made_file (tree, "run/libvirt/qemu/guest.pid", "4711\n");
  add_thread (tree, 4711, "qemu-system-x86", "0-1,4-5");
  add_thread (tree, 4712, "IO iothread1", "1");
  add_thread (tree, 4713, "CPU 0/KVM", "2");
  add_thread (tree, 4714, "CPU 1/KVM", "6");
  add_thread (tree, 4715, "CPU 2/KVM", "3");
  add_thread (tree, 4716, "CPU 3/KVM", "7");
  made_file (tree, "proc/4711/numa_maps",
             "7f0000000000 bind:0 file=/dev/hugepages/libvirt/qemu/1-guest/ram huge dirty=2048 N0=2048 "
             "kernelpagesize_kB=2048\n"
             "7f1000000000 default heap anon=20 dirty=20 N0=20 kernelpagesize_kB=4\n");
  made_data (tree, "proc/4711/cmdline", arguments, sizeof arguments);
  return tree;
}

/* The lines in one, or "". */
static char *
dup_drift (const MadeTree *tree, const char *topology)
{
  g_autoptr (VpHost) host = test_host (NULL, topology);
  g_autoptr (VpDomain) live = test_tagged ("<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'/>", BODY);
  g_autoptr (VpGuestFacts) facts = vp_guest_facts_read (tree->root, "guest", FALSE, vp_drift_needs_pages (live));
  g_assert_nonnull (facts);
  g_autoptr (GPtrArray) lines = vp_drift_list (live, host, facts);
  g_ptr_array_add (lines, NULL);
  return g_strjoinv ("\n", (char **) lines->pdata);
}

static void
check_drift (MadeTree *made, const char *wanted)
{
  g_autoptr (MadeTree) tree = made;
  g_autofree char *drift = dup_drift (tree, TEST_I7_3770K);

  g_assert_cmpstr (drift, ==, wanted);
}

static void
test_none (void)
{
  check_drift (make_guest (), "");
}

static void
test_threads (void)
{
  MadeTree *vcpu = make_guest ();
  MadeTree *main = make_guest ();
  MadeTree *iothread = make_guest ();

  add_thread (vcpu, 4714, "CPU 1/KVM", "0-7");
  check_drift (vcpu, "vCPU 1 may run on CPUs 0-7, and is pinned to 6");
  add_thread (main, 4711, "qemu-system-x86", "0-7");
  check_drift (main, "QEMU's main thread may run on CPUs 0-7, and is pinned to 0-1,4-5");
  add_thread (iothread, 4712, "IO iothread1", "2");
  check_drift (iothread, "iothread 1 may run on CPUs 2, and is pinned to 1");
}

/* The pool of a UEFI guest: vCPU 0 writes the flash, so its thread starts them, and they inherit its CPU. */
static void
test_inherited (void)
{
  MadeTree *pool = make_guest ();
  MadeTree *both = make_guest ();

  add_thread (pool, 4720, "worker", "2");
  add_thread (pool, 4721, "worker", "0-1,4-5");
  add_thread (pool, 4722, "SPICE Worker", "6");
  check_drift (pool, "");
  /* Whatever it is called, libvirt placed it. */
  add_thread (both, 4711, "worker", "2");
  add_thread (both, 4720, "worker", "2");
  check_drift (both, "QEMU's main thread may run on CPUs 2, and is pinned to 0-1,4-5");
}

static void
test_memory (void)
{
  MadeTree *elsewhere = make_guest ();
  MadeTree *less = make_guest ();

  made_file (elsewhere, "proc/4711/numa_maps",
             "7f0000000000 bind:0 file=/x huge dirty=2048 N0=2000 N1=48 kernelpagesize_kB=2048\n");
  check_drift (elsewhere, "98304 KiB of its memory are on node 1, and it is bound to 0");
  made_file (less, "proc/4711/numa_maps", "7f1000000000 default anon=20 N0=20 kernelpagesize_kB=4\n");
  check_drift (less, "0 KiB of its memory are on hugepages, and all 4194304 should be");
}

static void
test_x_vga (void)
{
  MadeTree *tree = make_guest ();

  made_file (tree, "proc/4711/cmdline", "{\"driver\":\"vfio-pci\",\"id\":\"ua-gtx-x-vga\"}");
  check_drift (tree, "QEMU runs without x-vga for 0000:01:00.0");
}

/* CPUs that are gone are one line, not one for each thread that the kernel moved. */
static void
test_lost_cpus (void)
{
  g_autoptr (MadeTree) tree = make_guest ();

  add_thread (tree, 4716, "CPU 3/KVM", "0-6");
  g_autofree char *drift = dup_drift (tree, "pack:1 l3:1 core:7 pu:1");
  g_assert_nonnull (strstr (drift, "(vCPU 3 to CPU 7)"));
  g_assert_null (strchr (drift, '\n'));
}

static void
test_not_running (void)
{
  g_autoptr (MadeTree) tree = made_tree_new ();

  g_assert_null (vp_guest_facts_read (tree->root, "guest", FALSE, TRUE));
  g_assert_null (vp_guest_facts_read (tree->root, "../guest", FALSE, TRUE));
  made_file (tree, "run/libvirt/qemu/guest.pid", "no number");
  g_assert_null (vp_guest_facts_read (tree->root, "guest", FALSE, TRUE));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/drift/none", test_none);
  g_test_add_func ("/drift/threads", test_threads);
  g_test_add_func ("/drift/inherited", test_inherited);
  g_test_add_func ("/drift/memory", test_memory);
  g_test_add_func ("/drift/x-vga", test_x_vga);
  g_test_add_func ("/drift/lost-cpus", test_lost_cpus);
  g_test_add_func ("/drift/not-running", test_not_running);
  return g_test_run ();
}
