/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The flat tables: recorded hosts, made ones, and descriptions that are wrong. */
#include <glib/gstdio.h>
#include <string.h>

#include "made-host.h"

static const VpCore *
core_of (const VpTopology *topology, unsigned cpu)
{
  int position = vp_topology_find_pu (topology, cpu);

  g_assert_cmpint (position, >=, 0);
  return &topology->cores[topology->pus[position].core];
}

/* Every table refers to the others as its comments say. */
static void
check_tables (const VpTopology *self)
{
  guint n_pus = 0;
  guint n_in_l3s = 0;
  guint n_in_nodes = 0;

  for (guint i = 0; i < self->n_cores; i++) {
    const VpCore *core = &self->cores[i];

    g_assert_cmpuint (core->first_pu, ==, n_pus);
    g_assert_cmpuint (core->n_pus, >, 0);
    g_assert_cmpuint (core->kind, <, self->n_kinds);
    g_assert_cmpuint (core->package, <, self->n_packages);
    g_assert_cmpuint (i - self->l3s[core->l3].first_core, <, self->l3s[core->l3].n_cores);
    g_assert_cmpuint (i - self->nodes[core->node].first_core, <, self->nodes[core->node].n_cores);
    for (guint j = 0; j < core->n_pus; j++) {
      const VpPu *pu = &self->pus[n_pus];

      g_assert_cmpuint (pu->core, ==, i);
      g_assert_cmpuint (pu->thread, ==, j);
      g_assert_cmpint (vp_topology_find_pu (self, pu->os_index), ==, (int) n_pus);
      g_assert_true (j == 0 || self->pus[n_pus - 1].os_index < pu->os_index);
      n_pus++;
    }
  }
  g_assert_cmpuint (n_pus, ==, self->n_pus);
  for (guint i = 0; i < self->n_l3s; i++)
    n_in_l3s += self->l3s[i].n_cores;
  for (guint i = 0; i < self->n_nodes; i++)
    n_in_nodes += self->nodes[i].n_cores;
  g_assert_cmpuint (n_in_l3s, ==, self->n_cores);
  g_assert_cmpuint (n_in_nodes, ==, self->n_cores);
}

static void
check_counts (const VpTopology *topology, guint pus, guint cores, guint l3s, guint nodes, guint kinds)
{
  check_tables (topology);
  g_assert_cmpuint (topology->n_pus, ==, pus);
  g_assert_cmpuint (topology->n_cores, ==, cores);
  g_assert_cmpuint (topology->n_l3s, ==, l3s);
  g_assert_cmpuint (topology->n_nodes, ==, nodes);
  g_assert_cmpuint (topology->n_kinds, ==, kinds);
}

static void
test_recorded_smt (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("02_intel-4c8t_i7-1165g7.xml");

  check_counts (topology, 8, 4, 1, 1, 1);
  g_assert_true (core_of (topology, 2) == core_of (topology, 6));
  g_assert_true (core_of (topology, 2) != core_of (topology, 3));
  g_assert_false (topology->amd);
  /* The dump says nothing of memory: that is not a node without memory. */
  g_assert_true (topology->nodes[0].usable);
}

static void
test_recorded_epyc (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("14_amd-epyc-2s-128c_2x7763.xml");

  check_counts (topology, 128, 128, 16, 2, 1);
  g_assert_true (topology->amd);
  g_assert_cmpuint (topology->n_packages, ==, 2);
  for (guint i = 0; i < topology->n_l3s; i++) {
    g_assert_cmpuint (topology->l3s[i].n_cores, ==, 8);
    g_assert_cmpuint (topology->l3s[i].size, ==, 32 << 20);
  }
}

static void
test_recorded_offline (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("16_intel-2s-offline-cpu0-node0_2xe5-2680v3.xml");

  check_counts (topology, 17, 17, 2, 2, 1);
  g_assert_cmpint (vp_topology_find_pu (topology, 0), ==, -1);
  g_assert_cmpuint (topology->nodes[core_of (topology, 5)->node].os_index, ==, 1);
  g_assert_true (topology->nodes[core_of (topology, 5)->node].usable);
  g_assert_cmpuint (topology->nodes[core_of (topology, 4)->node].os_index, ==, VP_NODE_NONE);
  g_assert_false (topology->nodes[core_of (topology, 4)->node].usable);
}

