/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All checks on one machine: a new table of checks is named in doctor-run.c. */
#pragma once

#include "cli/doctor/doctor.h"

G_BEGIN_DECLS

typedef struct {
  const VpSource *source;
  const char *root;    /* a recorded machine's folder; NULL: this one */
  const char *subject; /* a name or UUID; NULL: no guest in particular */
} VpDoctorQuestion;

/* The caller's. NULL: the root cannot be read, or there is no such subject. */
VpDoctor *vp_doctor_run (const VpDoctorQuestion *question, GError **error);

G_END_DECLS
