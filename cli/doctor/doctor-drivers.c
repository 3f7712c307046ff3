/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of the kernel's drivers: vfio, its VGA support, who has the cards, cards that look the same. */
#include "cli/doctor/doctor.h"

#include <string.h>

#include "cli/cards/initramfs.h"
#include "cli/cards/sequester-view.h"
#include "devices/device-kernel.h"
#include "devices/sequester.h"

static gboolean
names_module (const VpDoctor *doctor, const char *folder, const char *release, const char *file)
{
  g_autofree char *path = g_strdup_printf ("%s/%s/%s", folder, release, file);
  g_autofree char *text = vp_doctor_dup_file (doctor, path);

  return text != NULL && strstr (text, "/vfio-pci.ko") != NULL;
}

static gboolean
has_module (const VpDoctor *doctor, const char *release)
{
  static const char *const folders[] = { "lib/modules", "usr/lib/modules" };

  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++)
    if (names_module (doctor, folders[i], release, "modules.dep") ||
        names_module (doctor, folders[i], release, "modules.builtin"))
      return TRUE;
  return FALSE;
}

static void
check_vfio (VpDoctor *doctor)
{
  g_auto (GStrv) drivers = vp_root_list (doctor->root, "sys/bus/pci/drivers");
  g_autofree char *release = vp_root_dup_text (doctor->root, "proc/sys/kernel/osrelease");

  if (g_strv_contains ((const char *const *) drivers, "vfio-pci"))
    vp_doctor_ok (doctor, "vfio-pci is loaded");
  else if (release == NULL || strchr (release, '/') != NULL)
    vp_doctor_unseen (doctor, "which kernel runs");
  else if (has_module (doctor, release))
    vp_doctor_ok (doctor, "vfio-pci is there and not loaded; libvirt loads it");
  else
    vp_doctor_fail (doctor, "boot a kernel that has it, the distribution's own; after an update of the kernel, boot",
                    "the running kernel %s has no module vfio-pci", release);
}

static void
check_vga (VpDoctor *doctor)
{
  const VpDoctorGuest *guest = vp_doctor_find_x_vga (doctor);
  VpVgaSupport vga = vp_kernel_read_vga (doctor->root);
  const char *advice = "use OVMF firmware with vga.x-vga = off, or a kernel with CONFIG_VFIO_PCI_VGA";

  if (vga == VP_VGA_YES)
    vp_doctor_ok (doctor, "there");
  else if (vga == VP_VGA_UNKNOWN)
    vp_doctor_unseen (doctor, "the kernel's configuration, which matters to BIOS guests alone");
  else if (guest == NULL)
    vp_doctor_ok (doctor, vga == VP_VGA_NO ? "not built in; no guest asks for it (x-vga)"
                                           : "turned off by disable_vga=1; no guest asks for it (x-vga)");
  else if (vga == VP_VGA_NO)
    vp_doctor_fail (doctor, advice, "not built in, and '%s' asks for it (x-vga)", guest->name);
  else
    vp_doctor_fail (doctor, "take disable_vga=1 out of /etc/modprobe.d (or the kernel's command line) and boot",
                    "turned off by disable_vga=1, and '%s' asks for it (x-vga)", guest->name);
}

static gboolean
is_twin (const VpPciDevice *a, const VpPciDevice *b)
{
  return a != b && a->vendor == b->vendor && a->device == b->device && a->class_code >> 8 == b->class_code >> 8;
}

static const VpPciDevice *
find_twin (const VpDoctor *doctor, const VpPciDevice *device)
{
  for (guint i = 0; i < doctor->groups->devices->len; i++) {
    const VpPciDevice *other = &g_array_index (doctor->groups->devices, VpPciDevice, i);
    if (is_twin (device, other))
      return other;
  }
  return NULL;
}

/* Of const VpPciDevice *: the card and its audio. */
static GPtrArray *
functions_of (const VpDoctor *doctor, const VpPciDevice *card)
{
  GPtrArray *functions = g_ptr_array_new ();

  for (guint i = 0; i < doctor->groups->devices->len; i++) {
    const VpPciDevice *device = &g_array_index (doctor->groups->devices, VpPciDevice, i);
    gboolean same = vp_pci_address_same_slot (&device->address, &card->address);
    if (same && (device == card || device->class_code >> 8 == VP_PCI_CLASS_AUDIO))
      g_ptr_array_add (functions, (gpointer) device);
  }
  return functions;
}

/* By address, so that cards that look the same are told apart. */
static char *
dup_keep_off (const VpPciDevice *card)
{
  g_autofree char *address = vp_pci_address_dup_text (&card->address);

  return g_strdup_printf ("run 'vfio-profile sequester %s --initramfs' and boot", address);
}

static gboolean
any_assigned (const VpDoctor *doctor)
{
  for (guint i = 0; i < doctor->guests->all->len; i++)
    if (((const VpDoctorGuest *) doctor->guests->all->pdata[i])->n_devices > 0)
      return TRUE;
  return FALSE;
}

