/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-systemd.h"

#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"

#define SERVICE "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define LOGIND "org.freedesktop.login1"
#define LOGIND_PATH "/org/freedesktop/login1"

struct FakeSystemd {
  FakeBus *bus;
  GDBusNodeInfo *info;
  GMutex mutex;         /* of what is below */
  GHashTable *units;    /* name -> list of CPUs */
  GHashTable *services; /* name -> systemd's word for its state */
  GHashTable *sessions; /* id -> seat; all are of user 1000 */
  FakeServiceFunc on_change;
  gpointer on_change_data;
  guint broken;      /* starts that will fail */
  gboolean stubborn; /* nothing stops */
  gboolean ending;
  int inhibitor; /* our end of the pipe; -1: none */
  GString *writes;
  gboolean mute;
  char *slow; /* the next call of this method, or of a property, is served so much later; NULL: none */
  guint slow_ms;
};

static const char *const interfaces =
  "<node>"
  "<interface name='" SERVICE ".Manager'>"
  "<method name='LoadUnit'><arg type='s' direction='in'/><arg type='o' direction='out'/></method>"
  "<method name='GetUnit'><arg type='s' direction='in'/><arg type='o' direction='out'/></method>"
  "<method name='SetUnitProperties'><arg type='s' direction='in'/><arg type='b' direction='in'/>"
  "<arg type='a(sv)' direction='in'/></method>"
  "<method name='StopUnit'><arg type='s' direction='in'/><arg type='s' direction='in'/>"
  "<arg type='o' direction='out'/></method>"
  "<method name='StartUnit'><arg type='s' direction='in'/><arg type='s' direction='in'/>"
  "<arg type='o' direction='out'/></method>"
  "<property name='SystemState' type='s' access='read'/>"
  "<method name='ListUnitsByPatterns'><arg type='as' direction='in'/><arg type='as' direction='in'/>"
  "<arg type='a(ssssssouso)' direction='out'/></method>"
  "</interface>"
  "<interface name='" SERVICE ".Unit'><property name='ActiveState' type='s' access='read'/>"
  "<property name='Job' type='(uo)' access='read'/></interface>"
  "<interface name='" LOGIND ".Manager'>"
  "<method name='ListSessions'><arg type='a(susso)' direction='out'/></method>"
  "<method name='TerminateSession'><arg type='s' direction='in'/></method>"
  "<method name='Inhibit'><arg type='s' direction='in'/><arg type='s' direction='in'/><arg type='s' direction='in'/>"
  "<arg type='s' direction='in'/><arg type='h' direction='out'/></method>"
  "</interface>"
  "<interface name='" SERVICE ".Slice'><property name='AllowedCPUs' type='ay' access='read'/></interface>"
  "<interface name='" SERVICE ".Scope'><property name='AllowedCPUs' type='ay' access='read'/></interface>"
  "</node>";

/* Anything that tells units apart will do. */
static char *
dup_path (const char *unit)
{
  GString *path = g_string_new (PATH "/unit/");

  for (const char *c = unit; *c != '\0'; c++)
    g_string_append_printf (path, g_ascii_isalnum (*c) ? "%c" : "_%02x", *c);
  return g_string_free (path, FALSE);
}

static GVariant *
new_mask (const char *list)
{
  hwloc_bitmap_t cpus = list[0] != '\0' ? vp_list_parse (list) : hwloc_bitmap_alloc ();
  GVariantBuilder builder;

  g_assert_nonnull (cpus);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("ay"));
  for (int byte = 0; byte <= hwloc_bitmap_last (cpus) / 8 && !hwloc_bitmap_iszero (cpus); byte++) {
    guint8 bits = 0;
    for (int bit = 0; bit < 8; bit++)
      bits |= (guint8) (hwloc_bitmap_isset (cpus, (unsigned) (byte * 8 + bit)) << bit);
    g_variant_builder_add (&builder, "y", bits);
  }
  hwloc_bitmap_free (cpus);
  return g_variant_builder_end (&builder);
}

