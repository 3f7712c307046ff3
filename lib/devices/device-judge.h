/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the device check is asked and finds, and what its parts share. */
#pragma once

#include "devices/device-facts.h"
#include "devices/device-ids.h"
#include "devices/device-names.h"
#include "devices/handover-plan.h"
#include "domain/domain.h"

G_BEGIN_DECLS

typedef enum { VP_DEVICE_WARN, VP_DEVICE_REFUSE } VpDeviceSeverity;

typedef struct {
  VpDeviceSeverity severity;
  VpPciAddress device;
  char *text; /* one line; names the device and says what to do */
} VpDeviceFinding;

/* What another guest that runs or starts has. */
typedef struct {
  VpPciAddress address;
  char *domain;
} VpDeviceHeld;

typedef struct {
  const VpDeviceFacts *facts; /* read for this domain's hostdevs */
  const VpDomain *domain;
  const GArray *held;               /* of VpDeviceHeld; NULL: nothing */
  const GArray *expected;           /* of VpDeviceIds; NULL: nothing is known */
  const VpPciAddress *x_vga;        /* the device that gets x-vga; NULL: none */
  gboolean refuse_boot_vga;         /* devices.boot-vga */
  const VpHandoverWishes *handover; /* who may be asked to leave; NULL: nobody */
  const GPtrArray *sessions;        /* of VpSeatSession *; NULL: not known */
  VpDeviceNames *names;             /* NULL: devices have ids alone */
} VpDeviceQuestion;

typedef struct {
  const VpDeviceQuestion *question;
  GArray *hostdevs;    /* of VpHostdev: the domain's */
  GPtrArray *findings; /* of VpDeviceFinding * */
} VpDeviceJudge;

/* Adds one to the findings. */
void vp_device_report (VpDeviceJudge *judge, VpDeviceSeverity severity, const VpPciAddress *device, const char *format,
                       ...) G_GNUC_PRINTF (4, 5);
/* "10de:1381, NVIDIA Corporation GM107 [GeForce GTX 750]"; the caller's. */
char *vp_device_describe_ids (const VpDeviceJudge *judge, guint16 vendor, guint16 device);
/* "0000:01:00.0 (10de:1381, NVIDIA Corporation GM107 [GeForce GTX 750])"; the caller's. */
char *vp_device_describe (const VpDeviceJudge *judge, const VpPciDevice *device);
/* Whether it is one of the domain's own hostdevs. */
gboolean vp_device_is_assigned (const VpDeviceJudge *judge, const VpPciAddress *address);
/* The other guest that has it, borrowed from the question; NULL: none. */
const char *vp_device_holder (const VpDeviceJudge *judge, const VpPciAddress *address);

/* Reports what keeps its group from going to the guest, once a group, and parts of a graphics card left out. */
void vp_device_judge_group (VpDeviceJudge *judge, const VpPciDevice *device);
/* Whether the host uses it: TRUE where that was reported. */
gboolean vp_device_judge_use (VpDeviceJudge *judge, const VpHostdev *hostdev, const VpPciDevice *device);

G_END_DECLS
