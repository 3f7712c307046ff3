/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three-way merge of domain documents: libvirt has no compare-and-set, so an
 * edit that another definition overwrote is put back by merging.
 *
 *     base ──► ours      the edit that was lost
 *       └────► theirs    what is defined now: our rewriting and what came after
 *
 * A subtree that only one side changed is taken from it whole, white space and
 * all. Where both changed it, attributes are merged one by one, text as a
 * value, and children as a list: by identity where libvirt's elements have one
 * (merge-tree.c), else as a sequence (merge-ordered.c). Removed here and
 * changed there means kept; an element that is a mere container (libvirt writes
 * none that is empty) counts as one without children then, so that what it held
 * is decided one by one. The inputs are only read.
 */
#include "merge/merge.h"

#include "base/error.h"
#include "base/xml.h"
#include "merge/merge-copy.h"
#include "merge/merge-counts.h"
#include "merge/merge-list.h"
#include "merge/merge-tree.h"

typedef struct {
  VpMergeResult result;
  VpMergeClasses *classes;
  GArray *conflicts; /* the caller's; NULL: nobody asks */
} Merge;

/* The three versions of a node; base is NULL where both sides made it. */
typedef struct {
  const VpMergeNode *base;
  const VpMergeNode *ours;
  const VpMergeNode *theirs;
} Versions;

static void
tell_conflict (const Merge *self, VpMergeConflictKind kind, const VpMergeNode *of, const char *part)
{
  const VpMergeConflict conflict = { kind, of->node, part };

  if (self->conflicts != NULL)
    g_array_append_val (self->conflicts, conflict);
}

static guint
attribute_hash (gconstpointer key)
{
  const xmlAttr *attribute = key;

  return g_str_hash (attribute->name);
}

static gboolean
attribute_same (gconstpointer a, gconstpointer b)
{
  const xmlAttr *one = a, *two = b;

  return xmlStrEqual (one->name, two->name) &&
         xmlStrEqual (one->ns != NULL ? one->ns->href : NULL, two->ns != NULL ? two->ns->href : NULL);
}

static GHashTable *
attributes_index (const VpMergeNode *node)
{
  GHashTable *index = g_hash_table_new (attribute_hash, attribute_same);

  for (xmlAttr *attribute = node != NULL ? node->node->properties : NULL; attribute != NULL;
       attribute = attribute->next)
    g_hash_table_add (index, attribute);
  return index;
}

static gboolean
attribute_equal (const xmlAttr *a, const xmlAttr *b)
{
  if (a == NULL || b == NULL)
    return FALSE;
  /* The parser resolves no entities, so that a value is one text node or none. */
  return xmlStrEqual (a->children != NULL ? a->children->content : BAD_CAST "",
                      b->children != NULL ? b->children->content : BAD_CAST "");
}

static void
merge_attributes (Merge *self, xmlNode *element, const Versions *of)
{
  g_autoptr (GHashTable) base = attributes_index (of->base);
  g_autoptr (GHashTable) ours = attributes_index (of->ours);
  g_autoptr (GHashTable) theirs = attributes_index (of->theirs);
  gboolean overruled = FALSE; /* ours changed one, too */
  xmlAttr *last = NULL;

  for (const xmlAttr *their = of->theirs->node->properties; their != NULL; their = their->next) {
    const xmlAttr *our = g_hash_table_lookup (ours, their);
    const xmlAttr *old = g_hash_table_lookup (base, their);
    gboolean untouched = attribute_equal (their, old);

    overruled = overruled || (!untouched && !attribute_equal (our, their) && !attribute_equal (our, old) &&
                              (our != NULL || old != NULL));
    if (our != NULL || !untouched)
      vp_merge_add_attribute (&self->result, element, our != NULL && untouched ? our : their, &last);
  }
  for (const xmlAttr *our = of->ours->node->properties; our != NULL; our = our->next)
    if (!g_hash_table_contains (theirs, our) && !attribute_equal (our, g_hash_table_lookup (base, our)))
      vp_merge_add_attribute (&self->result, element, our, &last);
  if (overruled)
    tell_conflict (self, VP_MERGE_CONFLICT_VALUE, of->ours, NULL);
}