static char *
dup_list (GVariant *mask)
{
  hwloc_bitmap_t cpus = hwloc_bitmap_alloc ();
  gsize length = 0;
  const guint8 *bytes = g_variant_get_fixed_array (mask, &length, 1);

  for (gsize cpu = 0; cpu < length * 8; cpu++)
    if ((bytes[cpu / 8] & 1u << cpu % 8) != 0)
      hwloc_bitmap_set (cpus, (unsigned) cpu);
  char *list = vp_list_dup (cpus);
  hwloc_bitmap_free (cpus);
  return list;
}

/* NULL: it is no property of a service's. */
static GVariant *
get_of_service (FakeSystemd *systemd, const char *path, const char *property)
{
  GHashTableIter iter;
  gpointer unit = NULL;
  gpointer state = NULL;

  if (strcmp (property, "SystemState") == 0)
    return g_variant_new_string (systemd->ending ? "stopping" : "running");
  if (strcmp (property, "Job") == 0)
    return g_variant_new ("(uo)", 0u, "/");
  g_hash_table_iter_init (&iter, systemd->services);
  while (strcmp (property, "ActiveState") == 0 && g_hash_table_iter_next (&iter, &unit, &state)) {
    g_autofree char *of = dup_path (unit);
    if (strcmp (of, path) == 0)
      return g_variant_new_string (state);
  }
  return strcmp (property, "ActiveState") == 0 ? g_variant_new_string ("inactive") : NULL;
}

/* As systemd in a daemon-reload: it serves nobody, and then all, in order. */
static void
be_slow (FakeSystemd *systemd, const char *what)
{
  guint milliseconds = 0;

  g_mutex_lock (&systemd->mutex);
  if (g_strcmp0 (systemd->slow, what) == 0) {
    milliseconds = systemd->slow_ms;
    g_clear_pointer (&systemd->slow, g_free);
  }
  g_mutex_unlock (&systemd->mutex);
  g_usleep (milliseconds * 1000ul);
}

static GVariant *
on_get_property (GDBusConnection *connection, const char *sender, const char *path, const char *interface,
                 const char *property, GError **error, gpointer data)
{
  FakeSystemd *systemd = data;
  GHashTableIter iter;
  gpointer unit = NULL;
  gpointer list = NULL;
  GVariant *mask = NULL;

  (void) connection, (void) sender, (void) interface;
  be_slow (systemd, property);
  g_mutex_lock (&systemd->mutex);
  mask = get_of_service (systemd, path, property);
  g_hash_table_iter_init (&iter, systemd->units);
  while (mask == NULL && g_hash_table_iter_next (&iter, &unit, &list)) {
    g_autofree char *of = dup_path (unit);
    mask = strcmp (of, path) == 0 ? new_mask (list) : NULL;
  }
  g_mutex_unlock (&systemd->mutex);
  if (mask == NULL)
    g_set_error (error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT, "no unit at %s", path);
  return mask;
}

static void
set_properties (FakeSystemd *systemd, GVariant *parameters)
{
  g_autoptr (GVariantIter) properties = NULL;
  GVariant *value = NULL;
  const char *unit = NULL;
  const char *name = NULL;
  gboolean runtime = FALSE;

  g_variant_get (parameters, "(&sba(sv))", &unit, &runtime, &properties);
  g_assert_true (runtime);
  while (g_variant_iter_next (properties, "(&sv)", &name, &value)) {
    g_assert_cmpstr (name, ==, "AllowedCPUs");
    g_assert_cmpstr (g_variant_get_type_string (value), ==, "ay");
    char *list = dup_list (value);
    g_string_append_printf (systemd->writes, "%s%s=%s", systemd->writes->len > 0 ? " " : "", unit, list);
    g_hash_table_replace (systemd->units, g_strdup (unit), list);
    g_variant_unref (value);
  }
}

static GVariant *
list_units (FakeSystemd *systemd, GVariant *parameters)
{
  g_autofree const char **states = NULL;
  g_autofree const char **patterns = NULL;
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer unit = NULL;

  g_variant_get (parameters, "(^a&s^a&s)", &states, &patterns);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(ssssssouso)"));
  g_hash_table_iter_init (&iter, systemd->units);
  while (g_hash_table_iter_next (&iter, &unit, NULL)) {
    g_autofree char *path = dup_path (unit);
    if (g_pattern_match_simple (patterns[0], unit))
      g_variant_builder_add (&builder, "(ssssssouso)", unit, "", "loaded", "active", "running", "", path, 0, "", "/");
  }
  return g_variant_new ("(a(ssssssouso))", &builder);
}

