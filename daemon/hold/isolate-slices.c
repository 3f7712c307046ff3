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
#include "daemon/hold/isolate-parts.h"

#include <string.h>

#include "base/error.h"
#include "daemon/hold/isolate-record.h"

#define LONGEST_MACHINE 60 /* libvirt cuts names of about that length off */

typedef struct {
  VpBitmap *cpus;   /* that guests have who are there */
  VpUnitValue base; /* what the unit was allowed without them; VP_UNIT_IN_FORCE: no record says */
  gboolean noted;   /* somebody has a record of this very key */
} Holders;

static void
holders_clear (Holders *holders)
{
  hwloc_bitmap_free (holders->cpus);
  vp_unit_value_clear (&holders->base);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Holders, holders_clear)

static gboolean
parse_value (const char *text, const char *unit, VpUnitValue *value, GError **error)
{
  if (vp_unit_value_parse (text, value))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "'%s' is no list of CPUs for %s", text, unit);
  return FALSE;
}

static gboolean
add_holder (Holders *holders, const VpUnitKey *key, const VpHolding *holding, GError **error)
{
  for (guint i = 0; i < holding->records->len; i++) {
    const VpHoldingRecord *record = holding->records->pdata[i];
    g_auto (VpUnitKey) of = { NULL, NULL };
    if (record->kind != VP_HOLDING_SLICE || !vp_unit_key_parse (record->key, &of) || !g_str_equal (of.unit, key->unit))
      continue;
    if (holders->base.state == VP_UNIT_IN_FORCE && !parse_value (record->before, key->unit, &holders->base, error))
      return FALSE;
    if (hwloc_bitmap_isequal (of.without, key->without))
      holders->noted = TRUE;
    if (holding->state != VP_HOLDING_RELEASING)
      hwloc_bitmap_or (holders->cpus, holders->cpus, of.without);
  }
  return TRUE;
}

static gboolean
find_holders (VpBook *book, const VpUnitKey *key, Holders *holders, GError **error)
{
  g_auto (GStrv) uuids = vp_book_list (book);

  holders->cpus = hwloc_bitmap_alloc ();
  for (guint i = 0; uuids[i] != NULL; i++) {
    g_autoptr (VpHolding) holding = vp_book_dup (book, uuids[i]);
    if (holding != NULL && !add_holder (holders, key, holding, error))
      return FALSE;
  }
  return TRUE;
}

/* As write_nothing leaves it where it dies between its two steps. */
static gboolean
is_half_undone (const VpRoot *root, const Holders *holders, const VpBitmap *now)
{
  g_autoptr (VpBitmap) present = vp_isolate_read_present (root);

  return hwloc_bitmap_iszero (holders->cpus) && holders->base.state == VP_UNIT_ALL &&
         hwloc_bitmap_isequal (now, present);
}

/* Before a guest has noted it, what is there is the base, whatever other guests made of it. */
gboolean
vp_isolate_read_unit (const char *text, char **value, gpointer data, GError **error)
{
  const VpIsolateGround *ground = data;
  g_auto (VpUnitKey) key = { NULL, NULL };
  g_autoptr (VpBitmap) now = NULL;
  g_auto (Holders) holders = { .cpus = NULL };
  VpUnitValue found = { VP_UNIT_IN_FORCE, NULL };

  *value = NULL;
  if (!vp_unit_key_parse (text, &key))
    return TRUE; /* none of ours: nothing is there to undo */
  if (!vp_unit_bus_read_cpus (ground->bus, key.unit, &now, error))
    return FALSE;
  if (now == NULL)
    return TRUE;
  if (!find_holders (ground->book, &key, &holders, error))
    return FALSE;
  gboolean in_force = !hwloc_bitmap_iszero (now) && !hwloc_bitmap_intersects (now, key.without);
  if (!holders.noted || !(in_force || is_half_undone (ground->root, &holders, now)))
    found = holders.base.state != VP_UNIT_IN_FORCE ? holders.base
            : hwloc_bitmap_iszero (now)            ? (VpUnitValue){ VP_UNIT_ALL, NULL }
                                                   : (VpUnitValue){ VP_UNIT_SOME, now };
  *value = vp_unit_value_dup_text (&found);
  return TRUE;
}

/*
 * systemd that is told "nothing" forgets the setting, but does not always tell the kernel (its issue 43846):
 * all first, so that nobody stays confined.
 */
static gboolean
write_nothing (const VpIsolateGround *ground, const char *unit, GError **error)
{
  g_autoptr (VpBitmap) present = vp_isolate_read_present (ground->root);
  g_autoptr (VpBitmap) nothing = hwloc_bitmap_alloc ();

  return vp_unit_bus_write_cpus (ground->bus, unit, present, error) &&
         vp_unit_bus_write_cpus (ground->bus, unit, nothing, error);
}

/* What it may use without guests, less what they have. */
static gboolean
write_rest (const VpIsolateGround *ground, const char *unit, const VpBitmap *base, const VpBitmap *taken,
            GError **error)
{
  g_autoptr (VpBitmap) online = vp_isolate_read_online (ground->root);
  g_autoptr (VpBitmap) allowed = base != NULL ? hwloc_bitmap_dup (base) : vp_isolate_read_present (ground->root);

  hwloc_bitmap_andnot (allowed, allowed, taken);
  if (!hwloc_bitmap_intersects (allowed, online)) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "no CPU that is on would be left for %s", unit);
    return FALSE;
  }
  return vp_unit_bus_write_cpus (ground->bus, unit, allowed, error);
}

