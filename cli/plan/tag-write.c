/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes a tag, and sees to it that the definition becomes as it asks. Plans nothing that it would write itself. */
#include "cli/plan/tag-write.h"

#include <unistd.h>

#include "base/error.h"
#include "cli/base/system.h"
#include "domain/vcpu-request.h"
#include "edits/writer.h"

#define FIRST_LOOK_MS 20
#define LAST_LOOK_MS 500
#define DEADLINE_SECONDS 30

/* Who may not look at its lock sees its process. */
static gboolean
find_daemon (GError **error)
{
  g_autoptr (VpRoot) root = vp_root_open ("/", error);
  g_autoptr (VpSystem) system = root != NULL ? vp_system_read (root, FALSE) : NULL;

  if (system == NULL || vp_system_find_process (system, "vfio-profiled") != NULL)
    return system != NULL;
  g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT,
               "vfio-profiled does not run, and without it only root can write a definition so that nobody's edit is "
               "lost: start it, or run this as root");
  return FALSE;
}

static gboolean
can_write (const VpInput *input)
{
  return input->session || geteuid () == 0;
}

/* `writer`: this process, or NULL where the daemon has to make the definition ready. */
static gboolean
find_writer (const VpInput *input, VpWriter **writer, GError **error)
{
  g_autoptr (GError) problem = NULL;

  if (!can_write (input))
    return find_daemon (error);
  *writer = vp_writer_new (input->session, 0, NULL, NULL, &problem);
  if (*writer != NULL || g_error_matches (problem, VP_ERROR, VP_ERROR_BUSY))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

static gboolean
is_same_tag (const VpDomain *one, const VpDomain *other)
{
  const xmlNode *a = vp_domain_tag (one);
  const xmlNode *b = vp_domain_tag (other);

  return a == NULL || b == NULL ? a == b : vp_xml_equal (a, b);
}

/*
 * The tag is as it shall be, and so is the definition. Where there shall be none, a rule may have given another; what
 * it asks for once is gone from it when it is done.
 */
static gboolean
is_ready (const VpInput *input, const VpDomain *present, const VpDomain *tagged)
{
  g_autofree char *rule = vp_domain_dup_tag_rule (present);
  g_autoptr (VpDomain) wanted = vp_domain_copy (tagged);
  guint vcpus = vp_vcpu_request_read (tagged);

  if (vcpus != 0)
    vp_vcpu_request_carry_out (wanted, vcpus);
  if (!is_same_tag (present, wanted) && (vp_domain_tag (tagged) != NULL || rule == NULL))
    return FALSE;
  if (vcpus != 0 && vp_domain_vcpus (present, NULL) != vcpus)
    return FALSE;
  g_autoptr (VpPlan) plan = vp_input_plan (input, present, NULL);
  /* The mark of an undo goes last. */
  return plan != NULL && vp_plan_is_ready (plan) &&
         (vp_domain_tag (present) != NULL || vp_domain_state (present) == NULL);
}

static gboolean
prepare (const VpInput *input, virDomainPtr domain, const VpDomain *tagged, const VpWriter *writer, GError **error)
{
  g_autofree char *uuid = vp_domain_dup_uuid (tagged);
  g_autoptr (VpFleet) fleet = vp_libvirt_load_fleet (input->connection, input->host, input->profiles, tagged, error);
  gboolean made = FALSE;

  if (fleet == NULL)
    return FALSE;
  VpPrepareContext context = { .connection = input->connection,
                               .host = input->host,
                               .profiles = input->profiles,
                               .neighbours = vp_fleet_find (fleet, uuid),
                               .wrapper_made = &made };
  return vp_writer_prepare (writer, &context, virDomainGetName (domain), error);
}

/* To a person, and once: the time of a look reaches its most within a second. */
static void
say_waiting (virDomainPtr domain, guint *ms)
{
  guint next = MIN (2 * *ms, LAST_LOOK_MS);

  if (next == LAST_LOOK_MS && *ms != next && isatty (STDERR_FILENO) != 0)
    g_printerr ("waiting for vfio-profiled to make '%s' ready…\n", virDomainGetName (domain));
  *ms = next;
}

/* A daemon that ends meanwhile leaves the rest to us. */
static gboolean
bring_about (const VpInput *input, virDomainPtr domain, const VpDomain *tagged, VpWriter **writer, GError **error)
{
  gint64 end = g_get_monotonic_time () + DEADLINE_SECONDS * G_TIME_SPAN_SECOND;

  for (guint ms = FIRST_LOOK_MS; g_get_monotonic_time () < end; say_waiting (domain, &ms)) {
    if (*writer == NULL)
      *writer = vp_writer_new (input->session, 0, NULL, NULL, NULL);
    if (*writer != NULL)
      return prepare (input, domain, tagged, *writer, error);
    g_autoptr (VpDomain) present = vp_libvirt_read (domain, error);
    if (present == NULL)
      return FALSE;
    if (is_ready (input, present, tagged))
      return TRUE;
    g_usleep (ms * 1000);
  }
  g_set_error (error, VP_ERROR, VP_ERROR_BUSY, "vfio-profiled runs, but did not make it ready within %d seconds%s",
               DEADLINE_SECONDS, input->session ? "" : "; why: 'journalctl -u vfio-profiled'");
  return FALSE;
}

/* Unless somebody else gave it another. */
static void
put_back (virDomainPtr domain, const VpDomain *before, const VpDomain *tagged)
{
  g_autoptr (VpDomain) present = vp_libvirt_read (domain, NULL);

  if (present != NULL && is_same_tag (present, tagged) && !is_same_tag (present, before))
    (void) vp_libvirt_set_tag (domain, before, NULL); /* the error that is there already says more */
}

gboolean
vp_tag_resume (const VpInput *input, virDomainPtr domain, const VpDomain *tagged, GError **error)
{
  g_autoptr (VpWriter) writer = can_write (input) ? vp_writer_new (input->session, 0, NULL, NULL, NULL) : NULL;

  return writer == NULL || !vp_intents_has (writer->intents, virDomainGetName (domain)) ||
         prepare (input, domain, tagged, writer, error);
}

/* What was read before may be older than what an earlier step wrote. */
static gboolean
write_tag (virDomainPtr domain, const VpDomain *tagged, GError **error)
{
  g_autoptr (VpDomain) present = vp_libvirt_read (domain, error);

  return present != NULL && (is_same_tag (present, tagged) || vp_libvirt_set_tag (domain, tagged, error));
}

gboolean
vp_tag_write (const VpInput *input, virDomainPtr domain, const VpDomain *before, const VpDomain *tagged, GError **error)
{
  g_autoptr (VpWriter) writer = NULL;

  if (!find_writer (input, &writer, error) || !write_tag (domain, tagged, error))
    return FALSE;
  if (bring_about (input, domain, tagged, &writer, error))
    return TRUE;
  put_back (domain, before, tagged);
  return FALSE;
}