static const VpMergeNode *
node_child (const VpMergeNode *node, int at)
{
  return at >= 0 ? &node->children[at] : NULL;
}

static void
merge_load_list (Merge *self, const VpMergeNode *parent, VpMergeList *list)
{
  guint n = parent != NULL ? parent->n_children : 0;

  list->n = n;
  list->values = g_new0 (guint, n + 1);
  for (guint i = 0; i < n; i++)
    list->values[i] = parent->children[i].value;
  list->identities = g_new0 (guint, n + 1);
  list->strong = g_new0 (gboolean, n + 1);
  for (guint i = 0; i < n; i++)
    list->identities[i] = vp_merge_node_identity (&parent->children[i], parent, self->classes, &list->strong[i]);
}

static gboolean
list_repeats (const VpMergeList *list)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < list->n; i++)
    if (!g_hash_table_add (seen, GUINT_TO_POINTER (list->identities[i])))
      return TRUE;
  return FALSE;
}

static GArray *
merge_list (Merge *self, const Versions *of, gboolean ordered, gboolean text)
{
  g_auto (VpMergeList) base = { 0 };
  g_auto (VpMergeList) ours = { 0 };
  g_auto (VpMergeList) theirs = { 0 };

  merge_load_list (self, of->base, &base);
  merge_load_list (self, of->ours, &ours);
  merge_load_list (self, of->theirs, &theirs);
  /* Where other people's elements are all of different names, the name is the identity. */
  if (ordered && !text && vp_merge_node_is_foreign (of->theirs))
    ordered = list_repeats (&base) || list_repeats (&ours) || list_repeats (&theirs);
  if (ordered || text)
    return vp_merge_list_ordered (&base, &ours, &theirs);
  return vp_merge_list_keyed (&base, &ours, &theirs);
}

/* Text and nothing beside it: a value, which is not merged but replaced. */
static gboolean
is_value (const VpMergeNode *node)
{
  return node == NULL || node->n_children == 0 || (node->has_text && node->n_children == 1);
}

static guint
value_of (const VpMergeNode *node)
{
  return node != NULL && node->n_children > 0 ? node->children[0].value : 0;
}

static void
merge_value (Merge *self, xmlNode *element, const Versions *of)
{
  guint old = value_of (of->base), our = value_of (of->ours), their = value_of (of->theirs);
  const VpMergeNode *from = their == old ? of->ours : of->theirs;

  if (their != old && our != old && our != their)
    tell_conflict (self, VP_MERGE_CONFLICT_VALUE, of->ours, NULL);
  if (from->n_children > 0)
    vp_merge_copy (&self->result, element, from->children[0].node);
}

/* What theirs has and the result still does, with claimed numbers; the rest of the claims are ours. */
static GHashTable *
merge_claimed (Merge *self, const VpMergeNode *devices, const VpMergeNode *theirs, const GArray *entries)
{
  GHashTable *claimed = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < entries->len; i++) {
    const VpMergeNode *device = node_child (theirs, g_array_index (entries, VpMergeEntry, i).theirs);
    const char *element;

    for (guint claim = 0; device != NULL && claim < vp_merge_device_n_claims (); claim++) {
      guint number = vp_merge_device_claim (device, claim, self->classes, &element);

      if (number != 0 && number == vp_merge_device_claim (&devices->children[i], claim, self->classes, &element))
        g_hash_table_insert (claimed, GUINT_TO_POINTER (number), (gpointer) devices->children[i].node);
    }
  }
  return claimed;
}

/*
 * libvirt gives each new device the first address that is free, so two devices
 * that were attached apart from each other want the same one, and a definition
 * with both is refused. Ours gives way: without it, libvirt finds another.
 */
