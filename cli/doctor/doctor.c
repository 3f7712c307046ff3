/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gathers the facts, runs the table of checks, keeps what they say. Prints a progress line alone. */
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "devices/device-kernel.h"

#define MAX_FILE (4u * 1024 * 1024) /* a policy's file contexts have half a megabyte */
#define MAX_LABEL 512
#define CLEAR_LINE "\r\033[K"

static const VpCheck *const tables[] = {
  vp_doctor_iommu_checks,   vp_doctor_devices_checks, vp_doctor_driver_checks,   vp_doctor_memory_checks,
  vp_doctor_cpu_checks,     vp_doctor_libvirt_checks, vp_doctor_wrapper_checks,  vp_doctor_security_checks,
  vp_doctor_domain_checks,  vp_doctor_running_checks,
};

static void
result_free (gpointer data)
{
  VpCheckResult *result = data;

  g_free (result->seen);
  g_free (result->advice);
  g_free (result);
}

void
vp_doctor_free (VpDoctor *doctor)
{
  if (doctor == NULL)
    return;
  g_ptr_array_unref (doctor->results);
  g_clear_pointer (&doctor->guests, vp_doctor_guests_free);
  g_clear_pointer (&doctor->groups, vp_groups_free);
  g_clear_pointer (&doctor->system, vp_system_free);
  g_clear_pointer (&doctor->names, vp_device_names_free);
  g_clear_pointer (&doctor->root, vp_root_free);
  g_free (doctor->folder);
  g_free (doctor);
}

void
vp_doctor_say (VpDoctor *doctor, VpCheckLevel level, const char *advice, const char *format, ...)
{
  VpCheckResult *result = g_new0 (VpCheckResult, 1);
  va_list values;

  va_start (values, format);
  result->check = doctor->check;
  result->level = level;
  result->seen = g_strdup_vprintf (format, values);
  result->advice = g_strdup (advice);
  va_end (values);
  g_ptr_array_add (doctor->results, result);
}

void
vp_doctor_unseen (VpDoctor *doctor, const char *what)
{
  vp_doctor_warn (doctor, doctor->privileged ? NULL : "run 'vfio-profile doctor' as root", "%s: could not be seen",
                  what);
}

char *
vp_doctor_dup_name (const VpDoctor *doctor, const VpPciDevice *device)
{
  g_autofree char *address = vp_pci_address_dup_text (&device->address);
  g_autofree char *name = vp_device_names_dup (doctor->names, device->vendor, device->device);

  return g_strdup_printf ("%s (%04x:%04x%s%s)", address, device->vendor, device->device, name != NULL ? ", " : "",
                          name != NULL ? name : "");
}

GPtrArray *
vp_doctor_cards (const VpDoctor *doctor)
{
  GPtrArray *cards = g_ptr_array_new ();

  for (guint i = 0; i < doctor->groups->devices->len; i++) {
    const VpPciDevice *device = &g_array_index (doctor->groups->devices, VpPciDevice, i);
    if (vp_pci_is_display (device) && !device->boot_vga)
      g_ptr_array_add (cards, (gpointer) device);
  }
  return cards;
}

const VpDoctorGuest *
vp_doctor_find_owner (const VpDoctor *doctor, const VpPciAddress *address)
{
  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    g_autoptr (GArray) hostdevs = guest->domain != NULL ? vp_domain_hostdevs (guest->domain) : NULL;
    for (guint j = 0; hostdevs != NULL && j < hostdevs->len; j++)
      if (vp_pci_address_equal (&g_array_index (hostdevs, VpHostdev, j).address, address))
        return guest;
  }
  return NULL;
}

const VpDoctorGuest *
vp_doctor_find_x_vga (const VpDoctor *doctor)
{
  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    const VpDomain *next = vp_doctor_guest_next (guest);
    VpPciAddress address;
    if (next != NULL && vp_domain_find_x_vga (next, &address, NULL))
      return guest;
  }
  return NULL;
}

gboolean
vp_doctor_stat (const VpDoctor *doctor, const char *path, struct stat *info)
{
  g_autofree char *whole = g_build_filename (doctor->folder, path, NULL);

  return stat (whole, info) == 0;
}

char *
vp_doctor_dup_label (const VpDoctor *doctor, const char *path)
{
  g_autofree char *whole = g_build_filename (doctor->folder, path, NULL);
  char label[MAX_LABEL];
  gssize length = getxattr (whole, "security.selinux", label, sizeof label);

  return length > 0 ? g_strndup (label, (gsize) length) : NULL;
}

char *
vp_doctor_dup_file (const VpDoctor *doctor, const char *path)
{
  gsize length = 0;

  return vp_root_dup_bytes (doctor->root, path, MAX_FILE, &length);
}

static VpDoctor *
new_doctor (const VpDoctorQuestion *question, GError **error)
{
  const char *folder = question->root != NULL ? question->root : "/";
  VpRoot *root = vp_root_open (folder, error);

  if (root == NULL)
    return NULL;
  VpDoctor *doctor = g_new0 (VpDoctor, 1);
  doctor->root = root;
  doctor->folder = g_strdup (folder);
  doctor->recorded = question->root != NULL;
  doctor->privileged = doctor->recorded || geteuid () == 0;
  doctor->results = g_ptr_array_new_with_free_func (result_free);
  doctor->groups = vp_groups_read (root);
  doctor->names = vp_device_names_new (NULL);
  doctor->cpu = vp_kernel_read_cpu (root);
  return doctor;
}

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
  g_autoptr (VpDoctor) doctor = new_doctor (question, error);

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

guint
vp_doctor_count (const VpDoctor *doctor, VpCheckLevel level)
{
  guint count = 0;

  for (guint i = 0; i < doctor->results->len; i++)
    count += ((const VpCheckResult *) doctor->results->pdata[i])->level == level ? 1 : 0;
  return count;
}

VpCheckLevel
vp_doctor_worst (const VpDoctor *doctor)
{
  if (vp_doctor_count (doctor, VP_CHECK_FAIL) > 0)
    return VP_CHECK_FAIL;
  return vp_doctor_count (doctor, VP_CHECK_WARN) > 0 ? VP_CHECK_WARN : VP_CHECK_OK;
}
