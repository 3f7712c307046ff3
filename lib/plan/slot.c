/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applying and undoing, the same for every rule. Knows places, not what they mean. */
#include "plan/slot.h"

#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "domain/aliases.h"

#define MAX_SLOTS 8192u /* each vCPU and iothread has one, and so have some tens of other places */

void
vp_want_free (VpWant *want)
{
  if (want == NULL)
    return;
  g_free (want->place);
  g_free (want->find);
  xmlFreeNode (want->element);
  g_free (want->value);
  g_free (want->reason);
  g_free (want);
}

void
vp_slot_free (VpSlot *slot)
{
  if (slot == NULL)
    return;
  g_free (slot->rule);
  g_free (slot->place);
  xmlFreeNode (slot->was);
  xmlFreeNode (slot->set);
  g_free (slot->was_value);
  g_free (slot->set_value);
  g_free (slot->reason);
  g_free (slot);
}

static gboolean
is_attribute (const VpSlot *slot)
{
  return vp_xml_place_is_attribute (slot->place);
}

static void
read_side (const xmlNode *parent, const char *name, xmlNode **element, char **value)
{
  xmlNode *side = vp_xml_child_ns (parent, VP_STATE_NS, name);

  if (side == NULL)
    return;
  xmlNode *content = vp_xml_first (side);
  *value = vp_xml_dup_attr (side, "value");
  *element = content != NULL ? vp_xml_dup_node (content) : NULL;
}

/* FALSE: the attribute is there and no number. */
static gboolean
read_count (const xmlNode *node, const char *name, guint *count)
{
  g_autofree char *text = vp_xml_dup_attr (node, name);
  guint64 number = 0;

  if (text != NULL && !vp_number_parse (text, 10, G_MAXINT, &number))
    return FALSE;
  *count = (guint) number;
  return TRUE;
}

static gboolean
is_single (const xmlNode *node, const char *name)
{
  const xmlNode *side = vp_xml_child_ns (node, VP_STATE_NS, name);
  const xmlNode *content = side != NULL ? vp_xml_first (side) : NULL;

  return content == NULL || vp_xml_next (content) == NULL;
}

/* What the form of a slot says already is wrong with it; NULL: nothing. */
static const char *
read_slot (const xmlNode *node, VpSlot *slot)
{
  xmlNode *was = vp_xml_child_ns (node, VP_STATE_NS, "was");
  guint position = 0;

  slot->rule = vp_xml_dup_attr (node, "rule");
  slot->place = vp_xml_dup_attr (node, "place");
  slot->guest_visible = vp_xml_attr_is (node, "guest-visible", "yes");
  slot->follows = vp_xml_attr_is (node, "follows", "yes");
  gboolean whole =
    read_count (node, "made", &slot->made) &&
    (was == NULL || (read_count (was, "position", &position) && read_count (was, "comments", &slot->comments)));
  slot->position = was != NULL ? (int) position : -1;
  read_side (node, "was", &slot->was, &slot->was_value);
  read_side (node, "set", &slot->set, &slot->set_value);
  if (slot->rule == NULL || slot->place == NULL)
    return "a slot has no rule or no place";
  if (!whole)
    return "made, position and comments must be numbers";
  if (!is_single (node, "was") || !is_single (node, "set"))
    return "<was> and <set> hold one element";
  if (is_attribute (slot) ? slot->was != NULL || slot->set != NULL : slot->was_value != NULL || slot->set_value != NULL)
    return "an element stands for an attribute, or an attribute for an element";
  return NULL;
}

static gboolean
fail_slot (const VpSlot *slot, const char *problem, GError **error)
{
  g_set_error (error, VP_ERROR, VP_ERROR_STATE,
               "the saved originals in the metadata (%s) are damaged at rule '%s', place '%s': %s; restore the "
               "definition from a backup, or remove that <slot> with 'virsh edit'",
               VP_STATE_NS, slot->rule != NULL ? slot->rule : "", slot->place != NULL ? slot->place : "", problem);
  return FALSE;
}

/* The state comes from outside: no slot may do what its rule would not have done. */
static gboolean
add_slot (GPtrArray *slots, GHashTable *places, const xmlNode *node, const VpSlotOwners *owners, GError **error)
{
  VpSlot *slot = g_new0 (VpSlot, 1);

  slot->owners = owners;
  g_ptr_array_add (slots, slot);
  const char *form = read_slot (node, slot);
  if (form != NULL)
    return fail_slot (slot, form, error);
  g_autofree char *problem = owners->dup_problem (slot);
  if (problem != NULL)
    return fail_slot (slot, problem, error);
  if (slot->follows && !g_hash_table_add (places, (gpointer) "follows")) /* no place, and no rule names two devices */
    return fail_slot (slot, "another slot is followed", error);
  return g_hash_table_add (places, slot->place) || fail_slot (slot, "another slot has that place", error);
}

