/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may be asked to leave, and in which order. */
#include "devices/handover-plan.h"

#include <string.h>

#include "base/list.h"

#define DISPLAY_MANAGER "display-manager.service"
#define NVIDIA "nvidia"

/* A start that stops one of these waits for itself, or takes the host's ground away. */
static const char *const needed[] = { "libvirtd.service",       "virtqemud.service",
                                      "virtlogd.service",       "vfio-profiled.service",
                                      "dbus.service",           "dbus-broker.service",
                                      "systemd-logind.service", NULL };

/* They have the nodes of all cards open, and close those of one that leaves. */
static const char *const sound_servers[] = { "pipewire", "pipewire-pulse", "wireplumber", "pulseaudio", NULL };

static const struct {
  const char *word; /* in the journal */
  const char *take;
  const char *give;
} kinds[VP_N_STEP_KINDS] = {
  [VP_STEP_UNIT] = { "unit", "stop %s", "start %s" },
  [VP_STEP_SESSION] = { "session", "end session %s", "session %s has ended for good" },
  [VP_STEP_WAIT] = { "wait", "wait until nobody has %s open", "" },
  [VP_STEP_CONSOLE] = { "console", "take the text console off the card (%s)", "put the text console back (%s)" },
  [VP_STEP_FIRMWARE] = { "firmware", "take the firmware's frame buffer off the card, until the next boot (%s)",
                         "%s comes back with the next boot" },
  [VP_STEP_MODULE] = { "module", "unload the module %s, if nothing else uses it", "load the module %s" },
  [VP_STEP_CARD] = { "card", "let libvirt take %s", "wait for the driver of %s" },
};

VpHandoverStep *
vp_handover_step_new (VpStepKind kind, const char *name, const char *before, const char *reason)
{
  VpHandoverStep *step = g_new0 (VpHandoverStep, 1);

  *step = (VpHandoverStep){ kind, g_strdup (name), g_strdup (before), g_strdup (reason) };
  return step;
}

void
vp_handover_step_free (VpHandoverStep *step)
{
  if (step == NULL)
    return;
  g_free (step->name);
  g_free (step->before);
  g_free (step->reason);
  g_free (step);
}

char *
vp_handover_step_dup_key (const VpHandoverStep *step)
{
  return g_strdup_printf ("%s %s", kinds[step->kind].word, step->name);
}

VpHandoverStep *
vp_handover_step_parse (const char *key, const char *before)
{
  const char *space = key != NULL ? strchr (key, ' ') : NULL;

  for (int kind = 0; space != NULL && space[1] != '\0' && strchr (space, '/') == NULL && kind < VP_N_STEP_KINDS; kind++)
    if (strlen (kinds[kind].word) == (gsize) (space - key) && g_str_has_prefix (key, kinds[kind].word))
      return vp_handover_step_new ((VpStepKind) kind, space + 1, before, "");
  return NULL;
}

char *
vp_handover_step_describe (const VpHandoverStep *step, gboolean back)
{
  g_auto (GStrv) halves = g_strsplit (back ? kinds[step->kind].give : kinds[step->kind].take, "%s", 2);

  return g_strjoinv (step->name, halves);
}

/* Its alias is a link: /etc/systemd/system/display-manager.service -> /lib/systemd/system/lightdm.service. */
static char *
dup_unit_id (const VpRoot *root, const char *name)
{
  g_autofree char *link = g_build_filename ("etc/systemd/system", name, NULL);
  char *id = vp_root_dup_link_name (root, link);

  return id != NULL && g_str_has_suffix (id, ".service") ? id : (g_free (id), g_strdup (name));
}

VpHandoverWishes *
vp_handover_wishes_read (const VpRoot *root, const VpSettings *settings)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();

  if (vp_settings_choice (settings, VP_KEY_DEVICES_HANDOVER) != VP_HANDOVER_YES)
    return NULL;
  g_auto (GStrv) said = g_strsplit (vp_settings_get (settings, VP_KEY_DEVICES_HANDOVER_UNITS), " ", -1);
  for (guint i = 0; said[i] != NULL; i++) {
    g_autofree char *id = dup_unit_id (root, said[i]);
    if (!g_str_has_suffix (said[i], ".service") || g_strv_contains (needed, id))
      continue;
    g_strv_builder_add (names, said[i]);
    g_strv_builder_add (ids, id);
  }
  VpHandoverWishes *wishes = g_new0 (VpHandoverWishes, 1);
  *wishes = (VpHandoverWishes){
    .units = g_strv_builder_end (names),
    .ids = g_strv_builder_end (ids),
    .sessions = vp_settings_choice (settings, VP_KEY_DEVICES_HANDOVER_SESSIONS) == VP_HANDOVER_YES,
    .firmware_console = vp_settings_choice (settings, VP_KEY_DEVICES_HANDOVER_FIRMWARE_CONSOLE) == VP_HANDOVER_YES,
    .deadline = (guint) g_ascii_strtoull (vp_settings_get (settings, VP_KEY_DEVICES_HANDOVER_DEADLINE), NULL, 10),
  };
  return wishes;
}

