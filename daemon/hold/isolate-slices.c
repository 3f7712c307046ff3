/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What systemd runs is kept off the guests' CPUs.
 *
 * Each guest has a record of its own for each unit, "system.slice without 2-3". Its value
 * is "in force", or what the unit was allowed when no guest was there ("all", or a list).
 * What is written to the unit is made anew each time: what it was allowed then, without
 * the CPUs of all guests that are there and have such a record. So they add up, may end
 * in any order, and whoever comes after a crash needs no more than the journal.
 *
 *   system.slice      was "all" of 0-7
 *   a: without 2-3    0-1,4-7
 *   b: without 4-5    0-1,6-7
 *   a ends            0-3,6-7
 */
#include "daemon/hold/isolate-private.h"

#include <string.h>

#include "base/error.h"

#define IN_FORCE "in force"
#define ALL "all"
#define WITHOUT " without "
#define LONGEST_MACHINE 60 /* libvirt cuts names of about that length off */

typedef struct {
  HwlocBitmap *cpus; /* that guests have who are there */
  char *base;        /* what the unit was allowed without them; NULL: no guest has a record of it */
  gboolean noted;    /* somebody has a record of this very key */
} Holders;

static void
holders_clear (Holders *holders)
{
  hwloc_bitmap_free (holders->cpus);
  g_free (holders->base);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Holders, holders_clear)

static char *
dup_unit (const char *key)
{
  const char *end = strstr (key, WITHOUT);

  return end != NULL ? g_strndup (key, (gsize) (end - key)) : g_strdup (key);
}

static HwlocBitmap *
parse_cpus (const char *key)
{
  const char *end = strstr (key, WITHOUT);

  return end != NULL ? vp_list_parse (end + strlen (WITHOUT)) : NULL;
}

static void
add_holder (Holders *holders, const char *key, const char *unit, const VpHold *hold)
{
  for (guint i = 0; i < hold->records->len; i++) {
    const VpHoldRecord *record = hold->records->pdata[i];
    g_autofree char *of = record->kind == VP_HOLD_SLICE ? dup_unit (record->key) : NULL;
    g_autoptr (HwlocBitmap) cpus = of != NULL ? parse_cpus (record->key) : NULL;
    if (g_strcmp0 (of, unit) != 0 || cpus == NULL)
      continue;
    if (holders->base == NULL && strcmp (record->before, IN_FORCE) != 0)
      holders->base = g_strdup (record->before);
    if (strcmp (record->key, key) == 0)
      holders->noted = TRUE;
    if (hold->state != VP_HOLD_RELEASING)
      hwloc_bitmap_or (holders->cpus, holders->cpus, cpus);
  }
}

static void
find_holders (const VpIsolate *isolate, const char *key, const char *unit, Holders *holders)
{
  g_auto (GStrv) uuids = vp_holds_list (isolate->holds);

  holders->cpus = hwloc_bitmap_alloc ();
  for (guint i = 0; uuids[i] != NULL; i++) {
    g_autoptr (VpHold) hold = vp_holds_dup (isolate->holds, uuids[i]);
    if (hold != NULL)
      add_holder (holders, key, unit, hold);
  }
}

static gboolean
read_cpus (VpIsolate *isolate, const char *unit, hwloc_bitmap_t *cpus, GError **error)
{
  g_mutex_lock (&isolate->mutex);
  gboolean known = vp_unit_bus_read_cpus (isolate->bus, unit, cpus, error);
  g_mutex_unlock (&isolate->mutex);
  return known;
}

static gboolean
write_cpus (VpIsolate *isolate, const char *unit, hwloc_const_bitmap_t cpus, GError **error)
{
  g_mutex_lock (&isolate->mutex);
  gboolean written = vp_unit_bus_write_cpus (isolate->bus, unit, cpus, error);
  g_mutex_unlock (&isolate->mutex);
  return written;
}

/* As write_nothing leaves it where it dies between its two steps. */
static gboolean
is_half_undone (const VpIsolate *isolate, const Holders *holders, const HwlocBitmap *now)
{
  g_autoptr (HwlocBitmap) present = vp_isolate_read_present (isolate);

  return hwloc_bitmap_iszero (holders->cpus) && g_strcmp0 (holders->base, ALL) == 0 &&
         hwloc_bitmap_isequal (now, present);
}

