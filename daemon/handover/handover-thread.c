/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that gives back, and whoever pokes it. */
#include "daemon/handover/handover.h"

#include <unistd.h>

#include "daemon/handover/handover-private.h"

/* TRUE: look now. With nothing left it waits for a poke. */
static gboolean
wait_for_work (VpHandover *handover, gboolean left, guint *seen)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&handover->mutex);
  gint64 again = g_get_monotonic_time () + handover->second;

  while (!handover->ending && handover->pokes == *seen) {
    if (!left)
      g_cond_wait (&handover->changed, &handover->mutex);
    else if (!g_cond_wait_until (&handover->changed, &handover->mutex, again))
      break;
  }
  while (!handover->ending && (handover->busy || handover->wanted > 0))
    g_cond_wait (&handover->changed, &handover->mutex);
  *seen = handover->pokes;
  handover->busy = !handover->ending;
  return !handover->ending;
}

static gpointer
return_thread (gpointer data)
{
  VpHandover *handover = data;
  gboolean left = TRUE;
  guint seen = G_MAXUINT; /* so that what the last daemon left is looked at now */

  while (wait_for_work (handover, left, &seen)) {
    left = vp_handover_return_all (handover);
    vp_handover_end (handover);
  }
  return NULL;
}

VpHandover *
vp_handover_new (const VpRoot *root, VpBook *book, const char *run_folder, const char *bus, gint64 second)
{
  VpHandover *handover = g_new0 (VpHandover, 1);

  handover->root = root;
  handover->book = book;
  handover->bus = vp_system_bus_new (bus);
  handover->story = vp_story_load (root, run_folder);
  handover->inhibitor = -1;
  handover->second = second;
  handover->tries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  handover->waiting = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_mutex_init (&handover->mutex);
  g_cond_init (&handover->changed);
  handover->thread = g_thread_new ("handover", return_thread, handover);
  return handover;
}

void
vp_handover_free (VpHandover *handover)
{
  if (handover == NULL)
    return;
  g_mutex_lock (&handover->mutex);
  handover->ending = TRUE;
  g_cond_broadcast (&handover->changed);
  g_mutex_unlock (&handover->mutex);
  g_thread_join (handover->thread);
  if (handover->inhibitor >= 0)
    (void) close (handover->inhibitor);
  vp_story_free (handover->story);
  vp_system_bus_free (handover->bus);
  g_hash_table_unref (handover->tries);
  g_hash_table_unref (handover->waiting);
  g_cond_clear (&handover->changed);
  g_mutex_clear (&handover->mutex);
  g_free (handover);
}

GPtrArray *
vp_handover_list_sessions (VpHandover *handover)
{
  return vp_desktop_list_sessions (handover->bus, NULL);
}

void
vp_handover_poke (VpHandover *handover)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&handover->mutex);

  handover->pokes++;
  g_cond_broadcast (&handover->changed);
}

/* What guests hold by a handover, and whether one of them has ended; NULL: none does. */
static char *
dup_left (VpHandover *handover, gboolean *ended)
{
  g_auto (GStrv) uuids = vp_book_list (handover->book);
  g_autoptr (GString) text = g_string_new (NULL);

  *ended = FALSE;
  for (guint i = 0; uuids[i] != NULL; i++) {
    g_autoptr (VpHolding) holding = vp_book_dup (handover->book, uuids[i]);
    for (guint j = 0; holding != NULL && j < holding->records->len; j++) {
      const VpHoldingRecord *record = holding->records->pdata[j];
      gboolean has_ended = holding->state == VP_HOLDING_RELEASING;
      if (record->kind != VP_HOLDING_HANDOVER)
        continue;
      *ended = *ended || has_ended;
      g_string_append_printf (text, "%s: %s: %s\n", holding->name, record->key,
                              has_ended ? "is not back yet" : "comes back when the guest has ended");
    }
  }
  return text->len > 0 ? g_strdup (text->str) : NULL;
}

gboolean
vp_handover_give_back (VpHandover *handover, guint seconds, char **lines)
{
  gint64 end = g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND;
  gboolean ended = FALSE;

  vp_system_bus_end_rest (handover->bus);
  if (vp_handover_begin (handover, end, NULL)) {
    g_hash_table_remove_all (handover->tries);
    g_hash_table_remove_all (handover->waiting);
    vp_handover_end (handover);
  }
  vp_handover_poke (handover);
  *lines = dup_left (handover, &ended);
  while (ended && g_get_monotonic_time () < end && vp_handover_pause (handover, FALSE)) {
    g_free (*lines);
    *lines = dup_left (handover, &ended);
  }
  if (*lines == NULL)
    *lines = g_strdup ("nothing is to be brought back\n");
  return !ended;
}
