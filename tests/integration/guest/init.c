/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /init of the guest that tells what it is shown: prints the CPUs, caches and NUMA
 * nodes that Linux found, as KEY=VALUE lines between BEGIN and END on the console,
 * and switches the machine off. Nothing else is in its initramfs, so it is linked
 * statically. It judges nothing, and leaves out what the kernel does not say.
 */

#include <cpuid.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#define CPUS "/sys/devices/system/cpu"
#define NODES "/sys/devices/system/node"
#define MAX_CPUS 256u
#define MAX_NODES 64u
#define CONSOLE_OFF 6 /* syslog (2) */

static const struct {
  const char *key;
  const char *file;
} cpu_files[] = {
  { "core", "topology/core_id" },
  { "die", "topology/die_id" },
  { "package", "topology/physical_package_id" },
  { "core_cpus", "topology/thread_siblings_list" },
  { "die_cpus", "topology/die_cpus_list" },
  { "package_cpus", "topology/core_siblings_list" },
  { "l3_cpus", "cache/index3/shared_cpu_list" },
};

static void
print_file (const char *path, const char *kind, unsigned number, const char *key)
{
  char text[256];
  FILE *file = fopen (path, "re");

  if (file == NULL)
    return;
  if (fgets (text, sizeof text, file) != NULL) {
    text[strcspn (text, "\n")] = '\0';
    printf ("%s%u.%s=%s\n", kind, number, key, text);
  }
  (void) fclose (file);
}

static void
print_cpus (void)
{
  char path[128];

  for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
    for (size_t i = 0; i < sizeof cpu_files / sizeof *cpu_files; i++) {
      (void) snprintf (path, sizeof path, CPUS "/cpu%u/%s", cpu, cpu_files[i].file);
      print_file (path, "cpu", cpu, cpu_files[i].key);
    }
  }
}

static void
print_memory (unsigned node)
{
  char text[256];
  unsigned long kib;
  FILE *file;

  (void) snprintf (text, sizeof text, NODES "/node%u/meminfo", node);
  file = fopen (text, "re");
  if (file == NULL)
    return;
  while (fgets (text, sizeof text, file) != NULL) {
    if (sscanf (text, "Node %*u MemTotal: %lu kB", &kib) == 1)
      printf ("node%u.kib=%lu\n", node, kib);
  }
  (void) fclose (file);
}

static void
print_nodes (void)
{
  char path[128];

  for (unsigned node = 0; node < MAX_NODES; node++) {
    (void) snprintf (path, sizeof path, NODES "/node%u/cpulist", node);
    print_file (path, "node", node, "cpus");
    print_memory (node);
  }
}

/* The leaf that drivers look at to find out that they are in a virtual machine. */
static void
print_hypervisor (void)
{
  unsigned leaf, words[3];
  char signature[sizeof words + 1] = "";

  __cpuid (1, leaf, words[0], words[1], words[2]);
  printf ("hypervisor.bit=%u\n", words[1] >> 31);
  __cpuid (0x40000000, leaf, words[0], words[1], words[2]);
  memcpy (signature, words, sizeof words);
  printf ("hypervisor.leaf=%#x\nhypervisor.signature=%s\n", leaf, signature);
}

int
main (void)
{
  (void) mount ("proc", "/proc", "proc", 0, NULL);
  (void) mount ("sys", "/sys", "sysfs", 0, NULL);
  /* From here on the kernel says nothing between our lines. */
  (void) klogctl (CONSOLE_OFF, NULL, 0);
  puts ("\nBEGIN");
  print_cpus ();
  print_nodes ();
  print_hypervisor ();
  puts ("END");
  (void) fflush (stdout);
  /* reboot does not wait for the serial line. */
  (void) fsync (STDOUT_FILENO);
  (void) reboot (RB_POWER_OFF);
  return 1; /* the kernel panics, and with panic=-1 reboots at once */
}