static gboolean
is_state (const xmlNode *node, const char *name)
{
  return node->ns != NULL && xmlStrEqual (node->ns->href, BAD_CAST VP_STATE_NS) &&
         xmlStrEqual (node->name, BAD_CAST name);
}

GPtrArray *
vp_slots_read (const VpDomain *domain, const VpSlotOwners *owners, GError **error)
{
  g_autoptr (GPtrArray) slots = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_slot_free);
  g_autoptr (GHashTable) places = g_hash_table_new (g_str_hash, g_str_equal);
  const xmlNode *state = vp_domain_state (domain);

  for (const xmlNode *node = state != NULL ? vp_xml_first (state) : NULL; node != NULL; node = vp_xml_next (node)) {
    if (is_state (node, "device"))
      continue; /* see devices/device-ids.h */
    if (!is_state (node, "slot") || slots->len == MAX_SLOTS) {
      g_set_error (error, VP_ERROR, VP_ERROR_STATE,
                   "the saved originals in the metadata (%s) are damaged: <%s> is not known there, or there are more "
                   "than %u slots; restore the definition from a backup, or remove it with 'virsh edit'",
                   VP_STATE_NS, (const char *) node->name, MAX_SLOTS);
      return NULL;
    }
    if (!add_slot (slots, places, node, owners, error))
      return NULL;
  }
  return g_steal_pointer (&slots);
}

static xmlNode *
new_state_node (xmlNode *parent, xmlNs *ns, const char *name)
{
  return xmlAddChild (parent, xmlNewNode (ns, BAD_CAST name));
}

static void
write_count (xmlNode *node, const char *name, int count)
{
  g_autofree char *text = g_strdup_printf ("%d", count);

  if (count > 0)
    xmlNewProp (node, BAD_CAST name, BAD_CAST text);
}

/* NULL: there is no such side. */
static xmlNode *
write_side (xmlNode *parent, xmlNs *ns, const char *name, const xmlNode *element, const char *value)
{
  if (element == NULL && value == NULL)
    return NULL;
  xmlNode *side = new_state_node (parent, ns, name);
  if (value != NULL)
    xmlNewProp (side, BAD_CAST "value", BAD_CAST value);
  if (element != NULL)
    xmlAddChild (side, xmlDocCopyNode ((xmlNode *) element, parent->doc, 1));
  return side;
}

static void
write_slot (xmlNode *state, xmlNs *ns, const VpSlot *slot)
{
  xmlNode *node = new_state_node (state, ns, "slot");

  xmlNewProp (node, BAD_CAST "rule", BAD_CAST slot->rule);
  xmlNewProp (node, BAD_CAST "place", BAD_CAST slot->place);
  if (slot->guest_visible)
    xmlNewProp (node, BAD_CAST "guest-visible", BAD_CAST "yes");
  if (slot->follows)
    xmlNewProp (node, BAD_CAST "follows", BAD_CAST "yes");
  write_count (node, "made", (int) slot->made);
  xmlNode *was = write_side (node, ns, "was", slot->was, slot->was_value);
  if (was != NULL) {
    write_count (was, "position", slot->position);
    write_count (was, "comments", (int) slot->comments);
  }
  (void) write_side (node, ns, "set", slot->set, slot->set_value);
}

void
vp_slots_write (VpDomain *domain, const GPtrArray *slots)
{
  xmlNode *old = vp_domain_state (domain);

  for (; old != NULL; old = vp_domain_state (domain)) {
    xmlNode *metadata = old->parent;
    vp_xml_remove (old);
    if (slots->len == 0 && metadata->children == NULL && metadata->properties == NULL)
      vp_xml_remove (metadata);
  }
  xmlNode *state = slots->len > 0 ? vp_domain_ensure_state (domain) : NULL;
  for (guint i = 0; i < slots->len; i++)
    write_slot (state, state->ns, slots->pdata[i]);
}

const VpSlot *
vp_slots_find (const GPtrArray *slots, const char *place)
{
  for (guint i = 0; i < slots->len; i++)
    if (strcmp (((const VpSlot *) slots->pdata[i])->place, place) == 0)
      return slots->pdata[i];
  return NULL;
}

static gboolean
equal_or_both_null (const xmlNode *a, const xmlNode *b)
{
  return a == NULL || b == NULL ? a == b : vp_xml_equal (a, b);
}

