/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When a guest has ended: what is missing comes back, in reverse. Looks at what is there and not at how far taking came,
 * so it may begin anywhere. The record of a card is dropped last: as long as it is there, the card
 * is asked for its driver first, and another guest that has it is waited for.
 */
#include <string.h>

#include "daemon/handover/handover-private.h"

#define PROBE_AFTER (3 * G_TIME_SPAN_SECOND)   /* libvirt does it itself, a moment after the guest's end */
#define CARD_WAIT (20 * G_TIME_SPAN_SECOND)    /* then all else comes back without it */
#define NODE_WAIT (5 * G_TIME_SPAN_SECOND)     /* a driver that is bound may still be at work */
#define SERVICE_WAIT (90 * G_TIME_SPAN_SECOND) /* systemd's own patience with a start */

/* Before a service that did not start is tried again, in seconds: a driver may still be at work on the card. */
static const guint pauses[] = { 2, 10, 30 };

typedef struct {
  VpHandover *handover;
  const VpHolding *holding;
  gboolean left;    /* something is to be looked at again */
  gboolean unheard; /* systemd is: what is left comes behind it */
} Returning;

static void
drop (const Returning *returning, const VpHandoverStep *step)
{
  g_autofree char *key = vp_handover_step_dup_key (step);

  (void) vp_book_drop_step (returning->handover->book, returning->holding->uuid, key,
                            g_get_monotonic_time () + VP_HANDOVER_BOOK_WAIT);
}

static gboolean
is_held (const Returning *returning, const VpPciAddress *address)
{
  g_autoptr (GArray) held = vp_book_dup_devices (returning->handover->book, returning->holding->uuid);

  for (guint i = 0; i < held->len; i++)
    if (vp_pci_address_equal (&g_array_index (held, VpDeviceHeld, i).address, address))
      return TRUE;
  return FALSE;
}

/* The driver's name; NULL: it has none. */
static char *
dup_driver (const VpRoot *root, const char *address)
{
  g_autofree char *link = g_strdup_printf ("sys/bus/pci/devices/%s/driver", address);

  return vp_root_dup_link_name (root, link);
}

static gboolean
has_nodes (const VpRoot *root, const char *address, const char *driver)
{
  g_autofree char *folder = g_strdup_printf ("sys/bus/pci/devices/%s/drm", address);
  g_auto (GStrv) nodes = vp_root_list (root, folder);

  return nodes[0] != NULL || strcmp (driver, "nvidia") == 0; /* its nodes are those of a module that comes later */
}

static void
probe (const Returning *returning, const char *address)
{
  g_autoptr (GError) error = NULL;

  if (vp_root_write_text (returning->handover->root, "sys/bus/pci/drivers_probe", address, NULL, &error))
    vp_handover_tell (returning->handover, returning->holding->name, "%s was left without a driver: it is probed",
                      address);
}

/* TRUE: what runs on it may come back. */
static gboolean
is_card_back (Returning *returning, const VpHandoverStep *step)
{
  VpHandover *handover = returning->handover;
  g_autofree char *driver = dup_driver (handover->root, step->name);
  gint64 now = g_get_monotonic_time ();
  gint64 *since = g_hash_table_lookup (handover->waiting, returning->holding->uuid);
  VpPciAddress address;

  if (vp_pci_address_parse (step->name, &address) && is_held (returning, &address))
    return FALSE;
  if (since == NULL) {
    since = g_memdup2 (&now, sizeof now);
    g_hash_table_insert (handover->waiting, g_strdup (returning->holding->uuid), since);
  }
  gint64 waited = now - *since;
  gboolean is_host = driver != NULL && strstr (driver, "vfio") == NULL;
  if (is_host && (has_nodes (handover->root, step->name, driver) || waited > NODE_WAIT))
    return TRUE;
  if (!is_host && waited > CARD_WAIT) {
    vp_handover_tell (handover, returning->holding->name,
                      "the driver %s is not back on %s (it has %s): the rest comes back without it; try 'echo %s > "
                      "/sys/bus/pci/drivers_probe', or boot",
                      step->before, step->name, driver != NULL ? driver : "none", step->name);
    return TRUE;
  }
  if (driver == NULL && waited > PROBE_AFTER)
    probe (returning, step->name);
  return FALSE;
}

static VpReturnTry *
get_try (const Returning *returning, const VpHandoverStep *step)
{
  GHashTable *tries = returning->handover->tries;
  VpReturnTry *try = g_hash_table_lookup (tries, step->name);

  if (try == NULL) {
    try = g_new0 (VpReturnTry, 1);
    g_hash_table_insert (tries, g_strdup (step->name), try);
  }
  return try;
}

