/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory rule: hugepages, what goes with them, and what they do not fit. */
#include "rule-checks.h"

static void
test_memory_pages (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "memoryBacking/hugepages", "<hugepages><page size=\"2048\" unit=\"KiB\"/></hugepages>");
  assert_value (plan, "memoryBacking/nosharepages", "<nosharepages/>");
  assert_value (plan, "memoryBacking/allocation", "<allocation mode=\"immediate\" threads=\"4\"/>");
  g_assert_cmpuint (plan->page_kib, ==, 2048);
  g_assert_cmpuint (plan->pages, ==, 2048);
}

static VpPagePool *
find_pool (VpHost *host, int node, guint64 page_kib)
{
  for (guint i = 0; i < host->pools->len; i++) {
    VpPagePool *pool = &g_array_index (host->pools, VpPagePool, i);
    if (pool->node == node && pool->page_kib == page_kib)
      return pool;
  }
  return NULL;
}

/* 1G where the pool has enough in all, whatever is free; and a size that is right stays as pools grow. */
static void
test_memory_automatic (void)
{
  g_autoptr (VpHost) small = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpHost) large = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  VpPagePool *pool = find_pool (large, 0, 1048576);

  g_assert_nonnull (pool);
  pool->total = 4;
  pool->free = 0;
  g_autoptr (VpPlan) on_large = plan_checked (domain, large);
  g_assert_cmpuint (on_large->page_kib, ==, 1048576);
  g_assert_cmpuint (on_large->pages, ==, 4);
  g_autoptr (VpPlan) on_small = plan_checked (domain, small);
  g_assert_cmpuint (on_small->page_kib, ==, 2048);
  g_autoptr (VpPlan) grown = test_plan (on_small->result, large, VP_PLAN_DEFAULT);
  g_assert_true (vp_plan_is_ready (grown));
  g_autoptr (VpPlan) shrunk = test_plan (on_large->result, small, VP_PLAN_DEFAULT);
  g_assert_cmpuint (shrunk->page_kib, ==, 2048);
}

/* Memory modules are pages, too: a DIMM whole, of virtio-mem what is asked for. */
static void
test_memory_modules (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    test_tagged (TAG ("pinned"),
                 "  <devices><memory model='dimm'><target><size unit='MiB'>512</size><node>0</node></target></memory>"
                 "<memory model='virtio-mem'><target><size unit='MiB'>1024</size><node>0</node>"
                 "<block unit='MiB'>2</block><requested unit='MiB'>256</requested></target></memory></devices>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  g_assert_cmpuint (plan->pages, ==, 2048 + 256 + 128);
  g_assert_nonnull (strstr (test_change (plan, "memoryBacking/hugepages")->reason, "2432 hugepages of 2M"));
}

#define DIMM(mib)                                                                                                      \
  "  <devices><memory model='dimm'><target><size unit='MiB'>" mib "</size><node>0</node></target></memory></devices>\n"
#define BLOCKS                                                                                                         \
  "  <devices><memory model='virtio-mem'><target><size unit='GiB'>1</size><node>0</node><block unit='MiB'>2</block>"   \
  "<requested unit='GiB'>1</requested></target></memory></devices>\n"

/* QEMU refuses a DIMM, and blocks of virtio-mem, that are no multiple of the page; and the pool has pages for all. */
static void
test_memory_modules_1g (void)
{
  static const struct {
    const char *devices;
    guint64 page_kib;
  } cases[] = { { DIMM ("1024"), 1048576 }, { DIMM ("512"), 2048 }, { DIMM ("2048"), 2048 }, { BLOCKS, 2048 } };
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);

  find_pool (host, 0, 1048576)->total = 5;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), cases[i].devices);
    g_autoptr (VpPlan) plan = plan_checked (domain, host);
    g_assert_cmpuint (plan->page_kib, ==, cases[i].page_kib);
  }
}

#define PAGES(size)                                                                                                    \
  "<vfio:profile xmlns:vfio='urn:vfio-profile:1' name='pinned'><vfio:memory page-size='" size "'/></vfio:profile>"

static void
test_memory_no_multiple (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (PAGES ("2M"), "");
  g_autoptr (VpDomain) gigabyte = test_tagged (PAGES ("16G"), "");

  xmlNodeSetContent (vp_xml_find (domain->doc, "memory"), BAD_CAST "4194305");
  expect_error (domain, host, VP_ERROR_UNFIT, "4194305 KiB");
  expect_error (domain, host, VP_ERROR_UNFIT, "2048 KiB: 4194304 KiB or 4196352 KiB");
  expect_error (domain, host, VP_ERROR_UNFIT, "set memory.page-size to off");
  expect_error (gigabyte, host, VP_ERROR_UNFIT, "16G");
}

