/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls, one by one. Whoever waits for what they begin asks again. */
#include "daemon/handover/desktop-bus.h"

#include <string.h>

#include "base/error.h"
#include "devices/handover-plan.h"

#define LOGIND "org.freedesktop.login1"
#define LOGIND_PATH "/org/freedesktop/login1"
#define LOGIND_MANAGER LOGIND ".Manager"
#define PROPERTIES "org.freedesktop.DBus.Properties"

static GVariant *
ask_systemd (VpSystemBus *bus, const char *path, const char *method, GVariant *parameters, const char *reply,
             GError **error)
{
  const VpBusCall call = { VP_SYSTEMD, path, method, reply };

  return vp_system_bus_call (bus, &call, parameters, NULL, NULL, error);
}

gboolean
vp_desktop_read_service (VpSystemBus *bus, const char *unit, VpServiceState *state, GError **error)
{
  const char *path = NULL;
  const char *word = "inactive";
  guint32 job = 0;

  g_autoptr (GVariant) loaded =
    ask_systemd (bus, VP_SYSTEMD_PATH, VP_SYSTEMD_MANAGER ".LoadUnit", g_variant_new ("(s)", unit), "(o)", error);
  if (loaded == NULL)
    return FALSE;
  g_variant_get (loaded, "(&o)", &path);
  g_autoptr (GVariant) answer =
    ask_systemd (bus, path, PROPERTIES ".GetAll", g_variant_new ("(s)", VP_SYSTEMD ".Unit"), "(a{sv})", error);
  if (answer == NULL)
    return FALSE;
  g_autoptr (GVariant) all = g_variant_get_child_value (answer, 0);
  (void) g_variant_lookup (all, "ActiveState", "&s", &word);
  (void) g_variant_lookup (all, "Job", "(uo)", &job, NULL);
  g_strlcpy (state->state, word, sizeof state->state);
  state->active = strcmp (word, "active") == 0 || strcmp (word, "reloading") == 0 || strcmp (word, "activating") == 0;
  state->settled = job == 0 && !g_str_has_suffix (word, "ing");
  return TRUE;
}

/* Of what changes something: with a late answer it was asked for, and what came of it is read afterwards. Takes both. */
static gboolean
is_asked_for (GVariant *answer, GError *problem, GError **error)
{
  g_autoptr (GVariant) owned = answer;
  g_autoptr (GError) kept = problem;

  if (owned != NULL || g_error_matches (kept, VP_ERROR, VP_ERROR_LATE))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&kept));
  return FALSE;
}

static gboolean
queue (VpSystemBus *bus, const char *method, const char *unit, GError **error)
{
  GError *problem = NULL;
  GVariant *answer =
    ask_systemd (bus, VP_SYSTEMD_PATH, method, g_variant_new ("(ss)", unit, "replace"), "(o)", &problem);

  return is_asked_for (answer, problem, error);
}

gboolean
vp_desktop_start_service (VpSystemBus *bus, const char *unit, GError **error)
{
  return queue (bus, VP_SYSTEMD_MANAGER ".StartUnit", unit, error);
}

gboolean
vp_desktop_stop_service (VpSystemBus *bus, const char *unit, GError **error)
{
  return queue (bus, VP_SYSTEMD_MANAGER ".StopUnit", unit, error);
}

gboolean
vp_desktop_is_unheard (const GError *error)
{
  return g_error_matches (error, VP_ERROR, VP_ERROR_AWAY) || g_error_matches (error, VP_ERROR, VP_ERROR_LATE);
}

gboolean
vp_desktop_is_ending (VpSystemBus *bus)
{
  g_autoptr (GVariant) answer = ask_systemd (bus, VP_SYSTEMD_PATH, PROPERTIES ".Get",
                                             g_variant_new ("(ss)", VP_SYSTEMD_MANAGER, "SystemState"), "(v)", NULL);
  g_autoptr (GVariant) box = answer != NULL ? g_variant_get_child_value (answer, 0) : NULL;
  g_autoptr (GVariant) word = box != NULL ? g_variant_get_variant (box) : NULL;

  return word != NULL && g_variant_is_of_type (word, G_VARIANT_TYPE_STRING) &&
         strcmp (g_variant_get_string (word, NULL), "stopping") == 0;
}

static GVariant *
ask_logind (VpSystemBus *bus, const char *method, GVariant *parameters, const char *reply, GUnixFDList **fds,
            GError **error)
{
  const VpBusCall call = { LOGIND, LOGIND_PATH, method, reply };

  return vp_system_bus_call (bus, &call, parameters, fds, NULL, error);
}

GPtrArray *
vp_desktop_list_sessions (VpSystemBus *bus, GError **error)
{
  g_autoptr (GVariant) answer = ask_logind (bus, LOGIND_MANAGER ".ListSessions", NULL, "(a(susso))", NULL, error);
  g_autoptr (GVariantIter) iter = NULL;
  const char *id = NULL;
  const char *seat = NULL;
  guint32 uid = 0;

  if (answer == NULL)
    return NULL;
  GPtrArray *sessions = vp_seat_sessions_new ();
  g_variant_get (answer, "(a(susso))", &iter);
  while (g_variant_iter_next (iter, "(&su&s&s&o)", &id, &uid, NULL, &seat, NULL)) {
    VpSeatSession *session = g_new0 (VpSeatSession, 1);
    *session = (VpSeatSession){ g_strdup (id), uid, g_strdup (seat) };
    g_ptr_array_add (sessions, session);
  }
  return sessions;
}

gboolean
vp_desktop_end_session (VpSystemBus *bus, const char *id, GError **error)
{
  GError *problem = NULL;
  GVariant *answer =
    ask_logind (bus, LOGIND_MANAGER ".TerminateSession", g_variant_new ("(s)", id), "()", NULL, &problem);

  return is_asked_for (answer, problem, error);
}

int
vp_desktop_inhibit_sleep (VpSystemBus *bus, const char *why, GError **error)
{
  g_autoptr (GUnixFDList) fds = NULL;
  gint32 handle = -1;

  g_autoptr (GVariant) answer =
    ask_logind (bus, LOGIND_MANAGER ".Inhibit", g_variant_new ("(ssss)", "sleep", "vfio-profile", why, "block"), "(h)",
                &fds, error);
  if (answer == NULL)
    return -1;
  g_variant_get (answer, "(h)", &handle);
  if (fds != NULL && handle >= 0 && handle < g_unix_fd_list_get_length (fds))
    return g_unix_fd_list_get (fds, handle, error);
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "systemd-logind gave no descriptor");
  return -1;
}
