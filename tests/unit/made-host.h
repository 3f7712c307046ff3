/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hosts for tests that no synthetic string can say: one is made from a string
 * and then changed as a real machine would differ from it.
 */
#pragma once

#include <hwloc/cpukinds.h>

#include "base/error.h"
#include "host/topology.h"

typedef struct {
  const char *cpus; /* a list as the kernel writes it */
  const char *name; /* of the one attribute, "FrequencyMaxMHz", "LinuxCapacity", "CoreType"; NULL: none */
  const char *value;
} MadeKind;

typedef struct {
  const char *synthetic;
  const char *offline; /* lists of CPUs; NULL: none */
  const char *disallowed;
  const char *isolated;
  MadeKind kinds[8];   /* least first, ends with cpus NULL */
  guint l3_mib[16];    /* sizes in order, 0: as it is */
  gint64 node_mib[16]; /* memory of nodes; 0: as it is, -1: none */
} MadeHost;

static inline hwloc_bitmap_t
made_set (const char *list)
{
  hwloc_bitmap_t set = hwloc_bitmap_alloc ();

  if (list != NULL)
    g_assert_cmpint (hwloc_bitmap_list_sscanf (set, list), ==, 0);
  return set;
}

static inline void
made_host_set_sizes (hwloc_topology_t hwloc, const MadeHost *host)
{
  for (int i = 0; i < 16; i++) {
    hwloc_obj_t l3 = hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_L3CACHE, (unsigned) i);
    hwloc_obj_t node = hwloc_get_obj_by_type (hwloc, HWLOC_OBJ_NUMANODE, (unsigned) i);

    if (l3 != NULL && host->l3_mib[i] != 0)
      l3->attr->cache.size = (guint64) host->l3_mib[i] << 20;
    if (node != NULL && host->node_mib[i] != 0)
      node->attr->numanode.local_memory = host->node_mib[i] < 0 ? 0 : (guint64) host->node_mib[i] << 20;
  }
}

static inline void
made_host_set_kinds (hwloc_topology_t hwloc, const MadeHost *host)
{
  for (int i = 0; host->kinds[i].cpus != NULL; i++) {
    const MadeKind *kind = &host->kinds[i];
    struct hwloc_info_s info = { .name = (char *) kind->name, .value = (char *) kind->value };
    hwloc_bitmap_t cpus = made_set (kind->cpus);

    g_assert_cmpint (hwloc_cpukinds_register (hwloc, cpus, i, kind->name != NULL ? 1 : 0, &info, 0), ==, 0);
    hwloc_bitmap_free (cpus);
  }
}

static inline VpTopology *
made_host_load (const MadeHost *host)
{
  g_autoptr (GError) error = NULL;
  hwloc_topology_t hwloc = NULL;
  hwloc_bitmap_t offline = made_set (host->offline);
  hwloc_bitmap_t disallowed = made_set (host->disallowed);
  hwloc_bitmap_t isolated = made_set (host->isolated);
  hwloc_bitmap_t rest = hwloc_bitmap_alloc ();

  g_assert_cmpint (hwloc_topology_init (&hwloc), ==, 0);
  hwloc_topology_set_flags (hwloc, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  g_assert_cmpint (hwloc_topology_set_synthetic (hwloc, host->synthetic), ==, 0);
  g_assert_cmpint (hwloc_topology_load (hwloc), ==, 0);
  made_host_set_sizes (hwloc, host);
  made_host_set_kinds (hwloc, host);
  if (!hwloc_bitmap_iszero (offline)) {
    hwloc_bitmap_andnot (rest, hwloc_topology_get_topology_cpuset (hwloc), offline);
    g_assert_cmpint (hwloc_topology_restrict (hwloc, rest, 0), ==, 0);
  }
  if (!hwloc_bitmap_iszero (disallowed)) {
    hwloc_bitmap_andnot (rest, hwloc_topology_get_topology_cpuset (hwloc), disallowed);
    g_assert_cmpint (hwloc_topology_allow (hwloc, rest, NULL, HWLOC_ALLOW_FLAG_CUSTOM), ==, 0);
  }
  VpTopology *topology = vp_topology_new_from_hwloc (hwloc, isolated, &error);
  g_assert_no_error (error);
  hwloc_topology_destroy (hwloc);
  hwloc_bitmap_free (offline);
  hwloc_bitmap_free (disallowed);
  hwloc_bitmap_free (isolated);
  hwloc_bitmap_free (rest);
  return topology;
}

static inline VpTopology *
recorded_host_load (const char *file)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "hosts", file, NULL);
  VpTopology *topology = vp_topology_load_description (path, &error);

  g_assert_no_error (error);
  return topology;
}
