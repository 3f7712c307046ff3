/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of checks, and their run. Prints a progress line alone. */
#include "cli/doctor/doctor-run.h"

#include <unistd.h>

#include "base/error.h"

#define CLEAR_LINE "\r\033[K"

static const VpCheck *const tables[] = {
  vp_doctor_iommu_checks,    vp_doctor_devices_checks, vp_doctor_driver_checks,  vp_doctor_memory_checks,
  vp_doctor_cpu_checks,      vp_doctor_libvirt_checks, vp_doctor_machine_checks, vp_doctor_wrapper_checks,
  vp_doctor_security_checks, vp_doctor_domain_checks,  vp_doctor_running_checks,
};

/* A name that libvirt does not know is a mistake; where it cannot be asked, a check says so. */
static gboolean
find_subject (VpDoctor *doctor, const char *name, GError **error)
{
  const VpDoctorGuests *guests = doctor->guests;

  doctor->subject = vp_doctor_guests_find (guests, name);
  if (doctor->subject != NULL)
    return TRUE;
  if (guests->connection != NULL) {
    g_autoptr (virDomain) domain = vp_source_find_domain (guests->connection, name, error);
    if (domain != NULL)
      g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT, "domain '%s' is being made or removed: try again", name);
    return FALSE;
  }
  g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT, "there is no definition of a domain '%s' to be found%s%s", name,
               guests->problem != NULL ? ": " : "", guests->problem != NULL ? guests->problem : "");
  return FALSE;
}

/* After a second, and where somebody looks at it. */
static void
show_progress (gint64 begin, const char *what)
{
  if (isatty (STDERR_FILENO) != 0 && g_get_monotonic_time () - begin > G_TIME_SPAN_SECOND)
    g_printerr (CLEAR_LINE "%s%s", what, what[0] != '\0' ? " …" : "");
}

VpDoctor *
vp_doctor_run (const VpDoctorQuestion *question, GError **error)
{
  gint64 begin = g_get_monotonic_time ();
  g_autoptr (VpDoctor) doctor = vp_doctor_new (question->root, error);

  if (doctor == NULL)
    return NULL;
  doctor->guests = vp_doctor_guests_read (question->source, doctor->root, doctor->recorded);
  doctor->session = doctor->guests->session;
  doctor->system = vp_system_read (doctor->root, doctor->session);
  if (question->subject != NULL && !find_subject (doctor, question->subject, error))
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    for (const VpCheck *check = tables[i]; check->id != NULL; check++) {
      show_progress (begin, check->title);
      doctor->check = check;
      check->run (doctor);
    }
  show_progress (begin, "");
  return g_steal_pointer (&doctor);
}
