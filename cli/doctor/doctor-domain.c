/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks of the DOMAIN: all that the gate would look at when it starts, without starting it. */
#include "cli/doctor/doctor.h"

#include <string.h>
#include <unistd.h>

#include "devices/device-now.h"
#include "devices/device-rom.h"
#include "domain/hugepages.h"
#include "domain/pins.h"
#include "domain/vcpu-request.h"
#include "journal/story.h"

#define LOOK_MS 5000 /* for the processes that have a device open */

static void
check_ready (VpDoctor *doctor)
{
  const VpDoctorGuest *guest = doctor->subject;

  if (guest == NULL)
    return;
  if (!guest->tagged) {
    g_autofree char *advice =
      g_strdup_printf ("run 'vfio-profile set %s PROFILE'; 'vfio-profile profiles' lists them", guest->name);
    vp_doctor_warn (doctor, advice, "it has no profile, and starts as libvirt has it");
  } else if (guest->problem != NULL) {
    vp_doctor_fail (doctor, NULL, "its profiles cannot be applied: %s", guest->problem);
  } else if (guest->plan == NULL) {
    vp_doctor_unseen (doctor, "its plan, without the host's CPUs");
  } else if (vp_plan_is_ready (guest->plan)) {
    vp_doctor_ok (doctor, "its definition is as '%s' asks", guest->plan->profile);
  } else {
    const VpChange *first = guest->plan->changes->pdata[0];
    g_autofree char *advice =
      g_strdup_printf ("start vfio-profiled, or run 'vfio-profile set %s %s'", guest->name, guest->plan->profile);
    vp_doctor_warn (doctor, advice, "its definition is not as '%s' asks: %u change%s, the first at %s",
                    guest->plan->profile, guest->plan->changes->len, guest->plan->changes->len == 1 ? "" : "s",
                    first->place);
  }
}

static void
check_warnings (VpDoctor *doctor)
{
  const VpPlan *plan = doctor->subject != NULL ? doctor->subject->plan : NULL;

  if (plan == NULL || !doctor->subject->tagged)
    return;
  for (guint i = 0; i < plan->warnings->len; i++)
    vp_doctor_warn (doctor, NULL, "%s", (const char *) plan->warnings->pdata[i]);
  if (plan->warnings->len == 0)
    vp_doctor_ok (doctor, "none");
}

static void
clear_held (gpointer data)
{
  g_free (((VpDeviceHeld *) data)->domain);
}

/* Devices of the other guests that run. */
static GArray *
list_held (const VpDoctor *doctor)
{
  GArray *held = g_array_new (FALSE, FALSE, sizeof (VpDeviceHeld));

  g_array_set_clear_func (held, clear_held);
  for (guint i = 0; i < doctor->guests->all->len; i++) {
    const VpDoctorGuest *guest = doctor->guests->all->pdata[i];
    if (guest == doctor->subject || guest->live == NULL)
      continue;
    g_autoptr (GArray) hostdevs = vp_domain_hostdevs (guest->live);
    for (guint j = 0; j < hostdevs->len; j++) {
      VpDeviceHeld one = { g_array_index (hostdevs, VpHostdev, j).address, g_strdup (guest->name) };
      g_array_append_val (held, one);
    }
  }
  return held;
}

static void
check_devices (VpDoctor *doctor)
{
  const VpDomain *next = doctor->subject != NULL ? vp_doctor_guest_next (doctor->subject) : NULL;
  g_autoptr (GArray) hostdevs = next != NULL ? vp_domain_hostdevs (next) : NULL;
  g_autoptr (GError) error = NULL;

  if (hostdevs == NULL || hostdevs->len == 0)
    return;
  const VpPlan *plan = doctor->subject->plan;
  g_autoptr (GArray) held = list_held (doctor);
  g_autoptr (GPtrArray) findings = vp_device_check_now (doctor->root, next, plan != NULL ? plan->settings : NULL, held,
                                                        NULL, doctor->names, LOOK_MS, &error);
  if (findings == NULL) {
    vp_doctor_fail (doctor, NULL, "%s", error->message);
    return;
  }
  for (guint i = 0; i < findings->len; i++) {
    const VpDeviceFinding *finding = findings->pdata[i];
    VpCheckLevel level = finding->severity == VP_DEVICE_REFUSE ? VP_CHECK_FAIL : VP_CHECK_WARN;
    vp_doctor_report (doctor, level, NULL, finding->text);
  }
  if (findings->len == 0)
    vp_doctor_ok (doctor, "%u, all can be given to it", hostdevs->len);
}

