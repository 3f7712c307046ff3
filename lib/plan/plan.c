/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undo, plan, apply, compare: the order of things. What is wanted is the rules' matter. */
#include "plan/plan.h"

#include "devices/device-ids.h"
#include "domain/vcpu-request.h"
#include "plan/rules/rule-table.h"
#include "profile/tag-match.h"

static void
change_free (VpChange *change)
{
  g_free (change->rule);
  g_free (change->place);
  g_free (change->from);
  g_free (change->to);
  g_free (change->reason);
  g_free (change);
}

void
vp_plan_free (VpPlan *plan)
{
  if (plan == NULL)
    return;
  g_free (plan->domain);
  g_free (plan->profile);
  g_free (plan->rule);
  vp_settings_free (plan->settings);
  vp_domain_free (plan->result);
  g_ptr_array_unref (plan->changes);
  g_ptr_array_unref (plan->warnings);
  vp_placement_free (plan->placement);
  g_free (plan->wrapped);
  g_free (plan);
}

static VpPlan *
plan_start (const VpDomain *domain)
{
  VpPlan *plan = g_new0 (VpPlan, 1);

  plan->domain = vp_domain_dup_name (domain);
  plan->changes = g_ptr_array_new_with_free_func ((GDestroyNotify) change_free);
  plan->warnings = g_ptr_array_new_with_free_func (g_free);
  plan->result = vp_domain_copy (domain);
  return plan;
}

static gboolean
is_out_of_reach (gboolean guest_visible, VpPlanFlags flags)
{
  return guest_visible && (flags & VP_PLAN_HOST_ONLY) != 0;
}

/* Last applied, first undone: parents that were made for one slot hold the others. */
static void
undo_all (VpPlaces *places, const GPtrArray *slots, VpPlanFlags flags)
{
  for (guint i = slots->len; i > 0; i--) {
    const VpSlot *slot = slots->pdata[i - 1];
    if (!is_out_of_reach (slot->guest_visible, flags))
      vp_slot_undo (slot, places);
  }
}

static gboolean
plan_rules (VpRuleContext *context, GError **error)
{
  const VpRule *const *rules = vp_rules_get ();

  for (guint i = 0; rules[i] != NULL; i++)
    if (!rules[i]->plan (context, error))
      return FALSE;
  return TRUE;
}

static GPtrArray *
apply_all (VpPlan *plan, VpPlaces *places, const GPtrArray *wants, VpPlanFlags flags)
{
  GPtrArray *slots = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_slot_free);

  for (guint i = 0; i < wants->len; i++) {
    const VpWant *want = wants->pdata[i];
    g_autofree char *problem = NULL;
    VpSlot *slot =
      is_out_of_reach (want->guest_visible, flags) ? NULL : vp_want_apply (want, places, &vp_rules_owners, &problem);
    if (slot != NULL)
      g_ptr_array_add (slots, slot);
    if (problem != NULL)
      g_ptr_array_add (plan->warnings, g_strdup_printf ("%s stays as it is, as what is there may not be remembered in "
                                                        "the metadata: %s",
                                                        want->place, problem));
  }
  return slots;
}

static void
add_change (VpPlan *plan, const VpSlot *slot, char *from, char *to, const char *reason)
{
  VpChange *change = g_new0 (VpChange, 1);

  change->rule = g_strdup (slot->rule);
  change->place = g_strdup (slot->place);
  change->from = from;
  change->to = to;
  change->guest_visible = slot->guest_visible;
  change->reason = g_strdup (reason);
  g_ptr_array_add (plan->changes, change);
}

/* Of VpSlot, by place; borrows all. */
static GHashTable *
new_slot_table (const GPtrArray *slots)
{
  GHashTable *table = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < slots->len; i++)
    g_hash_table_insert (table, ((VpSlot *) slots->pdata[i])->place, slots->pdata[i]);
  return table;
}

/* New or broken slots are changes; so are old ones that nobody wants any more. */
static void
compare_slots (VpPlan *plan, const VpPlaces *present, const GPtrArray *old, const GPtrArray *slots, VpPlanFlags flags)
{
  const char *gone = plan->settings == NULL        ? "the tag is gone: what was there before comes back"
                     : (flags & VP_PLAN_UNDO) != 0 ? "what was there before comes back"
                                                   : "the profile no longer asks for it";

  g_autoptr (GHashTable) old_table = new_slot_table (old);
  g_autoptr (GHashTable) table = new_slot_table (slots);

  for (guint i = 0; i < slots->len; i++) {
    const VpSlot *slot = slots->pdata[i];
    const VpSlot *before = g_hash_table_lookup (old_table, slot->place);
    if (before == NULL || !vp_slot_equal (before, slot) || !vp_slot_is_intact (slot, present))
      add_change (plan, slot, vp_slot_dup_present (slot, present), vp_slot_dup_set (slot), slot->reason);
  }
  for (guint i = 0; i < old->len; i++) {
    const VpSlot *slot = old->pdata[i];
    if (is_out_of_reach (slot->guest_visible, flags) || g_hash_table_contains (table, slot->place))
      continue;
    if (vp_slot_is_ours (slot, present))
      add_change (plan, slot, vp_slot_dup_present (slot, present), vp_slot_dup_was (slot), gone);
    else
      add_change (plan, slot, vp_slot_dup_present (slot, present), vp_slot_dup_present (slot, present),
                  "it was changed by hand, and that is as good: it is the domain's own now");
  }
}

