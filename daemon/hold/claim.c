/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has which CPUs and devices. A guest has those that it was admitted with until
 * libvirt lists it, or says for long that it does not run; then those of libvirt's list.
 * Devices that it was admitted with it has until it is released.
 */
#include "daemon/hold/book-private.h"

#define CLAIM_SECONDS 120 /* from prepare until libvirt lists the guest as running; hugepages take their time */

static void
forget_live (VpHolding *holding)
{
  g_clear_pointer (&holding->live_cpus, hwloc_bitmap_free);
  g_clear_pointer (&holding->live_devices, g_array_unref);
}

/* With the mutex; NULL: none. */
static hwloc_const_bitmap_t
find_cpus (const VpHolding *holding)
{
  hwloc_const_bitmap_t cpus = holding->claimed != 0 ? holding->cpus : NULL;

  return holding->live_cpus != NULL ? holding->live_cpus : cpus;
}

/* With the mutex. */
static VpNeighbours *
new_neighbours (const VpBook *book, const char *uuid)
{
  VpNeighbours *neighbours = vp_neighbours_new ();
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHolding *holding = value;
    hwloc_const_bitmap_t cpus = g_strcmp0 (holding->uuid, uuid) != 0 ? find_cpus (holding) : NULL;
    if (cpus == NULL || hwloc_bitmap_iszero (cpus))
      continue;
    hwloc_bitmap_or (neighbours->taken, neighbours->taken, cpus);
    g_autoptr (VpNeighbour) other = vp_neighbour_new (holding->name, TRUE);
    hwloc_bitmap_copy (other->cpus, cpus);
    vp_neighbours_add (neighbours, other);
  }
  return neighbours;
}

VpNeighbours *
vp_book_new_neighbours (VpBook *book, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);

  return new_neighbours (book, uuid);
}

VpNeighbours *
vp_book_claim (VpBook *book, const VpRunning *claim, gboolean share, gboolean *claimed)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  VpNeighbours *neighbours = new_neighbours (book, claim->uuid);

  *claimed = share || !hwloc_bitmap_intersects (neighbours->taken, claim->cpus);
  if (!*claimed)
    return neighbours;
  VpHolding *holding = vp_book_ensure (book, claim->uuid, claim->name);
  hwloc_bitmap_free (holding->cpus);
  holding->cpus = hwloc_bitmap_iszero (claim->cpus) ? NULL : hwloc_bitmap_dup (claim->cpus);
  g_array_set_size (holding->devices, 0);
  g_array_append_vals (holding->devices, claim->devices->data, claim->devices->len);
  forget_live (holding);
  holding->claimed = book->last_claim = MAX (g_get_monotonic_time (), book->last_claim + 1);
  g_hash_table_remove (book->released, claim->uuid);
  return neighbours;
}

gboolean
vp_book_note_claim (VpBook *book, const char *uuid, GError **error)
{
  g_autoptr (VpHolding) holding = vp_book_dup (book, uuid);

  return holding == NULL || (holding->cpus == NULL && holding->devices->len == 0) || vp_book_save (book, uuid, error);
}

static void
clear_held (gpointer held)
{
  g_free (((VpDeviceHeld *) held)->domain);
}

static gboolean
has_device (const GArray *devices, const VpPciAddress *address)
{
  for (guint i = 0; devices != NULL && i < devices->len; i++)
    if (vp_pci_address_equal (&g_array_index (devices, VpPciAddress, i), address))
      return TRUE;
  return FALSE;
}

static void
add_held (GArray *held, const char *name, const GArray *devices, const GArray *but)
{
  for (guint i = 0; devices != NULL && i < devices->len; i++) {
    VpDeviceHeld one = { g_array_index (devices, VpPciAddress, i), NULL };
    if (has_device (but, &one.address))
      continue;
    one.domain = g_strdup (name);
    g_array_append_val (held, one);
  }
}

/* Of two who were admitted with the same device, the later one has to wait. With the mutex. */
static gboolean
is_before (const VpHolding *other, const VpHolding *own)
{
  return own == NULL || own->claimed == 0 || other->claimed < own->claimed;
}

GArray *
vp_book_dup_devices (VpBook *book, const char *uuid)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  const VpHolding *own = uuid != NULL ? vp_book_find (book, uuid) : NULL;
  GArray *held = g_array_new (FALSE, TRUE, sizeof (VpDeviceHeld));
  GHashTableIter iter;
  gpointer value = NULL;

  g_array_set_clear_func (held, clear_held);
  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHolding *other = value;
    if (g_strcmp0 (other->uuid, uuid) == 0)
      continue;
    add_held (held, other->name, other->live_devices, NULL);
    if (is_before (other, own))
      add_held (held, other->name, other->devices, other->live_devices);
  }
  return held;
}

typedef struct {
  VpBook *book;
  GHashTable *late; /* released, and still listed */
} Listing;

/* A list that is older than the release does not bring the guest back. */
static void
add_running (const VpRunning *running, gpointer data)
{
  const Listing *listing = data;
  VpBook *book = listing->book;

  if (g_hash_table_contains (book->released, running->uuid)) {
    g_hash_table_add (listing->late, g_strdup (running->uuid));
    return;
  }
  VpHolding *holding = vp_book_enter (book, running->uuid, running->name);
  forget_live (holding);
  holding->claimed = 0;
  holding->live_cpus = hwloc_bitmap_dup (running->cpus);
  holding->live_devices = g_array_copy ((GArray *) running->devices);
}

static gboolean
is_gone (gpointer key, gpointer value, gpointer data)
{
  const VpHolding *holding = value;

  (void) key, (void) data;
  return holding->state == VP_HOLDING_SEEN && holding->live_cpus == NULL;
}

void
vp_book_set_running (VpBook *book, const VpFleet *fleet, gint64 now)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&book->mutex);
  Listing listing = { book, g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };
  gint64 oldest = MAX (VP_BOOK_CLAIMED_BEFORE + 1, now - CLAIM_SECONDS * G_TIME_SPAN_SECOND);
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, book->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    VpHolding *holding = value;
    forget_live (holding);
    if (holding->claimed < oldest)
      holding->claimed = 0;
  }
  vp_fleet_foreach_running (fleet, add_running, &listing);
  g_hash_table_foreach_remove (book->table, is_gone, NULL);
  g_hash_table_unref (book->released);
  book->released = listing.late;
}
