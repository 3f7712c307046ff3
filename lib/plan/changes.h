/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a plan is: the definition as it should be, and each change to it with its reason. */
#pragma once

#include "domain/domain.h"
#include "placement/placement.h"
#include "profile/profile.h"

G_BEGIN_DECLS

typedef struct {
  char *rule;
  char *place;
  char *from; /* in one line; NULL: nothing was there */
  char *to;   /* NULL: nothing will be there */
  gboolean guest_visible;
  char *reason;
} VpChange;

typedef struct {
  char *domain;           /* its name */
  char *profile;          /* the names in the tag; NULL: no tag */
  char *rule;             /* that gives it the tag; NULL: the tag is its own, or it has none */
  VpSettings *settings;   /* what they come to; NULL: no tag */
  VpDomain *result;       /* the definition as it should be */
  GPtrArray *changes;     /* of VpChange; empty when the definition is ready */
  GPtrArray *warnings;    /* of char * */
  VpPlacement *placement; /* NULL: the profile does not pin */
  guint64 page_kib;       /* size of the hugepages that back the guest; 0: none of ours */
  guint64 pages;
  char *wrapped; /* the real emulator whose wrapper the result names; NULL: none */
} VpPlan;

G_END_DECLS
