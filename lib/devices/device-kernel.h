/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the running kernel and its CPU can do for assigned devices. Reads; decides nothing. */
#pragma once

#include "devices/device-facts.h"

G_BEGIN_DECLS

/* Whether the kernel has an IOMMU on. */
gboolean vp_kernel_read_has_iommu (const VpRoot *root);
/* Whether the firmware tells the kernel of an IOMMU, used or not. */
gboolean vp_kernel_read_has_iommu_table (const VpRoot *root);
/* The parameter on the kernel's command line that turns it off, "intel_iommu=off"; static; NULL: none. */
const char *vp_kernel_find_iommu_off (const VpRoot *root);
/* OTHER and UNKNOWN where it cannot be told. */
VpCpuVendor vp_kernel_read_cpu (const VpRoot *root);
VpVgaSupport vp_kernel_read_vga (const VpRoot *root);

G_END_DECLS
