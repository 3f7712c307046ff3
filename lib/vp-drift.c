/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares the live XML of a guest with the host. */
#include "vp-drift.h"

static gboolean
is_usable (const VpTopology *topology, int cpu)
{
  int position = vp_topology_find_pu (topology, (unsigned) cpu);

  return position >= 0 && topology->pus[position].usable;
}

char *
vp_drift_dup_lost_cpus (const VpDomain *live, const VpHost *host)
{
  g_autoptr (GString) text = g_string_new (NULL);
  guint n = vp_domain_vcpus (live, NULL);

  for (guint i = 0; i < n; i++) {
    int cpu = vp_domain_vcpu_pin (live, i);
    if (cpu >= 0 && !is_usable (host->topology, cpu))
      g_string_append_printf (text, "%svCPU %u to CPU %d", text->len > 0 ? ", " : "", i, cpu);
  }
  if (text->len == 0)
    return NULL;
  return g_strdup_printf ("it runs with pins to CPUs that are offline or no longer allowed (%s), so the kernel runs "
                          "these anywhere: start it anew, its definition has other CPUs by then", text->str);
}