static void
settle_device (Merge *self, const VpMergeNode *device, const VpMergeNode *ours, GHashTable *claimed, GPtrArray *gone)
{
  const char *element;

  for (guint claim = 0; claim < vp_merge_device_n_claims (); claim++) {
    guint number = vp_merge_device_claim (device, claim, self->classes, &element);
    const xmlNode *holder = g_hash_table_lookup (claimed, GUINT_TO_POINTER (number));

    if (number == 0 || holder == NULL || holder == device->node)
      continue;
    g_ptr_array_add (gone, vp_xml_child (device->node, element));
    tell_conflict (self, VP_MERGE_CONFLICT_CLAIM, ours, element);
  }
}

/* `element`: the devices of the result, one of each entry. */
static void
settle_claims (Merge *self, const xmlNode *element, const Versions *of, const GArray *entries)
{
  g_autoptr (VpMergeNode) devices = self->result.failed ? NULL : vp_merge_tree_new (element, self->classes);
  g_autoptr (GPtrArray) gone = g_ptr_array_new (); /* read to the end before it goes */

  if (devices == NULL || devices->n_children != entries->len)
    return;
  g_autoptr (GHashTable) claimed = merge_claimed (self, devices, of->theirs, entries);
  for (guint i = 0; i < entries->len; i++) {
    const VpMergeNode *ours = node_child (of->ours, g_array_index (entries, VpMergeEntry, i).ours);

    if (ours != NULL)
      settle_device (self, &devices->children[i], ours, claimed, gone);
  }
  for (guint i = 0; i < gone->len; i++)
    vp_xml_remove (gone->pdata[i]);
}

static gboolean
has_layout (const xmlNode *element)
{
  return element->children != NULL && xmlIsBlankNode (element->children);
}

/* A line break, and the indent of what is `depth` elements deep, as libvirt writes it. */
static void
add_layout (xmlNode *element, guint depth)
{
  g_autofree char *text = g_strnfill (2 * depth + 1, ' ');

  text[0] = '\n';
  xmlAddChild (element, xmlNewDocText (element->doc, BAD_CAST text));
}

static guint
node_depth (const xmlNode *node)
{
  guint depth = 0;

  for (; node->parent != NULL && node->parent->type == XML_ELEMENT_NODE; node = node->parent)
    depth++;
  return depth;
}

/* With the value behind it, if it is a flag that has one. */
static void
copy_item (Merge *self, xmlNode *parent, const VpMergeNode *item)
{
  for (const xmlNode *node = item->node; node != NULL; node = node != item->last ? node->next : NULL)
    vp_merge_copy (&self->result, parent, node);
}

static void merge_node (Merge *self, xmlNode *parent, const Versions *of, gboolean ordered, gboolean whole);

/* Nothing but its children: no namespace, attribute or text. */
static gboolean
is_container (const VpMergeNode *node)
{
  return node->node->type == XML_ELEMENT_NODE && node->node->ns == NULL && node->node->properties == NULL &&
         !node->has_text;
}

/* One side removed what the other changed. FALSE: the change stays as it is. */
static gboolean
merge_container (Merge *self, xmlNode *parent, const Versions *of)
{
  const VpMergeNode *kept = of->ours != NULL ? of->ours : of->theirs;
  VpMergeNode emptied = *kept;
  const Versions all = { of->base, of->ours != NULL ? of->ours : &emptied, of->theirs != NULL ? of->theirs : &emptied };
  xmlNode *merged;

  if (of->base == NULL || !is_container (of->base) || !is_container (kept) || kept->n_children == 0)
    return FALSE;
  emptied.value = 0;
  emptied.n_children = 0;
  emptied.children = NULL;
  merge_node (self, parent, &all, FALSE, FALSE);
  merged = parent->last;
  if (!self->result.failed && merged->children == NULL)
    vp_xml_remove (merged);
  return TRUE;
}

