/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * At a start: who is on the card leaves it, one step after the other. The consoles come after the wait for
 * the nodes, for where the host booted by BIOS a text console does not come back before the driver is bound anew, and a
 * start that somebody else makes fail would cost it.
 */
#include "daemon/handover/handover-private.h"

#include <string.h>

#include "base/error.h"
#include "base/list.h"
#include "devices/devices.h"

#define LOOK_MS 2000 /* for the processes that have a device open */
#define BEGIN_SECONDS 20
#define SLACK_SECONDS 15 /* beside the deadline: the beginning, and what is no wait */

/* One start. All borrowed but what is made of it. */
typedef struct {
  VpHandover *handover;
  const VpHandoverRequest *request;
  VpHandoverWishes *wishes;
  VpDeviceFacts *facts;
  GPtrArray *sessions; /* NULL: not known */
  GPtrArray *steps;
  gint64 deadline;
} Taking;

static void
taking_clear (Taking *taking)
{
  vp_handover_wishes_free (taking->wishes);
  vp_device_facts_free (taking->facts);
  g_clear_pointer (&taking->sessions, g_ptr_array_unref);
  g_clear_pointer (&taking->steps, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Taking, taking_clear)

/* Who has a node of these cards open, in words; NULL: nobody. `covered`: also those who may be asked to leave. */
static char *
dup_holders (const Taking *taking, const VpDeviceFacts *facts, gboolean covered)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < facts->uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    VpHandoverStep *step = NULL;
    if (!vp_handover_is_holder (facts, taking->request->hostdevs, use))
      continue;
    gboolean leaves = vp_handover_covers (taking->wishes, facts, taking->sessions, use, &step);
    gboolean lets_go = leaves && step == NULL;
    vp_handover_step_free (step);
    if (lets_go || (leaves && !covered))
      continue;
    g_autofree char *unit = g_strescape (use->unit != NULL ? use->unit : "no unit of systemd's", NULL);
    g_ptr_array_add (words, g_strdup_printf ("%s (%d, in %s) has %s open", use->user, use->pid, unit, use->node));
  }
  return words->len > 0 ? vp_list_dup_words (words) : NULL;
}

static gboolean
has_step (const Taking *taking, VpStepKind kind)
{
  for (guint i = 0; i < taking->steps->len; i++)
    if (((const VpHandoverStep *) taking->steps->pdata[i])->kind == kind)
      return TRUE;
  return FALSE;
}

/* As it is now: what was found before the pages were allocated may be a minute old. */
static gboolean
look (Taking *taking, GError **error)
{
  const GArray *hostdevs = taking->request->hostdevs;

  taking->facts = vp_devices_read (taking->handover->root, hostdevs, LOOK_MS, error);
  if (taking->facts == NULL)
    return FALSE;
  g_autoptr (GError) unheard = NULL;
  taking->sessions = vp_desktop_list_sessions (taking->handover->bus, &unheard);
  g_autofree char *strangers = dup_holders (taking, taking->facts, FALSE);
  if (strangers != NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "the host is using the card, and devices.handover may not stop who does: %s; nothing was stopped",
                 strangers);
    return FALSE;
  }
  if (taking->facts->cut_short) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "who uses the card is not known: there are too many processes to look at in time");
    return FALSE;
  }
  taking->steps = vp_handover_list_steps (taking->wishes, taking->facts, hostdevs, taking->sessions);
  if (unheard == NULL || !has_step (taking, VP_STEP_SESSION))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&unheard)); /* it could not be ended */
  return FALSE;
}

static gboolean
note (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  g_autofree char *key = vp_handover_step_dup_key (step);

  return vp_book_note_step (taking->handover->book, taking->request->uuid, taking->request->name, key, step->before,
                            g_get_monotonic_time () + VP_HANDOVER_BOOK_WAIT, error);
}