/* Before a guest has noted it, what is there is the base, whatever other guests made of it. */
gboolean
vp_isolate_read_unit (const char *key, char **value, gpointer data, GError **error)
{
  VpIsolate *isolate = data;
  g_autofree char *unit = dup_unit (key);
  g_autoptr (HwlocBitmap) cpus = parse_cpus (key);
  g_autoptr (HwlocBitmap) now = NULL;
  g_auto (Holders) holders = { NULL, NULL, FALSE };

  *value = NULL;
  if (!read_cpus (isolate, unit, &now, error))
    return FALSE;
  if (now == NULL)
    return TRUE;
  find_holders (isolate, key, unit, &holders);
  gboolean in_force = cpus != NULL && !hwloc_bitmap_iszero (now) && !hwloc_bitmap_intersects (now, cpus);
  if (holders.noted && (in_force || is_half_undone (isolate, &holders, now)))
    *value = g_strdup (IN_FORCE);
  else if (holders.base != NULL)
    *value = g_steal_pointer (&holders.base);
  else
    *value = hwloc_bitmap_iszero (now) ? g_strdup (ALL) : vp_list_dup (now);
  return TRUE;
}

/*
 * systemd that is told "nothing" forgets the setting, but does not always tell the kernel (its issue 43846):
 * all first, so that nobody stays confined.
 */
static gboolean
write_nothing (VpIsolate *isolate, const char *unit, GError **error)
{
  g_autoptr (HwlocBitmap) present = vp_isolate_read_present (isolate);
  g_autoptr (HwlocBitmap) nothing = hwloc_bitmap_alloc ();

  return write_cpus (isolate, unit, present, error) && write_cpus (isolate, unit, nothing, error);
}

/* For the guest's start it is in the journal already; for its end it does not count any more. */
gboolean
vp_isolate_write_unit (const char *key, const char *value, gpointer data, GError **error)
{
  VpIsolate *isolate = data;
  g_autofree char *unit = dup_unit (key);
  g_autoptr (HwlocBitmap) allowed = NULL;
  g_autoptr (HwlocBitmap) online = vp_isolate_read_online (isolate);
  g_auto (Holders) holders = { NULL, NULL, FALSE };

  find_holders (isolate, key, unit, &holders);
  const char *base = strcmp (value, IN_FORCE) != 0 ? value : holders.base;
  if (hwloc_bitmap_iszero (holders.cpus) && g_strcmp0 (base, ALL) == 0)
    return write_nothing (isolate, unit, error);
  allowed = base == NULL || strcmp (base, ALL) == 0 ? vp_isolate_read_present (isolate) : vp_list_parse (base);
  if (allowed == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "'%s' is no list of CPUs for %s", base, unit);
    return FALSE;
  }
  hwloc_bitmap_andnot (allowed, allowed, holders.cpus);
  if (!hwloc_bitmap_intersects (allowed, online)) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "no CPU that is on would be left for %s", unit);
    return FALSE;
  }
  return write_cpus (isolate, unit, allowed, error);
}

/* systemd needs the unified hierarchy for this. NULL: it is there. */
static const char *
find_obstacle (const VpIsolate *isolate)
{
  g_autofree char *text = vp_root_dup_text (isolate->root, "sys/fs/cgroup/cgroup.controllers");
  g_auto (GStrv) controllers = g_strsplit (text != NULL ? text : "", " ", -1);

  if (text == NULL)
    return "the host has no unified cgroup hierarchy (boot with systemd.unified_cgroup_hierarchy=1)";
  if (!g_strv_contains ((const char *const *) controllers, "cpuset"))
    return "the host's kernel has no cpuset controller in /sys/fs/cgroup/cgroup.controllers";
  return NULL;
}

static gboolean
leaves_a_cpu (const VpIsolate *isolate, const VpIsolateRequest *request)
{
  g_autoptr (HwlocBitmap) rest = vp_isolate_read_online (isolate);
  g_autoptr (GHashTable) keys = vp_isolate_list_changed (isolate, request->uuid, VP_HOLD_SLICE);
  GHashTableIter iter;
  gpointer key = NULL;

  hwloc_bitmap_andnot (rest, rest, request->cpus);
  g_hash_table_iter_init (&iter, keys);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    g_autoptr (HwlocBitmap) cpus = parse_cpus (key);
    if (cpus != NULL)
      hwloc_bitmap_andnot (rest, rest, cpus);
  }
  return !hwloc_bitmap_iszero (rest);
}

/* Letters and digits alone: libvirt leaves others out of a machine's name, and systemd writes some as \x2d. */
static char *
dup_squeezed (const char *text)
{
  GString *squeezed = g_string_new (NULL);

  for (const char *c = text; *c != '\0'; c++)
    if (g_ascii_isalnum (*c))
      g_string_append_c (squeezed, *c);
  return g_string_free (squeezed, FALSE);
}

