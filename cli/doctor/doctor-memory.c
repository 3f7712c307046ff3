/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of memory: hugepages, where they are mounted, and what guests lock. */
#include "cli/doctor/doctor.h"

#include <unistd.h>

#include "domain/hugepages.h"

#define HOST_KIB (1024u * 1024) /* what the host needs beside its guests, at least */

static char *
dup_gib (guint64 kib)
{
  return g_strdup_printf ("%.1f GiB", (double) kib / (1024 * 1024));
}

static void
check_sizes (VpDoctor *doctor)
{
  g_autoptr (GArray) pools = vp_page_pools_read_host (doctor->root);
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < pools->len; i++) {
    const VpPagePool *pool = &g_array_index (pools, VpPagePool, i);
    g_autofree char *size = vp_hugepages_dup_size (pool->page_kib);
    g_ptr_array_add (words, g_strdup_printf ("%s: %" G_GUINT64_FORMAT " pages, %" G_GUINT64_FORMAT " free", size,
                                             pool->total, pool->free));
  }
  g_ptr_array_add (words, NULL);
  g_autofree char *list = g_strjoinv ("; ", (char **) words->pdata);
  if (pools->len > 0)
    vp_doctor_ok (doctor, "%s", list);
  else
    vp_doctor_warn (doctor, "boot a kernel with CONFIG_HUGETLBFS, or set memory.page-size to off in the profiles",
                    "the kernel has no hugepages");
}

/* Large pages are found at boot alone: later no memory hangs together so far. */
static char *
dup_pool_advice (const VpDoctor *doctor, guint64 page_kib, guint64 pages)
{
  if (page_kib >= 1024 * 1024) {
    g_autofree char *size = vp_hugepages_dup_size (page_kib);
    g_autofree char *parameter = g_strdup_printf ("hugepagesz=%s hugepages=%" G_GUINT64_FORMAT, size, pages);
    return vp_system_dup_add_parameter (doctor->system, parameter);
  }
  return g_strdup_printf ("write 'vm.nr_hugepages = %" G_GUINT64_FORMAT "' to /etc/sysctl.d/80-hugepages.conf and "
                          "boot, or give the guest less memory",
                          pages);
}

static const VpPagePool *
find_pool (const GArray *pools, guint64 page_kib)
{
  for (guint i = 0; i < pools->len; i++)
    if (g_array_index (pools, VpPagePool, i).page_kib == page_kib)
      return &g_array_index (pools, VpPagePool, i);
  return NULL;
}

/* What the start of a stopped guest will find. */
static void
judge_need (VpDoctor *doctor, const VpDoctorGuest *guest, const GArray *pools)
{
  const VpPagePool *pool = find_pool (pools, guest->plan->page_kib);
  g_autofree char *size = vp_hugepages_dup_size (guest->plan->page_kib);
  guint64 available = vp_meminfo_read_kib (doctor->root, -1, "MemAvailable");
  guint64 pages = guest->plan->pages;

  if (pool == NULL) {
    vp_doctor_fail (doctor, "set memory.page-size to a size that the kernel has",
                    "'%s' needs pages of %s, which the "
                    "kernel does not have",
                    guest->name, size);
    return;
  }
  guint64 missing = pages > pool->free ? pages - pool->free : 0;
  gboolean doubtful = pool->page_kib >= 1024 * 1024 ? missing > 0 : missing * pool->page_kib > available;
  if (doubtful) {
    g_autofree char *advice = dup_pool_advice (doctor, pool->page_kib, pool->total + missing);
    g_autofree char *gib = dup_gib (available);
    vp_doctor_warn (doctor, advice,
                    "'%s' needs %" G_GUINT64_FORMAT " pages of %s and %" G_GUINT64_FORMAT " are free; of the others "
                    "not all may be found at its start (%s of memory are available)",
                    guest->name, pages, size, pool->free, gib);
  } else {
    vp_doctor_ok (doctor, "'%s' needs %" G_GUINT64_FORMAT " pages of %s: %s", guest->name, pages, size,
                  missing == 0 ? "they are free" : "they are made at its start");
  }
}

static void
check_pools (VpDoctor *doctor)
{
  g_autoptr (GArray) pools = vp_page_pools_read_host (doctor->root);

  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    if (guest->plan != NULL && guest->plan->pages > 0 && !guest->running)
      judge_need (doctor, guest, pools);
  }
}

