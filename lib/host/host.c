/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the host: hwloc, hugepage pools, PCI devices, emulators, wrappers. Decides nothing. */
#include "host/host.h"

#include <string.h>

#include "base/error.h"
#include "host/wrapper.h"

static void
add_emulators (const VpRoot *root, const char *folder, const char *pattern, GPtrArray *found)
{
  g_auto (GStrv) names = vp_root_list (root, folder);

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_strdup_printf ("%s/%s", folder, names[i]);
    if (g_pattern_match_simple (pattern, names[i]) && vp_root_is_executable (root, path))
      g_ptr_array_add (found, g_strdup_printf ("/%s", path));
  }
}

static GStrv
read_emulators (const VpRoot *root)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new ();

  if (root != NULL) {
    add_emulators (root, "usr/bin", "qemu-system-*", found);
    add_emulators (root, "usr/libexec", "qemu-kvm", found);
  }
  g_ptr_array_add (found, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&found), FALSE);
}

static void
wrapper_entry_free (VpWrapperEntry *entry)
{
  g_free (entry->path);
  g_free (entry->emulator);
  g_free (entry);
}

static void
read_wrappers (const VpRoot *root, const char *folder, GPtrArray *wrappers)
{
  g_auto (GStrv) names = vp_root_list (root, folder + 1);

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    g_autofree char *text = vp_root_dup_text (root, path + 1);
    g_autofree char *emulator = text != NULL ? vp_wrapper_dup_emulator (text) : NULL;
    if (emulator == NULL)
      continue;
    VpWrapperEntry *entry = g_new0 (VpWrapperEntry, 1);
    entry->path = g_steal_pointer (&path);
    entry->emulator = g_steal_pointer (&emulator);
    g_ptr_array_add (wrappers, entry);
  }
}

/*
 * Guests run in machine.slice. Our own cgroup says nothing of theirs: while a guest has
 * CPUs for itself (cpu.isolate) we may not run there.
 */
static char *
dup_guests_cpus (const VpRoot *root)
{
  static const char *const files[] = { "sys/fs/cgroup/machine.slice/cpuset.cpus.effective",
                                       "sys/fs/cgroup/cpuset.cpus.effective" };
  char *cpus = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (files) && (cpus == NULL || cpus[0] == '\0'); i++) {
    g_free (cpus);
    cpus = vp_root_dup_text (root, files[i]);
  }
  return cpus;
}

static VpTopology *
load_topology (const VpHostSource *source, GError **error)
{
  if (source->topology != NULL || source->root == NULL)
    return source->topology != NULL ? source->topology : vp_topology_load_host (NULL, error);
  g_autofree char *isolated = vp_root_dup_text (source->root, "sys/devices/system/cpu/isolated");
  g_autofree char *allowed = dup_guests_cpus (source->root);
  VpTopology *topology = vp_topology_load_host (isolated, error);
  if (topology != NULL)
    vp_topology_set_allowed (topology, allowed);
  return topology;
}

/* Without it KVM has nothing of Intel's for a hypervisor inside a guest. */
static gboolean
is_nested_vmx_off (const VpRoot *root)
{
  g_autofree char *nested = vp_root_dup_text (root, "sys/module/kvm_intel/parameters/nested");

  return nested != NULL && (nested[0] == 'N' || nested[0] == '0');
}

VpHost *
vp_host_load (const VpHostSource *source, GError **error)
{
  VpTopology *topology = load_topology (source, error);

  if (topology == NULL)
    return NULL;
  VpHost *host = g_new0 (VpHost, 1);
  g_atomic_ref_count_init (&host->references);
  host->topology = topology;
  host->pools =
    source->root != NULL ? vp_page_pools_read (source->root) : g_array_new (FALSE, TRUE, sizeof (VpPagePool));
  host->devices = source->root != NULL ? vp_pci_read_devices (source->root) : vp_pci_devices_new ();
  host->wrappers = g_ptr_array_new_with_free_func ((GDestroyNotify) wrapper_entry_free);
  host->wrapper_folder = g_strdup (source->wrapper_folder);
  host->libvirt_version = source->libvirt_version;
  host->emulators = read_emulators (source->root);
  if (source->root != NULL)
    read_wrappers (source->root, host->wrapper_folder, host->wrappers);
  host->no_nested_vmx = source->root != NULL && is_nested_vmx_off (source->root);
  return host;
}

VpHost *
vp_host_ref (VpHost *host)
{
  g_atomic_ref_count_inc (&host->references);
  return host;
}

void
vp_host_unref (VpHost *host)
{
  if (host == NULL || !g_atomic_ref_count_dec (&host->references))
    return;
  vp_topology_free (host->topology);
  g_array_unref (host->pools);
  g_array_unref (host->devices);
  g_ptr_array_unref (host->wrappers);
  g_strfreev (host->emulators);
  g_free (host->wrapper_folder);
  g_free (host);
}

const VpPciDevice *
vp_host_find_device (const VpHost *host, const VpPciAddress *address)
{
  return vp_pci_find (host->devices, address);
}

guint64
vp_host_pool_pages (const VpHost *host, guint64 page_kib, hwloc_const_bitmap_t nodes)
{
  guint64 pages = 0;

  for (guint i = 0; i < host->pools->len; i++) {
    const VpPagePool *pool = &g_array_index (host->pools, VpPagePool, i);
    gboolean counts = nodes == NULL || pool->node < 0 || hwloc_bitmap_isset (nodes, (unsigned) pool->node);
    if (pool->page_kib == page_kib && counts)
      pages += pool->total;
  }
  return pages;
}

gboolean
vp_host_has_page_size (const VpHost *host, guint64 page_kib)
{
  for (guint i = 0; i < host->pools->len; i++)
    if (g_array_index (host->pools, VpPagePool, i).page_kib == page_kib)
      return TRUE;
  return host->pools->len == 0; /* nothing is known: nothing is excluded */
}

const char *
vp_host_wrapped_emulator (const VpHost *host, const char *path)
{
  for (guint i = 0; i < host->wrappers->len; i++) {
    const VpWrapperEntry *entry = host->wrappers->pdata[i];
    if (strcmp (entry->path, path) == 0)
      return entry->emulator;
  }
  return NULL;
}
