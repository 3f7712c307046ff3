/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hugepages behind the guest's memory, no page merging, and their allocation in
 * parallel. Host-only: the guest cannot tell.
 */
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "domain/hugepages.h"
#include "plan/rules/rule.h"

#define KIB_2M G_GUINT64_CONSTANT (2048)
#define KIB_1G G_GUINT64_CONSTANT (1048576)
#define KIB_POWER G_GUINT64_CONSTANT (262144) /* a node of POWER machines has whole blocks of 256 MiB */
#define MAX_ALLOCATION_THREADS 16u            /* more gained nothing where it was measured (256 GB, 2 MiB pages) */
#define LIBVIRT_ALLOCATION_THREADS 8002000ul

static guint64
parse_size (const char *text)
{
  char *unit = NULL;
  guint64 number = g_ascii_strtoull (text, &unit, 10);

  return number * (*unit == 'G' ? 1024 * 1024 : *unit == 'M' ? 1024 : 1);
}

/* What must divide by the page size: each guest NUMA cell (of ours, NULL: none), or the memory as a whole. */
static GArray *
list_portions (const VpRuleContext *context, const GArray *cells, GError **error)
{
  g_autoptr (GArray) portions = vp_domain_cells_kib (context->original, error);

  if (portions == NULL)
    return NULL;
  for (guint i = 0; cells != NULL && portions->len < cells->len; i++)
    g_array_append_val (portions, g_array_index (cells, VpGuestCell, i).memory_kib);
  if (portions->len == 0) {
    guint64 memory = vp_domain_memory_kib (context->original, error);
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

/* Each cell has its own node's pool, which it may share with other cells of a saved guest. */
static gboolean
cells_fit_pools (const VpRuleContext *context, const GArray *cells, guint64 page_kib)
{
  for (guint i = 0; i < cells->len; i++) {
    hwloc_const_bitmap_t nodes = g_array_index (cells, VpGuestCell, i).nodes;
    if (vp_host_pool_pages (context->host, page_kib, nodes) < vp_rule_numa_sum_kib (cells, nodes) / page_kib)
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

/* Of the whole guest as it will be, memory modules with it; `without`: those of a definition that says no sizes. */
static guint64
count_pages (const VpRuleContext *context, guint64 page_kib, guint64 without)
{
  guint64 pages = 0;

  return vp_hugepages_count (context->original, page_kib, &pages) ? pages : without;
}

/* Judged by the pool, not by what is free in it: guests that come and go change nothing. */
static gboolean
fits_pool (const VpRuleContext *context, const GArray *portions, const GArray *cells, guint64 page_kib)
{
  const VpPlacement *placement = context->plan->placement;
  hwloc_const_bitmap_t nodes = placement != NULL ? placement->nodes : NULL;

  return is_multiple (portions, page_kib) && vp_hugepages_fit_modules (context->original, page_kib) &&
         cells_fit_pools (context, cells, page_kib) &&
         vp_host_pool_pages (context->host, page_kib, nodes) >=
           count_pages (context, page_kib, total_kib (portions) / page_kib);
}

static guint64
present_page_kib (const VpDomain *domain)
{
  xmlNode *page = vp_xml_find (domain->doc, "memoryBacking/hugepages/page");
  g_autofree char *size = page != NULL ? vp_xml_dup_attr (page, "size") : NULL;
  guint64 kib = 0;

  if (size == NULL || !vp_xml_attr_is (page, "unit", "KiB") || !vp_number_parse (size, 10, G_MAXUINT64, &kib))
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
    guint64 kib = g_array_index (host->pools, VpPagePool, i).page_kib;
    smallest = smallest == 0 || kib < smallest ? kib : smallest;
  }
  return smallest;
}

/*
 * With "auto" it is 2 MiB, so that memory goes as the vCPUs go: cells have pages of 1G
 * where they come out as whole GiB, and are not made uneven for that.
 */
guint64
vp_rule_memory_grain_kib (const VpRuleContext *context)
{
  const char *asked = vp_settings_get (context->settings, VP_KEY_MEMORY_PAGE_SIZE);
  g_autofree char *arch = vp_domain_dup_arch (context->original);
  guint64 grain = strcmp (asked, "off") == 0    ? 0
                  : strcmp (asked, "auto") == 0 ? ordinary_page_kib (context->host)
                                                : parse_size (asked);

  if (arch != NULL && g_str_has_prefix (arch, "ppc64"))
    grain = MAX (grain, KIB_POWER);
  return MAX (grain, KIB_2M);
}

static guint64
choose_page_kib (const VpRuleContext *context, const GArray *portions, const GArray *cells, const char **why)
{
  guint64 present = present_page_kib (context->present);
  guint64 ordinary = ordinary_page_kib (context->host);

  /* A size that was chosen and is still right stays, or the definition would flip as pools grow. */
  if (present == ordinary && is_multiple (portions, present)) {
    *why = "a size that is right stays";
    return present;
  }
  if (fits_pool (context, portions, cells, KIB_1G)) {
    *why = "the memory is a multiple, and the host's pool has enough of them";
    return KIB_1G;
  }
  *why = !vp_hugepages_fit_modules (context->original, KIB_1G) ? "a memory module is no multiple of 1G"
         : is_multiple (portions, KIB_1G)                      ? "the host's pool has too few pages of 1G"
         : total_kib (portions) % KIB_1G == 0 ? "the memory of a guest's NUMA cell is no multiple of 1G"
                                              : "the memory is no multiple of 1G";
  return ordinary;
}

/* "the domain's memory has 4194305 KiB, … 2048 KiB: 4194304 KiB or 4196352 KiB would be"; NULL: it is one. */
static char *
dup_uneven (guint64 kib, guint64 page_kib, gboolean is_cell)
{
  guint64 below = kib - kib % page_kib;
  g_autofree char *less = below > 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT " KiB or ", below) : g_strdup ("");

  if (kib % page_kib == 0)
    return NULL;
  return g_strdup_printf ("the %s has %" G_GUINT64_FORMAT " KiB, which is no multiple of the hugepage size, "
                          "%" G_GUINT64_FORMAT " KiB: %s%" G_GUINT64_FORMAT " KiB would be",
                          is_cell ? "guest's NUMA cell" : "domain's memory", kib, page_kib, less, below + page_kib);
}

static gboolean
check_multiple (guint64 kib, guint64 page_kib, gboolean is_cell, GError **error)
{
  g_autofree char *uneven = dup_uneven (kib, page_kib, is_cell);

  if (uneven != NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "%s; change it, or set memory.page-size to off for a guest without hugepages", uneven);
  return uneven == NULL;
}

static gboolean
check_page_size (const VpRuleContext *context, const GArray *portions, guint64 page_kib, GError **error)
{
  const VpPlacement *placement = context->plan->placement;
  g_autofree char *size = vp_hugepages_dup_size (page_kib);

  if (!vp_host_has_page_size (context->host, page_kib)) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "memory.page-size is %s, but this host's kernel has no hugepages of that size: see "
                 "/sys/kernel/mm/hugepages",
                 size);
    return FALSE;
  }
  /* Of cells that are made here only the last can be uneven, and what the user can mend is the whole. */
  if (placement != NULL && placement->n_cells > 0)
    return check_multiple (total_kib (portions), page_kib, FALSE, error);
  for (guint i = 0; i < portions->len; i++)
    if (!check_multiple (g_array_index (portions, guint64, i), page_kib, portions->len > 1, error))
      return FALSE;
  return TRUE;
}

