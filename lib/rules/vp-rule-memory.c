/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hugepages behind the guest's memory, no page merging, and their allocation in
 * parallel. Host-only: the guest cannot tell.
 */
#include <string.h>

#include "vp-error.h"
#include "vp-rule.h"

#define KIB_2M G_GUINT64_CONSTANT (2048)
#define KIB_1G G_GUINT64_CONSTANT (1048576)
#define MAX_ALLOCATION_THREADS 16u /* more gained nothing where it was measured (256 GB, 2 MiB pages) */
#define LIBVIRT_ALLOCATION_THREADS 8002000ul

static char *
dup_size (guint64 kib)
{
  if (kib % (1024 * 1024) == 0)
    return g_strdup_printf ("%" G_GUINT64_FORMAT "G", kib / (1024 * 1024));
  return kib % 1024 == 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT "M", kib / 1024)
                         : g_strdup_printf ("%" G_GUINT64_FORMAT "K", kib);
}

static guint64
parse_size (const char *text)
{
  char *unit = NULL;
  guint64 number = g_ascii_strtoull (text, &unit, 10);

  return number * (*unit == 'G' ? 1024 * 1024 : *unit == 'M' ? 1024 : 1);
}

/* What must divide by the page size: each guest NUMA cell, or the memory as a whole. */
static GArray *
list_portions (const VpDomain *domain, GError **error)
{
  g_autoptr (GArray) portions = vp_domain_cells_kib (domain, error);

  if (portions == NULL)
    return NULL;
  if (portions->len == 0) {
    guint64 memory = vp_domain_memory_kib (domain, error);
    if (memory == 0)
      return NULL;
    g_array_append_val (portions, memory);
  }
  return g_steal_pointer (&portions);
}

static gboolean
is_multiple (const GArray *portions, guint64 page_kib)
{
  for (guint i = 0; i < portions->len; i++)
    if (g_array_index (portions, guint64, i) % page_kib != 0)
      return FALSE;
  return TRUE;
}

static guint64
total_kib (const GArray *portions)
{
  guint64 total = 0;

  for (guint i = 0; i < portions->len; i++)
    total += g_array_index (portions, guint64, i);
  return total;
}

/* Judged by the pool, not by what is free in it: guests that come and go change nothing. */
static gboolean
fits_pool (const VpRuleContext *context, const GArray *portions, guint64 page_kib)
{
  const VpPlacement *placement = context->plan->placement;
  hwloc_const_bitmap_t nodes = placement != NULL ? placement->nodes : NULL;

  return is_multiple (portions, page_kib) &&
         vp_host_pool_pages (context->host, page_kib, nodes) >= total_kib (portions) / page_kib;
}

static guint64
present_page_kib (const VpDomain *domain)
{
  xmlNode *page = vp_xml_find (domain->doc, "memoryBacking/hugepages/page");
  g_autofree char *size = page != NULL ? vp_xml_dup_attr (page, "size") : NULL;
  guint64 kib = 0;

  if (size == NULL || !vp_xml_attr_is (page, "unit", "KiB") ||
      !g_ascii_string_to_unsigned (size, 10, 1, G_MAXUINT64, &kib, NULL))
    return 0;
  return kib;
}

/* 2M where there is such a size, else the smallest that the kernel lists (64K on some Arm hosts). */
static guint64
ordinary_page_kib (const VpHost *host)
{
  guint64 smallest = 0;

  if (vp_host_has_page_size (host, KIB_2M))
    return KIB_2M;
  for (guint i = 0; i < host->pools->len; i++) {
    guint64 kib = g_array_index (host->pools, VpPool, i).page_kib;
    smallest = smallest == 0 || kib < smallest ? kib : smallest;
  }
  return smallest;
}

static guint64
choose_page_kib (const VpRuleContext *context, const GArray *portions, const char **why)
{
  guint64 present = present_page_kib (context->present);
  guint64 ordinary = ordinary_page_kib (context->host);

  /* A size that was chosen and is still right stays, or the definition would flip as pools grow. */
  if (present == ordinary && is_multiple (portions, present)) {
    *why = "a size that is right stays";
    return present;
  }
  if (fits_pool (context, portions, KIB_1G)) {
    *why = "the memory is a multiple, and the host's pool has enough of them";
    return KIB_1G;
  }
  *why = is_multiple (portions, KIB_1G) ? "the host's pool has too few pages of 1G"
                                        : "the memory is no multiple of 1G";
  return ordinary;
}

