/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * undo: definitions as they were before, with the tags left in them. For whoever takes
 * vfio-profile off a machine: nothing may name a wrapper of ours then, and a later
 * installation finds the tags and prepares again. While the daemon runs this would last
 * for milliseconds, and of a guest that runs nobody would give back what it holds; so both
 * are refused before anything is written.
 */
#include "base/error.h"
#include "cli/base/command.h"
#include "cli/base/output.h"
#include "cli/base/source.h"
#include "cli/plan/kept-guests.h"
#include "cli/plan/plan-view.h"
#include "edits/writer.h"

#define PATIENCE_MS 1000 /* for another command */

static GPtrArray *
find_named (virConnectPtr connection, char *const *names, GError **error)
{
  g_autoptr (GPtrArray) domains = vp_libvirt_domains_new ();

  for (gsize i = 0; names[i] != NULL; i++) {
    virDomainPtr domain = vp_source_find_domain (connection, names[i], error);
    if (domain == NULL)
      return NULL;
    g_ptr_array_add (domains, domain);
  }
  return g_steal_pointer (&domains);
}

/* No daemon starts meanwhile. */
static VpWriter *
keep_daemon_out (gboolean session, GError **error)
{
  g_autoptr (GError) problem = NULL;
  VpWriter *writer = vp_writer_new (session, PATIENCE_MS, NULL, NULL, &problem);

  if (g_error_matches (problem, VP_ERROR, VP_ERROR_BUSY))
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "vfio-profiled runs, and would prepare the definitions again at once: end it first%s",
                 session ? "" : " (systemctl stop vfio-profiled.socket vfio-profiled.service)");
  else if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  return writer;
}

/* Started with a tag, or with values of ours. */
static gboolean
is_prepared (const VpDomain *live)
{
  return vp_domain_tag (live) != NULL || vp_domain_state (live) != NULL;
}

static gboolean
check_none_runs (const GPtrArray *domains, GError **error)
{
  g_autoptr (GString) names = g_string_new (NULL);

  for (guint i = 0; i < domains->len; i++) {
    virDomainPtr domain = domains->pdata[i];
    /* One that cannot be read has ended meanwhile. */
    g_autoptr (VpDomain) live = virDomainIsActive (domain) == 1 ? vp_libvirt_read_live (domain, NULL) : NULL;
    if (live != NULL && is_prepared (live))
      g_string_append_printf (names, "%s'%s'", names->len > 0 ? ", " : "", virDomainGetName (domain));
  }
  if (names->len > 0)
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "nothing was changed: these run with what their profiles gave them: %s; shut them down first",
                 names->str);
  return names->len == 0;
}

static char *
dup_joined (GPtrArray *names)
{
  g_ptr_array_add (names, NULL);
  return g_strjoinv (", ", (char **) names->pdata);
}

/*
 * A saved guest goes on with the emulator that it had, and could not without the wrapper. A snapshot can be edited
 * when it is needed, so it is a warning.
 */
static gboolean
check_none_kept (virConnectPtr connection, const GPtrArray *domains, GError **error)
{
  g_autofree char *folder = vp_libvirt_dup_wrapper_folder (vp_libvirt_is_session (connection));
  g_autoptr (GPtrArray) saves = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) snapshots = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < domains->len; i++)
    vp_kept_guests_add (domains->pdata[i], folder, saves, snapshots);
  gboolean none = saves->len == 0;
  if (snapshots->len > 0) {
    g_autofree char *names = dup_joined (snapshots);
    vp_output_warn ("these snapshots start QEMU through a wrapper of vfio-profile's, and cannot be reverted to without "
                    "it: %s; delete them, or name the real QEMU as <emulator> ('virsh snapshot-edit')",
                    names);
  }
  if (!none) {
    g_autofree char *names = dup_joined (saves);
    g_set_error (error, VP_ERROR, VP_ERROR_BUSY,
                 "nothing was changed: these have a managed save that starts QEMU through a wrapper of vfio-profile's: "
                 "%s; start them and shut them down, or drop what was saved ('virsh managedsave-remove')",
                 names);
  }
  return none;
}

