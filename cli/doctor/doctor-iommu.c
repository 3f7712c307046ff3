/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of the IOMMU: in use, passthrough mode, superpages, interrupt remapping. */
#include "cli/doctor/doctor.h"

#include <string.h>

#include "devices/device-kernel.h"

#define INTEL_CAP_2M 34 /* of the capability register; VT-d specification 11.4.2, field SLLPS */
#define INTEL_CAP_1G 35
#define AMD_UNITS "ivhd"
#define INTEL_UNITS "dmar"

static gboolean
has_groups (const VpDoctor *doctor)
{
  return doctor->groups->groups->len > 0;
}

static const char *
firmware_advice (VpCpuVendor cpu)
{
  switch (cpu) {
    case VP_CPU_INTEL:
      return "turn VT-d on in the firmware's setup (it is apart from VT-x)";
    case VP_CPU_AMD:
      return "turn the IOMMU (AMD-Vi) on in the firmware's setup, and SVM with it";
    case VP_CPU_OTHER:
      break;
  }
  return "turn the IOMMU (VT-d, AMD-Vi or SMMU) on in the firmware's setup";
}

/* With the table of the firmware there, it is the kernel that does not use it. */
static char *
dup_advice (const VpDoctor *doctor)
{
  static const struct {
    const char *key;
    const char *value;
  } off[] = { { "intel_iommu", "off" }, { "amd_iommu", "off" }, { "iommu", "off" } };

  for (gsize i = 0; i < G_N_ELEMENTS (off); i++) {
    g_autofree char *parameter = g_strdup_printf ("%s=%s", off[i].key, off[i].value);
    if (vp_system_has_parameter (doctor->system, off[i].key, off[i].value))
      return vp_system_dup_drop_parameter (doctor->system, parameter);
  }
  if (!vp_kernel_read_has_iommu_table (doctor->root) || doctor->cpu != VP_CPU_INTEL)
    return g_strdup (firmware_advice (doctor->cpu));
  return vp_system_dup_add_parameter (doctor->system, "intel_iommu=on");
}

static void
check_use (VpDoctor *doctor)
{
  g_auto (GStrv) units = vp_root_list (doctor->root, "sys/class/iommu");
  guint n = g_strv_length (units);

  if (has_groups (doctor)) {
    vp_doctor_ok (doctor, "%u unit%s, %u groups", n, n == 1 ? "" : "s", doctor->groups->groups->len);
    return;
  }
  g_autofree char *advice = dup_advice (doctor);
  vp_doctor_fail (doctor, advice, "the kernel uses no IOMMU, so no device can be assigned (the firmware %s)",
                  vp_kernel_read_has_iommu_table (doctor->root) ? "has it on" : "shows none");
}

/* The types of the groups that the host's own devices are in. */
static void
check_passthrough (VpDoctor *doctor)
{
  guint strict = 0;
  guint identity = 0;

  if (!has_groups (doctor))
    return;
  for (guint i = 0; i < doctor->groups->groups->len; i++) {
    const VpGroup *group = doctor->groups->groups->pdata[i];
    g_autofree char *path = g_strdup_printf ("sys/kernel/iommu_groups/%d/type", group->number);
    g_autofree char *type = vp_root_dup_text (doctor->root, path);
    strict += g_strcmp0 (type, "DMA") == 0 ? 1 : 0;
    identity += g_strcmp0 (type, "identity") == 0 ? 1 : 0;
  }
  if (strict > 0) {
    g_autofree char *advice = vp_system_dup_add_parameter (doctor->system, "iommu=pt");
    vp_doctor_warn (doctor, advice, "%u groups of the host's are translated strictly, which costs its devices speed",
                    strict);
  } else {
    vp_doctor_ok (doctor, identity > 0 ? "on: the host's own devices are not translated"
                                       : "off, with lazy flushing: the host's own devices are translated");
  }
}

static const char *
size_words (guint64 capability)
{
  gboolean large = (capability >> INTEL_CAP_1G & 1) != 0;

  if ((capability >> INTEL_CAP_2M & 1) == 0)
    return NULL;
  return large ? "2M and 1G" : "2M";
}

/* A unit without them maps the memory of a guest in pieces of 4 KiB: slower, and nothing can be done. */
static void
judge_unit (VpDoctor *doctor, const char *unit)
{
  g_autofree char *path = g_strdup_printf ("sys/class/iommu/%s/intel-iommu/cap", unit);
  guint64 capability = 0;

  if (!vp_root_read_number (doctor->root, path, 16, &capability))
    return;
  if (size_words (capability) != NULL)
    vp_doctor_ok (doctor, "%s: %s", unit, size_words (capability));
  else
    vp_doctor_warn (doctor, NULL,
                    "%s: 4K alone, as in ordinary desktop CPUs: assigned devices of a guest with much "
                    "memory are a little slower",
                    unit);
}

static void
check_superpages (VpDoctor *doctor)
{
  g_auto (GStrv) units = vp_root_list (doctor->root, "sys/class/iommu");
  gboolean amd = FALSE;

  if (!has_groups (doctor))
    return;
  if (vp_system_has_parameter (doctor->system, "intel_iommu", "sp_off")) {
    g_autofree char *advice = vp_system_dup_drop_parameter (doctor->system, "intel_iommu=sp_off");
    vp_doctor_warn (doctor, advice, "turned off on the kernel's command line");
    return;
  }
  for (guint i = 0; units[i] != NULL; i++) {
    amd |= g_str_has_prefix (units[i], AMD_UNITS);
    if (g_str_has_prefix (units[i], INTEL_UNITS))
      judge_unit (doctor, units[i]);
  }
  if (amd)
    vp_doctor_ok (doctor, "2M and 1G (AMD-Vi has all sizes)");
}

/* The chips of remapped interrupts are called "IR-PCI-MSI", "IR-IO-APIC". */
static void
check_interrupts (VpDoctor *doctor)
{
  g_autofree char *interrupts = vp_doctor_dup_file (doctor, "proc/interrupts");
  g_autofree char *unsafe =
    vp_root_dup_text (doctor->root, "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");

  if (!has_groups (doctor) || doctor->cpu == VP_CPU_OTHER || interrupts == NULL)
    return;
  if (strstr (interrupts, " IR-") != NULL) {
    vp_doctor_ok (doctor, "in use");
  } else if (g_strcmp0 (unsafe, "Y") == 0) {
    vp_doctor_warn (doctor, "update the firmware, or trust the guests",
                    "not in use, and allowed by allow_unsafe_interrupts=1: a guest can send the host any interrupt");
  } else if (vp_system_has_parameter (doctor->system, "intremap", "off")) {
    g_autofree char *advice = vp_system_dup_drop_parameter (doctor->system, "intremap=off");
    vp_doctor_fail (doctor, advice, "turned off on the kernel's command line: VFIO refuses to assign devices");
  } else {
    vp_doctor_fail (doctor,
                    "update the firmware; where the guests can be trusted, the line 'options "
                    "vfio_iommu_type1 allow_unsafe_interrupts=1' in /etc/modprobe.d/vfio.conf does instead",
                    "not in use: VFIO refuses to assign devices");
  }
}

const VpCheck vp_doctor_iommu_checks[] = {
  { "iommu.use", "IOMMU in use", check_use },
  { "iommu.passthrough", "IOMMU passthrough", check_passthrough },
  { "iommu.superpages", "IOMMU superpages", check_superpages },
  { "iommu.interrupts", "interrupt remapping", check_interrupts },
  { NULL, NULL, NULL },
};