static gboolean
take_unit (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  VpHandover *handover = taking->handover;
  VpServiceState state = { 0 };

  if (!vp_desktop_read_service (handover->bus, step->name, &state, error))
    return FALSE;
  if (!state.active && state.settled)
    return TRUE;
  if ((state.active && !note (taking, step, error)) || !vp_desktop_stop_service (handover->bus, step->name, error) ||
      !vp_handover_await_service (handover, step->name, FALSE, taking->deadline, FALSE, error))
    return FALSE;
  vp_handover_tell (handover, taking->request->name, "%s is stopped: %s", step->name, step->reason);
  return TRUE;
}

static gboolean
has_session (const GPtrArray *sessions, const char *id)
{
  for (guint i = 0; i < sessions->len; i++)
    if (strcmp (((const VpSeatSession *) sessions->pdata[i])->id, id) == 0)
      return TRUE;
  return FALSE;
}

/* Most have ended with their display manager. */
static gboolean
take_session (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  VpHandover *handover = taking->handover;
  g_autoptr (GPtrArray) sessions = vp_desktop_list_sessions (handover->bus, error);

  if (sessions == NULL)
    return FALSE;
  if (has_session (sessions, step->name) &&
      (!note (taking, step, error) || !vp_desktop_end_session (handover->bus, step->name, error)))
    return FALSE;
  vp_handover_tell (handover, taking->request->name, "session %s has ended: %s", step->name, step->reason);
  return TRUE;
}

static gboolean
take_wait (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  VpHandover *handover = taking->handover;

  (void) step;
  for (;;) {
    g_autoptr (VpDeviceFacts) facts = vp_devices_read (handover->root, taking->request->hostdevs, LOOK_MS, error);
    g_autofree char *holders = facts != NULL ? dup_holders (taking, facts, TRUE) : NULL;
    if (facts == NULL)
      return FALSE;
    if (holders == NULL && !facts->cut_short)
      return TRUE;
    if (g_get_monotonic_time () < taking->deadline && vp_handover_pause (handover, FALSE))
      continue;
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "the card is still in use after %u s (devices.handover-deadline): %s; all that was stopped comes back",
                 taking->wishes->deadline, holders != NULL ? holders : "by whom is not known");
    return FALSE;
  }
}

static gboolean
take_console (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  g_autofree char *file = g_strdup_printf (VP_CONSOLES "/%s/bind", step->name);

  if (!note (taking, step, error) || !vp_root_write_text (taking->handover->root, file, "0", NULL, error))
    return FALSE;
  vp_handover_tell (taking->handover, taking->request->name, "the text console (%s) is off the card", step->name);
  return TRUE;
}

static gboolean
take_firmware (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  const VpRoot *root = taking->handover->root;
  g_autofree char *link = g_strdup_printf ("sys/bus/platform/devices/%s/driver", step->name);
  g_autofree char *driver = vp_root_dup_link_name (root, link);
  g_autofree char *file = g_strdup_printf ("sys/bus/platform/drivers/%s/unbind", driver != NULL ? driver : "");

  if (driver == NULL)
    return TRUE;
  if (!note (taking, step, error) || !vp_root_write_text (root, file, step->name, NULL, error))
    return FALSE;
  vp_handover_tell (taking->handover, taking->request->name,
                    "the firmware's frame buffer (%s) is off the card until the next boot", step->name);
  return TRUE;
}

/* In use it stays: another card is NVIDIA's, too. */
static gboolean
take_module (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  VpHandover *handover = taking->handover;
  const char *name = taking->request->name;
  guint64 users = 0;

  if (!vp_handover_is_module (handover, step->name, &users))
    return TRUE;
  if (users > 0) {
    vp_handover_tell (handover, name, "the module %s stays: it has %" G_GUINT64_FORMAT " other users", step->name,
                      users);
    return TRUE;
  }
  if (!note (taking, step, error) || !vp_handover_run_module (handover, "unload", step->name, FALSE, error))
    return FALSE;
  if (vp_handover_is_module (handover, step->name, &users)) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "the module %s could not be unloaded: see 'journalctl -u vfio-profile-unload@%s'", step->name,
                 step->name);
    return FALSE;
  }
  vp_handover_tell (handover, name, "the module %s is unloaded", step->name);
  return TRUE;
}

