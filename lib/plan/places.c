/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list of what comes in thousands. */
#include "plan/places.h"

#include <string.h>

static const struct {
  const char *parent;
  const char *name;
  const char *attribute;
  const char *start; /* of the place */
} listed[] = {
  { "cputune", "vcpupin", "vcpu", "cputune/vcpupin[@vcpu='" },
  { "cputune", "iothreadpin", "iothread", "cputune/iothreadpin[@iothread='" },
  { "numatune", "memnode", "cellid", "numatune/memnode[@cellid='" },
};

static void
add_node (VpPlaces *places, const xmlNode *node)
{
  for (gsize i = 0; i < G_N_ELEMENTS (listed); i++) {
    if (!vp_xml_is (node->parent, listed[i].parent) || !vp_xml_is (node, listed[i].name))
      continue;
    g_autofree char *value = vp_xml_dup_attr (node, listed[i].attribute);
    if (value == NULL)
      return;
    char *place = g_strconcat (listed[i].start, value, "']", NULL);
    GQueue *queue = g_hash_table_lookup (places->nodes, place);
    if (queue == NULL) {
      queue = g_queue_new ();
      g_hash_table_insert (places->nodes, place, queue);
    } else {
      g_free (place);
    }
    g_queue_push_tail (queue, (gpointer) node);
  }
}

static gboolean
is_listed (const char *place)
{
  for (gsize i = 0; i < G_N_ELEMENTS (listed); i++)
    if (g_str_has_prefix (place, listed[i].start))
      return TRUE;
  return FALSE;
}

VpPlaces *
vp_places_new (VpDomain *domain)
{
  VpPlaces *places = g_new0 (VpPlaces, 1);

  places->domain = domain;
  places->nodes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_queue_free);
  for (const xmlNode *part = vp_xml_first (vp_domain_root (domain)); part != NULL; part = vp_xml_next (part))
    if (vp_xml_is (part, "cputune") || vp_xml_is (part, "numatune"))
      for (const xmlNode *node = vp_xml_first (part); node != NULL; node = vp_xml_next (node))
        add_node (places, node);
  return places;
}

void
vp_places_free (VpPlaces *places)
{
  if (places == NULL)
    return;
  g_hash_table_unref (places->nodes);
  g_free (places);
}

xmlNode *
vp_places_find (const VpPlaces *places, const char *place)
{
  if (!is_listed (place))
    return vp_xml_find (places->domain->doc, place);
  GQueue *queue = g_hash_table_lookup (places->nodes, place);
  return queue != NULL ? g_queue_peek_head (queue) : NULL;
}

gboolean
vp_places_is_double (const VpPlaces *places, const char *place)
{
  if (is_listed (place)) {
    GQueue *queue = g_hash_table_lookup (places->nodes, place);
    return queue != NULL && queue->length > 1;
  }
  if (g_str_has_suffix (place, "]") && g_ascii_isdigit (place[strlen (place) - 2]))
    return FALSE; /* it names the n-th of them */
  return !vp_xml_place_is_attribute (place) && vp_xml_is_double (places->domain->doc, place);
}

void
vp_places_note (VpPlaces *places, const char *place, xmlNode *now)
{
  if (!is_listed (place))
    return;
  GQueue *queue = g_hash_table_lookup (places->nodes, place);
  if (queue == NULL) {
    queue = g_queue_new ();
    g_hash_table_insert (places->nodes, g_strdup (place), queue);
  }
  (void) g_queue_pop_head (queue);
  if (now != NULL)
    g_queue_push_head (queue, now);
}