/* With "auto" the rest of the profile applies, and who gave that size is told how to have the pages. */
static void
test_memory_uneven (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "domains", "win11-odd-memory.xml", NULL);
  g_autoptr (VpHost) host = test_host ("howto-2015", "pack:1 l3:1 core:6 pu:2(indexes=2*6:6*1)");
  g_autoptr (VpDomain) odd = test_domain_load (path);
  g_autoptr (VpPlan) plan = test_plan (odd, host, VP_PLAN_DEFAULT);
  g_autoptr (VpDomain) tiny = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpDomain) own = test_tagged (TAG ("pinned"), "  <memoryBacking>\n    <hugepages/>\n  </memoryBacking>\n");

  assert_value (plan, "memoryBacking/hugepages", NULL);
  assert_value (plan, "memoryBacking/allocation", NULL);
  assert_value (plan, "memoryBacking/nosharepages", "<nosharepages/>");
  g_assert_nonnull (vp_xml_find (plan->result->doc, "cputune/vcpupin[@vcpu='7']"));
  g_assert_cmpuint (plan->page_kib, ==, 0);
  g_assert_true (test_warns (plan, "2048 KiB: 12679168 KiB or 12681216 KiB would be"));
  g_assert_true (test_warns (plan, "'virsh setmaxmem win11-odd-memory 12679168 --config'"));

  xmlNodeSetContent (vp_xml_find (tiny->doc, "memory"), BAD_CAST "1024");
  g_autoptr (VpPlan) small = plan_checked (tiny, host);
  g_assert_true (test_warns (small, "2048 KiB: 2048 KiB would be"));
  g_assert_true (test_warns (small, "setmaxmem guest 2048 --config"));
  xmlNodeSetContent (vp_xml_find (own->doc, "memory"), BAD_CAST "4194305");
  g_autoptr (VpPlan) kept = test_plan (own, host, VP_PLAN_DEFAULT);
  g_assert_true (test_warns (kept, "the domain's own <hugepages> stay: "));
  g_assert_false (test_warns (kept, "no hugepages"));
}

/* libvirt lets nobody change the memory of cells but in the definition; and nothing is preallocated then. */
static void
test_memory_uneven_cells (void)
{
  g_autoptr (VpHost) small = test_host (NULL, "pack:2 [numa(memory=68719476736)] l3:1 core:2 pu:2");
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "");
  g_autoptr (VpDomain) cells = test_tagged (TAG ("pinned"), "");
  xmlNode *numa = xmlAddChild (vp_xml_find (cells->doc, "cpu"), vp_xml_new ("numa", NULL));

  xmlNodeSetContent (vp_xml_find (domain->doc, "memory"), BAD_CAST "4194305");
  g_autoptr (VpPlan) far = plan_checked (domain, small);
  assert_value (far, "numatune/memory", "<memory mode=\"strict\" nodeset=\"1\"/>");
  xmlAddChild (numa, vp_xml_new ("cell", "id", "0", "cpus", "0-1", "memory", "2098176", "unit", "KiB", NULL));
  xmlAddChild (numa, vp_xml_new ("cell", "id", "1", "cpus", "2-3", "memory", "2096128", "unit", "KiB", NULL));
  g_autoptr (VpPlan) uneven = test_plan (cells, small, VP_PLAN_DEFAULT);
  assert_value (uneven, "memoryBacking/hugepages", NULL);
  g_assert_true (test_warns (uneven, "guest's NUMA cell has 2098176 KiB"));
  g_assert_true (test_warns (uneven, "'virsh edit guest'"));
}

/* Backings that libvirt refuses beside hugepages give way, and come back. */
static void
test_memory_on_demand (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain = test_tagged (TAG ("pinned"), "  <memoryBacking>\n    <source type='anonymous'/>\n"
                                                             "    <allocation mode='ondemand'/>\n  </memoryBacking>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "memoryBacking/allocation", "<allocation mode=\"immediate\" threads=\"4\"/>");
  assert_value (plan, "memoryBacking/source", NULL);
}

/* A comment is the user's also where it is all that stays of an element. */
static void
test_memory_comment (void)
{
  g_autoptr (VpHost) host = test_host ("howto-2015", TEST_I7_3770K);
  g_autoptr (VpDomain) domain =
    test_tagged (TAG ("nvidia"), "  <clock offset='localtime'/>\n"
                                 "  <!-- mine -->\n  <memoryBacking>\n    <!-- for now -->\n"
                                 "    <source type='anonymous'/>\n    <!-- behind -->\n  </memoryBacking>\n");
  g_autoptr (VpPlan) plan = plan_checked (domain, host);

  assert_value (plan, "memoryBacking/source", NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/memory/pages", test_memory_pages);
  g_test_add_func ("/memory/automatic", test_memory_automatic);
  g_test_add_func ("/memory/modules", test_memory_modules);
  g_test_add_func ("/memory/modules-1g", test_memory_modules_1g);
  g_test_add_func ("/memory/no-multiple", test_memory_no_multiple);
  g_test_add_func ("/memory/uneven", test_memory_uneven);
  g_test_add_func ("/memory/uneven-cells", test_memory_uneven_cells);
  g_test_add_func ("/memory/on-demand", test_memory_on_demand);
  g_test_add_func ("/memory/comment", test_memory_comment);
  return g_test_run ();
}