static void
judge_rom (VpDoctor *doctor, const VpDomain *domain, const VpPciDevice *device, const char *path)
{
  gsize length = 0;
  g_autofree char *name = vp_doctor_dup_name (doctor, device);
  g_autofree char *bytes = vp_root_dup_bytes (doctor->root, path + strspn (path, "/"), VP_ROM_MAX_BYTES, &length);

  if (bytes == NULL) {
    vp_doctor_warn (doctor, "see that it is there, and that QEMU's user may read it", "%s of %s cannot be read", path,
                    name);
    return;
  }
  g_autofree char *problem = vp_rom_find_problem ((const guint8 *) bytes, length, device, vp_domain_is_bios (domain));
  if (problem != NULL)
    vp_doctor_fail (doctor, "take the maker's file, or a copy that was made while another card was the display",
                    "%s of %s: %s", path, name, problem);
  else
    vp_doctor_ok (doctor, "%s is a whole image for %s", path, name);
}

static void
check_rom (VpDoctor *doctor)
{
  const VpDomain *next = doctor->subject != NULL ? vp_doctor_guest_next (doctor->subject) : NULL;
  g_autoptr (GArray) hostdevs = next != NULL ? vp_domain_hostdevs (next) : NULL;

  for (guint i = 0; hostdevs != NULL && i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_pci_find (doctor->groups->devices, &hostdev->address);
    const xmlNode *rom = vp_xml_child (hostdev->node, "rom");
    g_autofree char *path = rom != NULL ? vp_xml_dup_attr (rom, "file") : NULL;
    if (device != NULL && path != NULL && vp_pci_is_display (device))
      judge_rom (doctor, next, device, path);
  }
}

/* What the last handover of its card left undone. */
static void
check_handover (VpDoctor *doctor)
{
  g_autofree char *folder = vp_libvirt_dup_run_folder (doctor->session);
  g_autoptr (VpStory) story = doctor->subject != NULL ? vp_story_load (doctor->root, folder) : NULL;
  const GPtrArray *lines = story != NULL ? vp_story_get_lines (story) : NULL;
  g_autofree char *mark = doctor->subject != NULL ? g_strdup_printf (" %s: ", doctor->subject->name) : NULL;
  const char *last = NULL;

  for (guint i = 0; lines != NULL && i < lines->len; i++) {
    if (strstr (lines->pdata[i], mark) == NULL)
      continue;
    last = lines->pdata[i];
    if (strstr (last, "not back") != NULL || strstr (last, "the start is refused") != NULL)
      vp_doctor_warn (doctor,
                      "'vfio-profile status' has the whole story; 'vfio-profile handover --give-back' tries again",
                      "%s", last);
  }
  if (last != NULL)
    vp_doctor_ok (doctor, "the last that it did: %s", last);
}

static gboolean
serves (const VpPagePool *pool, const VpPageNeed *need)
{
  return pool->page_kib == need->page_kib &&
         (need->nodes == NULL || pool->node < 0 || hwloc_bitmap_isset (need->nodes, (unsigned) pool->node));
}

/* Whether the kernel finds the rest at the start depends on how its free memory hangs together. */
static void
judge_pages (VpDoctor *doctor, const VpPageNeed *need, gboolean allocate)
{
  const GArray *pools = doctor->guests->host->pools;
  guint64 free_kib = 0;
  guint64 have = 0;
  g_autofree char *size = vp_hugepages_dup_size (need->page_kib);
  g_autofree char *nodes = need->nodes != NULL ? vp_list_dup (need->nodes) : NULL;

  for (guint i = 0; i < pools->len; i++) {
    const VpPagePool *pool = &g_array_index (pools, VpPagePool, i);
    have += serves (pool, need) ? pool->free : 0;
    free_kib += serves (pool, need) ? vp_meminfo_read_kib (doctor->root, pool->node, "MemFree") : 0;
  }
  guint64 missing = need->pages > have ? need->pages - have : 0;
  g_autofree char *seen =
    g_strdup_printf ("%" G_GUINT64_FORMAT " pages of %s%s%s, %" G_GUINT64_FORMAT " are free there", need->pages, size,
                     nodes != NULL ? " on node " : "", nodes != NULL ? nodes : "", have);
  if (missing == 0)
    vp_doctor_ok (doctor, "%s", seen);
  else if (!allocate)
    vp_doctor_fail (doctor, "reserve them at boot, or set memory.allocate = yes", "%s, and none are made at the start",
                    seen);
  else if (missing * need->page_kib > free_kib)
    vp_doctor_warn (doctor, "reserve them at boot, or give the guest less memory",
                    "%s; %" G_GUINT64_FORMAT " are to be made at the start, and only %" G_GUINT64_FORMAT " MiB of "
                    "memory are free now",
                    seen, missing, free_kib / 1024);
  else
    vp_doctor_ok (doctor, "%s; the others are made at the start", seen);
}

static void
check_pages (VpDoctor *doctor)
{
  const VpDoctorGuest *guest = doctor->subject;
  const VpPlan *plan = guest != NULL ? guest->plan : NULL;
  guint64 base_kib = (guint64) sysconf (_SC_PAGESIZE) / 1024;

  if (plan == NULL || guest->running || doctor->guests->host == NULL)
    return;
  g_autoptr (GArray) needs = vp_hugepages_needs (plan->result, vp_hugepages_default_kib (doctor->root), base_kib, NULL);
  gboolean allocate = plan->settings != NULL && !doctor->session &&
                      vp_settings_choice (plan->settings, VP_KEY_MEMORY_ALLOCATE) == VP_ALLOCATE_YES;
  for (guint i = 0; needs != NULL && i < needs->len; i++)
    judge_pages (doctor, &g_array_index (needs, VpPageNeed, i), allocate);
}

