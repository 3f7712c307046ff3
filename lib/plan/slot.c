/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Applying and undoing, the same for every rule. Knows places, not what they mean. */
#include "plan/slot.h"

#include <string.h>

#include "base/error.h"

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

  if (text != NULL && !g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT, &number, NULL))
    return FALSE;
  *count = (guint) number;
  return TRUE;
}

/* `whole`: the numbers are numbers. */
static VpSlot *
read_slot (const xmlNode *node, const VpSlotOwners *owners, gboolean *whole)
{
  VpSlot *slot = g_new0 (VpSlot, 1);
  xmlNode *was = vp_xml_child_ns (node, VP_STATE_NS, "was");
  guint position = 0;

  slot->owners = owners;
  slot->rule = vp_xml_dup_attr (node, "rule");
  slot->place = vp_xml_dup_attr (node, "place");
  slot->guest_visible = vp_xml_attr_is (node, "guest-visible", "yes");
  *whole = read_count (node, "made", &slot->made) && (was == NULL || read_count (was, "position", &position));
  slot->position = was != NULL ? (int) position : -1;
  read_side (node, "was", &slot->was, &slot->was_value);
  read_side (node, "set", &slot->set, &slot->set_value);
  return slot;
}

/* The state comes from outside: it may name only places that a rule owns, and hold only what fits there. */
static gboolean
check_slot (const VpSlot *slot, gboolean whole, GError **error)
{
  const char *problem = NULL;

  if (slot->rule == NULL || slot->place == NULL)
    problem = "a slot has no rule or no place";
  else if (!whole)
    problem = "made and position must be numbers";
  else if (!slot->owners->owns (slot->rule, slot->place))
    problem = "that rule does not own that place";
  else if (is_attribute (slot) ? slot->was != NULL || slot->set != NULL
                               : slot->was_value != NULL || slot->set_value != NULL)
    problem = "an element stands for an attribute, or an attribute for an element";
  if (problem == NULL)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_STATE,
               "the saved originals in the metadata (%s) are damaged at rule '%s', place '%s': %s; restore the "
               "definition from a backup, or remove that <slot> with 'virsh edit'",
               VP_STATE_NS, slot->rule != NULL ? slot->rule : "", slot->place != NULL ? slot->place : "", problem);
  return FALSE;
}