/* How many there are of each number in one list of children, less those that are in another. */
static void
count_values (GHashTable *counts, const VpMergeNode *parent, int step)
{
  for (guint i = 0; parent != NULL && i < parent->n_children; i++) {
    gpointer value = GUINT_TO_POINTER (parent->children[i].value);
    int count = GPOINTER_TO_INT (g_hash_table_lookup (counts, value));

    g_hash_table_insert (counts, value, GINT_TO_POINTER (count + step));
  }
}

/* What ours put into a sequence, and is in no entry: theirs replaced the same part. */
static void
tell_replaced (Merge *self, const Versions *of, const GArray *entries)
{
  g_autoptr (GHashTable) counts = g_hash_table_new (NULL, NULL);

  count_values (counts, of->ours, 1);
  count_values (counts, of->base, -1);
  for (guint i = 0; i < entries->len; i++) {
    const VpMergeEntry *entry = &g_array_index (entries, VpMergeEntry, i);
    const VpMergeNode *in =
      entry->ours >= 0 ? node_child (of->ours, entry->ours) : node_child (of->theirs, entry->theirs);
    int count = GPOINTER_TO_INT (g_hash_table_lookup (counts, GUINT_TO_POINTER (in->value)));

    g_hash_table_insert (counts, GUINT_TO_POINTER (in->value), GINT_TO_POINTER (count - 1));
  }
  for (guint i = 0; i < of->ours->n_children; i++) {
    const VpMergeNode *item = &of->ours->children[i];

    if (GPOINTER_TO_INT (g_hash_table_lookup (counts, GUINT_TO_POINTER (item->value))) > 0)
      tell_conflict (self, VP_MERGE_CONFLICT_ITEM, item, NULL);
    g_hash_table_remove (counts, GUINT_TO_POINTER (item->value)); /* each is told once */
  }
}

/* A child that one side alone has. */
static void
merge_alone (Merge *self, xmlNode *element, const Versions *of, gboolean mixes)
{
  const VpMergeNode *kept = of->theirs != NULL ? of->theirs : of->ours;

  if (mixes && merge_container (self, element, of))
    return;
  if (of->base != NULL)
    tell_conflict (self, VP_MERGE_CONFLICT_REMOVAL, kept, NULL);
  if (of->base == NULL || of->theirs != NULL) /* else the removal is the later edit */
    copy_item (self, element, kept);
}

static void
merge_children (Merge *self, xmlNode *element, const Versions *of, gboolean ordered)
{
  gboolean text = (of->base != NULL && of->base->has_text) || of->ours->has_text || of->theirs->has_text;
  gboolean devices = !ordered && vp_merge_node_is (of->theirs, "devices");
  g_autoptr (GArray) entries = NULL;
  gboolean layout = !text && has_layout (of->theirs->node);
  guint depth = node_depth (element);

  if (text && is_value (of->base) && is_value (of->ours) && is_value (of->theirs)) {
    merge_value (self, element, of);
    return;
  }
  entries = merge_list (self, of, ordered, text);
  if (ordered || text)
    tell_replaced (self, of, entries);
  for (guint i = 0; i < entries->len; i++) {
    const VpMergeEntry *entry = &g_array_index (entries, VpMergeEntry, i);
    const Versions child = { of->base != NULL ? node_child (of->base, entry->base) : NULL,
                             node_child (of->ours, entry->ours), node_child (of->theirs, entry->theirs) };

    if (layout)
      add_layout (element, depth + 1);
    if (child.ours != NULL && child.theirs != NULL)
      merge_node (self, element, &child, ordered, devices);
    else
      merge_alone (self, element, &child, !ordered && !text && !devices);
  }
  if (layout && entries->len > 0)
    add_layout (element, depth);
  if (devices)
    settle_claims (self, element, of, entries);
}

static gboolean
can_mix (const Versions *of, gboolean whole)
{
  const VpMergeNode *ours = of->ours, *theirs = of->theirs;

  if (theirs->node->type != XML_ELEMENT_NODE || !vp_merge_node_same_name (ours, theirs) || ours->last != ours->node ||
      theirs->last != theirs->node)
    return FALSE;
  if (of->base != NULL)
    return vp_merge_node_same_name (of->base, theirs) && of->base->last == of->base->node;
  return !whole && !vp_merge_node_is_foreign (theirs);
}