static void
tell (FakeSystemd *systemd, const char *verb, const char *name)
{
  g_string_append_printf (systemd->writes, "%s%s %s", systemd->writes->len > 0 ? "; " : "", verb, name);
}

static void
change_service (FakeSystemd *systemd, const char *unit, gboolean start)
{
  gboolean fails = start && systemd->broken > 0;
  gboolean stays = !start && systemd->stubborn;
  gboolean oneshot = strstr (unit, "@") != NULL;

  tell (systemd, start ? "start" : "stop", unit);
  systemd->broken -= fails ? 1 : 0;
  if (!oneshot)
    g_hash_table_replace (systemd->services, g_strdup (unit),
                          g_strdup (fails   ? "failed"
                                    : stays ? "deactivating"
                                    : start ? "active"
                                            : "inactive"));
  if (systemd->on_change != NULL && !fails && !stays)
    systemd->on_change (unit, start, systemd->on_change_data);
}

static GVariant *
list_sessions (FakeSystemd *systemd)
{
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer id = NULL;
  gpointer seat = NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(susso)"));
  g_hash_table_iter_init (&iter, systemd->sessions);
  while (g_hash_table_iter_next (&iter, &id, &seat))
    g_variant_builder_add (&builder, "(susso)", id, 1000u, "alice", seat, LOGIND_PATH "/session/x");
  return g_variant_new ("(a(susso))", &builder);
}

static void
give_inhibitor (FakeSystemd *systemd, GDBusMethodInvocation *invocation)
{
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();
  g_autoptr (GError) error = NULL;
  int ends[2];

  g_assert_true (g_unix_open_pipe (ends, FD_CLOEXEC, &error));
  if (systemd->inhibitor >= 0)
    (void) close (systemd->inhibitor);
  systemd->inhibitor = ends[0];
  g_assert_cmpint (g_unix_fd_list_append (list, ends[1], &error), ==, 0);
  (void) close (ends[1]);
  g_dbus_method_invocation_return_value_with_unix_fd_list (invocation, g_variant_new ("(h)", 0), list);
}

/* FALSE: it is for the manager of units. */
static gboolean
answer_desktop (FakeSystemd *systemd, const char *method, GVariant *parameters, GDBusMethodInvocation *invocation)
{
  const char *name = NULL;

  if (strcmp (method, "ListSessions") == 0) {
    g_dbus_method_invocation_return_value (invocation, list_sessions (systemd));
    return TRUE;
  }
  if (strcmp (method, "Inhibit") == 0) {
    give_inhibitor (systemd, invocation);
    return TRUE;
  }
  if (!g_str_has_suffix (method, "Session") && !g_str_has_suffix (method, "Unit"))
    return FALSE;
  g_variant_get_child (parameters, 0, "&s", &name);
  if (strcmp (method, "TerminateSession") == 0) {
    tell (systemd, "end", name);
    g_hash_table_remove (systemd->sessions, name);
    if (systemd->on_change != NULL)
      systemd->on_change (name, FALSE, systemd->on_change_data);
    g_dbus_method_invocation_return_value (invocation, NULL);
    return TRUE;
  }
  if (strcmp (method, "StartUnit") == 0 || strcmp (method, "StopUnit") == 0)
    change_service (systemd, name, strcmp (method, "StartUnit") == 0);
  else if (strcmp (method, "LoadUnit") != 0 || !g_str_has_suffix (name, ".service"))
    return FALSE;
  g_autofree char *path = dup_path (name);
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(o)", path));
  return TRUE;
}

static void
answer (FakeSystemd *systemd, const char *method, GVariant *parameters, GDBusMethodInvocation *invocation)
{
  const char *unit = NULL;

  if (answer_desktop (systemd, method, parameters, invocation))
    return;
  if (strcmp (method, "ListUnitsByPatterns") == 0) {
    g_dbus_method_invocation_return_value (invocation, list_units (systemd, parameters));
    return;
  }
  g_variant_get_child (parameters, 0, "&s", &unit);
  if (!g_hash_table_contains (systemd->units, unit)) {
    g_dbus_method_invocation_return_dbus_error (invocation, SERVICE ".NoSuchUnit", "Unit not loaded.");
    return;
  }
  if (strcmp (method, "SetUnitProperties") == 0) {
    set_properties (systemd, parameters);
    g_dbus_method_invocation_return_value (invocation, NULL);
    return;
  }
  g_autofree char *path = dup_path (unit);
  g_dbus_method_invocation_return_value (invocation, g_variant_new ("(o)", path));
}