GPtrArray *
vp_slots_read (const VpDomain *domain, const VpSlotOwners *owners, GError **error)
{
  g_autoptr (GPtrArray) slots = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_slot_free);
  const xmlNode *state = vp_domain_state (domain);

  for (const xmlNode *node = state != NULL ? vp_xml_first (state) : NULL; node != NULL; node = vp_xml_next (node)) {
    gboolean whole = TRUE;
    if (xmlStrEqual (node->name, BAD_CAST "device"))
      continue; /* see devices/device-ids.h */
    VpSlot *slot = read_slot (node, owners, &whole);
    g_ptr_array_add (slots, slot);
    if (!check_slot (slot, whole, error))
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
write_side (xmlNode *parent, xmlNs *ns, const char *name, const xmlNode *element, const char *value, int position)
{
  if (element == NULL && value == NULL)
    return;
  xmlNode *side = new_state_node (parent, ns, name);
  if (value != NULL)
    xmlNewProp (side, BAD_CAST "value", BAD_CAST value);
  if (position > 0) {
    g_autofree char *text = g_strdup_printf ("%d", position);
    xmlNewProp (side, BAD_CAST "position", BAD_CAST text);
  }
  if (element != NULL)
    xmlAddChild (side, xmlDocCopyNode ((xmlNode *) element, parent->doc, 1));
}

static void
write_slot (xmlNode *state, xmlNs *ns, const VpSlot *slot)
{
  xmlNode *node = new_state_node (state, ns, "slot");

  xmlNewProp (node, BAD_CAST "rule", BAD_CAST slot->rule);
  xmlNewProp (node, BAD_CAST "place", BAD_CAST slot->place);
  if (slot->guest_visible)
    xmlNewProp (node, BAD_CAST "guest-visible", BAD_CAST "yes");
  if (slot->made > 0) {
    g_autofree char *made = g_strdup_printf ("%u", slot->made);
    xmlNewProp (node, BAD_CAST "made", BAD_CAST made);
  }
  write_side (node, ns, "was", slot->was, slot->was_value, slot->position);
  write_side (node, ns, "set", slot->set, slot->set_value, -1);
}

void
vp_slots_write (VpDomain *domain, const GPtrArray *slots)
{
  xmlNode *old = vp_domain_state (domain);

  if (old != NULL) {
    xmlNode *metadata = old->parent;
    vp_xml_remove (old);
    if (slots->len == 0 && metadata->children == NULL)
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
         equal_or_both_null (a->was, b->was) && equal_or_both_null (a->set, b->set) &&
         g_strcmp0 (a->was_value, b->was_value) == 0 && g_strcmp0 (a->set_value, b->set_value) == 0;
}

gboolean
vp_slot_is_intact (const VpSlot *slot, const VpDomain *domain)
{
  if (is_attribute (slot)) {
    g_autofree char *value = vp_xml_dup_place_value (domain->doc, slot->place);
    return g_strcmp0 (value, slot->set_value) == 0;
  }
  return equal_or_both_null (vp_xml_find (domain->doc, slot->place), slot->set);
}

gboolean
vp_slot_is_ours (const VpSlot *slot, const VpDomain *domain)
{
  const xmlNode *present = is_attribute (slot) ? NULL : vp_xml_find (domain->doc, slot->place);

  if (vp_slot_is_intact (slot, domain))
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
vp_slot_dup_present (const VpSlot *slot, const VpDomain *domain)
{
  if (is_attribute (slot))
    return vp_xml_dup_place_value (domain->doc, slot->place);
  return dup_side (vp_xml_find (domain->doc, slot->place), NULL);
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

/* libvirt drops an element that says nothing; leaving one would look like a difference for ever. */
static void
remove_with_empty_parents (xmlNode *node)
{
  xmlNode *parent = node->parent;

  vp_xml_remove (node);
  while (vp_xml_first (parent) == NULL && parent->properties == NULL && parent->parent->type == XML_ELEMENT_NODE) {
    xmlNode *up = parent->parent;
    vp_xml_remove (parent);
    parent = up;
  }
}

static void
apply_element (const VpWant *want, VpDomain *domain, xmlNode *present, VpSlot *slot)
{
  g_autofree char *parent = NULL;
  g_autofree char *last = NULL;

  slot->position = present != NULL ? vp_xml_position (present) : -1;
  slot->was = present != NULL ? vp_xml_dup_node (present) : NULL;
  slot->set = want->element != NULL ? vp_xml_dup_node (want->element) : NULL;
  if (want->element == NULL) {
    remove_with_empty_parents (present);
  } else if (present != NULL) {
    vp_xml_replace (present, xmlDocCopyNode (want->element, domain->doc, 1));
  } else {
    vp_xml_place_split (want->find != NULL ? want->find : want->place, &parent, &last);
    vp_xml_insert (vp_xml_ensure (domain->doc, parent, &slot->made), -1,
                   xmlDocCopyNode (want->element, domain->doc, 1));
  }
}

VpSlot *
vp_want_apply (const VpWant *want, VpDomain *domain)
{
  const char *find = want->find != NULL ? want->find : want->place;
  xmlNode *present = vp_xml_find (domain->doc, find);
  g_autoptr (VpSlot) slot = g_new0 (VpSlot, 1);

  slot->rule = g_strdup (want->rule);
  slot->place = g_strdup (want->place);
  slot->guest_visible = want->guest_visible;
  slot->reason = g_strdup (want->reason);
  slot->position = -1;
  if (vp_xml_place_is_attribute (want->place)) {
    slot->was_value = vp_xml_dup_place_value (domain->doc, want->place);
    slot->set_value = g_strdup (want->value);
    if (present == NULL || g_strcmp0 (slot->was_value, slot->set_value) == 0)
      return NULL;
    set_attribute (domain, want->place, want->value);
  } else {
    if (equal_or_both_null (present, want->element))
      return NULL;
    apply_element (want, domain, present, slot);
  }
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

static void
undo_addition (const VpSlot *slot, xmlNode *present)
{
  xmlNode *parent = present->parent;

  vp_xml_remove (present);
  for (guint i = 0; i < slot->made && vp_xml_first (parent) == NULL && parent->parent->type == XML_ELEMENT_NODE; i++) {
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
  vp_xml_insert (vp_xml_ensure (domain->doc, parent, &made), slot->position, original);
}

void
vp_slot_undo (const VpSlot *slot, VpDomain *domain)
{
  if (!vp_slot_is_ours (slot, domain))
    return;
  if (is_attribute (slot)) {
    set_attribute (domain, slot->place, slot->was_value);
    return;
  }
  xmlNode *present = vp_xml_find (domain->doc, slot->place);
  if (present == NULL && slot->was != NULL)
    undo_removal (slot, domain);
  else if (present != NULL && slot->was == NULL)
    undo_addition (slot, present);
  else if (present != NULL)
    vp_xml_replace (present, new_original (slot, domain, present));
}