/* Both sides have the node. `whole`: what both made anew is not to be mixed; `ordered` as for its parent. */
static void
merge_node (Merge *self, xmlNode *parent, const Versions *of, gboolean ordered, gboolean whole)
{
  const VpMergeNode *base = of->base, *ours = of->ours, *theirs = of->theirs;
  xmlNode *element;

  if (base != NULL && base->value == theirs->value) {
    copy_item (self, parent, ours);
    return;
  }
  if ((base != NULL && base->value == ours->value) || ours->value == theirs->value) {
    copy_item (self, parent, theirs);
    return;
  }
  /* What ours changed is gone with the former one. */
  if (!can_mix (of, whole) || (base != NULL && vp_merge_node_is_another (base, theirs))) {
    tell_conflict (self, VP_MERGE_CONFLICT_ITEM, ours, NULL);
    copy_item (self, parent, theirs);
    return;
  }
  element = vp_merge_add_element (&self->result, parent, theirs->node);
  if (element == NULL)
    return;
  vp_merge_declare_namespaces (element, ours->node);
  merge_attributes (self, element, of);
  merge_children (self, element, of, ordered || vp_merge_node_is_ordered (theirs));
}

static gboolean
check_roots (const xmlNode *base, const xmlNode *ours, const xmlNode *theirs, GError **error)
{
  if (base == NULL || ours == NULL || theirs == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML,
                 "cannot merge three versions of a domain: the %s one has no root element; read it again",
                 base == NULL ? "first" : (ours == NULL ? "overwritten" : "present"));
    return FALSE;
  }
  if (!xmlStrEqual (base->name, ours->name) || !xmlStrEqual (base->name, theirs->name)) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML,
                 "cannot merge three versions of a domain: their root elements are <%s>, <%s> and <%s>, "
                 "not one and the same; pass versions of one document",
                 base->name, ours->name, theirs->name);
    return FALSE;
  }
  return TRUE;
}

xmlDoc *
vp_merge_three_way (const xmlDoc *base, const xmlDoc *ours, const xmlDoc *theirs, GArray *conflicts, GError **error)
{
  const xmlNode *base_root = xmlDocGetRootElement (base);
  const xmlNode *our_root = xmlDocGetRootElement (ours);
  const xmlNode *their_root = xmlDocGetRootElement (theirs);

  if (!check_roots (base_root, our_root, their_root, error))
    return NULL;
  g_autoptr (GHashTable) classes = vp_merge_classes_new ();
  g_autoptr (VpMergeNode) base_tree = vp_merge_tree_new (base_root, classes);
  g_autoptr (VpMergeNode) our_tree = vp_merge_tree_new (our_root, classes);
  g_autoptr (VpMergeNode) their_tree = vp_merge_tree_new (their_root, classes);
  g_autoptr (xmlDoc) result = xmlNewDoc (BAD_CAST "1.0");
  Merge merge = { { .doc = result, .failed = result == NULL }, classes, conflicts };
  const Versions roots = { base_tree, our_tree, their_tree };

  if (!merge.result.failed) {
    merge_node (&merge, NULL, &roots, FALSE, FALSE);
    vp_merge_copy_around (&merge.result, theirs);
  }
  if (merge.result.failed) {
    g_set_error_literal (error, VP_ERROR, VP_ERROR_IO, "cannot merge three versions of a domain: out of memory");
    return NULL;
  }
  /* Where one side changed nothing, or both the same, the counts are what a side says, whatever that is. */
  if (base_tree->value != our_tree->value && base_tree->value != their_tree->value &&
      our_tree->value != their_tree->value)
    vp_merge_settle_counts (result, base, ours, theirs);
  return g_steal_pointer (&result);
}