/* The guest whose start needs a mount for that size; NULL: none. */
static const VpDoctorGuest *
find_user (const VpDoctor *doctor, guint64 page_kib)
{
  guint64 default_kib = vp_hugepages_default_kib (doctor->root);
  guint64 base_kib = (guint64) sysconf (_SC_PAGESIZE) / 1024;

  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    const VpDomain *next = vp_doctor_guest_next (guest);
    if (next == NULL || !vp_hugepages_need_mount (next))
      continue;
    g_autoptr (GArray) needs = vp_hugepages_needs (next, default_kib, base_kib, NULL);
    for (guint j = 0; needs != NULL && j < needs->len; j++)
      if (g_array_index (needs, VpPageNeed, j).page_kib == page_kib)
        return guest;
  }
  return NULL;
}

static void
judge_mount (VpDoctor *doctor, const VpPagePool *pool)
{
  const VpDoctorGuest *user = find_user (doctor, pool->page_kib);
  g_autofree char *size = vp_hugepages_dup_size (pool->page_kib);
  gboolean known = FALSE;
  g_autofree char *mount = vp_hugepages_dup_mount (doctor->root, pool->page_kib, &known);
  VpCheckLevel level = user != NULL ? VP_CHECK_FAIL : VP_CHECK_WARN;

  if (mount != NULL && (known || doctor->session)) {
    vp_doctor_ok (doctor, "%s: %s", size, mount);
  } else if (mount != NULL) {
    g_autofree char *seen =
      g_strdup_printf ("%s: %s was mounted after libvirt's start, so libvirt does not know it", size, mount);
    vp_doctor_report (doctor, level, "run 'systemctl restart libvirtd' (or virtqemud); guests go on running", seen);
  } else if (user != NULL || pool->total > 0) {
    g_autofree char *advice = g_strdup_printf ("write the line 'hugetlbfs /dev/hugepages%s hugetlbfs pagesize=%s 0 0' "
                                               "to /etc/fstab, run 'mkdir -p /dev/hugepages%s && mount "
                                               "/dev/hugepages%s', and restart libvirt",
                                               size, size, size, size);
    g_autofree char *seen =
      g_strdup_printf ("%s: no hugetlbfs with pages of that size is mounted%s%s%s", size, user != NULL ? ", and '" : "",
                       user != NULL ? user->name : "", user != NULL ? "' needs it" : "");
    vp_doctor_report (doctor, level, advice, seen);
  }
}

static void
check_mounts (VpDoctor *doctor)
{
  g_autoptr (GArray) pools = vp_page_pools_read_host (doctor->root);

  for (guint i = 0; i < pools->len; i++)
    judge_mount (doctor, &g_array_index (pools, VpPagePool, i));
}

/* Memory of guests with assigned devices stays where it is, so it cannot be promised twice. */
static void
check_locked (VpDoctor *doctor)
{
  guint64 total = vp_meminfo_read_kib (doctor->root, -1, "MemTotal");
  guint64 room = total > HOST_KIB ? total - HOST_KIB : 0;
  guint64 sum = 0;
  guint n = 0;
  g_autofree char *total_gib = dup_gib (total);

  for (guint i = 0; total > 0 && i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    guint64 kib =
      guest->domain != NULL && vp_doctor_guest_locks_memory (guest) ? vp_domain_memory_kib (guest->domain, NULL) : 0;
    g_autofree char *gib = dup_gib (kib);
    if (kib > room)
      vp_doctor_fail (doctor, "give the guest less memory", "'%s' locks %s and the host has %s, 1 GiB of it for itself",
                      guest->name, gib, total_gib);
    sum += kib;
    n += kib > 0 ? 1 : 0;
  }
  g_autofree char *sum_gib = dup_gib (sum);
  if (total == 0)
    vp_doctor_unseen (doctor, "the host's memory");
  else if (sum <= room)
    vp_doctor_ok (doctor, "%u guest%s lock%s %s together; the host has %s", n, n == 1 ? "" : "s", n == 1 ? "s" : "",
                  sum_gib, total_gib);
  else if (n > 1)
    vp_doctor_warn (doctor, "do not run them all at once, or give them less memory",
                    "%u guests lock %s together and the host has %s", n, sum_gib, total_gib);
}

const VpCheck vp_doctor_memory_checks[] = {
  { "memory.hugepages", "hugepages", check_sizes },
  { "memory.pools", "hugepages of guests", check_pools },
  { "memory.mounts", "hugepage mounts", check_mounts },
  { "memory.locked", "memory of guests", check_locked },
  { NULL, NULL, NULL },
};
