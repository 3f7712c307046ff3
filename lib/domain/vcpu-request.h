/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another number of vCPUs, asked for by the tag: <vfio:profile name="…" vcpus="8"/>. libvirt refuses the number
 * alone while a topology stands that was made for another ('virsh setvcpus --maximum'). So it goes into the tag, in
 * one step of libvirt's own, and whoever prepares the definition next writes number, topology and pins at once, and
 * takes the request out.
 */
#pragma once

#include "domain/domain.h"

G_BEGIN_DECLS

#define VP_VCPU_REQUEST_MAX 4096 /* QEMU's largest machine has 1024 */

guint vp_vcpu_request_read (const VpDomain *domain); /* 0: nothing is asked for */
/* Into the tag, which must be there; 0 takes the request out. */
void vp_vcpu_request_set (VpDomain *domain, guint vcpus);
/* That many, all of which run, and no request any more. Not 0. */
void vp_vcpu_request_carry_out (VpDomain *domain, guint vcpus);
/* How many vCPUs the definition's topology is for; 0: it has none, or one that says nothing sensible. */
guint vp_vcpu_request_topology (const VpDomain *domain);

G_END_DECLS
