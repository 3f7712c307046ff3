/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of the CPUs: what is seen of them, isolated ones, and whether all guests fit side by side. */
#include "cli/doctor/doctor.h"

#include <string.h>

#include "config.h"

static void
check_topology (VpDoctor *doctor)
{
  const VpHost *host = doctor->guests->host;

  if (host == NULL) {
    if (doctor->guests->host_problem != NULL)
      vp_doctor_fail (doctor, "mount sysfs on /sys", "%s", doctor->guests->host_problem);
    return;
  }
  const VpTopology *topology = host->topology;
  g_autofree char *seen =
    g_strdup_printf ("%u package%s, %u node%s, %u L3%s, %u cores, %u CPUs%s", topology->n_packages,
                     topology->n_packages == 1 ? "" : "s", topology->n_nodes, topology->n_nodes == 1 ? "" : "s",
                     topology->n_l3s, topology->n_l3s == 1 ? "" : "s", topology->n_cores, topology->n_pus,
                     topology->n_kinds > 1 ? ", of several kinds" : "");
  if (topology->n_offline == 0) {
    vp_doctor_ok (doctor, "%s", seen);
    return;
  }
  g_autoptr (VpBitmap) offline = hwloc_bitmap_alloc ();
  for (guint i = 0; i < topology->n_offline; i++)
    hwloc_bitmap_set (offline, topology->offline[i]);
  g_autofree char *list = vp_list_dup (offline);
  vp_doctor_warn (doctor, "for each of them 'echo 1 > /sys/devices/system/cpu/cpuN/online', unless it is meant",
                  "%s; offline: %s", seen, list);
}

static VpBitmap *
new_isolated (const VpTopology *topology)
{
  VpBitmap *set = hwloc_bitmap_alloc ();

  for (guint i = 0; i < topology->n_pus; i++)
    if (topology->pus[i].isolated)
      hwloc_bitmap_set (set, topology->pus[i].os_index);
  return set;
}

/* Cores of which some threads are isolated and others are not: the host's work disturbs the isolated. */
static VpBitmap *
new_split (const VpTopology *topology)
{
  VpBitmap *set = hwloc_bitmap_alloc ();

  for (guint i = 0; i < topology->n_cores; i++) {
    const VpCore *core = &topology->cores[i];
    guint isolated = 0;
    for (guint j = 0; j < core->n_pus; j++)
      isolated += topology->pus[core->first_pu + j].isolated ? 1 : 0;
    for (guint j = 0; j < core->n_pus && isolated > 0 && isolated < core->n_pus; j++)
      if (!topology->pus[core->first_pu + j].isolated)
        hwloc_bitmap_set (set, topology->pus[core->first_pu + j].os_index);
  }
  return set;
}

static void
check_isolated (VpDoctor *doctor)
{
  if (doctor->guests->host == NULL)
    return;
  g_autoptr (VpBitmap) isolated = new_isolated (doctor->guests->host->topology);
  g_autoptr (VpBitmap) split = new_split (doctor->guests->host->topology);
  gboolean any = !hwloc_bitmap_iszero (isolated);
  gboolean halves = !hwloc_bitmap_iszero (split);
  g_autofree char *list = vp_list_dup (isolated);
  g_autofree char *rest = vp_list_dup (split);
  hwloc_bitmap_or (isolated, isolated, split);
  g_autofree char *whole = vp_list_dup (isolated);

  if (!any) {
    vp_doctor_ok (doctor, "none (isolcpus); 'cpu.isolate = yes' in a profile keeps the host off while a guest runs");
  } else if (halves) {
    g_autofree char *parameter = g_strdup_printf ("isolcpus=%s", whole);
    g_autofree char *advice = vp_system_dup_add_parameter (doctor->system, parameter);
    vp_doctor_warn (doctor, advice, "%s; the other threads of their cores, %s, are not and disturb them", list, rest);
  } else {
    vp_doctor_ok (doctor, "%s", list);
  }
}