/* "win10" of "machine-qemu\x2d3\x2dwin10.scope"; NULL: it is none of libvirt's QEMUs. */
static char *
dup_machine (const char *scope)
{
  g_auto (GStrv) parts = g_strsplit (scope, "\\x2d", 3);

  if (g_strv_length (parts) < 3 || strcmp (parts[0], "machine-qemu") != 0)
    return NULL;
  g_auto (GStrv) words = g_strsplit (parts[2], "\\x2d", -1);
  g_autofree char *name = g_strjoinv ("", words);
  name[strlen (name) - (g_str_has_suffix (name, ".scope") ? strlen (".scope") : 0)] = '\0';
  return dup_squeezed (name);
}

/* Whether it may be a guest that has CPUs of its own; where the name does not tell, it may. */
static gboolean
has_own_cpus (const VpIsolate *isolate, const char *scope)
{
  g_autofree char *machine = dup_machine (scope);
  g_auto (GStrv) uuids = vp_holds_list (isolate->holds);

  for (guint i = 0; machine != NULL && uuids[i] != NULL; i++) {
    g_autoptr (VpHold) hold = vp_holds_dup (isolate->holds, uuids[i]);
    g_autofree char *name = hold != NULL && hold->cpus != NULL ? dup_squeezed (hold->name) : NULL;
    gboolean is_cut = strlen (scope) > LONGEST_MACHINE;
    if (name != NULL && (strcmp (name, machine) == 0 || (is_cut && g_str_has_prefix (name, machine))))
      return TRUE;
  }
  return FALSE;
}

static GPtrArray *
list_units (VpIsolate *isolate, GError **error)
{
  static const char *const slices[] = { "system.slice", "user.slice", "init.scope" };
  GPtrArray *units = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < G_N_ELEMENTS (slices); i++)
    g_ptr_array_add (units, g_strdup (slices[i]));
  g_mutex_lock (&isolate->mutex);
  g_auto (GStrv) machines = vp_unit_bus_list_scopes (isolate->bus, "machine-*.scope", error);
  g_mutex_unlock (&isolate->mutex);
  for (guint i = 0; machines != NULL && machines[i] != NULL; i++)
    if (!has_own_cpus (isolate, machines[i]))
      g_ptr_array_add (units, g_strdup (machines[i]));
  if (machines == NULL)
    g_clear_pointer (&units, g_ptr_array_unref);
  return units;
}

/* A bus that does not answer is not asked for the others. FALSE: busy. */
static gboolean
confine_all (VpIsolate *isolate, const VpIsolateRequest *request, const GPtrArray *units, GPtrArray *warnings,
             GError **error)
{
  g_autofree char *list = vp_list_dup (request->cpus);

  for (guint i = 0; i < units->len; i++) {
    g_autofree char *key = g_strconcat (units->pdata[i], WITHOUT, list, NULL);
    g_autoptr (GError) problem = NULL;
    if (vp_isolate_change (isolate, request, VP_HOLD_SLICE, key, IN_FORCE, &problem))
      continue;
    if (vp_isolate_is_busy (problem)) {
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
    vp_isolate_warn (warnings, "%s is not kept off its CPUs: %s", (const char *) units->pdata[i], problem->message);
  }
  return TRUE;
}

gboolean
vp_isolate_confine_units (VpIsolate *isolate, const VpIsolateRequest *request, GPtrArray *warnings, GError **error)
{
  const char *obstacle = find_obstacle (isolate);
  g_autoptr (GError) problem = NULL;

  if (obstacle != NULL) {
    vp_isolate_warn (warnings, "nothing is kept off its CPUs (cpu.isolate): %s", obstacle);
    return TRUE;
  }
  if (!leaves_a_cpu (isolate, request)) {
    vp_isolate_warn (warnings, "nothing is kept off its CPUs (cpu.isolate): the guests that ask for it have all CPUs, "
                               "and none would be left for the host: give them fewer vCPUs, or set cpu.reserve-cores");
    return TRUE;
  }
  g_autoptr (GPtrArray) units = list_units (isolate, &problem);
  if (units == NULL) {
    vp_isolate_warn (warnings, "nothing is kept off its CPUs (cpu.isolate): %s", problem->message);
    return TRUE;
  }
  return confine_all (isolate, request, units, warnings, error);
}
