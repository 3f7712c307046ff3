/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of what guests hold: its locks, its journal, and what needs no kernel. */
#include "daemon/hold/holds-private.h"

#include <string.h>

#include "base/error.h"

#define RECONCILE_WAIT G_TIME_SPAN_SECOND
#define MAX_DAMAGED 1000

gboolean
vp_holds_begin_work (VpHolds *holds, const char *name, gint64 deadline, GError **error)
{
  gboolean in_time = TRUE;

  g_mutex_lock (&holds->mutex);
  while (holds->working && in_time)
    in_time = g_cond_wait_until (&holds->idle, &holds->mutex, deadline);
  gboolean begun = !holds->working;
  if (begun) {
    holds->working = TRUE;
    holds->working_for = g_strdup (name);
  } else {
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "the host is still being made ready for domain '%s': start it again in a moment", holds->working_for);
  }
  g_mutex_unlock (&holds->mutex);
  return begun;
}

void
vp_holds_end_work (VpHolds *holds)
{
  g_mutex_lock (&holds->mutex);
  holds->working = FALSE;
  g_clear_pointer (&holds->working_for, g_free);
  g_cond_broadcast (&holds->idle);
  g_mutex_unlock (&holds->mutex);
}

/* A new start of one that still holds something goes on with it: those pages are free, and still its to give back. */
VpHold *
vp_holds_ensure (VpHolds *holds, const char *uuid, const char *name)
{
  VpHold *hold = g_hash_table_lookup (holds->table, uuid);

  if (hold == NULL) {
    hold = vp_hold_new (uuid, name);
    hold->state = VP_HOLD_STARTING;
    g_hash_table_insert (holds->table, hold->uuid, hold);
  }
  if (strcmp (hold->name, name) != 0) {
    g_free (hold->name);
    hold->name = g_strdup (name);
  }
  if (hold->state == VP_HOLD_RUNNING || hold->state == VP_HOLD_RELEASING) {
    hold->state = VP_HOLD_STARTING;
    g_array_set_size (hold->uses, 0);
  }
  hold->unconfirmed = FALSE;
  hold->reported = FALSE;
  return hold;
}

static char *
dup_path (const VpHolds *holds, const char *name)
{
  return g_build_filename (holds->folder, name, NULL);
}

gboolean
vp_holds_save (VpHolds *holds, const char *uuid, GError **error)
{
  g_autofree char *path = dup_path (holds, uuid);

  /* The text is taken with the journal's lock, so that an older one never comes after a newer one. */
  g_mutex_lock (&holds->journal);
  g_mutex_lock (&holds->mutex);
  const VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  g_autofree char *text = hold != NULL ? vp_hold_dup_text (hold) : NULL;
  g_mutex_unlock (&holds->mutex);
  gboolean saved = text != NULL ? vp_root_store (holds->root, path, text, error)
                                : vp_root_remove (holds->root, path, error);
  g_mutex_unlock (&holds->journal);
  return saved;
}

void
vp_holds_save_or_warn (VpHolds *holds, const char *uuid)
{
  g_autoptr (GError) error = NULL;

  if (!vp_holds_save (holds, uuid, &error))
    g_warning ("%s; a daemon that takes over now would not know what changed", error->message);
}

VpPoolClaims
vp_holds_sum_pool (VpHolds *holds, int node, guint64 page_kib, const VpHold *but)
{
  VpPoolClaims claims = { 0, 0 };
  GHashTableIter iter;
  gpointer value = NULL;

  g_mutex_lock (&holds->mutex);
  g_hash_table_iter_init (&iter, holds->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHold *hold = value;
    const VpHoldRecord *record = hold != but ? vp_hold_find_pages (hold, node, page_kib) : NULL;
    gboolean is_starting = hold->state == VP_HOLD_TAKING || hold->state == VP_HOLD_STARTING;
    claims.held += record != NULL ? record->pages.count : 0;
    for (guint i = 0; hold != but && is_starting && i < hold->uses->len; i++) {
      const VpHoldUse *use = &g_array_index (hold->uses, VpHoldUse, i);
      if (use->node == node && use->page_kib == page_kib)
        claims.promised += use->pages;
    }
  }
  g_mutex_unlock (&holds->mutex);
  return claims;
}

