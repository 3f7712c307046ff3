/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit daemon's log, and where it does not run, the journal. */
#include "cli/doctor/doctor-denials.h"

#include <string.h>
#include <systemd/sd-journal.h>

#define AUDIT_LOG "var/log/audit/audit.log"
#define MAX_LOG (16u * 1024 * 1024) /* auditd begins a new file at 8 MiB */
#define MAX_ENTRIES 20000           /* of the journal; a day of denials beyond that is no longer about us */
#define DAY_SECONDS (24 * 60 * 60)

/* What is tried and done without. Memory that can be run: libffi, in each program with libvirt's library, this
 * one too. The others: whenever a program enters a domain of its own. */
static gboolean
is_noise (const char *line)
{
  static const char *const permissions[] = { "{ execmem }", "{ noatsecure }", "{ rlimitinh }", "{ siginh }" };

  for (gsize i = 0; i < G_N_ELEMENTS (permissions); i++)
    if (strstr (line, permissions[i]) != NULL)
      return TRUE;
  return FALSE;
}

/* Names of our files, types and profiles: "vfio-profile", "vfioprofile_t", "vfio_profile_hook". */
static gboolean
is_ours (const char *line)
{
  gboolean denial =
    (strstr (line, "avc:  denied") != NULL && !is_noise (line)) || strstr (line, "apparmor=\"DENIED\"") != NULL;

  return denial && (strstr (line, "vfio-profile") != NULL || strstr (line, "vfioprofile") != NULL ||
                    strstr (line, "vfio_profile") != NULL);
}

/* "msg=audit(1700000000.123:45)" */
static gboolean
is_recent (const char *line, gint64 since)
{
  const char *at = strstr (line, "audit(");

  return at == NULL || g_ascii_strtoll (at + strlen ("audit("), NULL, 10) >= since;
}

static gboolean
read_audit_log (const VpRoot *root, gint64 since, GPtrArray *found)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, AUDIT_LOG, MAX_LOG, &length);
  g_auto (GStrv) lines = g_strsplit (text != NULL ? text : "", "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++)
    if (is_ours (lines[i]) && is_recent (lines[i], since))
      g_ptr_array_add (found, g_strdup (lines[i]));
  return text != NULL;
}

static void
close_journal (sd_journal *journal)
{
  if (journal != NULL)
    sd_journal_close (journal);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (sd_journal, close_journal)

static void
add_entry (sd_journal *journal, GPtrArray *found)
{
  const void *data = NULL;
  size_t length = 0;

  if (sd_journal_get_data (journal, "MESSAGE", &data, &length) < 0 || length < strlen ("MESSAGE="))
    return;
  g_autofree char *message = g_strndup ((const char *) data + strlen ("MESSAGE="), length - strlen ("MESSAGE="));
  if (is_ours (message))
    g_ptr_array_add (found, g_steal_pointer (&message));
}

/* A user without the right to it gets a journal without entries. */
static gboolean
read_journal (gint64 since, GPtrArray *found)
{
  g_autoptr (sd_journal) journal = NULL;
  guint n = 0;

  if (sd_journal_open (&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM) < 0)
    return FALSE;
  if (sd_journal_add_match (journal, "_TRANSPORT=audit", 0) < 0 || sd_journal_add_disjunction (journal) < 0 ||
      sd_journal_add_match (journal, "_TRANSPORT=kernel", 0) < 0 ||
      sd_journal_seek_realtime_usec (journal, (guint64) since * G_USEC_PER_SEC) < 0)
    return FALSE;
  for (; n < MAX_ENTRIES && sd_journal_next (journal) > 0; n++)
    add_entry (journal, found);
  return n > 0;
}

GPtrArray *
vp_denials_read (const VpRoot *root, gboolean journal, gboolean *seen)
{
  GPtrArray *found = g_ptr_array_new_with_free_func (g_free);
  gint64 since = g_get_real_time () / G_USEC_PER_SEC - DAY_SECONDS;

  *seen = read_audit_log (root, since, found);
  if (!*seen && journal)
    *seen = read_journal (since, found);
  return found;
}