void
vp_handover_wishes_free (VpHandoverWishes *wishes)
{
  if (wishes == NULL)
    return;
  g_strfreev (wishes->units);
  g_strfreev (wishes->ids);
  g_free (wishes);
}

static void
seat_session_free (gpointer data)
{
  VpSeatSession *session = data;

  g_free (session->id);
  g_free (session->seat);
  g_free (session);
}

GPtrArray *
vp_seat_sessions_new (void)
{
  return g_ptr_array_new_with_free_func (seat_session_free);
}

static char *
dup_holder (const VpDeviceUse *use)
{
  return g_strdup_printf ("%s (%d) has %s open", use->user, use->pid, use->node);
}

static VpHandoverStep *
new_unit_step (const VpHandoverWishes *wishes, const VpDeviceUse *use)
{
  for (guint i = 0; wishes->ids[i] != NULL; i++) {
    if (strcmp (wishes->ids[i], use->unit) != 0 && strcmp (wishes->units[i], use->unit) != 0)
      continue;
    g_autofree char *holder = dup_holder (use);
    g_autofree char *reason = g_strdup_printf ("%s; devices.handover-units names %s", holder, wishes->units[i]);
    return vp_handover_step_new (VP_STEP_UNIT, wishes->ids[i], "active", reason);
  }
  return NULL;
}

/* "3" of session-3.scope; NULL: it is no session's. */
static char *
dup_session_id (const char *unit)
{
  gsize length = strlen (unit);

  return g_str_has_prefix (unit, "session-") && g_str_has_suffix (unit, ".scope") && length > strlen ("session-.scope")
           ? g_strndup (unit + strlen ("session-"), length - strlen ("session-.scope"))
           : NULL;
}

/* What a person's own systemd runs ends with that person's session. */
static gboolean
find_uid (const char *unit, guint64 *uid)
{
  g_autofree char *digits = g_str_has_prefix (unit, "user@") && g_str_has_suffix (unit, ".service")
                              ? g_strndup (unit + strlen ("user@"), strlen (unit) - strlen ("user@.service"))
                              : NULL;

  return digits != NULL && g_ascii_string_to_unsigned (digits, 10, 0, G_MAXUINT32, uid, NULL);
}

static VpHandoverStep *
new_session_step (const VpHandoverWishes *wishes, const VpDeviceFacts *facts, const GPtrArray *sessions,
                  const VpDeviceUse *use)
{
  g_autofree char *id = dup_session_id (use->unit);
  g_autofree char *holder = dup_holder (use);
  guint64 uid = 0;
  gboolean is_users = find_uid (use->unit, &uid);

  if (!wishes->sessions || (id == NULL && !is_users))
    return NULL;
  g_autofree char *reason = g_strdup_printf ("%s, on %s; devices.handover-sessions is yes", holder, facts->seat);
  for (guint i = 0; sessions != NULL && i < sessions->len; i++) {
    const VpSeatSession *session = sessions->pdata[i];
    if (strcmp (session->seat, facts->seat) == 0 && (id != NULL ? strcmp (session->id, id) == 0 : session->uid == uid))
      return vp_handover_step_new (VP_STEP_SESSION, session->id, "there", reason);
  }
  return sessions == NULL ? vp_handover_step_new (VP_STEP_SESSION, id != NULL ? id : use->unit, "there", reason) : NULL;
}

gboolean
vp_handover_covers (const VpHandoverWishes *wishes, const VpDeviceFacts *facts, const GPtrArray *sessions,
                    const VpDeviceUse *use, VpHandoverStep **step)
{
  g_autoptr (VpHandoverStep) found = NULL;

  if (step != NULL)
    *step = NULL;
  if (use->kind == VP_USE_SOUND && g_strv_contains (sound_servers, use->user))
    return TRUE;
  if (use->unit != NULL)
    found = new_unit_step (wishes, use);
  if (found == NULL && use->unit != NULL)
    found = new_session_step (wishes, facts, sessions, use);
  gboolean covered = found != NULL;
  if (step != NULL)
    *step = g_steal_pointer (&found);
  return covered;
}

static gboolean
has_step (const GPtrArray *steps, VpStepKind kind, const char *name)
{
  for (guint i = 0; i < steps->len; i++) {
    const VpHandoverStep *step = steps->pdata[i];
    if (step->kind == kind && (name == NULL || strcmp (step->name, name) == 0))
      return TRUE;
  }
  return FALSE;
}

static void
add_step (GPtrArray *steps, VpHandoverStep *step)
{
  if (step == NULL || has_step (steps, step->kind, step->name))
    vp_handover_step_free (step);
  else
    g_ptr_array_add (steps, step);
}

static const VpHostdev *
find_taken (const GArray *hostdevs, const VpPciAddress *address)
{
  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    if (hostdev->managed && vp_pci_address_equal (&hostdev->address, address))
      return hostdev;
  }
  return NULL;
}

static gboolean
is_display (const VpDeviceFacts *facts, const VpPciAddress *address)
{
  const VpPciDevice *device = vp_pci_find (facts->devices, address);

  return device != NULL && vp_pci_is_display (device);
}