/* Under a name that no guest has, for a person to look at. */
static void
set_aside (const VpHolds *holds, const char *name, const char *why)
{
  g_autofree char *path = dup_path (holds, name);
  g_autofree char *aside = NULL;
  gboolean moved = FALSE;

  for (guint i = 1; !moved && i <= MAX_DAMAGED; i++) {
    g_free (aside);
    aside = g_strdup_printf ("%s.damaged-%u", name, i);
    moved = vp_root_rename (holds->root, path, aside, NULL);
  }
  g_warning ("the journal of a guest is damaged, so what it held is not known: %s%s%s; compare nr_hugepages, the CPU "
             "governor and the interrupts' CPUs with what they should be",
             why, moved ? "; it was set aside as " : "; it could not be set aside", moved ? aside : "");
}

static void
load_file (VpHolds *holds, const char *name)
{
  g_autofree char *path = dup_path (holds, name);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = vp_root_load_own (holds->root, path, VP_HOLD_MAX_BYTES, &error);
  VpHold *hold = text != NULL ? vp_hold_parse (name, text, &error) : NULL;

  if (hold == NULL) {
    g_autofree char *why = g_strdup_printf ("%s: %s", path, error->message);
    set_aside (holds, name, why);
    return;
  }
  if (hold->state == VP_HOLD_TAKING)
    hold->state = VP_HOLD_STARTING; /* whoever took is gone; libvirt will say whether it runs */
  hold->unconfirmed = TRUE;
  g_hash_table_insert (holds->table, hold->uuid, hold);
}

/* What the last daemon died in: nobody else changes anything yet, so what the kernel shows is what it did. */
static void
settle_all (VpHolds *holds)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, holds->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const VpHold *hold = value;
    for (guint i = 0; i < hold->records->len; i++) {
      VpHoldRecord *record = hold->records->pdata[i];
      g_autoptr (GError) error = NULL;
      if (record->kind != VP_HOLD_PAGES || !record->pending)
        continue;
      if (!vp_holds_settle (holds, hold, record, &error))
        g_warning ("domain '%s': %s", hold->name, error->message);
    }
  }
}

static void
load_journal (VpHolds *holds)
{
  g_auto (GStrv) names = vp_root_list (holds->root, holds->folder);

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = dup_path (holds, names[i]);
    if (vp_hold_uuid_is_valid (names[i]))
      load_file (holds, names[i]);
    else if (g_str_has_suffix (names[i], VP_ROOT_TEMPORARY))
      (void) vp_root_remove (holds->root, path, NULL); /* never came into force */
  }
  settle_all (holds);
}

VpHolds *
vp_holds_new (const VpRoot *root, const char *folder, GError **error)
{
  if (!vp_root_make_folder (root, folder, error))
    return NULL;
  VpHolds *holds = g_new0 (VpHolds, 1);
  holds->root = root;
  holds->folder = g_strdup (folder);
  g_mutex_init (&holds->journal);
  g_mutex_init (&holds->mutex);
  g_cond_init (&holds->idle);
  holds->table = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) vp_hold_free);
  load_journal (holds);
  return holds;
}

void
vp_holds_free (VpHolds *holds)
{
  if (holds == NULL)
    return;
  g_hash_table_unref (holds->table);
  g_free (holds->working_for);
  g_free (holds->folder);
  g_cond_clear (&holds->idle);
  g_mutex_clear (&holds->mutex);
  g_mutex_clear (&holds->journal);
  g_free (holds);
}

void
vp_holds_started (VpHolds *holds, const char *uuid)
{
  gboolean changed = FALSE;

  g_mutex_lock (&holds->mutex);
  VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  if (hold != NULL) {
    changed = hold->state == VP_HOLD_STARTING || hold->state == VP_HOLD_TAKING;
    hold->state = changed ? VP_HOLD_RUNNING : hold->state;
    hold->unconfirmed = FALSE;
  }
  g_mutex_unlock (&holds->mutex);
  if (changed)
    vp_holds_save_or_warn (holds, uuid);
}

