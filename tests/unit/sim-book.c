/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sim-book.h"

#include <string.h>

#include "base/error.h"

static GMutex log_mutex;
static GString *log_text; /* all that was said, so that a test can look for it */

static GLogWriterOutput
keep_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  (void) level;
  (void) data;
  g_mutex_lock (&log_mutex);
  for (gsize i = 0; i < n_fields; i++)
    if (strcmp (fields[i].key, "MESSAGE") == 0)
      g_string_append_printf (log_text, "%s\n", (const char *) fields[i].value);
  g_mutex_unlock (&log_mutex);
  return G_LOG_WRITER_HANDLED;
}

void
sim_assert_said (const char *part)
{
  if (strstr (log_text->str, part) == NULL)
    g_error ("'%s' was not said, but:\n%s", part, log_text->str);
}

gint64
sim_in_ms (gint64 ms)
{
  return g_get_monotonic_time () + ms * G_TIME_SPAN_MILLISECOND;
}

VpBook *
sim_load (Sim *sim)
{
  g_autoptr (GError) error = NULL;
  VpBook *book = vp_book_new (sim->root, "run", &error);

  g_assert_no_error (error);
  return book;
}

/* `nodes` NULL: any. */
GArray *
sim_need (guint64 page_kib, guint64 pages, const char *nodes, gboolean strict)
{
  GArray *needs = g_array_new (FALSE, TRUE, sizeof (VpPageNeed));
  VpPageNeed one = { page_kib, pages, vp_list_parse (nodes), strict };

  g_array_set_clear_func (needs, (GDestroyNotify) vp_page_need_clear);
  g_array_append_val (needs, one);
  return needs;
}

void
sim_take_ok (VpBook *book, const char *uuid, guint64 kib, guint64 pages, const char *nodes)
{
  g_autoptr (GArray) needs = sim_need (kib, pages, nodes, TRUE);
  g_autoptr (GError) error = NULL;

  vp_book_take_pages (book, uuid, uuid, needs, TRUE, sim_in_ms (2000), &error);
  g_assert_no_error (error);
}

/* The message has all parts, which are separated by "|". */
void
sim_take_refused (VpBook *book, const char *uuid, const GArray *needs, gboolean allocate, gint64 ms, const char *parts)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) list = g_strsplit (parts, "|", -1);

  g_assert_false (vp_book_take_pages (book, uuid, uuid, needs, allocate, sim_in_ms (ms), &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_UNFIT);
  for (guint i = 0; list[i] != NULL; i++)
    if (strstr (error->message, list[i]) == NULL)
      g_error ("'%s' is not in: %s", list[i], error->message);
}

void
sim_release_ok (VpBook *book, const char *uuid)
{
  g_assert_true (vp_book_release (book, uuid, sim_in_ms (1000)));
}

void
sim_assert_pool (Sim *sim, int node, guint64 kib, guint64 nr, guint64 free_pages)
{
  g_assert_cmpuint (sim_read (sim, node, kib, "nr_hugepages"), ==, nr);
  g_assert_cmpuint (sim_read (sim, node, kib, "free_hugepages"), ==, free_pages);
}

void
sim_assert_lines (VpBook *book, const char *uuid, const char *expected)
{
  g_autoptr (VpHolding) holding = vp_book_dup (book, uuid);
  g_auto (GStrv) lines = holding != NULL ? vp_holding_describe (holding) : g_new0 (char *, 1);
  g_autofree char *text = g_strjoinv ("\n", lines);

  g_assert_cmpstr (text, ==, expected);
}

int
sim_run_tests (int argc, char **argv, const char *prefix, const SimTest *tests, gsize count)
{
  log_text = g_string_new (NULL);
  g_test_init (&argc, &argv, NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL); /* warnings are what is tested */
  g_log_set_writer_func (keep_log, NULL, NULL);
  for (gsize i = 0; i < count; i++) {
    g_autofree char *path = g_strconcat (prefix, tests[i].name, NULL);
    g_test_add_func (path, tests[i].func);
  }
  int result = g_test_run ();
  g_string_free (log_text, TRUE);
  return result;
}
