/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc of a QEMU that libvirt started; it names its threads ("CPU 0/KVM", "IO iothread1"). */
#include "domain/guest-facts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"

#define MAX_BYTES (4u * 1024 * 1024)

char *
vp_guest_facts_dup_folder (gboolean session)
{
  return session ? g_strdup_printf ("run/user/%u/libvirt/qemu/run", (unsigned) getuid ())
                 : g_strdup ("run/libvirt/qemu");
}

static char *
dup_process (const VpRoot *root, const char *domain, gboolean session)
{
  g_autofree char *folder = vp_guest_facts_dup_folder (session);
  g_autofree char *path = g_strdup_printf ("%s/%s.pid", folder, domain);
  guint64 pid = 0;

  if (strchr (domain, '/') != NULL || !vp_root_read_number (root, path, 10, &pid) || pid == 0)
    return NULL;
  return g_strdup_printf ("proc/%" G_GUINT64_FORMAT, pid);
}

/* The rest of the line that begins so. */
static char *
dup_field (const char *text, const char *name)
{
  const char *at = strstr (text, name);

  if (at == NULL)
    return NULL;
  at += strlen (name);
  return g_strstrip (g_strndup (at, strcspn (at, "\n")));
}

/*
 * FALSE: it is none of those that libvirt places. The others (a pool's workers, of SPICE, of migration) QEMU starts
 * when it needs them, and they inherit the CPUs of whichever thread did.
 */
static gboolean
classify (const char *task, const char *name, const char *main_task, VpGuestThread *thread)
{
  static const struct {
    const char *prefix;
    VpThreadKind kind;
  } kinds[] = { { "CPU ", VP_THREAD_VCPU }, { "IO iothread", VP_THREAD_IOTHREAD } };

  thread->kind = VP_THREAD_MAIN;
  if (g_str_equal (task, main_task))
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    const char *number = name + strlen (kinds[i].prefix);
    if (!g_str_has_prefix (name, kinds[i].prefix) || !g_ascii_isdigit (*number))
      continue;
    thread->kind = kinds[i].kind;
    thread->id = (guint) strtoul (number, NULL, 10);
    return TRUE;
  }
  return FALSE;
}

static void
clear_thread (gpointer data)
{
  hwloc_bitmap_free (((VpGuestThread *) data)->cpus);
}

static void
read_threads (const VpRoot *root, const char *process, GArray *threads)
{
  g_autofree char *folder = g_build_filename (process, "task", NULL);
  g_autofree char *main_task = g_path_get_basename (process);
  g_auto (GStrv) tasks = vp_root_list (root, folder);

  for (guint i = 0; tasks[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (folder, tasks[i], "status", NULL);
    g_autofree char *status = vp_root_dup_text (root, path);
    g_autofree char *name = status != NULL ? dup_field (status, "Name:\t") : NULL;
    g_autofree char *cpus = status != NULL ? dup_field (status, "\nCpus_allowed_list:\t") : NULL;
    VpGuestThread thread = { 0 };
    if (name == NULL || !classify (tasks[i], name, main_task, &thread))
      continue; /* without a name it ended in between */
    thread.cpus = vp_list_parse (cpus);
    if (thread.cpus != NULL)
      g_array_append_val (threads, thread);
  }
}

static void
add_memory (GArray *memory, guint node, guint64 kib)
{
  for (guint i = 0; i < memory->len; i++) {
    VpGuestMemory *there = &g_array_index (memory, VpGuestMemory, i);
    if (there->node == node) {
      there->kib += kib;
      return;
    }
  }
  VpGuestMemory one = { node, kib };
  g_array_append_val (memory, one);
}

/* "7f… bind:0 file=/dev/hugepages/… huge dirty=32 N0=32 kernelpagesize_kB=2048" */
static void
read_line (const char *line, GArray *memory)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  g_autofree char *size = dup_field (line, "kernelpagesize_kB=");

  if (!g_strv_contains ((const char *const *) words, "huge") || size == NULL)
    return;
  guint64 page_kib = g_ascii_strtoull (size, NULL, 10);
  for (guint i = 0; words[i] != NULL; i++) {
    char *end = NULL;
    if (words[i][0] != 'N' || !g_ascii_isdigit (words[i][1]))
      continue;
    guint64 node = g_ascii_strtoull (words[i] + 1, &end, 10);
    if (*end == '=' && node < 65536)
      add_memory (memory, (guint) node, g_ascii_strtoull (end + 1, NULL, 10) * page_kib);
  }
}

static void
read_memory (const VpRoot *root, const char *process, GArray *memory)
{
  gsize length = 0;
  g_autofree char *path = g_build_filename (process, "numa_maps", NULL);
  g_autofree char *text = vp_root_dup_bytes (root, path, MAX_BYTES, &length);
  g_auto (GStrv) lines = g_strsplit (text != NULL ? text : "", "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++)
    read_line (lines[i], memory);
}

static GStrv
read_arguments (const VpRoot *root, const char *process)
{
  gsize length = 0;
  g_autofree char *path = g_build_filename (process, "cmdline", NULL);
  g_autofree char *bytes = vp_root_dup_bytes (root, path, MAX_BYTES, &length);
  GPtrArray *words = g_ptr_array_new ();

  for (gsize at = 0; bytes != NULL && at < length; at += strlen (bytes + at) + 1)
    g_ptr_array_add (words, g_strdup (bytes + at));
  g_ptr_array_add (words, NULL);
  return (GStrv) g_ptr_array_free (words, FALSE);
}

VpGuestFacts *
vp_guest_facts_read (const VpRoot *root, const char *domain, gboolean session, gboolean pages)
{
  g_autofree char *process = dup_process (root, domain, session);

  if (process == NULL)
    return NULL;
  VpGuestFacts *facts = g_new0 (VpGuestFacts, 1);
  facts->threads = g_array_new (FALSE, TRUE, sizeof (VpGuestThread));
  g_array_set_clear_func (facts->threads, clear_thread);
  facts->memory = g_array_new (FALSE, TRUE, sizeof (VpGuestMemory));
  read_threads (root, process, facts->threads);
  if (pages)
    read_memory (root, process, facts->memory);
  facts->arguments = read_arguments (root, process);
  return facts;
}

void
vp_guest_facts_free (VpGuestFacts *facts)
{
  if (facts == NULL)
    return;
  g_array_unref (facts->threads);
  g_array_unref (facts->memory);
  g_strfreev (facts->arguments);
  g_free (facts);
}
