/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <iothreads> says how many there are, <iothreadids> names some of them, and libvirt gives the
 * rest the lowest free numbers from 1. Who takes 1 away from the first two leaves a list of 2
 * behind. So a merge of counts and lists is none of threads: these are merged as sets.
 *
 *     base 2: 1 2      ours 1: 1      theirs 1, list 2: 2      result: none
 */
#include "merge/merge-counts.h"

#include "base/list.h"
#include "base/number.h"
#include "base/xml.h"

#define MOST_THREADS 4096        /* what is more is left as it was merged */
#define MOST_ID ((1u << 20) - 1) /* an id of a thread */

typedef struct {
  VpBitmap *ids;      /* NULL: not to be made out */
  GHashTable *listed; /* id + 1 -> its element */
  guint64 count;      /* what <iothreads> says */
} Threads;

static void
threads_clear (Threads *threads)
{
  g_clear_pointer (&threads->ids, hwloc_bitmap_free);
  g_clear_pointer (&threads->listed, g_hash_table_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Threads, threads_clear)

static gboolean
read_id (const xmlNode *node, guint64 most, guint64 *id)
{
  g_autofree char *text = vp_xml_dup_attr (node, "id");

  return vp_number_parse (text, 10, most, id);
}

/* FALSE: it is no list that libvirt would take. */
static gboolean
read_list (Threads *threads, const xmlDoc *doc)
{
  const xmlNode *list = vp_xml_find (doc, "iothreadids");
  guint64 id = 0;

  for (xmlNode *node = list != NULL ? vp_xml_first (list) : NULL; node != NULL; node = vp_xml_next (node)) {
    if (!read_id (node, MOST_ID, &id) || g_hash_table_size (threads->listed) == MOST_THREADS)
      return FALSE;
    hwloc_bitmap_set (threads->ids, (unsigned) id);
    g_hash_table_insert (threads->listed, GUINT_TO_POINTER (id + 1), node);
  }
  return TRUE;
}

static void
threads_load (Threads *threads, const xmlDoc *doc)
{
  const xmlNode *count = vp_xml_find (doc, "iothreads");
  g_autofree char *text = count != NULL ? vp_xml_dup_content (count) : NULL;

  threads->ids = hwloc_bitmap_alloc ();
  threads->listed = g_hash_table_new (NULL, NULL);
  if (!read_list (threads, doc) || (count != NULL && !vp_number_parse (text, 10, MOST_THREADS, &threads->count))) {
    g_clear_pointer (&threads->ids, hwloc_bitmap_free);
    return;
  }
  for (guint id = 1, n = g_hash_table_size (threads->listed); n < threads->count; id++)
    if (!hwloc_bitmap_isset (threads->ids, id)) {
      hwloc_bitmap_set (threads->ids, id);
      n++;
    }
}

/* What its element says beside the id. */
static char *
dup_settings (const Threads *threads, guint id)
{
  const xmlNode *node = g_hash_table_lookup (threads->listed, GUINT_TO_POINTER (id + 1));

  return node != NULL && (node->properties->next != NULL || vp_xml_first (node) != NULL) ? vp_xml_dup_unordered (node)
                                                                                         : NULL;
}

/* Of a thread that one side alone has: it is new, or was changed. */
static gboolean
thread_stays (const Threads *side, const Threads *base, guint id)
{
  g_autofree char *before = dup_settings (base, id);
  g_autofree char *now = dup_settings (side, id);

  return !hwloc_bitmap_isset (base->ids, id) || g_strcmp0 (before, now) != 0;
}

static VpBitmap *
new_sum (const Threads *base, const Threads *ours, const Threads *theirs)
{
  VpBitmap *sum = hwloc_bitmap_alloc ();

  hwloc_bitmap_or (sum, ours->ids, theirs->ids);
  for (int id = hwloc_bitmap_first (sum); id >= 0; id = hwloc_bitmap_next (sum, id)) {
    gboolean our = hwloc_bitmap_isset (ours->ids, (unsigned) id);
    gboolean their = hwloc_bitmap_isset (theirs->ids, (unsigned) id);
    if (!(our && their) && !thread_stays (our ? ours : theirs, base, (guint) id))
      hwloc_bitmap_clr (sum, (unsigned) id);
  }
  return sum;
}

static void
remove_at (xmlDoc *doc, const char *place)
{
  xmlNode *node = vp_xml_find (doc, place);

  if (node != NULL)
    vp_xml_remove (node);
}

/* The list names exactly these then. */
static void
write_list (xmlDoc *result, const Threads *was, const VpBitmap *sum)
{
  xmlNode *list = vp_xml_find (result, "iothreadids");
  xmlNode *count = vp_xml_find (result, "iothreads");

  if (list == NULL) {
    list = vp_xml_new ("iothreadids", NULL);
    vp_xml_insert (xmlDocGetRootElement (result), count != NULL ? vp_xml_position (count) + 1 : -1, list);
  }
  for (int id = hwloc_bitmap_first (was->ids); id >= 0; id = hwloc_bitmap_next (was->ids, id)) {
    xmlNode *node = g_hash_table_lookup (was->listed, GUINT_TO_POINTER (id + 1));
    if (node != NULL && !hwloc_bitmap_isset (sum, (unsigned) id))
      vp_xml_remove (node);
  }
  for (int id = hwloc_bitmap_first (sum); id >= 0; id = hwloc_bitmap_next (sum, id)) {
    g_autofree char *text = g_strdup_printf ("%d", id);
    if (!g_hash_table_contains (was->listed, GUINT_TO_POINTER (id + 1)))
      vp_xml_insert (list, -1, vp_xml_new ("iothread", "id", text, NULL));
  }
}

static void
write_count (xmlDoc *result, guint64 number)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, number);
  xmlNode *count = vp_xml_find (result, "iothreads");

  if (count != NULL)
    xmlNodeSetContent (count, BAD_CAST text);
}