gboolean
vp_slot_equal (const VpSlot *a, const VpSlot *b)
{
  return strcmp (a->rule, b->rule) == 0 && strcmp (a->place, b->place) == 0 && a->guest_visible == b->guest_visible &&
         a->follows == b->follows && equal_or_both_null (a->was, b->was) && equal_or_both_null (a->set, b->set) &&
         g_strcmp0 (a->was_value, b->was_value) == 0 && g_strcmp0 (a->set_value, b->set_value) == 0;
}

gboolean
vp_slot_is_intact (const VpSlot *slot, const VpPlaces *places)
{
  if (is_attribute (slot)) {
    g_autofree char *value = vp_xml_dup_place_value (places->domain->doc, slot->place);
    return g_strcmp0 (value, slot->set_value) == 0;
  }
  return equal_or_both_null (vp_places_find (places, slot->place), slot->set);
}

gboolean
vp_slot_is_ours (const VpSlot *slot, const VpPlaces *places)
{
  const xmlNode *present = is_attribute (slot) ? NULL : vp_places_find (places, slot->place);

  if (vp_slot_is_intact (slot, places))
    return TRUE;
  return present != NULL && slot->set != NULL && slot->was == NULL && slot->owners != NULL &&
         slot->owners->knows_change (slot->rule, slot->set, present);
}

static char *
dup_side (const xmlNode *element, const char *value)
{
  return element != NULL ? vp_xml_dup_line (element) : g_strdup (value);
}

char *
vp_slot_dup_present (const VpSlot *slot, const VpPlaces *places)
{
  if (is_attribute (slot))
    return vp_xml_dup_place_value (places->domain->doc, slot->place);
  return dup_side (vp_places_find (places, slot->place), NULL);
}

char *
vp_slot_dup_set (const VpSlot *slot)
{
  return dup_side (slot->set, slot->set_value);
}

char *
vp_slot_dup_was (const VpSlot *slot)
{
  return dup_side (slot->was, slot->was_value);
}

static void
set_attribute (VpDomain *domain, const char *place, const char *value)
{
  xmlNode *node = vp_xml_find (domain->doc, place);
  const char *name = strrchr (place, '/') + 2;

  if (node == NULL)
    return;
  if (value != NULL)
    xmlSetProp (node, BAD_CAST name, BAD_CAST value);
  else
    xmlUnsetProp (node, BAD_CAST name);
}

static gboolean
has_comment (const xmlNode *parent)
{
  for (const xmlNode *child = parent->children; child != NULL; child = child->next)
    if (child->type == XML_COMMENT_NODE)
      return TRUE;
  return FALSE;
}

/* libvirt drops an element that says nothing; leaving one would look like a difference for ever. */
static void
remove_with_empty_parents (xmlNode *node)
{
  xmlNode *parent = node->parent;

  vp_xml_remove (node);
  while (vp_xml_first (parent) == NULL && !has_comment (parent) && parent->properties == NULL &&
         parent->parent->type == XML_ELEMENT_NODE) {
    xmlNode *up = parent->parent;
    vp_xml_remove (parent);
    parent = up;
  }
}

static void
apply_element (const VpWant *want, VpPlaces *places, xmlNode *present, VpSlot *slot)
{
  VpDomain *domain = places->domain;
  xmlNode *element = want->element != NULL ? xmlDocCopyNode (want->element, domain->doc, 1) : NULL;
  g_autofree char *parent = NULL;
  g_autofree char *last = NULL;

  if (want->element == NULL) {
    remove_with_empty_parents (present);
  } else if (present != NULL) {
    vp_xml_replace (present, element);
  } else {
    vp_xml_place_split (want->find != NULL ? want->find : want->place, &parent, &last);
    vp_xml_insert (vp_xml_ensure (domain->doc, parent, &slot->made), -1, element);
  }
  vp_places_note (places, want->place, element);
}

static VpSlot *
new_slot (const VpWant *want, const VpDomain *domain, const xmlNode *present)
{
  VpSlot *slot = g_new0 (VpSlot, 1);

  slot->rule = g_strdup (want->rule);
  slot->place = g_strdup (want->place);
  slot->guest_visible = want->guest_visible;
  slot->follows = want->follows;
  slot->reason = g_strdup (want->reason);
  slot->position = -1;
  if (is_attribute (slot)) {
    slot->was_value = vp_xml_dup_place_value (domain->doc, want->place);
    slot->set_value = g_strdup (want->value);
    return slot;
  }
  slot->position = present != NULL ? vp_xml_position (present) : -1;
  slot->comments = present != NULL && want->element == NULL ? vp_xml_comments_behind (present) : 0;
  slot->was = present != NULL ? vp_xml_dup_node (present) : NULL;
  slot->set = want->element != NULL ? vp_xml_dup_node (want->element) : NULL;
  return slot;
}