static VpBitmap *
new_planned (const VpDoctorGuest *guest)
{
  const VpPlacement *placement = guest->plan != NULL ? guest->plan->placement : NULL;
  VpBitmap *set = hwloc_bitmap_alloc ();

  for (guint i = 0; placement != NULL && placement->vcpus != NULL && i < placement->n_vcpus; i++)
    hwloc_bitmap_set (set, (unsigned) placement->vcpus[i]);
  return set;
}

/* TRUE: reported. */
static gboolean
judge_pair (VpDoctor *doctor, const VpDoctorGuest *a, const VpDoctorGuest *b)
{
  g_autoptr (VpBitmap) shared = new_planned (a);
  g_autoptr (VpBitmap) other = new_planned (b);

  if (!hwloc_bitmap_intersects (shared, other))
    return FALSE;
  hwloc_bitmap_and (shared, shared, other);
  g_autofree char *list = vp_list_dup (shared);
  vp_doctor_warn (doctor, "give one of them fewer vCPUs or cpu.reserve-cores = 0, or do not run them at once",
                  "'%s' and '%s' share the CPUs %s", a->name, b->name, list);
  return TRUE;
}

static void
check_fit (VpDoctor *doctor)
{
  const GPtrArray *all = doctor->guests->all;
  gboolean meet = FALSE;
  guint placed = 0;

  for (guint i = 0; i < all->len; i++) {
    const VpDoctorGuest *guest = all->pdata[i];
    placed += guest->plan != NULL && guest->plan->placement != NULL ? 1 : 0;
    for (guint j = 0; j < i; j++)
      meet |= judge_pair (doctor, all->pdata[j], guest);
  }
  if (!meet && placed > 0)
    vp_doctor_ok (doctor, "%u guest%s placed, each on CPUs of its own", placed, placed == 1 ? " is" : "s are");
}

/* A tag that cannot be applied stops the start. */
static void
check_profiles (VpDoctor *doctor)
{
  const VpDoctorGuests *guests = doctor->guests;
  guint failed = 0;

  if (guests->profiles_problem != NULL)
    vp_doctor_fail (doctor, "correct the file; 'vfio-profile profiles' lists all", "%s", guests->profiles_problem);
  for (guint i = 0; i < guests->all->len; i++) {
    const VpDoctorGuest *guest = guests->all->pdata[i];
    if (guest->problem == NULL)
      continue;
    failed++;
    vp_doctor_fail (doctor, NULL, "'%s': %s", guest->name, guest->problem);
  }
  if (guests->problem != NULL && !guests->known)
    vp_doctor_unseen (doctor, "which guests there are");
  else if (failed == 0 && guests->profiles_problem == NULL)
    vp_doctor_ok (doctor, "%u of %u guests tagged%s", vp_doctor_guests_count_tagged (guests), guests->all->len,
                  guests->fleet != NULL ? ", all with profiles that can be applied" : "");
}

static void
check_limits (VpDoctor *doctor)
{
  g_autofree char *path = g_build_filename (doctor->folder, VP_LIMITS_FILE, NULL);
  g_autoptr (VpLimits) limits = vp_limits_load (path);
  g_autoptr (GString) words = g_string_new (NULL);

  if (vp_limits_get_error (limits) != NULL) {
    vp_doctor_fail (doctor, "correct the file ('man vfio-profile.conf')", "%s; the built-in limits hold",
                    vp_limits_get_error (limits)->message);
    return;
  }
  for (VpKey key = 0; key < VP_N_KEYS; key++)
    if (strcmp (vp_limits_get (limits, key), "any") != 0)
      g_string_append_printf (words, "%s%s.%s: %s", words->len > 0 ? ", " : "", vp_key_info (key)->section,
                              vp_key_info (key)->name, vp_limits_get (limits, key));
  vp_doctor_ok (doctor, "%s", words->len > 0 ? words->str : "none");
}

const VpCheck vp_doctor_cpu_checks[] = {
  { "cpu.topology", "CPUs", check_topology },
  { "cpu.isolated", "isolated CPUs", check_isolated },
  { "guests.profiles", "guests and profiles", check_profiles },
  { "guests.limits", "limits of tags", check_limits },
  { "guests.fit", "guests side by side", check_fit },
  { NULL, NULL, NULL },
};
