/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "support.h"

#include <string.h>

#define LOG_SECONDS 60 /* on the busiest machine */

static GMutex log_mutex;
static GCond log_grown;
static GString *log_text;   /* NULL: it is not kept */
static const char *awaited; /* NULL: nothing is; once it is said, `on_said` is called */
static void (*on_said) (gpointer data);
static gpointer on_said_data;

VpProfiles *
test_profiles (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_test_build_filename (G_TEST_DIST, "..", "..", "data", "profiles", NULL);
  const char *folders[] = { folder, NULL };
  VpProfiles *profiles = vp_profiles_load (folders, &error);

  g_assert_no_error (error);
  return profiles;
}

VpHost *
test_host (const char *sysfs, const char *topology)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_test_build_filename (G_TEST_DIST, "..", "data", "sysfs", sysfs, NULL);
  g_autoptr (VpRoot) root = sysfs != NULL ? vp_root_open_sysfs (folder, &error) : NULL;

  g_assert_no_error (error);
  VpHostSource source = { root, vp_topology_load_description (topology, &error), TEST_WRAPPERS, 9000000 };
  g_assert_no_error (error);
  VpHost *host = vp_host_load (&source, &error);
  g_assert_no_error (error);
  return host;
}

VpDomain *
test_domain_load (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  gsize length = 0;

  g_file_get_contents (path, &text, &length, &error);
  g_assert_no_error (error);
  VpDomain *domain = vp_domain_parse (text, length, path, &error);
  g_assert_no_error (error);
  return domain;
}

VpDomain *
test_domain (const char *text)
{
  g_autoptr (GError) error = NULL;
  VpDomain *domain = vp_domain_parse (text, strlen (text), "the test's domain", &error);

  g_assert_no_error (error);
  return domain;
}

VpDomain *
test_tagged (const char *tag, const char *body)
{
  g_autofree char *text = g_strdup_printf ("<domain type='kvm'>\n"
                                           "  <name>guest</name>\n"
                                           "  <metadata>\n"
                                           "    %s\n"
                                           "  </metadata>\n"
                                           "  <memory unit='KiB'>4194304</memory>\n"
                                           "  <vcpu placement='static'>4</vcpu>\n"
                                           "  <os>\n"
                                           "    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n"
                                           "  </os>\n"
                                           "  <cpu mode='host-passthrough'>\n"
                                           "    <topology sockets='1' dies='1' cores='2' threads='2'/>\n"
                                           "  </cpu>\n"
                                           "%s"
                                           "</domain>\n",
                                           tag, body);

  return test_domain (text);
}

VpPlan *
test_plan (const VpDomain *domain, const VpHost *host, VpPlanFlags flags)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpProfiles) profiles = test_profiles ();
  VpPlan *plan = vp_plan_new (domain, host, profiles, NULL, flags, &error);

  g_assert_no_error (error);
  return plan;
}

VpPlan *
test_plan_whole_way (const VpDomain *domain, const VpHost *host)
{
  VpPlan *plan = test_plan (domain, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) again = test_plan (plan->result, host, VP_PLAN_DEFAULT);
  g_autoptr (VpPlan) moved = test_plan (plan->result, host, VP_PLAN_HOST_ONLY);
  g_autoptr (VpPlan) undone = test_plan (plan->result, host, VP_PLAN_UNDO);

  g_assert_true (vp_plan_is_ready (again));
  g_assert_true (vp_plan_is_ready (moved));
  if (!vp_domain_equal (undone->result, domain))
    g_error ("undone:\n%s\nbefore:\n%s", vp_domain_dup_text (undone->result), vp_domain_dup_text (domain));
  return plan;
}

const VpChange *
test_change (const VpPlan *plan, const char *place)
{
  for (guint i = 0; i < plan->changes->len; i++) {
    const VpChange *change = plan->changes->pdata[i];
    if (strcmp (change->place, place) == 0)
      return change;
  }
  return NULL;
}

gboolean
test_warns (const VpPlan *plan, const char *part)
{
  for (guint i = 0; i < plan->warnings->len; i++)
    if (strstr (plan->warnings->pdata[i], part) != NULL)
      return TRUE;
  return FALSE;
}

/* Kept; TRUE: it is what was awaited. */
static gboolean
keep_line (const char *line)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_mutex);
  gboolean is_awaited = awaited != NULL && strstr (line, awaited) != NULL;

  if (is_awaited)
    awaited = NULL;
  g_string_append_printf (log_text, "%s\n", line);
  g_cond_broadcast (&log_grown);
  return is_awaited;
}

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  g_autofree char *line = g_log_writer_format_fields (level, fields, n_fields, FALSE);

  if (keep_line (line))
    on_said (on_said_data);
  return (level & G_LOG_LEVEL_ERROR) != 0 ? g_log_writer_default (level, fields, n_fields, data) : G_LOG_WRITER_HANDLED;
}

void
test_log_keep (void)
{
  log_text = g_string_new (NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  g_log_set_writer_func (keep_log, NULL, NULL);
}

void
test_log_clear (void)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_mutex);

  g_string_truncate (log_text, 0);
}

gboolean
test_log_has (const char *part)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_mutex);

  return strstr (log_text->str, part) != NULL;
}

gboolean
test_log_take (const char *part)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_mutex);
  const char *at = strstr (log_text->str, part);

  if (at != NULL)
    g_string_erase (log_text, at - log_text->str, (gssize) strlen (part));
  return at != NULL;
}

void
test_log_wait (const char *part)
{
  gint64 deadline = g_get_monotonic_time () + LOG_SECONDS * G_TIME_SPAN_SECOND;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_mutex);

  while (strstr (log_text->str, part) == NULL)
    if (!g_cond_wait_until (&log_grown, &log_mutex, deadline))
      g_assert_cmpstr (log_text->str, ==, part);
}

void
test_log_on (const char *part, void (*func) (gpointer data), gpointer data)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&log_mutex);

  awaited = part;
  on_said = func;
  on_said_data = data;
}
