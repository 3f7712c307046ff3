/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In this order: what only looks, then what takes; one step that fails gives all back. */
#include "daemon/gate/admission.h"

#include <unistd.h>

#include "daemon/handover/handover.h"
#include "daemon/hold/isolate.h"
#include "devices/device-now.h"
#include "domain/hugepages.h"
#include "host/page-pools.h"

#define LOOK_MS 2000 /* for the processes that have a device open */
#define ISOLATE_SECONDS 4
#define RELEASE_SECONDS 5
#define RETRY_SECONDS 2
#define WAIT_SLACK_SECONDS 15 /* beside memory.deadline: another start that allocates, and giving back */

struct VpAdmission {
  const VpRoot *root;
  VpBook *book;
  VpIsolate *isolate;
  VpHandover *handover; /* NULL: an ordinary user's guests get no card of the host's */
  gboolean session;
  gint retrying; /* atomic */
};

VpAdmission *
vp_admission_new (const VpRoot *root, const char *run_folder, const char *bus, gboolean session, GError **error)
{
  g_autoptr (VpAdmission) admission = g_new0 (VpAdmission, 1);

  admission->session = session;
  admission->root = root;
  admission->book = vp_book_new (admission->root, run_folder, error);
  if (admission->book == NULL)
    return NULL;
  admission->isolate = vp_isolate_new (admission->root, admission->book, bus);
  if (!session)
    admission->handover = vp_handover_new (admission->root, admission->book, run_folder, bus, G_TIME_SPAN_SECOND);
  return g_steal_pointer (&admission);
}

void
vp_admission_free (VpAdmission *admission)
{
  if (admission == NULL)
    return;
  while (g_source_remove_by_user_data (admission))
    ;
  vp_handover_free (admission->handover);
  vp_book_free (admission->book);
  vp_isolate_free (admission->isolate);
  g_free (admission);
}

VpBook *
vp_admission_get_book (const VpAdmission *admission)
{
  return admission->book;
}

char *
vp_admission_dup_offline (const VpAdmission *admission, const int *cpus, guint n)
{
  g_autofree char *text = vp_root_dup_text (admission->root, "sys/devices/system/cpu/online");
  g_autoptr (VpBitmap) online = vp_list_parse (text);
  g_autoptr (VpBitmap) lost = hwloc_bitmap_alloc ();

  for (guint i = 0; i < n && online != NULL; i++)
    if (!hwloc_bitmap_isset (online, (unsigned) cpus[i]))
      hwloc_bitmap_set (lost, (unsigned) cpus[i]);
  return hwloc_bitmap_iszero (lost) ? NULL : vp_list_dup (lost);
}

static void
warn_all (const char *name, const GPtrArray *findings)
{
  for (guint i = 0; i < findings->len; i++) {
    const VpDeviceFinding *finding = findings->pdata[i];
    if (finding->severity == VP_DEVICE_WARN)
      g_message ("domain '%s': %s", name, finding->text);
  }
}

static char *
look_at_devices (const VpAdmission *admission, const VpAdmissionRequest *request)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (request->domain);
  g_autoptr (VpSettings) settings = vp_settings_new ();
  g_autoptr (GPtrArray) sessions = NULL;
  g_autoptr (GError) error = NULL;

  vp_settings_overlay (settings, request->plan->settings);
  if (admission->handover == NULL)
    g_clear_pointer (&settings->values[VP_KEY_DEVICES_HANDOVER], g_free);
  else if (vp_settings_choice (settings, VP_KEY_DEVICES_HANDOVER) == VP_HANDOVER_YES)
    sessions = vp_handover_list_sessions (admission->handover);

  if (hostdevs->len == 0)
    return NULL;
  g_autoptr (VpDeviceNames) names = vp_device_names_new (NULL);
  g_autoptr (GPtrArray) findings =
    vp_device_check_now (admission->root, request->domain, settings, request->held, sessions, names, LOOK_MS, &error);

  if (findings == NULL)
    return g_strdup (error->message);
  warn_all (request->name, findings);
  return vp_device_findings_dup_refusal (findings);
}

static char *
check_mounts (const VpAdmission *admission, const VpDomain *domain, const GArray *needs)
{
  for (guint i = 0; i < needs->len && vp_hugepages_need_mount (domain); i++) {
    guint64 page_kib = g_array_index (needs, VpPageNeed, i).page_kib;
    g_autofree char *size = vp_hugepages_dup_size (page_kib);
    gboolean known = FALSE;
    g_autofree char *mount = vp_hugepages_dup_mount (admission->root, page_kib, &known);
    if (mount == NULL)
      return g_strdup_printf (
        "it needs hugepages of %s, and no hugetlbfs with pages of that size is mounted: "
        "'mkdir -p /dev/hugepages%s && mount -t hugetlbfs -o pagesize=%s hugetlbfs /dev/hugepages%s' "
        "(or 'systemctl start dev-hugepages.mount', for the default size), then restart libvirt, "
        "which looks for them only when it starts",
        size, size, size, size);
    if (!admission->session && !known)
      return g_strdup_printf ("it needs hugepages of %s, and %s was mounted after libvirt's start, so libvirt does not "
                              "know it: restart libvirt ('systemctl restart libvirtd' or 'virtqemud'; guests go on "
                              "running)",
                              size, mount);
  }
  return NULL;
}