static void
test_recorded_cgroup (void)
{
  g_autoptr (VpTopology) topology = recorded_host_load ("17b_amd-cgroup2-disallowed-kept_4xopteron-6134.xml");
  guint n_usable = 0;

  check_counts (topology, 32, 32, 8, 8, 1);
  for (guint i = 0; i < topology->n_pus; i++) {
    g_assert_true (topology->pus[i].usable == (topology->pus[i].os_index < 6));
    n_usable += topology->pus[i].usable ? 1 : 0;
  }
  g_assert_cmpuint (n_usable, ==, 6);
  g_assert_false (topology->nodes[7].usable);
}

static void
test_recorded_kinds (void)
{
  g_autoptr (VpTopology) arm = recorded_host_load ("18_arm-biglittle-3a510-4a7xx-1x3.xml");
  g_autoptr (VpTopology) lakefield = recorded_host_load ("19_intel-hybrid-1p4e_lakefield.xml");

  check_counts (arm, 8, 8, 1, 1, 3);
  g_assert_cmpuint (core_of (arm, 0)->kind, ==, 0);
  g_assert_cmpuint (core_of (arm, 4)->kind, ==, 1);
  g_assert_cmpuint (core_of (arm, 7)->kind, ==, 2);
  /* 3.0 and 2.8 GHz are close; the core types are not. */
  check_counts (lakefield, 5, 5, 1, 1, 2);
  g_assert_cmpuint (core_of (lakefield, 4)->kind, ==, 1);
  g_assert_cmpuint (core_of (lakefield, 0)->kind, ==, 0);
}

/* Kinds that a guest would not feel are one. */
static void
test_kinds_merged (void)
{
  const MadeHost favoured = { .synthetic = "pack:1 l3:1 core:8 pu:2",
                              .kinds = { { "0-11", "FrequencyMaxMHz", "5200" },
                                         { "12-15", "FrequencyMaxMHz", "5300" } } };
  const MadeHost gb10 = { .synthetic = "pack:1 l3:2 core:10 pu:1",
                          .kinds = { { "0-4,10-14", "LinuxCapacity", "718" },
                                     { "5-7,15-17", "LinuxCapacity", "997" },
                                     { "8", "LinuxCapacity", "1003" },
                                     { "9", "LinuxCapacity", "1017" },
                                     { "18-19", "LinuxCapacity", "1024" } } };
  const MadeHost x3d = { .synthetic = "pack:1 l3:2 core:8 pu:2(indexes=2*16:16*1)",
                         .kinds = { { "0-7,16-23", "FrequencyMaxMHz", "5250" },
                                    { "8-15,24-31", "FrequencyMaxMHz", "5700" } } };
  g_autoptr (VpTopology) a = made_host_load (&favoured);
  g_autoptr (VpTopology) b = made_host_load (&gb10);
  g_autoptr (VpTopology) c = made_host_load (&x3d);

  check_counts (a, 16, 8, 1, 1, 1);
  check_counts (b, 20, 20, 2, 1, 2);
  g_assert_cmpuint (core_of (b, 5)->kind, ==, 1);
  g_assert_cmpuint (core_of (b, 19)->kind, ==, 1);
  g_assert_cmpuint (core_of (b, 14)->kind, ==, 0);
  check_counts (c, 32, 16, 2, 1, 1);
}

static void
test_kinds_apart (void)
{
  const MadeHost alder_lake = { .synthetic = "pack:1 l3:1 core:12 pu:1",
                                .kinds = { { "0-3", "FrequencyMaxMHz", "3800" },
                                           { "4-11", "FrequencyMaxMHz", "5000" } } };
  const MadeHost unnamed = { .synthetic = "pack:1 l3:1 core:4 pu:1", .kinds = { { "0-1" }, { "2-3" } } };
  g_autoptr (VpTopology) a = made_host_load (&alder_lake);
  g_autoptr (VpTopology) b = made_host_load (&unnamed);

  check_counts (a, 12, 12, 1, 1, 2);
  check_counts (b, 4, 4, 1, 1, 2);
  g_assert_cmpuint (core_of (b, 3)->kind, ==, 1);
}