static gboolean
check_page_size (const VpRuleContext *context, const GArray *portions, guint64 page_kib, GError **error)
{
  g_autofree char *size = dup_size (page_kib);

  if (!vp_host_has_page_size (context->host, page_kib)) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "memory.page-size is %s, but this host's kernel has no hugepages of that size: see "
                 "/sys/kernel/mm/hugepages",
                 size);
    return FALSE;
  }
  for (guint i = 0; i < portions->len; i++) {
    guint64 kib = g_array_index (portions, guint64, i);
    if (kib % page_kib == 0)
      continue;
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "the %s has %" G_GUINT64_FORMAT " KiB, which is no multiple of the hugepage size, %" G_GUINT64_FORMAT
                 " KiB: give it %" G_GUINT64_FORMAT " KiB or %" G_GUINT64_FORMAT " KiB, or set memory.page-size",
                 portions->len > 1 ? "guest's NUMA cell" : "domain's memory", kib, page_kib, kib - kib % page_kib,
                 kib - kib % page_kib + page_kib);
    return FALSE;
  }
  return TRUE;
}

static xmlNode *
new_hugepages (guint64 page_kib)
{
  g_autofree char *size = g_strdup_printf ("%" G_GUINT64_FORMAT, page_kib);
  xmlNode *hugepages = vp_xml_new ("hugepages", NULL);

  xmlAddChild (hugepages, vp_xml_new ("page", "size", size, "unit", "KiB", NULL));
  return hugepages;
}

static gboolean
want_hugepages (VpRuleContext *context, GError **error)
{
  const char *asked = vp_settings_get (context->settings, VP_KEY_MEMORY_PAGE_SIZE);
  const char *why = "as memory.page-size asks";
  g_autoptr (GArray) portions = list_portions (context->original, error);

  if (portions == NULL)
    return FALSE;
  guint64 page_kib =
    strcmp (asked, "auto") == 0 ? choose_page_kib (context, portions, &why) : parse_size (asked);
  if (!check_page_size (context, portions, page_kib, error))
    return FALSE;
  g_autofree char *size = dup_size (page_kib);
  context->plan->page_kib = page_kib;
  context->plan->pages = total_kib (portions) / page_kib;
  vp_rule_want (context, &vp_rule_memory, VP_HOST_ONLY, g_strdup ("memoryBacking/hugepages"), new_hugepages (page_kib),
                "%" G_GUINT64_FORMAT " hugepages of %s: %s", context->plan->pages, size, why);
  return TRUE;
}

/* QEMU touches every page before the guest runs; with one thread that takes seconds for each 16 GB. */
static void
want_allocation (VpRuleContext *context)
{
  guint threads = MIN (vp_domain_vcpus (context->original, NULL), MAX_ALLOCATION_THREADS);
  gboolean parallel = context->host->libvirt_version >= LIBVIRT_ALLOCATION_THREADS && threads > 1;
  xmlNode *own = vp_xml_find (context->original->doc, "memoryBacking/allocation");
  gboolean forbidden = own != NULL && vp_xml_attr_is (own, "mode", "ondemand");

  if (own != NULL ? !forbidden : !parallel)
    return;
  xmlNode *allocation = vp_xml_new ("allocation", "mode", "immediate", NULL);
  g_autofree char *text = g_strdup_printf ("%u", threads);
  if (parallel)
    xmlNewProp (allocation, BAD_CAST "threads", BAD_CAST text);
  vp_rule_want (context, &vp_rule_memory, VP_HOST_ONLY, g_strdup ("memoryBacking/allocation"), allocation,
                forbidden ? "libvirt takes no hugepages with allocation on demand; %u threads allocate them"
                          : "%u threads allocate the pages at the start",
                parallel ? threads : 1);
}

/* The guest cannot see it, but libvirt lets nobody change it at restore. */
static void
want_source (VpRuleContext *context)
{
  xmlNode *source = vp_xml_find (context->original->doc, "memoryBacking/source");

  if (source != NULL && vp_xml_attr_is (source, "type", "anonymous"))
    vp_rule_want (context, &vp_rule_memory, VP_GUEST_VISIBLE, g_strdup ("memoryBacking/source"), NULL,
                  "libvirt takes no hugepages with anonymous memory");
}

static gboolean
plan_memory (VpRuleContext *context, GError **error)
{
  if (strcmp (vp_settings_get (context->settings, VP_KEY_MEMORY_PAGE_SIZE), "off") != 0) {
    if (!want_hugepages (context, error))
      return FALSE;
    want_allocation (context);
    want_source (context);
  }
  if (strcmp (vp_settings_get (context->settings, VP_KEY_MEMORY_NOSHAREPAGES), "yes") == 0)
    vp_rule_want (context, &vp_rule_memory, VP_HOST_ONLY, g_strdup ("memoryBacking/nosharepages"),
                  vp_xml_new ("nosharepages", NULL), "the kernel does not scan the guest's memory for equal pages");
  return TRUE;
}

static const char *const places[] = {
  "memoryBacking/hugepages",
  "memoryBacking/allocation",
  "memoryBacking/nosharepages",
  "memoryBacking/source",
  NULL,
};

const VpRule vp_rule_memory = { "memory", places, plan_memory };