static void
judge_binding (VpDoctor *doctor, const VpPciDevice *card)
{
  g_autoptr (GPtrArray) functions = functions_of (doctor, card);
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  gboolean held = vp_pci_has_host_driver (card);

  for (guint i = 0; i < functions->len; i++) {
    const VpPciDevice *device = functions->pdata[i];
    g_autofree char *address = vp_pci_address_dup_text (&device->address);
    g_ptr_array_add (words, g_strdup_printf ("%s: %s", address, device->driver != NULL ? device->driver : "no driver"));
  }
  g_autofree char *list = vp_list_dup_words (words);
  if (!held) {
    vp_doctor_ok (doctor, "%s: ready for a guest", list);
  } else if (vp_doctor_find_owner (doctor, &card->address) == NULL && any_assigned (doctor)) {
    vp_doctor_ok (doctor, "%s: the host's own", list);
  } else {
    g_autofree char *advice = dup_keep_off (card);
    vp_doctor_warn (doctor, advice, "%s: a start takes the card away from the host's driver, which may hang", list);
  }
}

static void
check_bindings (VpDoctor *doctor)
{
  g_autoptr (GPtrArray) cards = vp_doctor_cards (doctor);

  for (guint i = 0; i < cards->len; i++)
    judge_binding (doctor, cards->pdata[i]);
}

static gboolean
is_sequestered (const GArray *listed, const VpPciDevice *device)
{
  return listed != NULL && vp_device_ids_find (listed, &device->address) != NULL;
}

static void
check_twins (VpDoctor *doctor)
{
  g_autoptr (GArray) listed = vp_sequester_load (doctor->root, NULL); /* a damaged one has a check of its own */
  gboolean found = FALSE;

  for (guint i = 0; i < doctor->groups->devices->len; i++) {
    const VpPciDevice *device = &g_array_index (doctor->groups->devices, VpPciDevice, i);
    const VpPciDevice *twin = vp_pci_is_display (device) ? find_twin (doctor, device) : NULL;
    if (twin == NULL || twin < device)
      continue;
    g_autofree char *one = vp_pci_address_dup_text (&device->address);
    g_autofree char *other = vp_pci_address_dup_text (&twin->address);
    found = TRUE;
    if (is_sequestered (listed, device) || is_sequestered (listed, twin))
      vp_doctor_ok (doctor, "%s and %s have the same ids %04x:%04x, and are told apart by address", one, other,
                    device->vendor, device->device);
    else
      vp_doctor_warn (doctor,
                      "keep a driver off one of them by its address, with 'vfio-profile sequester', not by "
                      "'vfio-pci ids='",
                      "%s and %s have the same ids %04x:%04x", one, other, device->vendor, device->device);
  }
  if (!found)
    vp_doctor_ok (doctor, "no two displays have the same ids");
}

static char *
dup_sequester_advice (const VpDoctor *doctor, const VpDeviceIds *ids, VpSequesterState state)
{
  g_autofree char *address = vp_pci_address_dup_text (&ids->address);

  if (state == VP_SEQUESTER_MOVED || state == VP_SEQUESTER_GONE)
    return g_strdup_printf ("run 'vfio-profile sequester --undo %s', and name the card by its new address", address);
  return vp_initramfs_dup_advice (doctor->root);
}

static void
judge_sequestered (VpDoctor *doctor, const VpDeviceIds *ids)
{
  VpSequesterState state = vp_sequester_get_state (doctor->root, doctor->groups->devices, ids);
  const VpPciDevice *device = vp_pci_find (doctor->groups->devices, &ids->address);
  const char *driver = device != NULL && device->driver != NULL ? device->driver : "no driver";
  g_autofree char *address = vp_pci_address_dup_text (&ids->address);
  g_autofree char *words = vp_device_ids_dup_text (ids);
  g_autofree char *advice = dup_sequester_advice (doctor, ids, state);

  if (state == VP_SEQUESTER_READY)
    vp_doctor_ok (doctor, "%s: on %s", address, driver);
  else if (state == VP_SEQUESTER_GONE)
    vp_doctor_warn (doctor, advice, "%s is listed, and the host has no such device", address);
  else if (state == VP_SEQUESTER_MOVED)
    vp_doctor_warn (doctor, advice, "%s is listed as %s, and is %04x:%04x now, so it is left alone", address, words,
                    device->vendor, device->device);
  else if (vp_initramfs_is_stale (doctor->root))
    vp_doctor_warn (doctor, advice, "%s: %s, and the initramfs is older than the list", address, driver);
  else if (state == VP_SEQUESTER_WAITING)
    vp_doctor_warn (doctor, "boot", "%s: %s; it was listed after the boot", address, driver);
  else
    vp_doctor_warn (doctor, advice, "%s: %s, though it was listed when the host booted", address, driver);
}

static void
check_sequestered (VpDoctor *doctor)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) ids = vp_sequester_load (doctor->root, &error);

  if (ids == NULL)
    vp_doctor_warn (doctor, "correct that line, or run 'vfio-profile sequester --undo'", "%s", error->message);
  for (guint i = 0; ids != NULL && i < ids->len; i++)
    judge_sequestered (doctor, &g_array_index (ids, VpDeviceIds, i));
}

const VpCheck vp_doctor_driver_checks[] = {
  { "drivers.vfio", "vfio modules", check_vfio },
  { "drivers.vga", "vfio's VGA support", check_vga },
  { "drivers.bindings", "drivers of the cards", check_bindings },
  { "drivers.twins", "cards that look the same", check_twins },
  { "drivers.sequestered", "cards kept for vfio-pci", check_sequestered },
  { NULL, NULL, NULL },
};