/* A hybrid part without cpufreq: the modules around one L2 tell, as long as somebody has SMT. */
static void
test_kinds_by_cache (void)
{
  g_autoptr (GError) error = NULL;
  hwloc_topology_t hwloc = NULL;
  hwloc_bitmap_t rest = made_set ("0-7,8,10,12,14");

  /* 4 L2s of 1 core and 2 threads cannot stand beside L2s of 4 cores in a string: two of the cores' threads go. */
  hwloc_topology_init (&hwloc);
  hwloc_topology_set_synthetic (hwloc, "pack:1 l3:1 l2:2 core:4 pu:2");
  hwloc_topology_load (hwloc);
  hwloc_topology_restrict (hwloc, rest, 0);
  g_autoptr (VpTopology) shared = vp_topology_new_from_hwloc (hwloc, NULL, &error);
  g_assert_no_error (error);
  /* Shared L2s with SMT are no efficiency cores. */
  g_assert_cmpuint (shared->n_kinds, ==, 1);
  hwloc_topology_destroy (hwloc);

  /* L2s with 4, 1 and 1 cores, the last two with both threads. */
  hwloc_bitmap_list_sscanf (rest, "0,2,4,6,8-9,16-17");
  hwloc_topology_init (&hwloc);
  hwloc_topology_set_synthetic (hwloc, "pack:1 l3:1 l2:3 core:4 pu:2");
  hwloc_topology_load (hwloc);
  hwloc_topology_restrict (hwloc, rest, 0);
  g_autoptr (VpTopology) hybrid = vp_topology_new_from_hwloc (hwloc, NULL, &error);
  g_assert_no_error (error);
  check_counts (hybrid, 8, 6, 1, 1, 2);
  g_assert_cmpuint (core_of (hybrid, 0)->kind, ==, 0);
  g_assert_cmpuint (core_of (hybrid, 9)->kind, ==, 1);
  hwloc_topology_destroy (hwloc);
  hwloc_bitmap_free (rest);
}

/* An L3 above nodes (sub-NUMA clusters): each node's share is an L3 of its own. */
static void
test_l3_over_nodes (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTopology) topology = vp_topology_load_description ("pack:1 l3:1 numa:2 core:4 pu:1", &error);

  g_assert_no_error (error);
  check_counts (topology, 8, 8, 2, 2, 1);
  g_assert_cmpuint (topology->l3s[0].n_cores, ==, 4);
}

static void
test_without_cores (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTopology) topology = vp_topology_load_description ("pu:6", &error);

  g_assert_no_error (error);
  check_counts (topology, 6, 6, 1, 1, 1);
}

static void
test_isolated (void)
{
  const MadeHost host = { .synthetic = "pack:1 l3:1 core:4 pu:2", .isolated = "4-7" };
  g_autoptr (VpTopology) topology = made_host_load (&host);

  for (guint i = 0; i < topology->n_pus; i++)
    g_assert_true (topology->pus[i].isolated == (topology->pus[i].os_index >= 4));
}

static void
test_nodes_without_memory (void)
{
  const MadeHost host = { .synthetic = "pack:1 numa:2 core:2 pu:1", .node_mib = { -1, 4096 } };
  g_autoptr (VpTopology) topology = made_host_load (&host);

  g_assert_false (topology->nodes[0].usable);
  g_assert_true (topology->nodes[1].usable);
  g_assert_cmpuint (topology->nodes[1].memory_kib, ==, 4096 * 1024);
}

static void
test_this_host (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTopology) topology = vp_topology_load_host ("\n", &error);
  g_autoptr (VpTopology) wrong = NULL;

  g_assert_no_error (error);
  check_tables (topology);
  wrong = vp_topology_load_host ("four", &error);
  g_assert_error (error, VP_ERROR, VP_ERROR_HOST);
  g_assert_nonnull (strstr (error->message, "'four'"));
  g_assert_null (wrong);
}

/* What guests may use is not what we may: a list takes the place of our own cgroup's. */
static void
test_allowed (void)
{
  g_autoptr (VpTopology) topology = vp_topology_load_description ("pack:1 core:4 pu:1", NULL);

  vp_topology_set_allowed (topology, "1-2");
  for (guint i = 0; i < topology->n_pus; i++)
    g_assert_cmpint (topology->pus[i].usable, ==, topology->pus[i].os_index == 1 || topology->pus[i].os_index == 2);
  vp_topology_set_allowed (topology, NULL);
  vp_topology_set_allowed (topology, "no list");
  g_assert_true (topology->pus[vp_topology_find_pu (topology, 1)].usable);
  vp_topology_set_allowed (topology, "0-3");
  g_assert_true (topology->pus[vp_topology_find_pu (topology, 3)].usable);
}