static gboolean
take_card (const Taking *taking, const VpHandoverStep *step, GError **error)
{
  if (!note (taking, step, error))
    return FALSE;
  vp_handover_tell (taking->handover, taking->request->name, "%s is free, libvirt takes it from %s", step->name,
                    step->before);
  return TRUE;
}

static gboolean
take_all (const Taking *taking, GError **error)
{
  static gboolean (*const takes[VP_N_STEP_KINDS]) (const Taking *, const VpHandoverStep *, GError **) = {
    [VP_STEP_UNIT] = take_unit,       [VP_STEP_SESSION] = take_session,   [VP_STEP_WAIT] = take_wait,
    [VP_STEP_CONSOLE] = take_console, [VP_STEP_FIRMWARE] = take_firmware, [VP_STEP_MODULE] = take_module,
    [VP_STEP_CARD] = take_card,
  };

  for (guint i = 0; i < taking->steps->len; i++) {
    const VpHandoverStep *step = taking->steps->pdata[i];
    if (!takes[step->kind](taking, step, error))
      return FALSE;
  }
  return TRUE;
}

guint
vp_handover_seconds (const VpHandoverRequest *request)
{
  if (vp_settings_choice (request->settings, VP_KEY_DEVICES_HANDOVER) != VP_HANDOVER_YES)
    return 0;
  const char *text = vp_settings_get (request->settings, VP_KEY_DEVICES_HANDOVER_DEADLINE);
  return (guint) g_ascii_strtoull (text, NULL, 10) + BEGIN_SECONDS + SLACK_SECONDS;
}

static gboolean
take (Taking *taking, GError **error)
{
  VpHandover *handover = taking->handover;

  taking->deadline = g_get_monotonic_time () + taking->wishes->deadline * G_TIME_SPAN_SECOND;
  vp_story_begin (handover->story);
  g_hash_table_remove_all (handover->tries); /* of a return that is over, or is put off */
  g_autoptr (GError) problem = NULL;
  gboolean taken = look (taking, &problem) && take_all (taking, &problem);
  if (!taken) {
    vp_handover_tell (handover, taking->request->name, "the start is refused: %s", problem->message);
    g_propagate_error (error, g_steal_pointer (&problem));
  }
  if (vp_handover_set_inhibitor (handover))
    vp_handover_poke (handover);
  return taken;
}

gboolean
vp_handover_take (VpHandover *handover, const VpHandoverRequest *request, GError **error)
{
  g_auto (Taking) taking = { .handover = handover, .request = request };

  taking.wishes = vp_handover_wishes_read (handover->root, request->settings);
  if (taking.wishes == NULL || request->hostdevs->len == 0)
    return TRUE;
  if (!vp_handover_begin (handover, g_get_monotonic_time () + BEGIN_SECONDS * G_TIME_SPAN_SECOND, error))
    return FALSE;
  gboolean taken = take (&taking, error);
  vp_handover_end (handover);
  return taken;
}

char *
vp_handover_dup_plan (VpHandover *handover, const VpHandoverRequest *request, GError **error)
{
  g_auto (Taking) taking = { .handover = handover, .request = request };
  g_autoptr (GString) text = g_string_new (NULL);

  taking.wishes = vp_handover_wishes_read (handover->root, request->settings);
  if (taking.wishes == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "its profile asks for no handover: set devices.handover to yes, as the profile 'one-card' does");
    return NULL;
  }
  if (!look (&taking, error))
    return NULL;
  for (guint i = 0; i < taking.steps->len; i++) {
    const VpHandoverStep *step = taking.steps->pdata[i];
    g_autofree char *words = vp_handover_step_describe (step, FALSE);
    g_string_append_printf (text, "%2u  %s%s%s\n", i + 1, words, step->reason[0] != '\0' ? ": " : "", step->reason);
  }
  return text->len > 0 ? g_strdup (text->str) : g_strdup ("nobody uses the card: nothing would be stopped\n");
}
