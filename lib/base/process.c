/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID of the host's own processes; see proc(5). */
#include "base/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES (1024u * 1024)
#define STAT_STATE 1 /* among what spaces part behind the name in /proc/PID/stat */
#define STAT_STARTED 20

guint64
vp_process_boot_time (const VpRoot *root)
{
  gsize length = 0;
  g_autofree char *text = vp_root_dup_bytes (root, "proc/stat", MAX_BYTES, &length);
  const char *line = text != NULL ? strstr (text, "\nbtime ") : NULL;

  return line != NULL ? g_ascii_strtoull (line + strlen ("\nbtime "), NULL, 10) : 0;
}

/* FALSE: it has ended. The name may hold spaces and brackets, so the words are counted from its last bracket on. */
static gboolean
read_started (const VpRoot *root, const char *pid, guint64 boot, guint64 *started)
{
  g_autofree char *path = g_strdup_printf ("proc/%s/stat", pid);
  g_autofree char *text = vp_root_dup_text (root, path);
  const char *rest = text != NULL ? strrchr (text, ')') : NULL;
  g_auto (GStrv) words = g_strsplit (rest != NULL ? rest + 1 : "", " ", -1);

  *started = 0;
  if (g_strv_length (words) <= STAT_STARTED)
    return TRUE;
  if (boot > 0)
    *started = boot + g_ascii_strtoull (words[STAT_STARTED], NULL, 10) / (guint64) sysconf (_SC_CLK_TCK);
  return strcmp (words[STAT_STATE], "Z") != 0 && strcmp (words[STAT_STATE], "X") != 0;
}

static void
clear_process (gpointer data)
{
  g_free (((VpProcess *) data)->name);
}

/* What stands behind that word at the begin of a line; NULL: nothing. */
static const char *
find_field (const char *text, const char *word)
{
  const char *at = text != NULL ? strstr (text, word) : NULL;

  return at != NULL ? at + strlen (word) : NULL;
}

/* A recorded machine may not say: then it is. One of a container has a number in its PID namespace as well. */
static gboolean
is_the_hosts (const VpRoot *root, const char *pid, guint64 uid)
{
  g_autofree char *path = g_strdup_printf ("proc/%s/status", pid);
  g_autofree char *text = vp_root_dup_text (root, path);
  const char *owner = find_field (text, "\nUid:\t");
  const char *numbers = find_field (text, "\nNSpid:\t");

  return (owner == NULL || g_ascii_strtoull (owner, NULL, 10) == uid) &&
         (numbers == NULL || memchr (numbers, '\t', strcspn (numbers, "\n")) == NULL);
}

GArray *
vp_processes_read (const VpRoot *root, const char *const *watched, guint64 uid)
{
  GArray *processes = g_array_new (FALSE, TRUE, sizeof (VpProcess));
  g_auto (GStrv) names = vp_root_list (root, "proc");
  guint64 boot = vp_process_boot_time (root);

  g_array_set_clear_func (processes, clear_process);
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = g_strdup_printf ("proc/%s/comm", names[i]);
    g_autofree char *name = g_ascii_isdigit (names[i][0]) ? vp_root_dup_text (root, path) : NULL;
    if (name == NULL || !g_strv_contains (watched, name) || !is_the_hosts (root, names[i], uid))
      continue;
    VpProcess process = { .pid = atoi (names[i]) };
    if (!read_started (root, names[i], boot, &process.started))
      continue;
    process.name = g_steal_pointer (&name);
    g_array_append_val (processes, process);
  }
  return processes;
}

const VpProcess *
vp_processes_find (const GArray *processes, const char *name)
{
  for (guint i = 0; i < processes->len; i++) {
    const VpProcess *process = &g_array_index (processes, VpProcess, i);
    if (strcmp (process->name, name) == 0)
      return process;
  }
  return NULL;
}
