/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What rewriting costs in process: each definition of a folder is parsed, planned and made text again, with a
 * profile that pins and with one that does all but that. A file counts with the mean of its rounds, one after the
 * other, as Python's timers take them. CPU time, as a busy machine is no news.
 * One line of JSON a measure.
 *
 *     bench-rewrite [--rounds N] [FOLDER]
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plan/plan.h"

/* As the profile that does most, and without its pins: what is measured there is XML. */
static const struct {
  const char *name;
  const char *pin;
} measures[] = {
  { "rewrite", "no" },
  { "rewrite, placed", "yes" },
};

typedef struct {
  char *text;
  gsize length;
  gint64 spent; /* ns, of all rounds */
} File;

static void
file_clear (gpointer data)
{
  g_free (((File *) data)->text);
}

static void
die_of (const GError *error)
{
  if (error != NULL)
    g_error ("%s", error->message);
}

static gint64
get_cpu_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}

/* FALSE: it cannot be planned (it may be one that is to be refused). */
static gboolean
rewrite (const File *file, const VpHost *host, const VpProfiles *profiles)
{
  g_autoptr (VpDomain) domain = vp_domain_parse (file->text, file->length, "it", NULL);
  g_autoptr (VpPlan) plan = domain != NULL ? vp_plan_new (domain, host, profiles, NULL, VP_PLAN_DEFAULT, NULL) : NULL;
  g_autofree char *text = plan != NULL ? vp_domain_dup_text (plan->result) : NULL;

  return text != NULL;
}

/* The definition with the tag in place of its own, and with nothing that an earlier rewrite left in it. */
static gboolean
load_file (const char *path, const char *pin, const VpHost *host, const VpProfiles *profiles, File *file)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &text, &length, &error);
  die_of (error);
  g_autoptr (VpDomain) domain = vp_domain_parse (text, length, path, NULL);
  g_autoptr (VpPlan) bare = domain != NULL ? vp_plan_new (domain, host, profiles, NULL, VP_PLAN_UNDO, NULL) : NULL;
  if (bare == NULL)
    return FALSE;
  vp_domain_set_tag (bare->result, NULL);
  vp_domain_set_tag (bare->result, "gaming");
  xmlNode *tag = vp_domain_tag (bare->result);
  xmlNewProp (xmlNewChild (tag, tag->ns, BAD_CAST "cpu", NULL), BAD_CAST "pin", BAD_CAST pin);
  file->text = vp_domain_dup_text (bare->result);
  file->length = strlen (file->text);
  return rewrite (file, host, profiles);
}

static GArray *
load_folder (const char *folder, const char *pin, const VpHost *host, const VpProfiles *profiles)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  GArray *files = g_array_new (FALSE, FALSE, sizeof (File));

  die_of (error);
  g_array_set_clear_func (files, file_clear);
  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    File file = { 0 };
    if (!g_str_has_suffix (name, ".xml"))
      continue;
    if (load_file (path, pin, host, profiles, &file))
      g_array_append_val (files, file);
    else
      file_clear (&file);
  }
  return files;
}

static int
compare_files (gconstpointer a, gconstpointer b)
{
  gint64 left = ((const File *) a)->spent;
  gint64 right = ((const File *) b)->spent;

  return left < right ? -1 : left > right;
}

static double
get_us (const GArray *files, double part, guint rounds)
{
  return (double) g_array_index (files, File, (guint) (part * (files->len - 1))).spent / rounds / 1000;
}

static void
measure (const char *name, const GArray *files, const VpHost *host, const VpProfiles *profiles, guint rounds)
{
  gint64 sum = 0;

  for (guint i = 0; i < files->len; i++) {
    File *file = &g_array_index (files, File, i);
    gint64 start = get_cpu_ns ();
    for (guint round = 0; round < rounds; round++)
      (void) rewrite (file, host, profiles);
    file->spent = get_cpu_ns () - start;
  }
  qsort (files->data, files->len, sizeof (File), compare_files);
  for (guint i = 0; i < files->len; i++)
    sum += g_array_index (files, File, i).spent;
  g_print ("{\"name\": \"%s\", \"mean_us\": %.1f, \"median_us\": %.1f, \"p99_us\": %.1f, \"files\": %u}\n", name,
           (double) sum / files->len / rounds / 1000, get_us (files, 0.5, rounds), get_us (files, 0.99, rounds),
           files->len);
}

static VpHost *
load_host (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VpRoot) root = vp_root_open_sysfs (BENCH_DATA "/sysfs/howto-2015", &error);
  die_of (error);
  VpHostSource source = { .root = root, .wrapper_folder = "/var/lib/vfio-profile/emulators" };

  source.topology = vp_topology_load_description ("pack:1 l3:2 core:8 pu:2", &error);
  die_of (error);
  VpHost *host = vp_host_load (&source, &error);
  die_of (error);
  return host;
}

int
main (int argc, char **argv)
{
  int rounds = 30;
  const GOptionEntry entries[] = {
    { "rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "How often each file is rewritten", "N" }, G_OPTION_ENTRY_NULL
  };
  g_autoptr (GOptionContext) options = g_option_context_new ("[FOLDER]");
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (options, entries, NULL);
  g_option_context_parse (options, &argc, &argv, &error);
  die_of (error);
  g_autoptr (VpHost) host = load_host ();
  g_autoptr (VpProfiles) profiles = vp_profiles_load ((const char *[]){ BENCH_PROFILES, NULL }, &error);
  die_of (error);
  for (guint i = 0; i < G_N_ELEMENTS (measures); i++) {
    g_autoptr (GArray) files =
      load_folder (argc > 1 ? argv[1] : BENCH_DATA "/domains", measures[i].pin, host, profiles);
    if (files->len == 0)
      g_error ("there is no definition to rewrite");
    measure (measures[i].name, files, host, profiles, (guint) MAX (rounds, 1));
  }
  return 0;
}
