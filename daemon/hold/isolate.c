/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked for, in order, and what the parts need. */
#include "daemon/hold/isolate-private.h"

#include "base/error.h"

#define CPUS "sys/devices/system/cpu"

VpIsolate *
vp_isolate_new (const VpRoot *root, VpHolds *holds, const char *bus)
{
  VpIsolate *isolate = g_new0 (VpIsolate, 1);
  const VpHoldAccess access = { vp_isolate_read_unit, vp_isolate_write_unit, isolate };

  isolate->root = root;
  isolate->holds = holds;
  g_mutex_init (&isolate->mutex);
  isolate->bus = vp_unit_bus_new (bus);
  vp_holds_set_access (holds, VP_HOLD_SLICE, &access);
  return isolate;
}

void
vp_isolate_free (VpIsolate *isolate)
{
  if (isolate == NULL)
    return;
  vp_unit_bus_free (isolate->bus);
  g_mutex_clear (&isolate->mutex);
  g_free (isolate);
}

HwlocBitmap *
vp_isolate_read_list (const VpIsolate *isolate, const char *path)
{
  g_autofree char *text = vp_root_dup_text (isolate->root, path);

  return vp_list_parse (text);
}

HwlocBitmap *
vp_isolate_read_online (const VpIsolate *isolate)
{
  HwlocBitmap *online = vp_isolate_read_list (isolate, CPUS "/online");

  return online != NULL ? online : hwloc_bitmap_alloc ();
}

HwlocBitmap *
vp_isolate_read_present (const VpIsolate *isolate)
{
  HwlocBitmap *present = vp_isolate_read_list (isolate, CPUS "/present");

  return present != NULL ? present : vp_isolate_read_online (isolate);
}

void
vp_isolate_warn (GPtrArray *warnings, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_ptr_array_add (warnings, g_strdup_vprintf (format, arguments));
  va_end (arguments);
}

gboolean
vp_isolate_change (VpIsolate *isolate, const VpIsolateRequest *request, VpHoldKind kind, const char *key,
                   const char *value, GError **problem)
{
  return vp_holds_change (isolate->holds, request->uuid, request->name, kind, key, value, request->deadline, problem);
}

gboolean
vp_isolate_is_busy (const GError *problem)
{
  return g_error_matches (problem, VP_ERROR, VP_ERROR_UNFIT);
}

GHashTable *
vp_isolate_list_changed (const VpIsolate *isolate, const char *but_uuid, VpHoldKind kind)
{
  g_auto (GStrv) uuids = vp_holds_list (isolate->holds);
  GHashTable *keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; uuids[i] != NULL; i++) {
    g_autoptr (VpHold) hold = g_str_equal (uuids[i], but_uuid) ? NULL : vp_holds_dup (isolate->holds, uuids[i]);
    for (guint j = 0; hold != NULL && j < hold->records->len; j++) {
      const VpHoldRecord *record = hold->records->pdata[j];
      if (record->kind == kind)
        g_hash_table_add (keys, g_strdup (record->key));
    }
  }
  return keys;
}

gboolean
vp_isolate_prepare (VpIsolate *isolate, const VpIsolateRequest *request, GPtrArray *warnings, GError **error)
{
  gboolean governor = vp_settings_choice (request->settings, VP_KEY_CPU_GOVERNOR) == VP_GOVERNOR_PERFORMANCE;
  gboolean irqs = vp_settings_choice (request->settings, VP_KEY_CPU_IRQS) == VP_IRQS_MOVE;
  gboolean units = vp_settings_choice (request->settings, VP_KEY_CPU_ISOLATE) == VP_ISOLATE_YES;

  if (request->cpus == NULL || hwloc_bitmap_iszero (request->cpus) || hwloc_bitmap_weight (request->cpus) < 0) {
    if (governor || irqs || units)
      vp_isolate_warn (warnings, "it has no CPUs of its own, so cpu.isolate, cpu.irqs and cpu.governor do nothing: "
                                 "they need cpu.pin");
    return TRUE;
  }
  /* Noted for all who have some, since others' interrupts shall not come to them and nobody takes them away. */
  g_autofree char *list = vp_list_dup (request->cpus);
  return vp_holds_set_cpus (isolate->holds, request->uuid, request->name, list, error) &&
         (!governor || vp_isolate_set_governors (isolate, request, warnings, error)) &&
         (!irqs || vp_isolate_move_interrupts (isolate, request, warnings, error)) &&
         (!units || vp_isolate_confine_units (isolate, request, warnings, error));
}
