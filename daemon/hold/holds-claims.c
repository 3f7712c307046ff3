/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests hold that the kernel is not asked about: devices and CPUs; and views of the table. */
#include <hwloc.h>
#include <string.h>

#include "daemon/hold/holds-private.h"

static gboolean
has_device (const VpHold *hold, const char *address)
{
  for (guint i = 0; i < hold->devices->len; i++)
    if (strcmp (hold->devices->pdata[i], address) == 0)
      return TRUE;
  return FALSE;
}

/* The guest that has one of them, and which one; with the mutex. */
static const VpHold *
find_holder (const VpHolds *holds, const char *but_uuid, const char *const *addresses, const char **address)
{
  GHashTableIter iter;
  gpointer hold = NULL;

  for (guint i = 0; addresses[i] != NULL; i++) {
    g_hash_table_iter_init (&iter, holds->table);
    while (g_hash_table_iter_next (&iter, NULL, &hold))
      if (strcmp (((const VpHold *) hold)->uuid, but_uuid) != 0 && has_device (hold, addresses[i])) {
        *address = addresses[i];
        return hold;
      }
  }
  return NULL;
}

gboolean
vp_holds_claim_devices (VpHolds *holds, const char *uuid, const char *name, const char *const *addresses,
                        char **holder, char **address, GError **error)
{
  const char *taken = NULL;

  *holder = NULL;
  *address = NULL;
  if (addresses[0] == NULL)
    return TRUE;
  g_mutex_lock (&holds->mutex);
  const VpHold *other = find_holder (holds, uuid, addresses, &taken);
  if (other != NULL) {
    *holder = g_strdup (other->name);
    *address = g_strdup (taken);
  } else {
    VpHold *hold = vp_holds_ensure (holds, uuid, name);
    g_ptr_array_set_size (hold->devices, 0);
    for (guint i = 0; addresses[i] != NULL; i++)
      g_ptr_array_add (hold->devices, g_strdup (addresses[i]));
  }
  g_mutex_unlock (&holds->mutex);
  return *holder == NULL && vp_holds_save (holds, uuid, error);
}

gboolean
vp_holds_set_cpus (VpHolds *holds, const char *uuid, const char *name, const char *cpus, GError **error)
{
  g_mutex_lock (&holds->mutex);
  VpHold *hold = vp_holds_ensure (holds, uuid, name);
  g_free (hold->cpus);
  hold->cpus = g_strdup (cpus);
  g_mutex_unlock (&holds->mutex);
  return vp_holds_save (holds, uuid, error);
}

void
vp_holds_note_called (VpHolds *holds, const char *uuid, const char *name, int run)
{
  g_mutex_lock (&holds->mutex);
  VpHold *hold = vp_holds_ensure (holds, uuid, name);
  hold->run = run;
  g_clear_pointer (&hold->silent, g_free);
  g_mutex_unlock (&holds->mutex);
  vp_holds_save_or_warn (holds, uuid);
}

/* What an earlier run left is still there to give back, now when this one ends. */
static void
mark_silent (VpHolds *holds, const char *uuid, const char *name, int run, const char *why)
{
  VpHold *hold = g_hash_table_lookup (holds->table, uuid);

  if (hold == NULL) {
    hold = vp_holds_ensure (holds, uuid, name);
    hold->state = VP_HOLD_RUNNING;
  }
  hold->run = run;
  hold->unconfirmed = FALSE;
  g_free (hold->silent);
  hold->silent = g_strdup (why);
}

gboolean
vp_holds_note_silent (VpHolds *holds, const char *uuid, const char *name, int run, const char *why)
{
  g_mutex_lock (&holds->mutex);
  const VpHold *present = g_hash_table_lookup (holds->table, uuid);
  gboolean known = present != NULL && (present->run == run || present->run == 0);
  if (!known)
    mark_silent (holds, uuid, name, run, why);
  g_mutex_unlock (&holds->mutex);
  if (!known)
    vp_holds_save_or_warn (holds, uuid);
  return !known;
}

char *
vp_holds_dup_cpus (VpHolds *holds, const char *but_uuid)
{
  hwloc_bitmap_t all = hwloc_bitmap_alloc ();
  GHashTableIter iter;
  gpointer value = NULL;

  g_mutex_lock (&holds->mutex);
  g_hash_table_iter_init (&iter, holds->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHold *hold = value;
    hwloc_bitmap_t cpus = g_strcmp0 (hold->uuid, but_uuid) != 0 ? vp_list_parse (hold->cpus) : NULL;
    if (cpus != NULL)
      hwloc_bitmap_or (all, all, cpus);
    hwloc_bitmap_free (cpus);
  }
  g_mutex_unlock (&holds->mutex);
  char *text = vp_list_dup (all);
  hwloc_bitmap_free (all);
  return text;
}

GStrv
vp_holds_list (VpHolds *holds)
{
  GPtrArray *uuids = g_ptr_array_new ();

  g_mutex_lock (&holds->mutex);
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (holds->table), (GCompareFunc) g_strcmp0);
  for (const GList *key = keys; key != NULL; key = key->next)
    g_ptr_array_add (uuids, g_strdup (key->data));
  g_mutex_unlock (&holds->mutex);
  g_ptr_array_add (uuids, NULL);
  return (GStrv) g_ptr_array_free (uuids, FALSE);
}

VpHold *
vp_holds_dup (VpHolds *holds, const char *uuid)
{
  g_mutex_lock (&holds->mutex);
  const VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  VpHold *copy = hold != NULL ? vp_hold_copy (hold) : NULL;
  g_mutex_unlock (&holds->mutex);
  return copy;
}