gboolean
vp_handover_is_holder (const VpDeviceFacts *facts, const GArray *hostdevs, const VpDeviceUse *use)
{
  return (use->kind == VP_USE_SOUND || (use->kind == VP_USE_PROCESS && is_display (facts, &use->device))) &&
         find_taken (hostdevs, &use->device) != NULL;
}

static void
add_holders (GPtrArray *steps, const VpHandoverWishes *wishes, const VpDeviceFacts *facts, const GArray *hostdevs,
             const GPtrArray *sessions)
{
  for (guint i = 0; i < facts->uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    VpHandoverStep *step = NULL;
    if (vp_handover_is_holder (facts, hostdevs, use) && vp_handover_covers (wishes, facts, sessions, use, &step))
      add_step (steps, step);
  }
}

/* Of whoever ends a session of its it asks for the next at once: its greeter has the card again within seconds. */
static void
add_display_manager (GPtrArray *steps, const VpHandoverWishes *wishes)
{
  for (guint i = 0; wishes->units[i] != NULL; i++)
    if (strcmp (wishes->units[i], DISPLAY_MANAGER) == 0 && has_step (steps, VP_STEP_SESSION, NULL))
      add_step (steps, vp_handover_step_new (VP_STEP_UNIT, wishes->ids[i], "active",
                                             "it would start a greeter in place of a session that ends; "
                                             "devices.handover-units names " DISPLAY_MANAGER));
}

static void
add_consoles (GPtrArray *steps, const VpDeviceFacts *facts, const GArray *hostdevs)
{
  for (guint i = 0; i < facts->uses->len; i++) {
    const VpDeviceUse *use = &g_array_index (facts->uses, VpDeviceUse, i);
    const char *slash = use->kind == VP_USE_CONSOLE ? strrchr (use->user, '/') : NULL;
    if (slash != NULL && find_taken (hostdevs, &use->device) != NULL)
      add_step (steps, vp_handover_step_new (VP_STEP_CONSOLE, slash + 1, "bound", ""));
  }
  for (guint i = 0; i < facts->nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (facts->nodes, VpDeviceNode, i);
    if (node->firmware != NULL && find_taken (hostdevs, &node->device) != NULL)
      add_step (steps, vp_handover_step_new (VP_STEP_FIRMWARE, node->firmware, "bound", ""));
  }
}

static void
add_cards (GPtrArray *steps, const VpDeviceFacts *facts, const GArray *hostdevs)
{
  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_pci_find (facts->devices, &hostdev->address);
    g_autofree char *name = vp_pci_address_dup_text (&hostdev->address);
    if (device == NULL || !hostdev->managed || !vp_pci_is_display (device) || !vp_pci_has_host_driver (device))
      continue;
    for (guint j = 0; strcmp (device->driver, NVIDIA) == 0 && facts->modules[j] != NULL; j++)
      add_step (steps, vp_handover_step_new (VP_STEP_MODULE, facts->modules[j], "loaded", ""));
    add_step (steps, vp_handover_step_new (VP_STEP_CARD, name, device->driver, ""));
  }
}

/* Those of which there are several stay in the order in which they were found. */
static gint
compare_steps (gconstpointer a, gconstpointer b)
{
  const VpHandoverStep *left = *(VpHandoverStep *const *) a;
  const VpHandoverStep *right = *(VpHandoverStep *const *) b;

  return (int) left->kind - (int) right->kind;
}

static void
add_wait (GPtrArray *steps, const VpHandoverWishes *wishes, const VpDeviceFacts *facts, const GArray *hostdevs)
{
  g_autofree char *limit = g_strdup_printf ("%u s at most: devices.handover-deadline", wishes->deadline);
  g_autoptr (GPtrArray) paths = g_ptr_array_new ();

  for (guint i = 0; i < facts->nodes->len; i++) {
    const VpDeviceNode *node = &g_array_index (facts->nodes, VpDeviceNode, i);
    if (node->path != NULL && node->kind <= VP_NODE_SOUND && find_taken (hostdevs, &node->device) != NULL)
      g_ptr_array_add (paths, node->path);
  }
  g_autofree char *list = vp_list_dup_words (paths);
  add_step (steps, vp_handover_step_new (VP_STEP_WAIT, list, "", limit));
}

GPtrArray *
vp_handover_list_steps (const VpHandoverWishes *wishes, const VpDeviceFacts *facts, const GArray *hostdevs,
                        const GPtrArray *sessions)
{
  GPtrArray *steps = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_handover_step_free);

  add_holders (steps, wishes, facts, hostdevs, sessions);
  add_display_manager (steps, wishes);
  if (steps->len > 0)
    add_wait (steps, wishes, facts, hostdevs);
  add_consoles (steps, facts, hostdevs);
  guint stopped = steps->len;
  add_cards (steps, facts, hostdevs);
  if (stopped == 0 && !has_step (steps, VP_STEP_MODULE, NULL))
    g_ptr_array_set_size (steps, 0);
  g_ptr_array_sort (steps, compare_steps);
  return steps;
}
