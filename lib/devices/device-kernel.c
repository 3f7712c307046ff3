/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the IOMMU, the CPU's maker, and the kernel's configuration. */
#include "devices/device-kernel.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_CONFIG (4 * 1024 * 1024) /* Debian's has 260 KiB */
#define MAX_CPUINFO 4096             /* the first CPU tells */
#define VFIO_PARAMETERS "sys/module/vfio_pci/parameters"

gboolean
vp_kernel_read_has_iommu (const VpRoot *root)
{
  g_auto (GStrv) units = vp_root_list (root, "sys/class/iommu");
  g_auto (GStrv) groups = vp_root_list (root, "sys/kernel/iommu_groups");

  return units[0] != NULL || groups[0] != NULL;
}

gboolean
vp_kernel_read_has_iommu_table (const VpRoot *root)
{
  g_auto (GStrv) tables = vp_root_list (root, "sys/firmware/acpi/tables");
  const char *const *names = (const char *const *) tables;

  return g_strv_contains (names, "DMAR") || g_strv_contains (names, "IVRS");
}

const char *
vp_kernel_find_iommu_off (const VpRoot *root)
{
  static const char *const parameters[] = { "intel_iommu=off", "amd_iommu=off", "iommu=off" };
  g_autofree char *line = vp_root_dup_text (root, "proc/cmdline");
  g_auto (GStrv) words = g_strsplit (line != NULL ? line : "", " ", -1);

  for (gsize i = 0; i < G_N_ELEMENTS (parameters); i++)
    if (g_strv_contains ((const char *const *) words, parameters[i]))
      return parameters[i];
  return NULL;
}

VpCpuVendor
vp_kernel_read_cpu (const VpRoot *root)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, "proc/cpuinfo", MAX_CPUINFO, &length);

  if (text != NULL && strstr (text, "GenuineIntel") != NULL)
    return VP_CPU_INTEL;
  if (text != NULL && (strstr (text, "AuthenticAMD") != NULL || strstr (text, "HygonGenuine") != NULL))
    return VP_CPU_AMD;
  return VP_CPU_OTHER;
}

/* /proc/config.gz, where a kernel has it. */
static char *
dup_packed_config (const VpRoot *root)
{
  gsize length = 0;
  g_autofree char *packed = vp_root_dup_bytes (root, "proc/config.gz", MAX_CONFIG, &length);

  if (packed == NULL)
    return NULL;
  g_autoptr (GInputStream) bytes = g_memory_input_stream_new_from_data (packed, (gssize) length, NULL);
  g_autoptr (GZlibDecompressor) unpack = g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP);
  g_autoptr (GInputStream) stream = g_converter_input_stream_new (bytes, G_CONVERTER (unpack));
  g_autofree char *text = g_malloc (MAX_CONFIG + 1);
  if (!g_input_stream_read_all (stream, text, MAX_CONFIG, &length, NULL, NULL))
    return NULL;
  text[length] = '\0';
  return g_steal_pointer (&text);
}

static char *
dup_config (const VpRoot *root)
{
  static const char *const places[] = { "boot/config-%s", "lib/modules/%s/config", "usr/lib/modules/%s/config" };
  g_autofree char *release = vp_root_dup_text (root, "proc/sys/kernel/osrelease");
  gsize length = 0;

  if (release == NULL || release[0] == '\0' || strchr (release, '/') != NULL)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++) {
    g_auto (GStrv) parts = g_strsplit (places[i], "%s", 2);
    g_autofree char *path = g_strjoinv (release, parts);
    char *text = vp_root_dup_bytes (root, path, MAX_CONFIG, &length);
    if (text != NULL)
      return text;
  }
  return dup_packed_config (root);
}

/*
 * A vfio-pci without VGA support has no parameter disable_vga, and every one has
 * nointxmask. Before it is loaded, only the configuration knows.
 */
VpVgaSupport
vp_kernel_read_vga (const VpRoot *root)
{
  g_autofree char *disabled = vp_root_dup_text (root, VFIO_PARAMETERS "/disable_vga");
  g_autofree char *other = vp_root_dup_text (root, VFIO_PARAMETERS "/nointxmask");

  if (disabled != NULL)
    return strcmp (disabled, "Y") == 0 || strcmp (disabled, "1") == 0 ? VP_VGA_DISABLED : VP_VGA_YES;
  if (other != NULL)
    return VP_VGA_NO;
  g_autofree char *config = dup_config (root);
  if (config == NULL || strstr (config, "CONFIG_PCI=y") == NULL)
    return VP_VGA_UNKNOWN; /* there is none, or it is none */
  return strstr (config, "\nCONFIG_VFIO_PCI_VGA=y") != NULL ? VP_VGA_YES : VP_VGA_NO;
}
