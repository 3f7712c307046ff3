/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* D-Bus with deadlines. Knows nothing of guests. */
#include "daemon/hold/isolate-bus.h"

#include <gio/gio.h>
#include <string.h>

#include "base/error.h"

#define ANSWER_MS 1000
#define REST (3 * G_TIME_SPAN_SECOND) /* after a bus that did not answer */
#define MAX_CPUS 65536

#define SERVICE "org.freedesktop.systemd1"
#define MANAGER SERVICE ".Manager"
#define PATH "/org/freedesktop/systemd1"

struct VpUnitBus {
  GMutex mutex; /* of all that follows; nothing of ours is called with it */
  char *address;
  GDBusConnection *connection; /* NULL: none yet */
  gint64 rest_until;
};

VpUnitBus *
vp_unit_bus_new (const char *address)
{
  VpUnitBus *bus = g_new0 (VpUnitBus, 1);

  g_mutex_init (&bus->mutex);
  bus->address = g_strdup (address);
  return bus;
}

void
vp_unit_bus_free (VpUnitBus *bus)
{
  if (bus == NULL)
    return;
  g_clear_object (&bus->connection); /* closes it */
  g_mutex_clear (&bus->mutex);
  g_free (bus->address);
  g_free (bus);
}

static void
on_connected (GObject *source, GAsyncResult *result, gpointer data)
{
  (void) source;
  *(GAsyncResult **) data = g_object_ref (result);
}

static gboolean
on_late (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

/* GDBus has no timeout for what comes before the first call: it is waited for in a loop of our own. */
static GDBusConnection *
connect_in_time (const char *address, GError **error)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GSource) timer = g_timeout_source_new (ANSWER_MS);
  g_autoptr (GAsyncResult) result = NULL;

  g_main_context_push_thread_default (context);
  g_source_set_callback (timer, on_late, cancellable, NULL);
  g_source_attach (timer, context);
  g_dbus_connection_new_for_address (address,
                                     G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                       G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                     NULL, cancellable, on_connected, &result);
  while (result == NULL)
    g_main_context_iteration (context, TRUE);
  g_source_destroy (timer);
  GDBusConnection *connection = g_dbus_connection_new_for_address_finish (result, error);
  g_main_context_pop_thread_default (context);
  return connection;
}

static gboolean
ensure_connection (VpUnitBus *bus, GError **error)
{
  g_autofree char *address = NULL;

  if (bus->connection != NULL && !g_dbus_connection_is_closed (bus->connection))
    return TRUE;
  g_clear_object (&bus->connection);
  address =
    bus->address != NULL ? g_strdup (bus->address) : g_dbus_address_get_for_bus_sync (G_BUS_TYPE_SYSTEM, NULL, error);
  bus->connection = address != NULL ? connect_in_time (address, error) : NULL;
  return bus->connection != NULL;
}

static gboolean
is_late (const GError *problem)
{
  return g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
         g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
         g_error_matches (problem, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY) ||
         g_error_matches (problem, G_DBUS_ERROR, G_DBUS_ERROR_TIMEOUT);
}

static GVariant *
call_now (VpUnitBus *bus, const char *path, const char *method, GVariant *parameters, const char *reply, GError **error)
{
  g_autofree char *interface = g_strndup (method, (gsize) (strrchr (method, '.') - method));

  if (!ensure_connection (bus, error))
    return NULL;
  return g_dbus_connection_call_sync (bus->connection, SERVICE, path, interface, strrchr (method, '.') + 1, parameters,
                                      G_VARIANT_TYPE (reply), G_DBUS_CALL_FLAGS_NO_AUTO_START, ANSWER_MS, NULL, error);
}

/* `method` with its interface. *missing (NULL: not wanted): it failed because there is no such unit. */
static GVariant *
call (VpUnitBus *bus, const char *path, const char *method, GVariant *parameters, const char *reply, gboolean *missing,
      GError **error)
{
  g_autoptr (GVariant) kept = g_variant_ref_sink (parameters);
  g_autoptr (GError) problem = NULL;

  if (g_get_monotonic_time () < bus->rest_until) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "systemd did not answer a moment ago, it is not asked again yet");
    return NULL;
  }
  GVariant *answer = call_now (bus, path, method, kept, reply, &problem);
  /* The bus was restarted since the last call, and we notice it now. */
  if (answer == NULL && bus->connection != NULL && g_dbus_connection_is_closed (bus->connection)) {
    g_clear_error (&problem);
    answer = call_now (bus, path, method, kept, reply, &problem);
  }
  if (answer != NULL)
    return answer;
  if (is_late (problem))
    bus->rest_until = g_get_monotonic_time () + REST;
  g_autofree char *remote = g_dbus_error_get_remote_error (problem);
  if (missing != NULL)
    *missing = g_strcmp0 (remote, SERVICE ".NoSuchUnit") == 0;
  g_dbus_error_strip_remote_error (problem);
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "systemd cannot be asked over D-Bus (%s): %s", strrchr (method, '.') + 1,
               problem->message);
  return NULL;
}