static gboolean
want_hugepages (VpRuleContext *context, GError **error)
{
  const char *asked = vp_settings_get (context->settings, VP_KEY_MEMORY_PAGE_SIZE);
  const char *why = "as memory.page-size asks";
  g_autoptr (GArray) cells = vp_rule_numa_list_cells (context);
  g_autoptr (GArray) portions = list_portions (context, cells, error);

  if (portions == NULL)
    return FALSE;
  guint64 page_kib =
    strcmp (asked, "auto") == 0 ? choose_page_kib (context, portions, cells, &why) : parse_size (asked);
  if (!check_page_size (context, portions, page_kib, error))
    return FALSE;
  g_autofree char *size = vp_hugepages_dup_size (page_kib);
  context->plan->page_kib = page_kib;
  context->plan->pages = count_pages (context, page_kib, total_kib (portions) / page_kib);
  vp_rule_want (context, &vp_rule_memory, VP_HOST_ONLY, g_strdup ("memoryBacking/hugepages"), new_hugepages (page_kib),
                "%" G_GUINT64_FORMAT " hugepages of %s: %s", context->plan->pages, size, why);
  return TRUE;
}

/* A definition with what the host cannot give is better prepared without it than not at all. */
static void
warn_uneven (VpRuleContext *context)
{
  g_autoptr (GArray) portions = list_portions (context, NULL, NULL);
  gboolean has_cells = vp_xml_find (context->original->doc, "cpu/numa/cell") != NULL;
  guint64 page_kib = ordinary_page_kib (context->host);
  const char *name = context->plan->domain;
  const char *what = vp_xml_find (context->original->doc, "memoryBacking/hugepages") != NULL
                       ? "the domain's own <hugepages> stay"
                       : "no hugepages";

  for (guint i = 0; i < portions->len; i++) {
    guint64 kib = g_array_index (portions, guint64, i);
    g_autofree char *uneven = dup_uneven (kib, page_kib, has_cells);
    guint64 fits = kib < page_kib ? page_kib : kib - kib % page_kib;
    if (uneven == NULL)
      continue;
    if (has_cells)
      vp_rule_warn (context, "%s: %s ('virsh edit %s')", what, uneven, name);
    else
      vp_rule_warn (context, "%s: %s ('virsh setmaxmem %s %" G_GUINT64_FORMAT " --config')", what, uneven, name, fits);
    return;
  }
}

