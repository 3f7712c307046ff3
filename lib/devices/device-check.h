/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a domain's PCI devices can be given to it now. Pure: facts in, findings
 * out. What is refused here would fail, hang or harm the host a moment later.
 */
#pragma once

#include "devices/device-ids.h"
#include "devices/device-names.h"
#include "devices/devices.h"
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
  const VpDeviceFacts *facts;   /* read for this domain's hostdevs */
  const VpDomain *domain;
  const GArray *held;           /* of VpDeviceHeld; NULL: nothing */
  const GArray *expected;       /* of VpDeviceIds; NULL: nothing is known */
  const VpPciAddress *x_vga;    /* the device that gets x-vga; NULL: none */
  gboolean refuse_boot_vga;     /* devices.boot-vga */
  VpDeviceNames *names;         /* NULL: devices have ids alone */
} VpDeviceQuestion;

/* Of VpDeviceFinding *, in the order of the hostdevs; those about x-vga last. */
GPtrArray *vp_device_check (const VpDeviceQuestion *question);
/* All refusals in one line; NULL: there is none. */
char *vp_device_findings_dup_refusal (const GPtrArray *findings);

G_END_DECLS
