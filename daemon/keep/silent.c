/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gate notes each run of a guest in the journal before it answers at prepare, so a
 * guest that runs and has no such note went past it:
 *
 *   libvirt:  prepare ──► gate notes run 7 ──► QEMU ──► event STARTED ──► run 7 is noted: all is well
 *   libvirt:  (no hook)                    ──► QEMU ──► event STARTED ──► run 8 is not: silent
 *
 * libvirt's number tells one run from the next, for what ends without a hook leaves its
 * note for a while.
 */
#include "daemon/keep/silent.h"

#include "host/hook-file.h"

#define SYSLOG_ERROR "3"

/* GLib's own "error" ends the program. */
static void
log_error (const char *text)
{
  const GLogField fields[] = { { "MESSAGE", text, -1 }, { "PRIORITY", SYSLOG_ERROR, -1 } };

  g_log_structured_array (G_LOG_LEVEL_WARNING, fields, G_N_ELEMENTS (fields));
}

static char *
dup_cause (const VpSilentContext *context)
{
  g_autoptr (VpRoot) root = vp_root_open ("/", NULL);

  return root != NULL ? vp_hook_dup_likely_cause (root, context->libvirt_version)
                      : g_strdup ("see 'vfio-profile doctor'");
}

static gboolean
runs_still (virDomainPtr domain, int run)
{
  return virDomainIsActive (domain) == 1 && (int) virDomainGetID (domain) == run;
}

static void
report (const VpSilentContext *context, const char *uuid, const char *name, int run)
{
  if (context->session) {
    g_message ("domain '%s': the hook was not called at its start, as this user's libvirt cannot see or run it: it has "
               "what its definition says, and nothing was checked",
               name);
    return;
  }
  g_autofree char *cause = dup_cause (context);
  g_autofree char *text =
    g_strdup_printf ("domain '%s': libvirt did not call the hook at its start, so it runs without what its profile "
                     "asks of the host: %s; then stop and start the domain",
                     name, cause);
  if (vp_book_note_silent (context->book, uuid, name, run, cause))
    log_error (text);
}

static gboolean
is_noted (const VpSilentContext *context, const char *uuid, int run)
{
  g_autoptr (VpHolding) holding = vp_book_dup (context->book, uuid);

  return holding != NULL && (holding->run == run || holding->run == 0);
}

/* It may end at any moment, and the gate forgets it then: what is not noted while it runs never was. */
static void
check (const VpSilentContext *context, virDomainPtr domain, gboolean started)
{
  g_autoptr (VpDomain) live = vp_libvirt_read_live (domain, NULL);
  g_autofree char *uuid = live != NULL ? vp_domain_dup_uuid (live) : NULL;
  int run = live != NULL ? vp_domain_run (live) : 0;
  gboolean is_ours = live != NULL && (started ? vp_domain_tag (live) != NULL : vp_domain_was_prepared (live));

  if (is_ours && uuid != NULL && run > 0 && !is_noted (context, uuid, run) && runs_still (domain, run))
    report (context, uuid, virDomainGetName (domain), run);
}

void
vp_silent_check_started (const VpSilentContext *context, virDomainPtr domain)
{
  check (context, domain, TRUE);
}

void
vp_silent_check_running (const VpSilentContext *context, virConnectPtr connection)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) domains =
    !context->session ? vp_libvirt_list (connection, VIR_CONNECT_LIST_DOMAINS_ACTIVE, &error) : NULL;

  if (error != NULL)
    g_warning ("%s: whether the hook was called for those that run is not known", error->message);
  for (guint i = 0; domains != NULL && i < domains->len; i++)
    check (context, domains->pdata[i], FALSE);
}