static void
test_wrong_descriptions (void)
{
  static const char *const descriptions[] = { "",
                                              "nonsense",
                                              "core:0",
                                              "/nonexistent/host.xml",
                                              "pack:1 core:70000",
                                              "pack:4294967295 core:4294967295 pu:4294967295",
                                              "core:2 pu:-1" };

  for (guint i = 0; i < G_N_ELEMENTS (descriptions); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *named = g_strdup_printf ("'%s'", descriptions[i]);

    g_assert_null (vp_topology_load_description (descriptions[i], &error));
    g_assert_error (error, VP_ERROR, VP_ERROR_HOST);
    g_assert_nonnull (strstr (error->message, named));
  }
}

/* `part` of the message; NULL: it loads. */
static void
check_file (const char *text, const char *part)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpTopology) topology = NULL;
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("host-XXXXXX.xml", &path, NULL);

  g_close (fd, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  topology = vp_topology_load_description (path, &error);
  g_unlink (path);
  if (part == NULL) {
    g_assert_no_error (error);
    check_counts (topology, 1, 1, 1, 1, 1);
    return;
  }
  g_assert_null (topology);
  g_assert_error (error, VP_ERROR, VP_ERROR_HOST);
  g_assert_nonnull (strstr (error->message, part));
}

/* A file with one CPU whose number and sets are what is asked for: N and S stand for them. */
static char *
dup_file (const char *number, const char *set)
{
  static const char pattern[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
    "<topology version=\"2.0\">\n"
    "<object type=\"Machine\" os_index=\"0\" cpuset=\"@S\" complete_cpuset=\"@S\" allowed_cpuset=\"@S\" "
    "nodeset=\"0x1\" complete_nodeset=\"0x1\" allowed_nodeset=\"0x1\" gp_index=\"1\">"
    "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"@S\" complete_cpuset=\"@S\" "
    "nodeset=\"0x1\" complete_nodeset=\"0x1\" "
    "gp_index=\"2\"/>"
    "<object type=\"PU\" os_index=\"@N\" cpuset=\"@S\" complete_cpuset=\"@S\" "
    "nodeset=\"0x1\" complete_nodeset=\"0x1\" "
    "gp_index=\"3\"/></object></topology>";
  g_autoptr (GString) text = g_string_new (pattern);

  g_string_replace (text, "@N", number, 0);
  g_string_replace (text, "@S", set, 0);
  return g_strdup (text->str);
}

/* CPU 4000000 in hwloc's form, 32 bits a word, highest first. */
static char *
dup_far_set (void)
{
  GString *set = g_string_new ("0x1");

  for (guint i = 0; i < 4000000 / 32; i++)
    g_string_append (set, ",0x0");
  return g_string_free (set, FALSE);
}

static void
test_hostile_files (void)
{
  g_autofree char *good = dup_file ("0", "0x1");
  g_autofree char *half = g_strndup (good, strlen (good) / 2);
  g_autofree char *far_set = dup_far_set ();
  g_autofree char *far = dup_file ("4000000", far_set);

  check_file (good, NULL);
  check_file ("", "host-");
  check_file ("<topology/>", "host-");
  check_file (half, "host-");
  check_file (far, "CPU 4000000");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/topology/recorded/smt", test_recorded_smt);
  g_test_add_func ("/topology/recorded/epyc", test_recorded_epyc);
  g_test_add_func ("/topology/recorded/offline", test_recorded_offline);
  g_test_add_func ("/topology/recorded/cgroup", test_recorded_cgroup);
  g_test_add_func ("/topology/recorded/kinds", test_recorded_kinds);
  g_test_add_func ("/topology/kinds/merged", test_kinds_merged);
  g_test_add_func ("/topology/kinds/apart", test_kinds_apart);
  g_test_add_func ("/topology/kinds/by-cache", test_kinds_by_cache);
  g_test_add_func ("/topology/l3-over-nodes", test_l3_over_nodes);
  g_test_add_func ("/topology/without-cores", test_without_cores);
  g_test_add_func ("/topology/isolated", test_isolated);
  g_test_add_func ("/topology/nodes-without-memory", test_nodes_without_memory);
  g_test_add_func ("/topology/this-host", test_this_host);
  g_test_add_func ("/topology/wrong/descriptions", test_wrong_descriptions);
  g_test_add_func ("/topology/wrong/files", test_hostile_files);
  g_test_add_func ("/topology/allowed", test_allowed);
  return g_test_run ();
}