/* AllowedCPUs: one bit for each CPU, the lowest first. */
static GVariant *
new_mask (hwloc_const_bitmap_t cpus)
{
  guint8 bytes[MAX_CPUS / 8] = { 0 };
  gsize length = 0;

  for (int cpu = hwloc_bitmap_first (cpus); cpu >= 0 && cpu < MAX_CPUS; cpu = hwloc_bitmap_next (cpus, cpu)) {
    bytes[cpu / 8] |= (guint8) (1u << (cpu % 8));
    length = (gsize) cpu / 8 + 1;
  }
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, length, 1);
}

static VpBitmap *
parse_mask (GVariant *mask)
{
  gsize length = 0;
  const guint8 *bytes = g_variant_get_fixed_array (mask, &length, 1);
  VpBitmap *cpus = hwloc_bitmap_alloc ();

  for (gsize cpu = 0; cpu < MIN (length * 8, MAX_CPUS); cpu++)
    if ((bytes[cpu / 8] >> (cpu % 8) & 1) != 0)
      hwloc_bitmap_set (cpus, (unsigned) cpu);
  return cpus;
}

gboolean
vp_unit_bus_read_cpus (VpUnitBus *bus, const char *unit, VpBitmap **cpus, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&bus->mutex);
  gboolean is_slice = g_str_has_suffix (unit, ".slice");
  g_autoptr (GError) problem = NULL;
  gboolean missing = FALSE;
  const char *path = NULL;

  *cpus = NULL;
  /* A slice is there where nothing runs in it, too; LoadUnit would make up a scope that ended. */
  g_autoptr (GVariant) loaded = call (bus, PATH, is_slice ? MANAGER ".LoadUnit" : MANAGER ".GetUnit",
                                      g_variant_new ("(s)", unit), "(o)", &missing, &problem);
  if (loaded == NULL && missing)
    return TRUE;
  if (loaded == NULL) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  g_variant_get (loaded, "(&o)", &path);
  g_autoptr (GVariant) answer =
    call (bus, path, "org.freedesktop.DBus.Properties.Get",
          g_variant_new ("(ss)", is_slice ? SERVICE ".Slice" : SERVICE ".Scope", "AllowedCPUs"), "(v)", NULL, error);
  if (answer == NULL)
    return FALSE;
  g_autoptr (GVariant) box = g_variant_get_child_value (answer, 0);
  g_autoptr (GVariant) mask = g_variant_get_variant (box);
  if (!g_variant_is_of_type (mask, G_VARIANT_TYPE_BYTESTRING)) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "AllowedCPUs of %s is of type %s, not ay", unit,
                 g_variant_get_type_string (mask));
    return FALSE;
  }
  *cpus = parse_mask (mask);
  return TRUE;
}

gboolean
vp_unit_bus_write_cpus (VpUnitBus *bus, const char *unit, hwloc_const_bitmap_t cpus, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&bus->mutex);
  GVariant *property = g_variant_new ("(sv)", "AllowedCPUs", new_mask (cpus));
  GVariant *properties = g_variant_new_array (G_VARIANT_TYPE ("(sv)"), &property, 1);
  g_autoptr (GVariant) answer = call (bus, PATH, MANAGER ".SetUnitProperties",
                                      g_variant_new ("(sb@a(sv))", unit, TRUE, properties), "()", NULL, error);

  return answer != NULL;
}

GStrv
vp_unit_bus_list_scopes (VpUnitBus *bus, const char *pattern, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&bus->mutex);
  const char *const states[] = { "active", NULL };
  const char *const patterns[] = { pattern, NULL };
  g_autoptr (GVariantIter) units = NULL;
  const char *name = NULL;

  g_autoptr (GVariant) answer = call (bus, PATH, MANAGER ".ListUnitsByPatterns",
                                      g_variant_new ("(^as^as)", states, patterns), "(a(ssssssouso))", NULL, error);
  if (answer == NULL)
    return NULL;
  GPtrArray *names = g_ptr_array_new ();
  g_variant_get (answer, "(a(ssssssouso))", &units);
  while (g_variant_iter_next (units, "(&ssssssouso)", &name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL))
    if (g_str_has_suffix (name, ".scope"))
      g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_add (names, NULL);
  return (GStrv) g_ptr_array_free (names, FALSE);
}