/* For the guest's start it is in the journal already; for its end it does not count any more. */
gboolean
vp_isolate_write_unit (const char *text, const char *value, gpointer data, GError **error)
{
  const VpIsolateGround *ground = data;
  g_auto (VpUnitKey) key = { NULL, NULL };
  g_auto (VpUnitValue) wanted = { VP_UNIT_IN_FORCE, NULL };
  g_auto (Holders) holders = { .cpus = NULL };

  if (!vp_unit_key_parse (text, &key)) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "'%s' names no unit and the CPUs that it leaves", text);
    return FALSE;
  }
  if (!parse_value (value, key.unit, &wanted, error) || !find_holders (ground->book, &key, &holders, error))
    return FALSE;
  const VpUnitValue *base = wanted.state != VP_UNIT_IN_FORCE ? &wanted : &holders.base;
  if (hwloc_bitmap_iszero (holders.cpus) && base->state == VP_UNIT_ALL)
    return write_nothing (ground, key.unit, error);
  return write_rest (ground, key.unit, base->cpus, holders.cpus, error);
}

/* systemd needs the unified hierarchy for this. NULL: it is there. */
static const char *
find_obstacle (const VpRoot *root)
{
  g_autofree char *text = vp_root_dup_text (root, "sys/fs/cgroup/cgroup.controllers");
  g_auto (GStrv) controllers = g_strsplit (text != NULL ? text : "", " ", -1);

  if (text == NULL)
    return "the host has no unified cgroup hierarchy (boot with systemd.unified_cgroup_hierarchy=1)";
  if (!g_strv_contains ((const char *const *) controllers, "cpuset"))
    return "the host's kernel has no cpuset controller in /sys/fs/cgroup/cgroup.controllers";
  return NULL;
}

static gboolean
leaves_a_cpu (const VpIsolateTask *task)
{
  g_autoptr (VpBitmap) rest = vp_isolate_read_online (task->ground->root);
  g_autoptr (GHashTable) keys = vp_isolate_list_changed (task, VP_HOLDING_SLICE);
  GHashTableIter iter;
  gpointer text = NULL;

  hwloc_bitmap_andnot (rest, rest, task->cpus);
  g_hash_table_iter_init (&iter, keys);
  while (g_hash_table_iter_next (&iter, &text, NULL)) {
    g_auto (VpUnitKey) key = { NULL, NULL };
    if (vp_unit_key_parse (text, &key))
      hwloc_bitmap_andnot (rest, rest, key.without);
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
has_own_cpus (VpBook *book, const char *scope)
{
  g_autofree char *machine = dup_machine (scope);
  g_auto (GStrv) uuids = vp_book_list (book);

  for (guint i = 0; machine != NULL && uuids[i] != NULL; i++) {
    g_autoptr (VpHolding) holding = vp_book_dup (book, uuids[i]);
    g_autofree char *name = holding != NULL && holding->cpus != NULL ? dup_squeezed (holding->name) : NULL;
    gboolean is_cut = strlen (scope) > LONGEST_MACHINE;
    if (name != NULL && (strcmp (name, machine) == 0 || (is_cut && g_str_has_prefix (name, machine))))
      return TRUE;
  }
  return FALSE;
}

/* NULL: the error says why systemd could not be asked. */
static GPtrArray *
list_units (const VpIsolateGround *ground, GError **error)
{
  static const char *const slices[] = { "system.slice", "user.slice", "init.scope" };
  g_autoptr (GPtrArray) units = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) machines = vp_unit_bus_list_scopes (ground->bus, "machine-*.scope", error);

  if (machines == NULL)
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS (slices); i++)
    g_ptr_array_add (units, g_strdup (slices[i]));
  for (guint i = 0; machines[i] != NULL; i++)
    if (!has_own_cpus (ground->book, machines[i]))
      g_ptr_array_add (units, g_strdup (machines[i]));
  return g_steal_pointer (&units);
}

static gboolean
confine_all (const VpIsolateTask *task, const GPtrArray *units, GError **error)
{
  g_autofree char *in_force = vp_unit_value_dup_text (&(VpUnitValue){ VP_UNIT_IN_FORCE, NULL });

  for (guint i = 0; i < units->len; i++) {
    g_autofree char *key = vp_unit_key_dup_text (units->pdata[i], task->cpus);
    g_autofree char *reason = NULL;
    if (!vp_isolate_change (task, VP_HOLDING_SLICE, key, in_force, &reason, error))
      return FALSE;
    if (reason != NULL)
      vp_isolate_warn (task, "%s is not kept off its CPUs: %s", (const char *) units->pdata[i], reason);
  }
  return TRUE;
}

gboolean
vp_isolate_confine_units (const VpIsolateTask *task, GError **error)
{
  const char *obstacle = find_obstacle (task->ground->root);
  g_autoptr (GError) problem = NULL;

  if (obstacle != NULL) {
    vp_isolate_warn (task, "nothing is kept off its CPUs (cpu.isolate): %s", obstacle);
    return TRUE;
  }
  if (!leaves_a_cpu (task)) {
    vp_isolate_warn (task, "nothing is kept off its CPUs (cpu.isolate): the guests that ask for it have all CPUs, "
                           "and none would be left for the host: give them fewer vCPUs, or set cpu.reserve-cores");
    return TRUE;
  }
  g_autoptr (GPtrArray) units = list_units (task->ground, &problem);
  if (units == NULL) {
    vp_isolate_warn (task, "nothing is kept off its CPUs (cpu.isolate): %s", problem->message);
    return TRUE;
  }
  return confine_all (task, units, error);
}