/* It ended: nothing is promised to it any more, and others may have its devices and CPUs. */
static gboolean
begin_release (VpHolds *holds, const char *uuid)
{
  g_mutex_lock (&holds->mutex);
  VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  if (hold != NULL) {
    hold->state = VP_HOLD_RELEASING;
    hold->unconfirmed = FALSE;
    g_clear_pointer (&hold->silent, g_free);
    g_ptr_array_set_size (hold->devices, 0);
    g_clear_pointer (&hold->cpus, g_free);
  }
  g_mutex_unlock (&holds->mutex);
  if (hold != NULL)
    vp_holds_save_or_warn (holds, uuid);
  return hold != NULL;
}

static VpHold *
lookup_releasing (VpHolds *holds, const char *uuid)
{
  g_mutex_lock (&holds->mutex);
  VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  if (hold != NULL && hold->state != VP_HOLD_RELEASING)
    hold = NULL;
  g_mutex_unlock (&holds->mutex);
  return hold;
}

gboolean
vp_holds_release (VpHolds *holds, const char *uuid, gint64 deadline)
{
  g_autoptr (GError) error = NULL;

  if (!begin_release (holds, uuid))
    return TRUE;
  if (!vp_holds_begin_work (holds, uuid, deadline, &error)) {
    g_message ("domain %s: what it held is given back later: %s", uuid, error->message);
    return FALSE;
  }
  VpHold *hold = lookup_releasing (holds, uuid);
  gboolean done = hold == NULL || vp_holds_undo_all (holds, hold);
  vp_holds_end_work (holds);
  return done;
}

gboolean
vp_holds_undo_releasing (VpHolds *holds, const VpHold *but)
{
  g_auto (GStrv) uuids = vp_holds_list (holds);
  gboolean all = TRUE;

  for (guint i = 0; uuids[i] != NULL; i++) {
    VpHold *hold = lookup_releasing (holds, uuids[i]);
    if (hold != NULL && hold != but && !vp_holds_undo_all (holds, hold))
      all = FALSE;
  }
  return all;
}

gboolean
vp_holds_retry (VpHolds *holds)
{
  if (!vp_holds_begin_work (holds, "another guest", 0, NULL))
    return TRUE;
  gboolean all = vp_holds_undo_releasing (holds, NULL);
  vp_holds_end_work (holds);
  return !all;
}

void
vp_holds_begin_reconcile (VpHolds *holds)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_mutex_lock (&holds->mutex);
  g_hash_table_iter_init (&iter, holds->table);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    VpHold *hold = value;
    hold->unconfirmed = hold->state != VP_HOLD_TAKING; /* that one is being heard of right now */
  }
  g_mutex_unlock (&holds->mutex);
}

/* TRUE: it has to be released. */
static gboolean
confirm (VpHolds *holds, const char *uuid, gboolean runs, gboolean *adopted)
{
  gboolean gone = FALSE;

  g_mutex_lock (&holds->mutex);
  VpHold *hold = g_hash_table_lookup (holds->table, uuid);
  if (hold != NULL && hold->unconfirmed) {
    gone = !runs;
    *adopted = runs && hold->state != VP_HOLD_RUNNING;
    if (runs)
      hold->state = VP_HOLD_RUNNING;
    hold->unconfirmed = FALSE;
  }
  g_mutex_unlock (&holds->mutex);
  return gone;
}

void
vp_holds_reconcile (VpHolds *holds, const char *const *running)
{
  g_auto (GStrv) uuids = vp_holds_list (holds);

  for (guint i = 0; uuids[i] != NULL; i++) {
    gboolean adopted = FALSE;
    if (confirm (holds, uuids[i], g_strv_contains (running, uuids[i]), &adopted)) {
      g_message ("domain %s runs no more: what it held is given back", uuids[i]);
      (void) vp_holds_release (holds, uuids[i], g_get_monotonic_time () + RECONCILE_WAIT);
    }
    if (adopted)
      vp_holds_save_or_warn (holds, uuids[i]);
  }
}