gboolean
vp_rule_memory_has_pages (const VpRuleContext *context)
{
  const char *asked = vp_settings_get (context->settings, VP_KEY_MEMORY_PAGE_SIZE);
  g_autoptr (GArray) portions = strcmp (asked, "auto") == 0 ? list_portions (context, NULL, NULL) : NULL;

  return strcmp (asked, "off") != 0 && (portions == NULL || is_multiple (portions, ordinary_page_kib (context->host)));
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
  if (vp_rule_memory_has_pages (context)) {
    if (!want_hugepages (context, error))
      return FALSE;
    want_allocation (context);
    want_source (context);
  } else if (strcmp (vp_settings_get (context->settings, VP_KEY_MEMORY_PAGE_SIZE), "off") != 0) {
    warn_uneven (context);
  }
  if (strcmp (vp_settings_get (context->settings, VP_KEY_MEMORY_NOSHAREPAGES), "yes") == 0)
    vp_rule_want (context, &vp_rule_memory, VP_HOST_ONLY, g_strdup ("memoryBacking/nosharepages"),
                  vp_xml_new ("nosharepages", NULL), "the kernel does not scan the guest's memory for equal pages");
  return TRUE;
}

#define HUGEPAGES "hugepages(?:/page(?:/@(?:size|nodeset)=" VP_CONTENT_LIST "|/@unit=[A-Za-z]{1,8})?)?"
#define ALLOCATION "allocation(?:/@(?:mode|threads)=[a-z0-9]{1,20})?"

static const VpRulePlace places[] = {
  { .place = "memoryBacking/hugepages", VP_HOST_ONLY, HUGEPAGES, HUGEPAGES },
  { .place = "memoryBacking/allocation", VP_HOST_ONLY, ALLOCATION, ALLOCATION },
  { .place = "memoryBacking/nosharepages", VP_HOST_ONLY, NULL, "nosharepages" },
  { .place = "memoryBacking/source", VP_GUEST_VISIBLE, "source(?:/@type=anonymous)?", NULL },
  { .place = NULL },
};

const VpRule vp_rule_memory = { "memory", places, plan_memory, NULL, NULL };
