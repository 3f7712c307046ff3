/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpci's names. It looks into pci.ids and udev's hardware database. Its error
 * function must not return, and its own ends the program: ours leaves the broken
 * list half read, and goes on.
 */
#include "devices/device-names.h"

#include <pci/pci.h>
#include <setjmp.h>

#define MAX_NAME 256

struct VpDeviceNames {
  struct pci_access *access;
  gboolean own_file;
  gboolean loaded;
};

/* libpci passes no data to its error function, so this cannot stand in the struct. */
static _Thread_local jmp_buf *loading;

static void G_GNUC_NORETURN
on_error (char *message, ...)
{
  if (loading != NULL)
    longjmp (*loading, 1);
  g_error ("libpci: %s", message); /* out of memory */
}

static void
on_warning (char *message, ...)
{
  (void) message;
}

VpDeviceNames *
vp_device_names_new (const char *file)
{
  VpDeviceNames *names = g_new0 (VpDeviceNames, 1);

  names->access = pci_alloc ();
  names->access->error = on_error;
  names->access->warning = on_warning;
  names->access->debug = on_warning;
  names->access->id_lookup_mode = 0; /* no cache of names from the network */
  names->own_file = file != NULL;
  if (file != NULL)
    pci_set_name_list_path (names->access, g_strdup (file), 1); /* freed with free(), which g_free is */
  return names;
}

void
vp_device_names_free (VpDeviceNames *names)
{
  if (names == NULL)
    return;
  pci_cleanup (names->access);
  g_free (names);
}

static void
load (VpDeviceNames *names)
{
  jmp_buf back;

  if (setjmp (back) == 0) {
    loading = &back;
    (void) pci_load_name_list (names->access); /* without a list there are no names */
  }
  loading = NULL;
  names->loaded = TRUE;
}

static char *
dup_name (VpDeviceNames *names, int kind, guint16 vendor, guint16 device)
{
  char text[MAX_NAME];
  int flags = kind | PCI_LOOKUP_NO_NUMBERS | (names->own_file ? PCI_LOOKUP_NO_HWDB : 0);
  const char *name = pci_lookup_name (names->access, text, sizeof text, flags, vendor, device);

  return name != NULL ? g_utf8_make_valid (name, -1) : NULL;
}

char *
vp_device_names_dup (VpDeviceNames *names, guint16 vendor, guint16 device)
{
  if (!names->loaded)
    load (names);
  g_autofree char *maker = dup_name (names, PCI_LOOKUP_VENDOR, vendor, device);
  g_autofree char *model = dup_name (names, PCI_LOOKUP_DEVICE, vendor, device);

  if (maker == NULL)
    return NULL;
  return model != NULL ? g_strdup_printf ("%s %s", maker, model) : g_steal_pointer (&maker);
}
