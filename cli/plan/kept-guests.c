/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks through what libvirt keeps of a domain beside its definition. Checkpoints are not among it: nothing starts
 * from one.
 */
#include "cli/plan/kept-guests.h"

#include <stdlib.h>
#include <string.h>

/* libvirt writes it so, whatever was defined; taken over, as libvirt gives it. */
static gboolean
names_wrapper (char *xml, const char *wrapper_folder)
{
  g_autofree char *folder = g_markup_escape_text (wrapper_folder, -1);
  g_autofree char *element = g_strdup_printf ("<emulator>%s/", folder);
  gboolean names = xml != NULL && strstr (xml, element) != NULL;

  free (xml);
  return names;
}

static void
add_snapshots (virDomainPtr domain, const char *wrapper_folder, GPtrArray *snapshots)
{
  virDomainSnapshotPtr *list = NULL;
  int n = virDomainListAllSnapshots (domain, &list, 0);

  for (int i = 0; i < n; i++) {
    if (names_wrapper (virDomainSnapshotGetXMLDesc (list[i], 0), wrapper_folder))
      g_ptr_array_add (snapshots,
                       g_strdup_printf ("'%s' of '%s'", virDomainSnapshotGetName (list[i]), virDomainGetName (domain)));
    (void) virDomainSnapshotFree (list[i]);
  }
  free (list);
}

void
vp_kept_guests_add (virDomainPtr domain, const char *wrapper_folder, GPtrArray *saves, GPtrArray *snapshots)
{
  if (virDomainHasManagedSaveImage (domain, 0) == 1 &&
      names_wrapper (virDomainManagedSaveGetXMLDesc (domain, 0), wrapper_folder))
    g_ptr_array_add (saves, g_strdup_printf ("'%s'", virDomainGetName (domain)));
  add_snapshots (domain, wrapper_folder, snapshots);
}
