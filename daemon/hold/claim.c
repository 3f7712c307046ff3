/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests hold that the kernel is not asked about: devices and CPUs; and views of the table. */
#include <hwloc.h>
#include <string.h>

#include "daemon/hold/book-private.h"

static gboolean
has_device (const VpHolding *holding, const char *address)
{
  for (guint i = 0; i < holding->devices->len; i++)
    if (strcmp (holding->devices->pdata[i], address) == 0)
      return TRUE;
  return FALSE;
}

/* The guest that has one of them, and which one; with the mutex. */
static const VpHolding *
find_holder (const VpBook *book, const char *but_uuid, const char *const *addresses, const char **address)
{
  GHashTableIter iter;
  gpointer holding = NULL;

  for (guint i = 0; addresses[i] != NULL; i++) {
    g_hash_table_iter_init (&iter, book->table);
    while (g_hash_table_iter_next (&iter, NULL, &holding))
      if (strcmp (((const VpHolding *) holding)->uuid, but_uuid) != 0 && has_device (holding, addresses[i])) {
        *address = addresses[i];
        return holding;
      }
  }
  return NULL;
}

gboolean
vp_book_claim_devices (VpBook *book, const char *uuid, const char *name, const char *const *addresses,
                        char **holder, char **address, GError **error)
{
  const char *taken = NULL;

  *holder = NULL;
  *address = NULL;
  if (addresses[0] == NULL)
    return TRUE;
  g_mutex_lock (&book->mutex);
  const VpHolding *other = find_holder (book, uuid, addresses, &taken);
  if (other != NULL) {
    *holder = g_strdup (other->name);
    *address = g_strdup (taken);
  } else {
    VpHolding *holding = vp_book_ensure (book, uuid, name);
    g_ptr_array_set_size (holding->devices, 0);
    for (guint i = 0; addresses[i] != NULL; i++)
      g_ptr_array_add (holding->devices, g_strdup (addresses[i]));
  }
  g_mutex_unlock (&book->mutex);
  return *holder == NULL && vp_book_save (book, uuid, error);
}

gboolean
vp_book_set_cpus (VpBook *book, const char *uuid, const char *name, const char *cpus, GError **error)
{
  g_mutex_lock (&book->mutex);
  VpHolding *holding = vp_book_ensure (book, uuid, name);
  g_free (holding->cpus);
  holding->cpus = g_strdup (cpus);
  g_mutex_unlock (&book->mutex);
  return vp_book_save (book, uuid, error);
}

void
vp_book_note_called (VpBook *book, const char *uuid, const char *name, int run)
{
  g_mutex_lock (&book->mutex);
  VpHolding *holding = vp_book_ensure (book, uuid, name);
  holding->run = run;
  g_clear_pointer (&holding->silent, g_free);
  g_mutex_unlock (&book->mutex);
  vp_book_save_or_warn (book, uuid);
}

/* What an earlier run left is still there to give back, now when this one ends. */
static void
mark_silent (VpBook *book, const char *uuid, const char *name, int run, const char *why)
{
  VpHolding *holding = g_hash_table_lookup (book->table, uuid);

  if (holding == NULL) {
    holding = vp_book_ensure (book, uuid, name);
    holding->state = VP_HOLDING_RUNNING;
  }
  holding->run = run;
  holding->unconfirmed = FALSE;
  g_free (holding->silent);
  holding->silent = g_strdup (why);
}

gboolean
vp_book_note_silent (VpBook *book, const char *uuid, const char *name, int run, const char *why)
{
  g_mutex_lock (&book->mutex);
  const VpHolding *present = g_hash_table_lookup (book->table, uuid);
  gboolean known = present != NULL && (present->run == run || present->run == 0);
  if (!known)
    mark_silent (book, uuid, name, run, why);
  g_mutex_unlock (&book->mutex);
  if (!known)
    vp_book_save_or_warn (book, uuid);
  return !known;
}

char *
vp_book_dup_cpus (VpBook *book, const char *but_uuid)
{
  hwloc_bitmap_t all = hwloc_bitmap_alloc ();
  GHashTableIter iter;
  gpointer value = NULL;

  g_mutex_lock (&book->mutex);
  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHolding *holding = value;
    hwloc_bitmap_t cpus = g_strcmp0 (holding->uuid, but_uuid) != 0 ? vp_list_parse (holding->cpus) : NULL;
    if (cpus != NULL)
      hwloc_bitmap_or (all, all, cpus);
    hwloc_bitmap_free (cpus);
  }
  g_mutex_unlock (&book->mutex);
  char *text = vp_list_dup (all);
  hwloc_bitmap_free (all);
  return text;
}

GStrv
vp_book_list (VpBook *book)
{
  GPtrArray *uuids = g_ptr_array_new ();

  g_mutex_lock (&book->mutex);
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (book->table), (GCompareFunc) g_strcmp0);
  for (const GList *key = keys; key != NULL; key = key->next)
    g_ptr_array_add (uuids, g_strdup (key->data));
  g_mutex_unlock (&book->mutex);
  g_ptr_array_add (uuids, NULL);
  return (GStrv) g_ptr_array_free (uuids, FALSE);
}

VpHolding *
vp_book_dup (VpBook *book, const char *uuid)
{
  g_mutex_lock (&book->mutex);
  const VpHolding *holding = g_hash_table_lookup (book->table, uuid);
  VpHolding *copy = holding != NULL ? vp_holding_copy (holding) : NULL;
  g_mutex_unlock (&book->mutex);
  return copy;
}
