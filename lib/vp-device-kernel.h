/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the running kernel and its CPU can do for assigned devices. Reads; decides nothing. */
#pragma once

#include "vp-devices.h"

G_BEGIN_DECLS

gboolean vp_kernel_read_has_iommu (const VpRoot *root);
VpCpuVendor vp_kernel_read_cpu (const VpRoot *root);
VpVgaSupport vp_kernel_read_vga (const VpRoot *root);

G_END_DECLS