static gboolean
undo_one (const VpWriter *writer, virConnectPtr connection, virDomainPtr domain, guint *n_undone, GError **error)
{
  gboolean made = FALSE;
  /* What comes back is in the definition itself: no host and no profile has a say in it. */
  VpPrepareContext context = { .connection = connection, .wrapper_made = &made, .flags = VP_PLAN_UNDO };

  if (virDomainIsPersistent (domain) != 1)
    return TRUE;
  g_autoptr (VpDomain) present = vp_libvirt_read (domain, error);
  g_autoptr (VpPlan) plan = present != NULL ? vp_plan_new (present, NULL, NULL, NULL, VP_PLAN_UNDO, error) : NULL;
  if (plan == NULL)
    return FALSE;
  vp_plan_warn (plan);
  gboolean ready = vp_plan_is_ready (plan);
  /* An intent is what somebody left who was killed amid a define. */
  if ((!ready || vp_intents_has (writer->intents, virDomainGetName (domain))) &&
      !vp_writer_prepare (writer, &context, virDomainGetName (domain), error))
    return FALSE;
  if (ready)
    return TRUE;
  vp_output_line (VP_STYLE_PLAIN, "domain '%s': %u change%s undone%s", virDomainGetName (domain), plan->changes->len,
                  plan->changes->len == 1 ? "" : "s", vp_domain_tag (plan->result) != NULL ? "; its tag stays" : "");
  (*n_undone)++;
  return TRUE;
}

/* One that cannot be put back does not keep the others from it. */
static gboolean
undo_each (const VpWriter *writer, virConnectPtr connection, const GPtrArray *domains, GError **error)
{
  g_autoptr (GString) failed = g_string_new (NULL);
  guint n_undone = 0;

  for (guint i = 0; i < domains->len; i++) {
    g_autoptr (GError) problem = NULL;
    if (undo_one (writer, connection, domains->pdata[i], &n_undone, &problem))
      continue;
    vp_output_warn ("%s", problem->message);
    g_string_append_printf (failed, "%s'%s'", failed->len > 0 ? ", " : "", virDomainGetName (domains->pdata[i]));
  }
  if (failed->len > 0)
    g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT, "could not be put back, for the reason above: %s", failed->str);
  else if (n_undone == 0)
    vp_output_line (VP_STYLE_PLAIN, "no definition has anything to put back");
  return failed->len == 0;
}

static gboolean
undo (const VpSource *source, char *const *names, GError **error)
{
  g_autoptr (virConnect) connection = vp_libvirt_open (source->uri, error);

  if (connection == NULL)
    return FALSE;
  g_autoptr (GPtrArray) domains =
    names != NULL ? find_named (connection, names, error) : vp_libvirt_list (connection, 0, error);
  if (domains == NULL)
    return FALSE;
  g_autoptr (VpWriter) writer = keep_daemon_out (vp_libvirt_is_session (connection), error);
  return writer != NULL && check_none_runs (domains, error) && check_none_kept (connection, domains, error) &&
         undo_each (writer, connection, domains, error);
}

static gboolean
run_undo (const VpCommand *command, int argc, char **argv, GError **error)
{
  g_auto (VpSource) source = { 0 };
  gboolean all = FALSE;
  const GOptionEntry entries[] = { { "all", 'a', 0, G_OPTION_ARG_NONE, &all, "All domains of libvirt", NULL },
                                   VP_SOURCE_ENTRY_CONNECT (&source),
                                   G_OPTION_ENTRY_NULL };
  const GOptionEntry *const groups[2] = { entries, NULL };
  gboolean version = FALSE;

  if (!vp_command_parse (command, groups, &argc, &argv, &version, error) || version)
    return version;
  if (all == (argc > 1)) {
    vp_command_set_usage (command, error, all ? "--all takes no DOMAIN" : "which domain? Or --all of them");
    return FALSE;
  }
  return undo (&source, all ? NULL : argv + 1, error);
}

const VpCommand vp_command_undo = {
  "undo",
  "DOMAIN… | --all",
  "Put back what was there before, and leave the tags: before vfio-profile is removed",
  "The daemon must not run, because it would prepare the definitions again, and no tagged guest may run\n"
  "or be saved (managed save) with a wrapper as its emulator.",
  0,
  G_MAXINT,
  run_undo,
};
