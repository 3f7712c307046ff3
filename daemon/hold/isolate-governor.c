/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The governor of the guest's cores. CPUs that share a clock share a policy folder; it
 * is changed once. The energy preference is left alone: drivers that have one (intel_pstate,
 * amd-pstate) set it themselves for this governor, and back afterwards.
 */
#include "daemon/hold/isolate-parts.h"

#include <string.h>

#define CPUS "sys/devices/system/cpu"
#define GOVERNOR "performance"

/* The folder that all CPUs of the policy have in common; NULL: this CPU has no clock that could be set. */
static char *
dup_policy (const VpRoot *root, int cpu)
{
  g_autofree char *folder = g_strdup_printf (CPUS "/cpu%d/cpufreq", cpu);
  g_autofree char *file = g_build_filename (folder, "scaling_governor", NULL);
  g_autofree char *text = vp_root_dup_text (root, file);
  g_autofree char *policy = vp_root_dup_link_name (root, folder);

  if (text == NULL)
    return NULL;
  return policy != NULL ? g_build_filename (CPUS "/cpufreq", policy, NULL) : g_steal_pointer (&folder);
}

static gboolean
has_governor (const VpRoot *root, const char *policy, char **available)
{
  g_autofree char *file = g_build_filename (policy, "scaling_available_governors", NULL);

  *available = vp_root_dup_text (root, file);
  if (*available == NULL)
    *available = g_strdup ("");
  g_auto (GStrv) words = g_strsplit (*available, " ", -1);
  return g_strv_contains ((const char *const *) words, GOVERNOR);
}

/* One that is right already is noted where another guest made it so: that one may end first. FALSE: busy. */
static gboolean
set_policy (const VpIsolateTask *task, const char *policy, GHashTable *changed, GError **error)
{
  g_autofree char *file = g_build_filename (policy, "scaling_governor", NULL);
  g_autofree char *now = vp_root_dup_text (task->ground->root, file);
  g_autofree char *available = NULL;
  g_autofree char *reason = NULL;

  if (g_strcmp0 (now, GOVERNOR) == 0 && !g_hash_table_contains (changed, file))
    return TRUE;
  if (!has_governor (task->ground->root, policy, &available)) {
    vp_isolate_warn (task, "the governor stays '%s' in /%s: the driver has no '" GOVERNOR "' (it has: %s)",
                     now != NULL ? now : "", policy, available);
    return TRUE;
  }
  if (!vp_isolate_change (task, VP_HOLDING_FILE, file, GOVERNOR, &reason, error))
    return FALSE;
  if (reason != NULL)
    vp_isolate_warn (task, "the governor stays '%s': %s", now != NULL ? now : "", reason);
  return TRUE;
}

gboolean
vp_isolate_set_governors (const VpIsolateTask *task, GError **error)
{
  g_autoptr (GHashTable) changed = vp_isolate_list_changed (task, VP_HOLDING_FILE);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (int cpu = hwloc_bitmap_first (task->cpus); cpu >= 0; cpu = hwloc_bitmap_next (task->cpus, cpu)) {
    char *policy = dup_policy (task->ground->root, cpu);
    if (policy != NULL && g_hash_table_add (seen, policy) && !set_policy (task, policy, changed, error))
      return FALSE;
  }
  if (g_hash_table_size (seen) == 0)
    g_message ("domain '%s': the kernel sets no clock on its CPUs (a virtual machine, or the firmware does it): "
               "cpu.governor changes nothing",
               task->name);
  return TRUE;
}