static void
on_call (GDBusConnection *connection, const char *sender, const char *path, const char *interface, const char *method,
         GVariant *parameters, GDBusMethodInvocation *invocation, gpointer data)
{
  FakeSystemd *systemd = data;

  (void) connection, (void) sender, (void) path, (void) interface;
  be_slow (systemd, method);
  g_mutex_lock (&systemd->mutex);
  if (systemd->mute)
    g_object_unref (invocation); /* without an answer */
  else
    answer (systemd, method, parameters, invocation);
  g_mutex_unlock (&systemd->mutex);
}

static const GDBusInterfaceVTable vtable = { on_call, on_get_property, NULL, { NULL } };

static char **
on_enumerate (GDBusConnection *connection, const char *sender, const char *path, gpointer data)
{
  (void) connection, (void) sender, (void) path, (void) data;
  return g_new0 (char *, 1);
}

static GDBusInterfaceInfo **
on_introspect (GDBusConnection *connection, const char *sender, const char *path, const char *node, gpointer data)
{
  const FakeSystemd *systemd = data;
  GDBusInterfaceInfo **list = g_new0 (GDBusInterfaceInfo *, 4);

  (void) connection, (void) sender, (void) path, (void) node;
  list[0] = g_dbus_interface_info_ref (g_dbus_node_info_lookup_interface (systemd->info, SERVICE ".Slice"));
  list[1] = g_dbus_interface_info_ref (g_dbus_node_info_lookup_interface (systemd->info, SERVICE ".Scope"));
  list[2] = g_dbus_interface_info_ref (g_dbus_node_info_lookup_interface (systemd->info, SERVICE ".Unit"));
  return list;
}

static const GDBusInterfaceVTable *
on_dispatch (GDBusConnection *connection, const char *sender, const char *path, const char *interface, const char *node,
             gpointer *out, gpointer data)
{
  (void) connection, (void) sender, (void) path, (void) interface, (void) node;
  *out = data;
  return &vtable;
}

static const GDBusSubtreeVTable subtree = { on_enumerate, on_introspect, on_dispatch, { NULL } };

static void
register_objects (GDBusConnection *connection, gpointer data)
{
  FakeSystemd *systemd = data;
  g_autoptr (GError) error = NULL;

  g_dbus_connection_register_object (connection, PATH,
                                     g_dbus_node_info_lookup_interface (systemd->info, SERVICE ".Manager"), &vtable,
                                     systemd, NULL, &error);
  g_assert_no_error (error);
  g_dbus_connection_register_subtree (connection, PATH "/unit", &subtree,
                                      G_DBUS_SUBTREE_FLAGS_DISPATCH_TO_UNENUMERATED_NODES, systemd, NULL, &error);
  g_assert_no_error (error);
  g_dbus_connection_register_object (connection, LOGIND_PATH,
                                     g_dbus_node_info_lookup_interface (systemd->info, LOGIND ".Manager"), &vtable,
                                     systemd, NULL, &error);
  g_assert_no_error (error);
  fake_bus_own (connection, SERVICE);
  fake_bus_own (connection, LOGIND);
}

FakeSystemd *
fake_systemd_new (void)
{
  FakeSystemd *systemd = g_new0 (FakeSystemd, 1);
  g_autoptr (GError) error = NULL;

  systemd->info = g_dbus_node_info_new_for_xml (interfaces, &error);
  g_assert_no_error (error);
  g_mutex_init (&systemd->mutex);
  systemd->units = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  systemd->services = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  systemd->sessions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  systemd->inhibitor = -1;
  systemd->writes = g_string_new (NULL);
  fake_systemd_set (systemd, "system.slice", "");
  fake_systemd_set (systemd, "user.slice", "");
  fake_systemd_set (systemd, "init.scope", "");
  systemd->bus = fake_bus_new (register_objects, systemd);
  fake_bus_start (systemd->bus, TRUE);
  return systemd;
}