/* Nothing was tried: it is looked at again as long as it takes. Said once. */
static gboolean
wait_for_systemd (Returning *returning, const VpHandoverStep *step, const GError *error)
{
  VpReturnTry *try = get_try (returning, step);

  if (!try->told)
    vp_handover_tell (returning->handover, returning->holding->name,
                      "%s waits for systemd, which is asked until it answers: %s", step->name, error->message);
  try->told = TRUE;
  returning->left = returning->unheard = TRUE;
  return FALSE;
}

static gboolean
give_module (Returning *returning, const VpHandoverStep *step)
{
  VpHandover *handover = returning->handover;
  g_autoptr (GError) error = NULL;
  guint64 users = 0;

  if (vp_handover_is_module (handover, step->name, &users))
    return TRUE;
  if (vp_handover_run_module (handover, "load", step->name, TRUE, &error) &&
      vp_handover_is_module (handover, step->name, &users))
    vp_handover_tell (handover, returning->holding->name, "the module %s is loaded again", step->name);
  else if (vp_desktop_is_unheard (error))
    return wait_for_systemd (returning, step, error);
  else
    vp_handover_tell (handover, returning->holding->name, "the module %s does not load: %s", step->name,
                      error != NULL ? error->message : "see the kernel's log");
  (void) g_hash_table_remove (handover->tries, step->name);
  return TRUE;
}

static gboolean
give_firmware (Returning *returning, const VpHandoverStep *step)
{
  vp_handover_tell (returning->handover, returning->holding->name,
                    "the firmware's frame buffer (%s) comes back with the next boot", step->name);
  return TRUE;
}

/* Its number may be another one than before. */
static gboolean
give_console (Returning *returning, const VpHandoverStep *step)
{
  const VpRoot *root = returning->handover->root;
  g_auto (GStrv) consoles = vp_root_list (root, VP_CONSOLES);
  const char *what = "there is no frame buffer for it";

  (void) step;
  for (guint i = 0; consoles[i] != NULL; i++) {
    g_autofree char *name_file = g_strdup_printf (VP_CONSOLES "/%s/name", consoles[i]);
    g_autofree char *bind_file = g_strdup_printf (VP_CONSOLES "/%s/bind", consoles[i]);
    g_autofree char *name = vp_root_dup_text (root, name_file);
    guint64 bound = 0;
    if (name == NULL || strstr (name, "frame buffer") == NULL)
      continue;
    if (!vp_root_read_number (root, bind_file, 10, &bound) || bound != 1)
      (void) vp_root_write_text (root, bind_file, "1", NULL, NULL);
    if (vp_root_read_number (root, bind_file, 10, &bound) && bound == 1) {
      vp_handover_tell (returning->handover, returning->holding->name, "the text console is back (%s)", consoles[i]);
      return TRUE;
    }
    what = "the kernel does not bind it again before its driver is bound anew (a host that booted by BIOS)";
  }
  vp_handover_tell (returning->handover, returning->holding->name, "the text console is not back: %s", what);
  return TRUE;
}

static gboolean
give_session (Returning *returning, const VpHandoverStep *step)
{
  (void) returning, (void) step;
  return TRUE; /* whoever sits there logs in again */
}

static gboolean
fail_unit (Returning *returning, const VpHandoverStep *step, const GError *error)
{
  VpHandover *handover = returning->handover;
  VpReturnTry *try = get_try (returning, step);
  guint pause = try->failed < G_N_ELEMENTS (pauses) ? pauses[try->failed] : 0;

  try->failed++;
  try->told = FALSE;
  try->again = g_get_monotonic_time () + pause * handover->second;
  if (pause > 0)
    vp_handover_tell (handover, returning->holding->name, "%s does not come back yet: %s; it is tried again in %u s",
                      step->name, error->message, pause);
  else
    vp_handover_tell (handover, returning->holding->name,
                      "%s is not back: %s; tried again three times: see 'systemctl status' of it, then run "
                      "'vfio-profile handover --give-back'",
                      step->name, error->message);
  returning->left = returning->left || pause > 0;
  return FALSE;
}

/* FALSE: it was tried too often, or its next try comes later. */
static gboolean
is_due (Returning *returning, const VpHandoverStep *step)
{
  const VpReturnTry *try = g_hash_table_lookup (returning->handover->tries, step->name);

  if (try == NULL || (try->failed <= G_N_ELEMENTS (pauses) && g_get_monotonic_time () >= try->again))
    return TRUE;
  returning->left = returning->left || try->failed <= G_N_ELEMENTS (pauses);
  return FALSE;
}

