/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks, and the list changed in memory. */
#include "cli/cards/grant-choose.h"

#include <string.h>

#include "base/error.h"
#include "cli/base/output.h"

/* libvirt lets a guest with an assigned device lock its memory and this much beside it. */
#define BESIDE_KIB KIB_IN_GIB
#define KIB_IN_GIB (1024u * 1024)

/* The user gets all that is in the group on vfio-pci, so all of it must be meant. */
static gboolean
check_groups (const VpSequesterHost *host, const GArray *picks, GError **error)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    if (device->iommu_group < 0) {
      g_autofree char *alone = vp_pci_dup_title (device, host->names);
      g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                   "%s is not granted: it is in no IOMMU group, so it has no node that "
                   "could be the user's",
                   alone);
      return FALSE;
    }
    for (guint j = 0; j < host->groups->devices->len; j++) {
      const VpPciDevice *other = &g_array_index (host->groups->devices, VpPciDevice, j);
      if (vp_sequester_is_picked (picks, other) || other->iommu_group != device->iommu_group ||
          !vp_pci_is_endpoint (other))
        continue;
      g_autofree char *title = vp_pci_dup_title (device, host->names);
      g_autofree char *foreign = vp_pci_dup_title (other, host->names);
      g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                   "%s is not granted: its IOMMU group %d, which goes to a user as a whole, also has %s: name that as "
                   "well if it is meant",
                   title, device->iommu_group, foreign);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_owners (const VpGrantFiles *files, const VpGrantUser *user, const GArray *picks, GError **error)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    const VpGrant *grant = vp_grants_find (files->grants, &device->address);
    g_autofree char *address = vp_pci_address_dup_text (&device->address);
    if (grant == NULL || grant->uid == user->uid)
      continue;
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "%s is granted to '%s' already: run 'vfio-profile grant --undo %s %s' first", address, grant->user,
                 grant->user, address);
    return FALSE;
  }
  return TRUE;
}

gboolean
vp_grant_check (const VpGrantFiles *files, const VpGrantUser *user, const VpSequesterHost *host, const GArray *picks,
                GError **error)
{
  return check_groups (host, picks, error) && check_owners (files, user, picks, error);
}

/* The user's own definitions say what they like, and memory that is locked nobody else gets. */
static guint64
cap_limit (const VpGrantFiles *files, const VpGrantUser *user, guint64 kib, GError **error)
{
  guint64 total = vp_meminfo_read_kib (files->root, -1, "MemTotal");

  if (total == 0)
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "how much memory this host has is not known (/proc/meminfo): give the "
                 "largest guest's with --memory, such as --memory 8GiB");
  else if (kib > total)
    vp_output_line (VP_STYLE_HEAD,
                    "the largest guest of '%s' would have %.1f GiB locked, and this host has %.1f GiB: the limit is "
                    "that",
                    user->name, (double) kib / KIB_IN_GIB, (double) total / KIB_IN_GIB);
  return MIN (kib, total);
}

/* Where nothing is said, a limit that is there does not shrink, but to what the host has. */
guint64
vp_grant_find_limit (const VpGrantFiles *files, const VpGrantUser *user, const char *memory, GError **error)
{
  guint64 kib = 0;

  if (memory != NULL) {
    (void) vp_grant_parse_memory (memory, &kib); /* checked before */
    return kib + BESIDE_KIB;
  }
  guint64 before = vp_grant_read_limit (files, user->uid);
  kib = vp_grant_find_largest (files->folder, user);
  if (kib == 0 && before == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "how much memory '%s' may lock is not known, as the user has no guest defined: give the largest "
                 "guest's with --memory, such as --memory 8GiB",
                 user->name);
    return 0;
  }
  return cap_limit (files, user, MAX (before, kib > 0 ? kib + BESIDE_KIB : 0), error);
}

void
vp_grant_add (const VpGrantFiles *files, const VpGrantUser *user, const GArray *picks, const GArray *listed)
{
  for (guint i = 0; i < picks->len; i++) {
    const VpPciDevice *device = g_array_index (picks, VpSequesterPick, i).device;
    const VpDeviceIds ids = { device->address, device->vendor, device->device };
    VpGrant *grant = (VpGrant *) vp_grants_find (files->grants, &device->address);
    if (grant != NULL)
      grant->ids = ids;
    else
      vp_grants_add (files->grants, user->uid, user->name, &ids, vp_device_ids_find (listed, &device->address) == NULL);
  }
}

static gboolean
is_meant (const VpGrant *one, const char *name, const GArray *addresses)
{
  if (name != NULL && strcmp (one->user, name) != 0)
    return FALSE;
  for (guint i = 0; i < addresses->len; i++) {
    if (vp_pci_address_same_slot (&g_array_index (addresses, VpPciAddress, i), &one->ids.address))
      return TRUE;
  }
  return addresses->len == 0;
}

GPtrArray *
vp_grant_take (const VpGrantFiles *files, const char *name, const GArray *addresses)
{
  GPtrArray *taken = vp_grants_new ();

  for (guint i = files->grants->len; i > 0; i--)
    if (is_meant (files->grants->pdata[i - 1], name, addresses))
      g_ptr_array_add (taken, g_ptr_array_steal_index (files->grants, i - 1));
  return taken;
}
