/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compares pins, pages and x-vga; says of each what is and what should be. */
#include "domain/drift.h"

#include <string.h>

#include "base/list.h"
#include "domain/pins.h"

static void add (GPtrArray *lines, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
add (GPtrArray *lines, const char *format, ...)
{
  va_list values;

  va_start (values, format);
  g_ptr_array_add (lines, g_strdup_vprintf (format, values));
  va_end (values);
}

static gboolean
is_usable (const VpTopology *topology, int cpu)
{
  int position = vp_topology_find_pu (topology, (unsigned) cpu);

  return position >= 0 && topology->pus[position].usable;
}

/* The kernel runs a thread anywhere when all its CPUs are gone. */
static void
list_lost_cpus (const VpDomain *live, const VpHost *host, GPtrArray *lines)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (VpPins) pins = vp_pins_read (live);
  g_autoptr (VpBitmap) online = vp_domain_new_online_vcpus (live);

  for (guint i = 0; i < pins->vcpus->len; i++) {
    int cpu = hwloc_bitmap_isset (online, i) ? vp_pins_vcpu_cpu (pins, i) : -1;
    if (cpu >= 0 && !is_usable (host->topology, cpu))
      g_string_append_printf (text, "%svCPU %u to CPU %d", text->len > 0 ? ", " : "", i, cpu);
  }
  if (text->len > 0)
    add (lines,
         "it runs with pins to CPUs that are offline or no longer allowed (%s), so the kernel runs these "
         "anywhere: start it anew, its definition has other CPUs by then",
         text->str);
}

/* What the thread may run on of the CPUs that there are, and of those that it was pinned to. */
static void
compare_cpus (const char *what, hwloc_const_bitmap_t is, hwloc_const_bitmap_t pinned, const VpHost *host,
              GPtrArray *lines)
{
  g_autoptr (VpBitmap) wanted = hwloc_bitmap_dup (pinned);

  for (int cpu = hwloc_bitmap_first (pinned); cpu >= 0; cpu = hwloc_bitmap_next (pinned, cpu))
    if (!is_usable (host->topology, cpu))
      hwloc_bitmap_clr (wanted, (unsigned) cpu);
  if (!hwloc_bitmap_iszero (wanted) && !hwloc_bitmap_isequal (is, wanted)) {
    g_autofree char *there = vp_list_dup (is);
    g_autofree char *should = vp_list_dup (pinned);
    add (lines, "%s may run on CPUs %s, and is pinned to %s", what, there, should);
  }
}

/* NULL: not pinned. The caller's. */
static hwloc_bitmap_t
new_iothread_set (const VpPins *pins, guint id)
{
  for (guint i = 0; i < pins->iothread_ids->len; i++)
    if (g_array_index (pins->iothread_ids, guint, i) == id)
      return vp_list_parse (pins->iothreads->pdata[i]);
  return NULL;
}

/* Where its definition has it; NULL: anywhere. The caller's. */
static hwloc_bitmap_t
new_thread_set (const VpGuestThread *thread, const VpPins *pins)
{
  if (thread->kind == VP_THREAD_MAIN)
    return vp_list_parse (pins->emulator);
  return thread->kind == VP_THREAD_VCPU ? vp_pins_new_vcpu_set (pins, thread->id) : new_iothread_set (pins, thread->id);
}

static char *
dup_thread_name (const VpGuestThread *thread)
{
  if (thread->kind == VP_THREAD_MAIN)
    return g_strdup ("QEMU's main thread");
  return g_strdup_printf ("%s %u", thread->kind == VP_THREAD_VCPU ? "vCPU" : "iothread", thread->id);
}

static void
list_threads (const VpDomain *live, const VpHost *host, const VpGuestFacts *facts, GPtrArray *lines)
{
  g_autoptr (VpPins) pins = vp_pins_read (live);

  vp_pins_add_default (pins, live);
  for (guint i = 0; i < facts->threads->len; i++) {
    const VpGuestThread *thread = &g_array_index (facts->threads, VpGuestThread, i);
    g_autoptr (VpBitmap) set = new_thread_set (thread, pins);
    g_autofree char *what = dup_thread_name (thread);
    if (set != NULL)
      compare_cpus (what, thread->cpus, set, host, lines);
  }
}

gboolean
vp_drift_needs_pages (const VpDomain *live)
{
  return vp_xml_find (live->doc, "memoryBacking/hugepages") != NULL;
}

static void
list_memory (const VpDomain *live, const VpGuestFacts *facts, GPtrArray *lines)
{
  const xmlNode *memory = vp_xml_find (live->doc, "numatune/memory");
  g_autofree char *text =
    memory != NULL && !vp_xml_attr_is (memory, "mode", "preferred") ? vp_xml_dup_attr (memory, "nodeset") : NULL;
  g_autoptr (VpBitmap) nodes = vp_list_parse (text);
  guint64 wanted = vp_domain_memory_kib (live, NULL);
  guint64 total = 0;

  for (guint i = 0; i < facts->memory->len; i++) {
    const VpGuestMemory *part = &g_array_index (facts->memory, VpGuestMemory, i);
    total += part->kib;
    if (nodes != NULL && !hwloc_bitmap_isset (nodes, part->node))
      add (lines, "%" G_GUINT64_FORMAT " KiB of its memory are on node %u, and it is bound to %s", part->kib,
           part->node, text);
  }
  if (total < wanted)
    add (lines, "%" G_GUINT64_FORMAT " KiB of its memory are on hugepages, and all %" G_GUINT64_FORMAT " should be",
         total, wanted);
}

/* As JSON's key or as an option; the alias ends in the same letters. */
static gboolean
has_x_vga (const VpGuestFacts *facts, const char *alias)
{
  for (guint i = 0; facts->arguments[i] != NULL; i++) {
    const char *argument = facts->arguments[i];
    if (strstr (argument, alias) != NULL &&
        (strstr (argument, "\"x-vga\"") != NULL || strstr (argument, ",x-vga=on") != NULL))
      return TRUE;
  }
  return FALSE;
}

static void
list_x_vga (const VpDomain *live, const VpGuestFacts *facts, GPtrArray *lines)
{
  g_autofree char *alias = NULL;
  VpPciAddress address;

  if (!vp_domain_find_x_vga (live, &address, &alias) || has_x_vga (facts, alias))
    return;
  g_autofree char *name = vp_pci_address_dup_text (&address);
  add (lines, "QEMU runs without x-vga for %s", name);
}

GPtrArray *
vp_drift_list (const VpDomain *live, const VpHost *host, const VpGuestFacts *facts)
{
  GPtrArray *lines = g_ptr_array_new_with_free_func (g_free);

  list_lost_cpus (live, host, lines);
  if (facts == NULL)
    return lines;
  list_threads (live, host, facts, lines);
  if (vp_drift_needs_pages (live))
    list_memory (live, facts, lines);
  list_x_vga (live, facts, lines);
  return lines;
}