static char *
take_pages (VpAdmission *admission, const VpAdmissionRequest *request)
{
  const VpSettings *settings = request->plan->settings;
  g_autoptr (GError) error = NULL;
  guint64 base_kib = (guint64) sysconf (_SC_PAGESIZE) / 1024;
  g_autoptr (GArray) needs =
    vp_hugepages_needs (request->domain, vp_hugepages_default_kib (admission->root), base_kib, &error);
  guint seconds = (guint) g_ascii_strtoull (vp_settings_get (settings, VP_KEY_MEMORY_DEADLINE), NULL, 10);
  gboolean allocate = !admission->session && vp_settings_choice (settings, VP_KEY_MEMORY_ALLOCATE) == VP_ALLOCATE_YES;

  if (needs == NULL)
    return g_strdup (error->message);
  if (needs->len == 0)
    return NULL;
  char *refusal = check_mounts (admission, request->domain, needs);
  if (refusal != NULL)
    return refusal;
  request->wait (seconds + WAIT_SLACK_SECONDS, request->data);
  gint64 deadline = g_get_monotonic_time () + seconds * G_TIME_SPAN_SECOND;
  if (vp_book_take_pages (admission->book, request->uuid, request->name, needs, allocate, deadline, &error))
    return NULL;
  return g_strdup (error->message);
}

static gboolean
on_retry (gpointer data)
{
  VpAdmission *admission = data;

  if (vp_book_retry (admission->book))
    return G_SOURCE_CONTINUE;
  g_atomic_int_set (&admission->retrying, 0);
  return G_SOURCE_REMOVE;
}

/* What the kernel keeps busy is tried again from the main loop, whoever asked for it. */
static void
retry_later (VpAdmission *admission)
{
  if (g_atomic_int_compare_and_exchange (&admission->retrying, 0, 1))
    g_timeout_add_seconds (RETRY_SECONDS, on_retry, admission);
}

void
vp_admission_release (VpAdmission *admission, const char *uuid)
{
  gint64 deadline = g_get_monotonic_time () + RELEASE_SECONDS * G_TIME_SPAN_SECOND;

  if (!vp_book_release (admission->book, uuid, deadline))
    retry_later (admission);
  if (admission->handover != NULL)
    vp_handover_poke (admission->handover);
}

void
vp_admission_reconcile (VpAdmission *admission, const char *const *running)
{
  vp_book_reconcile (admission->book, running);
  retry_later (admission); /* it may have left something */
  if (admission->handover != NULL)
    vp_handover_poke (admission->handover);
}

/* Whatever the host cannot do is left out, and said; an ordinary user can do none of it. */
static char *
clear_cpus (VpAdmission *admission, const VpAdmissionRequest *request)
{
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;

  if (admission->session)
    return NULL;
  const VpIsolateRequest asked = {
    .uuid = request->uuid,
    .name = request->name,
    .cpus = request->cpus,
    .settings = request->plan->settings,
    .deadline = g_get_monotonic_time () + ISOLATE_SECONDS * G_TIME_SPAN_SECOND,
  };
  gboolean done = vp_isolate_apply (admission->isolate, &asked, warnings, &error);
  for (guint i = 0; i < warnings->len; i++)
    g_message ("domain '%s': %s", request->name, (const char *) warnings->pdata[i]);
  return done ? NULL : g_strdup (error->message);
}

/* The last, for it is the one that a person sees: nothing is stopped for a start that comes to nothing. */
static char *
hand_over (VpAdmission *admission, const VpAdmissionRequest *request)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (request->domain);
  const VpHandoverRequest asked = { request->uuid, request->name, hostdevs, request->plan->settings };
  guint seconds = vp_handover_seconds (&asked);
  g_autoptr (GError) error = NULL;

  if (admission->handover == NULL || seconds == 0 || hostdevs->len == 0)
    return NULL;
  request->wait (seconds, request->data);
  return vp_handover_take (admission->handover, &asked, &error) ? NULL : g_strdup (error->message);
}

char *
vp_admission_dup_handover (VpAdmission *admission, const VpAdmissionRequest *request, gboolean *refused)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (request->domain);
  const VpHandoverRequest asked = { request->uuid, request->name, hostdevs, request->plan->settings };
  g_autofree char *refusal = admission->handover != NULL
                               ? look_at_devices (admission, request)
                               : g_strdup ("an ordinary user's guests get no card that the host uses");
  g_autoptr (GError) error = NULL;

  char *plan = refusal == NULL ? vp_handover_dup_plan (admission->handover, &asked, &error) : NULL;
  *refused = plan == NULL;
  return plan != NULL ? plan : g_strdup (refusal != NULL ? refusal : error->message);
}

gboolean
vp_admission_give_back (VpAdmission *admission, guint seconds, char **lines)
{
  if (admission->handover != NULL)
    return vp_handover_give_back (admission->handover, seconds, lines);
  *lines = g_strdup ("nothing is to be brought back\n");
  return TRUE;
}

char *
vp_admission_admit (VpAdmission *admission, const VpAdmissionRequest *request)
{
  g_autofree char *refusal = look_at_devices (admission, request);
  g_autoptr (GError) error = NULL;

  if (refusal == NULL && !vp_book_note_claim (admission->book, request->uuid, &error))
    refusal = g_strdup (error->message);
  if (refusal == NULL)
    refusal = take_pages (admission, request);
  if (refusal == NULL)
    refusal = clear_cpus (admission, request);
  if (refusal == NULL)
    refusal = hand_over (admission, request);
  if (refusal != NULL)
    vp_admission_release (admission, request->uuid);
  return g_steal_pointer (&refusal);
}

void
vp_admission_note_called (VpAdmission *admission, const VpDomain *domain)
{
  g_autofree char *uuid = vp_domain_dup_uuid (domain);
  g_autofree char *name = vp_domain_dup_name (domain);

  if (uuid != NULL && vp_domain_tag (domain) != NULL)
    vp_book_note_called (admission->book, uuid, name, vp_domain_run (domain));
}

void
vp_admission_started (VpAdmission *admission, const char *uuid)
{
  vp_book_started (admission->book, uuid);
}