static void
add_device_change (VpPlan *plan, const VpDeviceIds *ids, gboolean comes, const char *reason)
{
  VpChange *change = g_new0 (VpChange, 1);
  g_autofree char *address = vp_pci_address_dup_text (&ids->address);

  change->rule = g_strdup ("devices");
  change->place = g_strdup_printf ("metadata/state/device[@address='%s']", address);
  change->from = comes ? NULL : vp_device_ids_dup_text (ids);
  change->to = comes ? vp_device_ids_dup_text (ids) : NULL;
  change->reason = g_strdup (reason);
  g_ptr_array_add (plan->changes, change);
}

static void
compare_devices (VpPlan *plan, const GArray *saved, const GArray *planned)
{
  for (guint i = 0; i < planned->len; i++) {
    const VpDeviceIds *ids = &g_array_index (planned, VpDeviceIds, i);
    if (vp_device_ids_find (saved, &ids->address) == NULL)
      add_device_change (plan, ids, TRUE, "remembered, so that another device at this address is noticed");
  }
  for (guint i = 0; i < saved->len; i++) {
    const VpDeviceIds *ids = &g_array_index (saved, VpDeviceIds, i);
    if (vp_device_ids_find (planned, &ids->address) == NULL)
      add_device_change (plan, ids, FALSE, "no longer one of the domain's devices");
  }
}

static void
warn_devices (VpPlan *plan, const GArray *planned, const VpHost *host)
{
  for (guint i = 0; i < planned->len; i++) {
    const VpDeviceIds *ids = &g_array_index (planned, VpDeviceIds, i);
    const VpPciDevice *device = vp_host_find_device (host, &ids->address);
    if (device == NULL || (device->vendor == ids->vendor && device->device == ids->device))
      continue;
    g_autofree char *address = vp_pci_address_dup_text (&ids->address);
    g_ptr_array_add (plan->warnings,
                     g_strdup_printf ("%s is %04x:%04x now, and was %04x:%04x when the profile was set: the start is "
                                      "refused until the <hostdev> is put right, or 'vfio-profile set' is run again",
                                      address, device->vendor, device->device, ids->vendor, ids->device));
  }
}

/* At restore and migrate what the guest sees stays as it was saved, and so does the memory of what it replaced. */
static void
carry_over (GPtrArray *slots, GPtrArray *old, VpPlanFlags flags)
{
  for (guint i = 0; i < old->len; i++) {
    VpSlot *slot = old->pdata[i];
    if (!is_out_of_reach (slot->guest_visible, flags))
      continue;
    g_ptr_array_steal_index (old, i--);
    g_ptr_array_add (slots, slot);
  }
}

/* "gaming (rule 50-gpu)"; NULL: no tag */
static char *
dup_tag_text (const VpDomain *domain)
{
  const xmlNode *tag = vp_domain_tag (domain);
  g_autofree char *names = tag != NULL ? vp_xml_dup_attr (tag, "name") : NULL;
  g_autofree char *rule = vp_domain_dup_tag_rule (domain);

  return rule != NULL ? g_strdup_printf ("%s (rule %s)", names != NULL ? names : "", rule) : g_steal_pointer (&names);
}

static void
add_tag_change (VpPlan *plan, const VpDomain *domain, char *reason)
{
  VpChange *change = g_new0 (VpChange, 1);

  change->rule = g_strdup ("rules");
  change->place = g_strdup ("metadata/profile");
  change->from = dup_tag_text (domain);
  change->to = dup_tag_text (plan->result);
  change->reason = reason;
  g_ptr_array_add (plan->changes, change);
}

/* A domain's own tag is left alone; so is every tag where a guest arrives from elsewhere. */
static void
settle_tag (VpPlan *plan, const VpDomain *domain, const VpHost *host, const VpProfiles *profiles, VpPlanFlags flags)
{
  g_autofree char *present = vp_domain_dup_tag_rule (domain);

  if ((flags & VP_PLAN_HOST_ONLY) != 0)
    return;
  if ((flags & VP_PLAN_UNDO) != 0) {
    if (present == NULL)
      return;
    vp_domain_set_tag (plan->result, NULL);
    add_tag_change (plan, domain, g_strdup_printf ("rule %s put it there", present));
    return;
  }
  g_autoptr (VpTagMatch) match = vp_tag_match_new (profiles, domain, host);
  if (match == NULL)
    return;
  if (match->warning != NULL)
    g_ptr_array_add (plan->warnings, g_strdup (match->warning));
  if (vp_tag_match_stands (match, domain))
    return;
  vp_tag_match_apply (match, plan->result);
  add_tag_change (plan, domain,
                  match->rule != NULL ? g_strdup_printf ("rule %s: %s", match->rule, match->reason)
                                      : g_strdup_printf ("rule %s gives it no longer, and no other does", present));
}

