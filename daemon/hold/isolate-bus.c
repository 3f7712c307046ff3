/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AllowedCPUs of systemd's units. */
#include "daemon/hold/isolate-bus.h"

#include <string.h>

#include "base/error.h"

#define MAX_CPUS 65536

static GVariant *
call (VpSystemBus *bus, const char *path, const char *method, GVariant *parameters, const char *reply,
      gboolean *missing, GError **error)
{
  const VpBusCall what = { VP_SYSTEMD, path, method, reply };

  return vp_system_bus_call (bus, &what, parameters, NULL, missing, error);
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
vp_unit_bus_read_cpus (VpSystemBus *bus, const char *unit, VpBitmap **cpus, GError **error)
{
  gboolean is_slice = g_str_has_suffix (unit, ".slice");
  g_autoptr (GError) problem = NULL;
  gboolean missing = FALSE;
  const char *path = NULL;

  *cpus = NULL;
  /* A slice is there where nothing runs in it, too; LoadUnit would make up a scope that ended. */
  g_autoptr (GVariant) loaded =
    call (bus, VP_SYSTEMD_PATH, is_slice ? VP_SYSTEMD_MANAGER ".LoadUnit" : VP_SYSTEMD_MANAGER ".GetUnit",
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
          g_variant_new ("(ss)", is_slice ? VP_SYSTEMD ".Slice" : VP_SYSTEMD ".Scope", "AllowedCPUs"), "(v)", NULL,
          error);
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
vp_unit_bus_write_cpus (VpSystemBus *bus, const char *unit, hwloc_const_bitmap_t cpus, GError **error)
{
  GVariant *property = g_variant_new ("(sv)", "AllowedCPUs", new_mask (cpus));
  GVariant *properties = g_variant_new_array (G_VARIANT_TYPE ("(sv)"), &property, 1);
  g_autoptr (GVariant) answer = call (bus, VP_SYSTEMD_PATH, VP_SYSTEMD_MANAGER ".SetUnitProperties",
                                      g_variant_new ("(sb@a(sv))", unit, TRUE, properties), "()", NULL, error);

  return answer != NULL;
}

GStrv
vp_unit_bus_list_scopes (VpSystemBus *bus, const char *pattern, GError **error)
{
  const char *const states[] = { "active", NULL };
  const char *const patterns[] = { pattern, NULL };
  g_autoptr (GVariantIter) units = NULL;
  const char *name = NULL;

  g_autoptr (GVariant) answer = call (bus, VP_SYSTEMD_PATH, VP_SYSTEMD_MANAGER ".ListUnitsByPatterns",
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
