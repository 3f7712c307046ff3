/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the device check: what its parts share. Not for others. */
#pragma once

#include "devices/device-check.h"

G_BEGIN_DECLS

typedef struct {
  const VpDeviceQuestion *question;
  GArray *hostdevs;    /* of VpHostdev: the domain's */
  GPtrArray *findings; /* of VpDeviceFinding * */
} VpDeviceJudge;

void vp_device_report (VpDeviceJudge *judge, VpDeviceSeverity severity, const VpPciAddress *device, const char *format,
                       ...) G_GNUC_PRINTF (4, 5);
/* "0000:01:00.0 (10de:1381, NVIDIA Corporation GM107 [GeForce GTX 750])" */
char *vp_device_describe (const VpDeviceJudge *judge, const VpPciDevice *device);
gboolean vp_device_is_assigned (const VpDeviceJudge *judge, const VpPciAddress *address);
/* The guest that has it; NULL: none. */
const char *vp_device_holder (const VpDeviceJudge *judge, const VpPciAddress *address);

/* The group as a whole, and the card as a whole. Once for each group. */
void vp_device_judge_group (VpDeviceJudge *judge, const VpPciDevice *device);
/* Whether the host uses it; TRUE: reported. */
gboolean vp_device_judge_use (VpDeviceJudge *judge, const VpHostdev *hostdev, const VpPciDevice *device);

G_END_DECLS
