/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All guests of the host, with their plans beside each other: asked of libvirt, or read
 * from its folder where it cannot be asked. What is not known stays empty, with the
 * reason. Writes nothing.
 */
#pragma once

#include "cli/base/source.h"
#include "devices/device-check.h"

G_BEGIN_DECLS

typedef struct {
  char *name;
  char *uuid;       /* NULL: the definition has none */
  VpDomain *domain; /* as it is stored; of a transient one, as it runs */
  VpDomain *live;   /* NULL: it does not run, or that cannot be read */
  gboolean running;
  gboolean tagged;
  guint n_devices; /* PCI devices assigned to it */
  VpPlan *plan;    /* NULL: see problem */
  char *problem;
} VpDoctorGuest;

typedef struct {
  virConnectPtr connection; /* NULL: see problem */
  gboolean session;
  unsigned long version; /* libvirt's; 0: not known */
  char *problem;         /* why libvirt could not be asked; NULL: it was */
  gboolean known;        /* the list below is all there is */
  GPtrArray *all;        /* of VpDoctorGuest, by name */
  VpHost *host;          /* NULL: see host_problem */
  char *host_problem;
  VpFleet *fleet; /* NULL without host or profiles */
  char *profiles_problem;
} VpDoctorGuests;

/* The caller's, whatever fails. `root`: the machine's; `recorded`: it is another one, whose libvirt is not asked. */
VpDoctorGuests *vp_doctor_guests_read (const VpSource *source, const VpRoot *root, gboolean recorded);
void vp_doctor_guests_free (VpDoctorGuests *guests);
/* By name or UUID; borrowed. NULL: none. */
const VpDoctorGuest *vp_doctor_guests_find (const VpDoctorGuests *guests, const char *name);
/* Those that have a tag as they are stored. */
guint vp_doctor_guests_count_tagged (const VpDoctorGuests *guests);
/* It will be given a device, so that its memory cannot be moved or swapped; or it has hugepages. */
gboolean vp_doctor_guest_locks_memory (const VpDoctorGuest *guest);
/* As it would start: planned where there is a plan. Borrowed; NULL: it cannot be read. */
const VpDomain *vp_doctor_guest_next (const VpDoctorGuest *guest);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpDoctorGuests, vp_doctor_guests_free)

G_END_DECLS
