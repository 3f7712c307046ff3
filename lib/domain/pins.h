/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pins that a definition has, whoever put them there; as it writes them, so "0-7,^2" too. */
#pragma once

#include "domain/domain.h"

G_BEGIN_DECLS

typedef struct {
  GPtrArray *vcpus;     /* of char *: the CPUs of each vCPU, NULL for one that is not pinned */
  char *emulator;       /* NULL: not pinned */
  GArray *iothread_ids; /* of guint */
  GPtrArray *iothreads; /* of char *, in the order of the ids */
  char *node;           /* NULL: memory from anywhere */
} VpPins;

/* No vCPUs where <vcpu> says nothing sensible. The caller's. */
VpPins *vp_pins_read (const VpDomain *domain);
void vp_pins_free (VpPins *pins);
/* What libvirt makes of those that have no pin: they go where <vcpu cpuset='…'> says. */
void vp_pins_add_default (VpPins *pins, const VpDomain *domain);
/* The one CPU that the vCPU is pinned to; -1: not pinned, or to several. */
int vp_pins_vcpu_cpu (const VpPins *pins, guint vcpu);
/* The CPUs that it is pinned to; NULL: it is not pinned, or that is no list. The caller's. */
hwloc_bitmap_t vp_pins_new_vcpu_set (const VpPins *pins, guint vcpu);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpPins, vp_pins_free)

G_END_DECLS