static void
check_cpus (VpDoctor *doctor)
{
  const VpDomain *next = doctor->subject != NULL ? vp_doctor_guest_next (doctor->subject) : NULL;
  g_autofree char *text = vp_root_dup_text (doctor->root, "sys/devices/system/cpu/online");
  g_autoptr (VpBitmap) online = vp_list_parse (text);
  g_autoptr (VpBitmap) lost = hwloc_bitmap_alloc ();
  g_autoptr (VpPins) pins = next != NULL ? vp_pins_read (next) : NULL;
  guint pinned = 0;

  if (pins != NULL)
    vp_pins_add_default (pins, next);
  g_autoptr (VpBitmap) vcpus = next != NULL ? vp_domain_new_online_vcpus (next) : NULL;
  for (guint i = 0; online != NULL && pins != NULL && i < pins->vcpus->len; i++) {
    g_autoptr (VpBitmap) set = hwloc_bitmap_isset (vcpus, i) ? vp_pins_new_vcpu_set (pins, i) : NULL;
    if (set == NULL)
      continue;
    pinned++;
    if (!hwloc_bitmap_intersects (set, online))
      hwloc_bitmap_or (lost, lost, set);
  }
  g_autofree char *list = vp_list_dup (lost);
  if (!hwloc_bitmap_iszero (lost))
    vp_doctor_fail (doctor, "put them on line, or let vfio-profiled plan it anew",
                    "vCPUs are pinned to CPUs that are not on line: %s", list);
  else if (pinned > 0)
    vp_doctor_ok (doctor, "%u vCPU%s pinned, all to CPUs that are on line", pinned, pinned == 1 ? "" : "s");
}

/* libvirt's refusal says nothing of who made it. */
static void
check_topology (VpDoctor *doctor)
{
  const VpDoctorGuest *guest = doctor->subject;
  const VpPlan *plan = guest != NULL ? guest->plan : NULL;
  guint vcpus = plan != NULL && plan->settings != NULL ? vp_vcpu_request_topology (plan->result) : 0;

  if (vcpus == 0 || vp_settings_choice (plan->settings, VP_KEY_CPU_TOPOLOGY) != VP_TOPOLOGY_MATCH)
    return;
  vp_doctor_ok (doctor,
                "it is shown a topology for %u vCPU%s; 'virsh setvcpus --maximum' is refused beside it, and "
                "'vfio-profile set %s --vcpus N' changes both",
                vcpus, vcpus == 1 ? "" : "s", guest->name);
}

/* The guests that hold its CPUs now. */
static void
check_conflict (VpDoctor *doctor)
{
  const VpPlan *plan = doctor->subject != NULL ? doctor->subject->plan : NULL;
  const VpNeighbours *others =
    plan != NULL && plan->placement != NULL && doctor->guests->fleet != NULL && !doctor->subject->running
      ? vp_fleet_find (doctor->guests->fleet, doctor->subject->uuid)
      : NULL;

  for (guint i = 0; others != NULL && i < others->others->len; i++) {
    const VpNeighbour *other = others->others->pdata[i];
    guint shared = 0;
    for (guint j = 0; plan->placement->vcpus != NULL && j < plan->placement->n_vcpus; j++)
      shared += hwloc_bitmap_isset (other->cpus, (unsigned) plan->placement->vcpus[j]) ? 1 : 0;
    if (!other->running || shared == 0)
      continue;
    gboolean refuse = vp_settings_choice (plan->settings, VP_KEY_CPU_CONFLICT) == VP_CONFLICT_REFUSE;
    g_autofree char *seen = g_strdup_printf ("%u of its vCPUs are on CPUs of '%s', which runs%s", shared, other->name,
                                             refuse ? ", and cpu.conflict is refuse" : "");
    vp_doctor_report (doctor, refuse ? VP_CHECK_FAIL : VP_CHECK_WARN, "stop it, or give one of them fewer vCPUs", seen);
  }
}

const VpCheck vp_doctor_domain_checks[] = {
  { "domain.ready", "domain: definition", check_ready },
  { "domain.warnings", "domain: warnings", check_warnings },
  { "domain.devices", "domain: devices", check_devices },
  { "domain.rom", "domain: ROM of its card", check_rom },
  { "domain.handover", "domain: handover", check_handover },
  { "domain.pages", "domain: hugepages", check_pages },
  { "domain.cpus", "domain: CPUs", check_cpus },
  { "domain.topology", "domain: topology", check_topology },
  { "domain.conflict", "domain: other guests", check_conflict },
  { NULL, NULL, NULL },
};