void
fake_systemd_free (FakeSystemd *systemd)
{
  fake_bus_free (systemd->bus);
  g_dbus_node_info_unref (systemd->info);
  g_hash_table_unref (systemd->units);
  g_hash_table_unref (systemd->services);
  g_hash_table_unref (systemd->sessions);
  if (systemd->inhibitor >= 0)
    (void) close (systemd->inhibitor);
  g_string_free (systemd->writes, TRUE);
  g_mutex_clear (&systemd->mutex);
  g_free (systemd->slow);
  g_free (systemd);
}

FakeBus *
fake_systemd_get_bus (const FakeSystemd *systemd)
{
  return systemd->bus;
}

const char *
fake_systemd_get_address (const FakeSystemd *systemd)
{
  return fake_bus_get_address (systemd->bus);
}

void
fake_systemd_set (FakeSystemd *systemd, const char *unit, const char *cpus)
{
  g_mutex_lock (&systemd->mutex);
  if (cpus != NULL)
    g_hash_table_replace (systemd->units, g_strdup (unit), g_strdup (cpus));
  else
    g_hash_table_remove (systemd->units, unit);
  g_mutex_unlock (&systemd->mutex);
}

char *
fake_systemd_dup (FakeSystemd *systemd, const char *unit)
{
  g_mutex_lock (&systemd->mutex);
  char *list = g_strdup (g_hash_table_lookup (systemd->units, unit));
  g_mutex_unlock (&systemd->mutex);
  return list;
}

char *
fake_systemd_take_writes (FakeSystemd *systemd)
{
  g_mutex_lock (&systemd->mutex);
  char *text = g_strdup (systemd->writes->str);
  g_string_truncate (systemd->writes, 0);
  g_mutex_unlock (&systemd->mutex);
  return text;
}

void
fake_systemd_set_mute (FakeSystemd *systemd, gboolean mute)
{
  g_mutex_lock (&systemd->mutex);
  systemd->mute = mute;
  g_mutex_unlock (&systemd->mutex);
}

void
fake_systemd_set_slow (FakeSystemd *systemd, const char *what, guint milliseconds)
{
  g_mutex_lock (&systemd->mutex);
  g_free (systemd->slow);
  systemd->slow = g_strdup (what);
  systemd->slow_ms = milliseconds;
  g_mutex_unlock (&systemd->mutex);
}

void
fake_systemd_set_service (FakeSystemd *systemd, const char *unit, const char *state)
{
  g_mutex_lock (&systemd->mutex);
  g_hash_table_replace (systemd->services, g_strdup (unit), g_strdup (state));
  g_mutex_unlock (&systemd->mutex);
}

char *
fake_systemd_dup_service (FakeSystemd *systemd, const char *unit)
{
  g_mutex_lock (&systemd->mutex);
  char *state = g_strdup (g_hash_table_lookup (systemd->services, unit));
  g_mutex_unlock (&systemd->mutex);
  return state;
}

void
fake_systemd_add_session (FakeSystemd *systemd, const char *id, const char *seat)
{
  g_mutex_lock (&systemd->mutex);
  g_hash_table_replace (systemd->sessions, g_strdup (id), g_strdup (seat));
  g_mutex_unlock (&systemd->mutex);
}

void
fake_systemd_on_change (FakeSystemd *systemd, FakeServiceFunc func, gpointer data)
{
  g_mutex_lock (&systemd->mutex);
  systemd->on_change = func;
  systemd->on_change_data = data;
  g_mutex_unlock (&systemd->mutex);
}

void
fake_systemd_set_faults (FakeSystemd *systemd, guint broken, gboolean stubborn, gboolean ending)
{
  g_mutex_lock (&systemd->mutex);
  systemd->broken = broken;
  systemd->stubborn = stubborn;
  systemd->ending = ending;
  g_mutex_unlock (&systemd->mutex);
}

/* The other end of the pipe is open. */
gboolean
fake_systemd_is_inhibited (FakeSystemd *systemd)
{
  g_mutex_lock (&systemd->mutex);
  GPollFD end = { systemd->inhibitor, G_IO_IN, 0 };
  gboolean open = systemd->inhibitor >= 0 && g_poll (&end, 1, 0) == 0;
  g_mutex_unlock (&systemd->mutex);
  return open;
}