static void
settle_list (xmlDoc *result, const Threads *was, const VpBitmap *sum)
{
  if (hwloc_bitmap_iszero (sum)) {
    remove_at (result, "iothreads");
    remove_at (result, "iothreadids");
    return;
  }
  write_list (result, was, sum);
  write_count (result, (guint64) hwloc_bitmap_weight (sum));
}

/* More named than counted, which libvirt does not write. */
static gboolean
is_short (const Threads *threads)
{
  return threads->count > 0 && threads->count < g_hash_table_size (threads->listed);
}

static void
settle_iothreads (xmlDoc *result, const xmlDoc *base, const xmlDoc *ours, const xmlDoc *theirs)
{
  const xmlDoc *docs[] = { result, base, ours, theirs };
  g_auto (Threads) in_result = { 0 };
  g_auto (Threads) in_base = { 0 };
  g_auto (Threads) in_ours = { 0 };
  g_auto (Threads) in_theirs = { 0 };
  Threads *all[] = { &in_result, &in_base, &in_ours, &in_theirs };
  gboolean any_list = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
    threads_load (all[i], docs[i]);
    if (all[i]->ids == NULL)
      return;
    any_list = any_list || g_hash_table_size (all[i]->listed) > 0;
  }
  if (any_list) {
    g_autoptr (VpBitmap) sum = new_sum (&in_base, &in_ours, &in_theirs);
    if (!hwloc_bitmap_isequal (sum, in_result.ids) || (is_short (&in_result) && !is_short (&in_theirs)))
      settle_list (result, &in_result, sum);
  } else if (in_ours.count != in_base.count && in_theirs.count != in_base.count && in_ours.count != in_theirs.count) {
    /* None has a name: as many as came and went on both sides. */
    guint64 both = in_ours.count + in_theirs.count;
    write_count (result, both - MIN (both, in_base.count));
  }
}

/* FALSE: there is no list, and <vcpu current> is what counts. Of those above the number of vCPUs none stays. */
static gboolean
count_enabled (xmlDoc *result, guint64 most, guint64 *enabled)
{
  xmlNode *list = vp_xml_find (result, "vcpus");
  gboolean any = FALSE;

  for (xmlNode *node = list != NULL ? vp_xml_first (list) : NULL, *next; node != NULL; node = next) {
    guint64 id = 0;
    next = vp_xml_next (node);
    any = TRUE;
    if (read_id (node, G_MAXUINT32, &id) && id >= most)
      vp_xml_remove (node);
    else if (vp_xml_attr_is (node, "enabled", "yes"))
      (*enabled)++;
  }
  return any;
}

static void
settle_vcpus (xmlDoc *result)
{
  xmlNode *vcpu = vp_xml_find (result, "vcpu");
  g_autofree char *text = vcpu != NULL ? vp_xml_dup_content (vcpu) : NULL;
  g_autofree char *current_text = vcpu != NULL ? vp_xml_dup_attr (vcpu, "current") : NULL;
  guint64 most = 0, current = 0, enabled = 0;

  if (!vp_number_parse (text, 10, G_MAXUINT32, &most) || most == 0)
    return;
  if (!vp_number_parse (current_text, 10, G_MAXUINT32, &current))
    current = most;
  if (!count_enabled (result, most, &enabled) || enabled == 0)
    enabled = MIN (current, most);
  g_autofree char *right = g_strdup_printf ("%" G_GUINT64_FORMAT, enabled);
  if (enabled == current)
    return; /* as it is written */
  if (enabled < most)
    xmlSetProp (vcpu, BAD_CAST "current", BAD_CAST right);
  else
    xmlUnsetProp (vcpu, BAD_CAST "current");
}

void
vp_merge_settle_counts (xmlDoc *result, const xmlDoc *base, const xmlDoc *ours, const xmlDoc *theirs)
{
  settle_iothreads (result, base, ours, theirs);
  settle_vcpus (result);
}