VpSlot *
vp_want_apply (const VpWant *want, VpPlaces *places, const VpSlotOwners *owners, char **problem)
{
  xmlNode *present = vp_places_find (places, want->find != NULL ? want->find : want->place);
  g_autoptr (VpSlot) slot = new_slot (want, places->domain, present);

  if (is_attribute (slot) ? present == NULL || g_strcmp0 (slot->was_value, slot->set_value) == 0
                          : equal_or_both_null (present, want->element))
    return NULL;
  *problem = owners->dup_problem (slot);
  if (*problem == NULL && vp_places_is_double (places, want->find != NULL ? want->find : want->place))
    *problem = g_strdup ("there are two of it");
  if (*problem != NULL)
    return NULL;
  g_autoptr (GHashTable) names = slot->follows ? vp_aliases_new (places->domain) : NULL;
  if (is_attribute (slot))
    set_attribute (places->domain, want->place, want->value);
  else
    apply_element (want, places, present, slot);
  if (names != NULL)
    vp_aliases_follow (names, places->domain);
  return g_steal_pointer (&slot);
}

static gboolean
is_same_address (const xmlNode *a, const xmlNode *b)
{
  g_autoptr (xmlNode) left = vp_xml_dup_node (a);
  g_autoptr (xmlNode) right = vp_xml_dup_node (b);

  xmlUnsetProp (left, BAD_CAST "multifunction");
  xmlUnsetProp (right, BAD_CAST "multifunction");
  return vp_xml_equal (left, right);
}

/*
 * In place of `instead` (NULL: of nothing). A device whose address another one got meanwhile is given a new one by
 * libvirt, which refuses it otherwise.
 */
static xmlNode *
new_original (const VpSlot *slot, const VpDomain *domain, const xmlNode *instead)
{
  xmlNode *copy = xmlDocCopyNode (slot->was, domain->doc, 1);
  xmlNode *address = vp_xml_child (copy, "address");
  xmlNode *devices = address != NULL ? vp_xml_find (domain->doc, "devices") : NULL;

  for (const xmlNode *node = devices != NULL ? vp_xml_first (devices) : NULL; node != NULL; node = vp_xml_next (node)) {
    const xmlNode *other = vp_xml_child (node, "address");
    if (node == instead || other == NULL || !is_same_address (address, other))
      continue;
    vp_xml_remove (address);
    break;
  }
  return copy;
}

/* Nothing but comments and layout; what was made for a slot never had more of its own. */
static gboolean
is_bare (const xmlNode *node)
{
  g_autofree char *text = vp_xml_first (node) == NULL ? vp_xml_dup_content (node) : NULL;

  return node->properties == NULL && text != NULL && text[0] == '\0';
}

static void
undo_addition (const VpSlot *slot, xmlNode *present)
{
  xmlNode *parent = present->parent;

  vp_xml_remove (present);
  for (guint i = 0; i < slot->made && is_bare (parent) && parent->parent->type == XML_ELEMENT_NODE; i++) {
    xmlNode *up = parent->parent;
    vp_xml_remove (parent);
    parent = up;
  }
}

static void
undo_removal (const VpSlot *slot, VpDomain *domain)
{
  g_autofree char *parent = NULL;
  g_autofree char *last = NULL;
  guint made = 0;

  vp_xml_place_split (slot->place, &parent, &last);
  if (strchr (parent, '[') != NULL && vp_xml_find (domain->doc, parent) == NULL)
    return; /* the device itself is gone */
  xmlNode *original = new_original (slot, domain, NULL);
  vp_xml_put_back (vp_xml_ensure (domain->doc, parent, &made), slot->position, slot->comments, original);
}

static void
undo_element (const VpSlot *slot, VpPlaces *places)
{
  xmlNode *present = vp_places_find (places, slot->place);
  xmlNode *original = NULL;
  if (present == NULL && slot->was != NULL) {
    undo_removal (slot, places->domain);
  } else if (present != NULL && slot->was == NULL) {
    undo_addition (slot, present);
    vp_places_note (places, slot->place, NULL);
  } else if (present != NULL) {
    original = new_original (slot, places->domain, present);
    vp_xml_replace (present, original);
    vp_places_note (places, slot->place, original);
  }
}

void
vp_slot_undo (const VpSlot *slot, VpPlaces *places)
{
  if (!vp_slot_is_ours (slot, places))
    return;
  g_autoptr (GHashTable) names = slot->follows ? vp_aliases_new (places->domain) : NULL;
  if (is_attribute (slot))
    set_attribute (places->domain, slot->place, slot->was_value);
  else
    undo_element (slot, places);
  if (names != NULL)
    vp_aliases_follow (names, places->domain);
}
