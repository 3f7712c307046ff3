/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The doctor: a table of checks on what is known of a host. A check is a small
 * function that looks at the facts and says OK, WARN or FAIL, what it saw, and for the
 * latter two the one thing to do. It changes nothing, and it looks at files through
 * the root alone, so that a recorded machine is judged like this one.
 *
 *   FAIL  guests with assigned devices will not start, or not as they should
 *   WARN  it may go wrong, or could not be seen
 *
 * A check that has nothing to say about this host says nothing.
 */
#pragma once

#include <sys/stat.h>

#include "cli/base/system.h"
#include "cli/cards/groups.h"
#include "cli/doctor/doctor-guests.h"
#include "devices/devices.h"

G_BEGIN_DECLS

typedef enum { VP_CHECK_OK, VP_CHECK_WARN, VP_CHECK_FAIL } VpCheckLevel;

typedef struct VpDoctor VpDoctor;

typedef struct {
  const char *id;    /* "iommu.superpages", for scripts: never changed */
  const char *title; /* for people */
  void (*run) (VpDoctor *doctor);
} VpCheck;

typedef struct {
  const VpCheck *check;
  VpCheckLevel level;
  char *seen;
  char *advice; /* NULL: nothing to do */
} VpCheckResult;

struct VpDoctor {
  VpRoot *root;
  char *folder;        /* where the root is: "/" */
  gboolean recorded;   /* not this machine: libvirt cannot be asked */
  gboolean session;    /* the user's own libvirt */
  gboolean privileged; /* sees what root alone may read */
  VpSystem *system;
  VpGroups *groups; /* has the devices as well */
  VpDeviceNames *names;
  VpCpuVendor cpu;
  VpDoctorGuests *guests;
  const VpDoctorGuest *subject; /* the DOMAIN; NULL: none was named */
  GPtrArray *results;           /* of VpCheckResult, in the order of the checks */
  const VpCheck *check;         /* that is running */
};

/* Each ends with an entry without id. */
extern const VpCheck vp_doctor_iommu_checks[];
extern const VpCheck vp_doctor_devices_checks[];
extern const VpCheck vp_doctor_driver_checks[];
extern const VpCheck vp_doctor_memory_checks[];
extern const VpCheck vp_doctor_cpu_checks[];
extern const VpCheck vp_doctor_libvirt_checks[];
extern const VpCheck vp_doctor_machine_checks[];
extern const VpCheck vp_doctor_wrapper_checks[];
extern const VpCheck vp_doctor_security_checks[];
extern const VpCheck vp_doctor_domain_checks[];
extern const VpCheck vp_doctor_running_checks[];

/* What the running check has found; it may find several things. `advice` NULL: there is nothing to do. */
void vp_doctor_say (VpDoctor *doctor, VpCheckLevel level, const char *advice, const char *format, ...)
  G_GNUC_PRINTF (4, 5);
#define vp_doctor_ok(doctor, ...) vp_doctor_say (doctor, VP_CHECK_OK, NULL, __VA_ARGS__)
#define vp_doctor_warn(doctor, advice, ...) vp_doctor_say (doctor, VP_CHECK_WARN, advice, __VA_ARGS__)
#define vp_doctor_fail(doctor, advice, ...) vp_doctor_say (doctor, VP_CHECK_FAIL, advice, __VA_ARGS__)
#define vp_doctor_report(doctor, level, advice, seen) vp_doctor_say (doctor, level, advice, "%s", seen)
void vp_doctor_unseen (VpDoctor *doctor, const char *what); /* only root can see it */

/* "0000:01:00.0 (10de:1381, NVIDIA …)". Texts and arrays that are handed out here are the caller's. */
char *vp_doctor_dup_name (const VpDoctor *doctor, const VpPciDevice *device);
/* Of const VpPciDevice *: graphics cards that are not the display which the host started on. */
GPtrArray *vp_doctor_cards (const VpDoctor *doctor);
/* The guest that has the device assigned, the first of them; NULL: none. */
const VpDoctorGuest *vp_doctor_find_owner (const VpDoctor *doctor, const VpPciAddress *address);
/* The first guest whose card gets x-vga; NULL: none. */
const VpDoctorGuest *vp_doctor_find_x_vga (const VpDoctor *doctor);
/* Times and xattrs, which VpRoot has no words for. */
gboolean vp_doctor_stat (const VpDoctor *doctor, const char *path, struct stat *info);
char *vp_doctor_dup_label (const VpDoctor *doctor, const char *path); /* SELinux; NULL: none */
/* A file of some size; NULL: not there or not readable. */
char *vp_doctor_dup_file (const VpDoctor *doctor, const char *path);

/* The facts of a machine but for its guests, the caller's; `root` is a recorded machine's folder, NULL: this one. */
VpDoctor *vp_doctor_new (const char *root, GError **error);
void vp_doctor_free (VpDoctor *doctor);
VpCheckLevel vp_doctor_worst (const VpDoctor *doctor);
guint vp_doctor_count (const VpDoctor *doctor, VpCheckLevel level);

/* A table; the object of `vfio-profile doctor --json` is the caller's. */
void vp_doctor_print (const VpDoctor *doctor);
json_object *vp_doctor_to_json (const VpDoctor *doctor);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpDoctor, vp_doctor_free)

G_END_DECLS
