/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of a machine, what checks ask of it, and what they say. */
#include "cli/doctor/doctor.h"

#include <sys/xattr.h>
#include <unistd.h>

#include "devices/device-kernel.h"

#define MAX_FILE (4u * 1024 * 1024) /* a policy's file contexts have half a megabyte */
#define MAX_LABEL 512

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

VpDoctor *
vp_doctor_new (const char *recorded, GError **error)
{
  const char *folder = recorded != NULL ? recorded : "/";
  VpRoot *root = vp_root_open (folder, error);

  if (root == NULL)
    return NULL;
  VpDoctor *doctor = g_new0 (VpDoctor, 1);
  doctor->root = root;
  doctor->folder = g_strdup (folder);
  doctor->recorded = recorded != NULL;
  doctor->privileged = doctor->recorded || geteuid () == 0;
  doctor->results = g_ptr_array_new_with_free_func (result_free);
  doctor->groups = vp_groups_read (root);
  doctor->names = vp_device_names_new (NULL);
  doctor->cpu = vp_kernel_read_cpu (root);
  return doctor;
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
