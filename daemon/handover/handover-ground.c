/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock, the waiting, the words: what taking and giving back have in common. */
#include "daemon/handover/handover-private.h"

#include <unistd.h>

#include "base/error.h"

#define MODULE_WAIT (10 * G_TIME_SPAN_SECOND)

gboolean
vp_handover_begin (VpHandover *handover, gint64 deadline, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&handover->mutex);
  gboolean in_time = TRUE;

  handover->wanted++;
  while (handover->busy && in_time && !handover->ending)
    in_time = g_cond_wait_until (&handover->changed, &handover->mutex, deadline);
  handover->wanted--;
  if (handover->busy || handover->ending) {
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "a card is being handed over, or comes back, at this moment: start it again in a moment");
    return FALSE;
  }
  handover->busy = TRUE;
  return TRUE;
}

void
vp_handover_end (VpHandover *handover)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&handover->mutex);

  handover->busy = FALSE;
  g_cond_broadcast (&handover->changed);
}

gboolean
vp_handover_pause (VpHandover *handover, gboolean yield)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&handover->mutex);
  gint64 until = g_get_monotonic_time () + VP_HANDOVER_POLL_MS * G_TIME_SPAN_MILLISECOND;

  while (!handover->ending && !(yield && handover->wanted > 0) &&
         g_cond_wait_until (&handover->changed, &handover->mutex, until))
    ;
  return !handover->ending && !(yield && handover->wanted > 0);
}

gboolean
vp_handover_may_return (VpHandover *handover)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&handover->mutex);

  return !handover->ending && handover->wanted == 0;
}

void
vp_handover_tell (VpHandover *handover, const char *name, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_autofree char *words = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autofree char *line = g_strdup_printf ("%s: %s", name, words);
  g_message ("domain '%s': handover: %s", name, words);
  vp_story_add (handover->story, line);
}

/* Of all guests; one that ended may have some that are still to be undone. */
static gboolean
has_steps (VpBook *book)
{
  g_auto (GStrv) uuids = vp_book_list (book);

  for (guint i = 0; uuids[i] != NULL; i++) {
    g_autoptr (VpHolding) holding = vp_book_dup (book, uuids[i]);
    for (guint j = 0; holding != NULL && j < holding->records->len; j++)
      if (((const VpHoldingRecord *) holding->records->pdata[j])->kind == VP_HOLDING_HANDOVER)
        return TRUE;
  }
  return FALSE;
}

gboolean
vp_handover_set_inhibitor (VpHandover *handover)
{
  gboolean wanted = has_steps (handover->book);
  g_autoptr (GError) error = NULL;

  if (wanted == (handover->inhibitor >= 0))
    return FALSE;
  if (!wanted) {
    (void) close (handover->inhibitor);
    handover->inhibitor = -1;
    return FALSE;
  }
  handover->inhibitor =
    vp_desktop_inhibit_sleep (handover->bus, "a guest has the host's graphics card (vfio-profile)", &error);
  if (handover->inhibitor < 0)
    g_debug ("the host may suspend while a guest has its card: %s", error->message);
  return handover->inhibitor < 0 && vp_desktop_is_unheard (error);
}

gboolean
vp_handover_await_service (VpHandover *handover, const char *unit, gboolean active, gint64 deadline, gboolean yield,
                           GError **error)
{
  for (;;) {
    VpServiceState state = { 0 };
    g_autoptr (GError) problem = NULL;
    gboolean known = vp_desktop_read_service (handover->bus, unit, &state, &problem);
    if (known && state.settled && state.active == active)
      return TRUE;
    gboolean may_change = known ? !state.settled : vp_desktop_is_unheard (problem);
    if (may_change && g_get_monotonic_time () < deadline && vp_handover_pause (handover, yield))
      continue;
    if (known)
      g_set_error (error, VP_ERROR, VP_ERROR_HOST, "%s did not %s in time: it is '%s'", unit, active ? "start" : "stop",
                   state.state);
    else
      g_propagate_prefixed_error (error, g_steal_pointer (&problem), "whether %s did %s is not known: ", unit,
                                  active ? "start" : "stop");
    return FALSE;
  }
}

gboolean
vp_handover_is_module (const VpHandover *handover, const char *name, guint64 *users)
{
  g_autofree char *file = g_strdup_printf ("sys/module/%s/refcnt", name);

  return vp_root_read_number (handover->root, file, 10, users);
}

gboolean
vp_handover_run_module (VpHandover *handover, const char *verb, const char *name, gboolean yield, GError **error)
{
  g_autofree char *unit = g_strdup_printf ("vfio-profile-%s@%s.service", verb, name);

  return vp_desktop_start_service (handover->bus, unit, error) &&
         vp_handover_await_service (handover, unit, FALSE, g_get_monotonic_time () + MODULE_WAIT, yield, error);
}