/* Before the rest: what is planned is planned for that many. */
static void
settle_vcpus (VpPlan *plan, const VpDomain *domain, VpPlanFlags flags)
{
  guint asked = vp_vcpu_request_read (plan->result);

  if (asked == 0 || (flags & (VP_PLAN_HOST_ONLY | VP_PLAN_UNDO)) != 0)
    return;
  VpChange *change = g_new0 (VpChange, 1);
  change->rule = g_strdup ("vcpus");
  change->place = g_strdup ("vcpu");
  change->from = g_strdup_printf ("%u", vp_domain_vcpus (domain, NULL));
  change->to = g_strdup_printf ("%u", asked);
  change->guest_visible = TRUE;
  change->reason = g_strdup ("the tag asks for that many");
  g_ptr_array_add (plan->changes, change);
  vp_vcpu_request_carry_out (plan->result, asked);
}

static gboolean
resolve_tag (VpPlan *plan, const VpDomain *domain, const VpProfiles *profiles, GError **error)
{
  const xmlNode *node = vp_domain_tag (domain);

  if (node == NULL)
    return TRUE;
  g_autoptr (VpTag) tag = vp_tag_resolve (node, profiles, error);
  if (tag == NULL)
    return FALSE;
  plan->profile = g_steal_pointer (&tag->names);
  plan->settings = g_steal_pointer (&tag->settings);
  plan->rule = vp_domain_dup_tag_rule (domain);
  return TRUE;
}

/* What is saved beside the slots. It goes with the tag, and stays as it is where a guest arrives from elsewhere. */
static GArray *
plan_devices (VpPlan *plan, GArray *saved, const VpHost *host, VpPlanFlags flags)
{
  if ((flags & VP_PLAN_HOST_ONLY) != 0)
    return g_array_ref (saved);
  GArray *planned = plan->settings != NULL ? vp_device_ids_plan (saved, plan->result, host)
                                           : g_array_new (FALSE, TRUE, sizeof (VpDeviceIds));
  compare_devices (plan, saved, planned);
  warn_devices (plan, planned, host);
  return planned;
}

VpPlan *
vp_plan_new (const VpDomain *domain, const VpHost *host, const VpProfiles *profiles, const VpNeighbours *neighbours,
             VpPlanFlags flags, GError **error)
{
  g_autoptr (VpPlan) plan = plan_start (domain);
  g_autoptr (GPtrArray) wants = g_ptr_array_new_with_free_func ((GDestroyNotify) vp_want_free);
  g_autoptr (GPtrArray) old = vp_slots_read (domain, &vp_rules_owners, error);

  g_autoptr (GArray) saved = old != NULL ? vp_device_ids_read (domain, error) : NULL;

  if (saved == NULL)
    return NULL;
  settle_tag (plan, domain, host, profiles, flags);
  if ((flags & VP_PLAN_UNDO) == 0 && !resolve_tag (plan, plan->result, profiles, error))
    return NULL;
  settle_vcpus (plan, domain, flags);
  g_autoptr (VpPlaces) places = vp_places_new (plan->result);
  g_autoptr (VpPlaces) present = vp_places_new ((VpDomain *) domain); /* only read */
  undo_all (places, old, flags);
  VpRuleContext context = {
    .original = plan->result,
    .present = domain,
    .host = host,
    .neighbours = neighbours,
    .settings = plan->settings,
    .owners = &vp_rules_owners,
    .host_only = (flags & VP_PLAN_HOST_ONLY) != 0,
    .plan = plan,
    .wants = wants,
  };
  if (plan->settings != NULL && !plan_rules (&context, error))
    return NULL;
  g_autoptr (GPtrArray) slots = apply_all (plan, places, wants, flags);
  compare_slots (plan, present, old, slots, flags);
  g_autoptr (GArray) devices = plan_devices (plan, saved, host, flags);
  if (vp_plan_is_ready (plan)) {
    /* What stands is right, down to the layout. */
    vp_domain_free (plan->result);
    plan->result = vp_domain_copy (domain);
    return g_steal_pointer (&plan);
  }
  carry_over (slots, old, flags);
  vp_slots_write (plan->result, slots);
  vp_device_ids_write (plan->result, devices);
  return g_steal_pointer (&plan);
}
