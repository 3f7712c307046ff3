/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the unit tests share: files of the data folder, hosts and profiles made of them. */
#pragma once

#include "host/host.h"
#include "plan/plan.h"
#include "profile/profile.h"

#define TEST_I7_3770K "pack:1 l3:1(size=8388608) core:4 pu:2(indexes=2*4:4*1)"
#define TEST_RYZEN_3900X "pack:1 l3:4(size=16777216) core:3 pu:2(indexes=2*12:12*1)"
#define TEST_WRAPPERS "/var/lib/vfio-profile/emulators"

/* The shipped profiles. */
VpProfiles *test_profiles (void);
/* A recorded /sys of the data folder (NULL: none) under a topology. */
VpHost *test_host (const char *sysfs, const char *topology);
VpDomain *test_domain_load (const char *path);
/* From text; fails the test where it does not parse. */
VpDomain *test_domain (const char *text);
/* <domain> with the tag and the body given, 4 vCPUs, 4 GiB, threads=2. */
VpDomain *test_tagged (const char *tag, const char *body);
VpPlan *test_plan (const VpDomain *domain, const VpHost *host, VpPlanFlags flags);
/* The same, and on the way what holds for every plan: a second one and a migration find nothing to do, undo all. */
VpPlan *test_plan_whole_way (const VpDomain *domain, const VpHost *host);
/* The change at that place; NULL: none. */
const VpChange *test_change (const VpPlan *plan, const char *place);
gboolean test_warns (const VpPlan *plan, const char *part);

/* From here on what is logged is kept, so that a test can look for it; a warning ends no test then. */
void test_log_keep (void);
void test_log_clear (void);
gboolean test_log_has (const char *part);
gboolean test_log_take (const char *part); /* once; what was taken is not there for a second time */
void test_log_wait (const char *part);     /* until another thread says it */
/* Once, in the midst of what says it: a test comes between two steps there. `part` is not copied. */
void test_log_on (const char *part, void (*func) (gpointer data), gpointer data);