static gboolean
give_unit (Returning *returning, const VpHandoverStep *step)
{
  VpHandover *handover = returning->handover;
  VpServiceState state = { 0 };
  g_autoptr (GError) error = NULL;
  gint64 deadline = g_get_monotonic_time () + SERVICE_WAIT;

  gboolean known = vp_desktop_read_service (handover->bus, step->name, &state, &error);
  gboolean runs = known && state.active && state.settled;
  if (known && !runs && !is_due (returning, step))
    return FALSE;
  if (runs || (known && vp_desktop_start_service (handover->bus, step->name, &error) &&
               vp_handover_await_service (handover, step->name, TRUE, deadline, TRUE, &error))) {
    if (g_hash_table_remove (handover->tries, step->name) || !runs)
      vp_handover_tell (handover, returning->holding->name, "%s is started again", step->name);
    return TRUE;
  }
  if (!vp_handover_may_return (handover)) {
    returning->left = TRUE;
    return FALSE;
  }
  return vp_desktop_is_unheard (error) ? wait_for_systemd (returning, step, error) : fail_unit (returning, step, error);
}

/* Of VpHandoverStep *, in the reverse order of taking; cards first. */
static GPtrArray *
list_back (const VpHolding *holding)
{
  GPtrArray *steps = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_handover_step_free);

  for (int kind = VP_N_STEP_KINDS - 1; kind >= 0; kind--)
    for (guint i = holding->records->len; i > 0; i--) {
      const VpHoldingRecord *record = holding->records->pdata[i - 1];
      g_autoptr (VpHandoverStep) step =
        record->kind == VP_HOLDING_HANDOVER ? vp_handover_step_parse (record->key, record->before) : NULL;
      if (step != NULL && step->kind == (VpStepKind) kind)
        g_ptr_array_add (steps, g_steal_pointer (&step));
    }
  return steps;
}

static gboolean
are_cards_back (Returning *returning, const GPtrArray *steps)
{
  for (guint i = 0; i < steps->len; i++) {
    const VpHandoverStep *step = steps->pdata[i];
    if (step->kind == VP_STEP_CARD && !is_card_back (returning, step)) {
      returning->left = TRUE;
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
give (Returning *returning, const VpHandoverStep *step)
{
  static gboolean (*const gives[VP_N_STEP_KINDS]) (Returning *, const VpHandoverStep *) = {
    [VP_STEP_UNIT] = give_unit,         [VP_STEP_SESSION] = give_session, [VP_STEP_CONSOLE] = give_console,
    [VP_STEP_FIRMWARE] = give_firmware, [VP_STEP_MODULE] = give_module,
  };

  return gives[step->kind] == NULL || gives[step->kind](returning, step);
}

static void
return_steps (Returning *returning, const GPtrArray *steps)
{
  gboolean all = TRUE;

  for (guint i = 0; i < steps->len; i++) {
    const VpHandoverStep *step = steps->pdata[i];
    if (step->kind == VP_STEP_CARD)
      continue;
    if (!vp_handover_may_return (returning->handover)) {
      returning->left = TRUE;
      return;
    }
    if (give (returning, step))
      drop (returning, step);
    else
      all = FALSE;
    if (returning->unheard)
      return;
  }
  for (guint i = 0; all && i < steps->len; i++)
    if (((const VpHandoverStep *) steps->pdata[i])->kind == VP_STEP_CARD)
      drop (returning, steps->pdata[i]);
  if (all)
    vp_handover_tell (returning->handover, returning->holding->name, "all is back that the card was taken from");
}

/* TRUE: it has to be looked at again. */
static gboolean
return_guest (VpHandover *handover, const VpHolding *holding)
{
  Returning returning = { handover, holding, FALSE, FALSE };
  g_autoptr (GPtrArray) steps = list_back (holding);

  if (steps->len == 0)
    return FALSE;
  if (vp_desktop_is_ending (handover->bus))
    return FALSE; /* and the journal goes with the boot */
  if (!are_cards_back (&returning, steps))
    return returning.left;
  return_steps (&returning, steps);
  if (!returning.left)
    g_hash_table_remove (handover->waiting, holding->uuid);
  return returning.left;
}

gboolean
vp_handover_return_all (VpHandover *handover)
{
  g_auto (GStrv) uuids = vp_book_list (handover->book);
  gboolean left = FALSE;

  for (guint i = 0; uuids[i] != NULL; i++) {
    g_autoptr (VpHolding) holding = vp_book_dup (handover->book, uuids[i]);
    if (holding != NULL && holding->state == VP_HOLDING_RELEASING && return_guest (handover, holding))
      left = TRUE;
    else if (holding == NULL || holding->state != VP_HOLDING_RELEASING)
      g_hash_table_remove (handover->waiting, uuids[i]);
  }
  return vp_handover_set_inhibitor (handover) || left;
}
