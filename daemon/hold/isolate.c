/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked for, in order. */
#include "daemon/hold/isolate.h"

#include "daemon/hold/isolate-parts.h"

struct VpIsolate {
  VpIsolateGround ground;
};

VpIsolate *
vp_isolate_new (const VpRoot *root, VpBook *book, const char *bus)
{
  VpIsolate *isolate = g_new0 (VpIsolate, 1);
  const VpBookAccess access = { vp_isolate_read_unit, vp_isolate_write_unit, &isolate->ground };

  isolate->ground = (VpIsolateGround){ .root = root, .book = book, .bus = vp_system_bus_new (bus) };
  vp_book_set_access (book, VP_HOLDING_SLICE, &access);
  return isolate;
}

void
vp_isolate_free (VpIsolate *isolate)
{
  if (isolate == NULL)
    return;
  vp_system_bus_free (isolate->ground.bus);
  g_free (isolate);
}

gboolean
vp_isolate_apply (VpIsolate *isolate, const VpIsolateRequest *request, GPtrArray *warnings, GError **error)
{
  gboolean governor = vp_settings_choice (request->settings, VP_KEY_CPU_GOVERNOR) == VP_GOVERNOR_PERFORMANCE;
  gboolean irqs = vp_settings_choice (request->settings, VP_KEY_CPU_IRQS) == VP_IRQS_MOVE;
  gboolean units = vp_settings_choice (request->settings, VP_KEY_CPU_ISOLATE) == VP_ISOLATE_YES;
  const VpIsolateTask task = { .ground = &isolate->ground,
                               .uuid = request->uuid,
                               .name = request->name,
                               .cpus = request->cpus,
                               .deadline = request->deadline,
                               .warnings = warnings };

  if (request->cpus == NULL || hwloc_bitmap_iszero (request->cpus) || hwloc_bitmap_weight (request->cpus) < 0) {
    if (governor || irqs || units)
      vp_isolate_warn (&task, "it has no CPUs of its own, so cpu.isolate, cpu.irqs and cpu.governor do nothing: "
                              "they need cpu.pin");
    return TRUE;
  }
  return (!governor || vp_isolate_set_governors (&task, error)) &&
         (!irqs || vp_isolate_move_interrupts (&task, error)) && (!units || vp_isolate_confine_units (&task, error));
}
