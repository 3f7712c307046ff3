/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A definition as a bag of items: the children of <domain>, and those of its containers
 * (devices, cputune, metadata…). An item is called by its element and by what tells it
 * from its like. Values stay out of it: some are passwords.
 */
#include "edits/edit-words.h"

#include "merge/merge.h"

#define MOST_WORDS 8     /* items that are named; the rest is a number */
#define MOST_LISTED 1000 /* that are looked at */

typedef struct {
  GHashTable *texts; /* char *, an item's text -> how many there are */
  GHashTable *names; /* char *, what an item is called -> how many there are */
  GPtrArray *order;  /* of Item */
} Bag;

typedef struct {
  char *name;
  char *text;
} Item;

static void
item_free (gpointer data)
{
  Item *item = data;

  g_free (item->name);
  g_free (item->text);
  g_free (item);
}

static void
bag_free (Bag *bag)
{
  g_hash_table_unref (bag->texts);
  g_hash_table_unref (bag->names);
  g_ptr_array_unref (bag->order);
  g_free (bag);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Bag, bag_free)

/* Where the name of a thing stands, by the kind of things that libvirt has. */
static char *
dup_key (const xmlNode *element)
{
  static const struct {
    const char *child; /* NULL: the element itself */
    const char *attribute;
  } keys[] = { { "target", "dev" }, { "mac", "address" }, { NULL, "id" },    { NULL, "vcpu" },
               { NULL, "vcpus" },   { NULL, "name" },     { NULL, "index" }, { NULL, "dev" } };

  for (gsize i = 0; i < G_N_ELEMENTS (keys); i++) {
    const xmlNode *node = keys[i].child != NULL ? vp_xml_child (element, keys[i].child) : element;
    char *value = node != NULL ? vp_xml_dup_attr (node, keys[i].attribute) : NULL;
    if (value != NULL)
      return value;
  }
  return element->ns != NULL ? g_strdup ((const char *) element->ns->href) : NULL;
}

static char *
dup_name (const xmlNode *element)
{
  g_autofree char *key = dup_key (element);
  g_autofree char *plain = key != NULL ? g_strescape (key, NULL) : NULL;

  return plain != NULL ? g_strdup_printf ("%s '%.80s'", (const char *) element->name, plain)
                       : g_strdup ((const char *) element->name);
}

static void
count (GHashTable *table, const char *key)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (table, key));

  g_hash_table_replace (table, g_strdup (key), GUINT_TO_POINTER (n + 1));
}

static void
add_item (Bag *bag, const xmlNode *element)
{
  Item *item = g_new0 (Item, 1);

  item->name = dup_name (element);
  item->text = vp_xml_dup_line (element);
  count (bag->texts, item->text);
  count (bag->names, item->name);
  g_ptr_array_add (bag->order, item);
}

static gboolean
is_container (const xmlNode *element)
{
  static const char *const names[] = { "metadata", "cputune", "iothreadids", "os",       "features",
                                       "clock",    "devices", "commandline", "override", NULL };

  return g_strv_contains (names, (const char *) element->name);
}

static Bag *
bag_new (const VpDomain *domain)
{
  Bag *bag = g_new0 (Bag, 1);

  bag->texts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  bag->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  bag->order = g_ptr_array_new_with_free_func (item_free);
  const xmlNode *child = domain != NULL ? vp_xml_first (vp_domain_root (domain)) : NULL;
  for (; child != NULL; child = vp_xml_next (child)) {
    if (!is_container (child))
      add_item (bag, child);
    for (const xmlNode *inner = is_container (child) ? vp_xml_first (child) : NULL; inner != NULL;
         inner = vp_xml_next (inner))
      add_item (bag, inner);
  }
  return bag;
}

/* Those of `from` that `with` has not: of each name once, with what happened to it. */
static void
add_words (GPtrArray *words, const Bag *from, const Bag *with, const char *alone, const char *both)
{
  for (guint i = 0; i < from->order->len; i++) {
    const Item *item = from->order->pdata[i];
    gboolean is_known = g_hash_table_contains (with->names, item->name);
    const char *what = is_known ? both : alone;
    if (what == NULL || g_hash_table_lookup (from->texts, item->text) <= g_hash_table_lookup (with->texts, item->text))
      continue;
    g_autofree char *word = g_strdup_printf ("%s %s", item->name, what);
    if (!g_ptr_array_find_with_equal_func (words, word, g_str_equal, NULL) && words->len < MOST_LISTED)
      g_ptr_array_add (words, g_steal_pointer (&word));
  }
}

/* The first few, and how many more there are. */
static char *
join_words (GPtrArray *words)
{
  if (words->len > MOST_WORDS) {
    guint more = words->len - MOST_WORDS;
    g_ptr_array_set_size (words, MOST_WORDS);
    g_ptr_array_add (words, g_strdup_printf ("and %u more", more));
  }
  g_ptr_array_add (words, NULL);
  return g_strjoinv (", ", (char **) words->pdata);
}

char *
vp_edit_dup_words (const VpDomain *before, const VpDomain *after)
{
  g_autoptr (Bag) old = bag_new (before);
  g_autoptr (Bag) new = bag_new (after);
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  if (before == NULL)
    return g_strdup ("it was defined anew");
  add_words (words, new, old, "added", "changed");
  add_words (words, old, new, "removed", NULL);
  if (words->len == 0)
    return g_strdup ("the order of elements");
  return join_words (words);
}

/* "disk 'vdb' in two versions", with the name of the item that the node is in. */
static char *
dup_conflict (const VpMergeConflict *conflict)
{
  const xmlNode *item = conflict->node;

  while (item->parent->parent != NULL && item->parent->parent->type == XML_ELEMENT_NODE &&
         !(is_container (item->parent) && item->parent->parent->parent->type != XML_ELEMENT_NODE))
    item = item->parent;
  g_autofree char *name = dup_name (item);
  switch (conflict->kind) {
    case VP_MERGE_CONFLICT_ITEM:
      return g_strdup_printf ("%s in two versions", name);
    case VP_MERGE_CONFLICT_CLAIM:
      return g_strdup_printf ("%s, whose %s another has", name, conflict->part);
    case VP_MERGE_CONFLICT_REMOVAL:
      return g_strdup_printf ("%s removed and changed", name);
    case VP_MERGE_CONFLICT_VALUE:
    default:
      return g_strdup_printf ("%s set twice", name);
  }
}

/* Our own notes go along with what they are about. */
static gboolean
is_state (const xmlNode *node)
{
  for (; node != NULL && node->type == XML_ELEMENT_NODE; node = node->parent)
    if (node->ns != NULL && xmlStrEqual (node->ns->href, BAD_CAST VP_STATE_NS))
      return TRUE;
  return FALSE;
}

char *
vp_edit_dup_conflicts (const GArray *conflicts)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < conflicts->len && words->len < MOST_LISTED; i++) {
    const VpMergeConflict *conflict = &g_array_index (conflicts, VpMergeConflict, i);
    if (is_state (conflict->node))
      continue;
    g_autofree char *word = dup_conflict (conflict);
    if (!g_ptr_array_find_with_equal_func (words, word, g_str_equal, NULL))
      g_ptr_array_add (words, g_steal_pointer (&word));
  }
  return words->len > 0 ? join_words (words) : NULL;
}
