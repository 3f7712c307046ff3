/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hypervisor.hyperv = full: the Hyper-V features that QEMU's guide (docs/system/i386/hyperv.rst) and those for
 * Windows guests recommend together, for a guest that has some. What the user says of one stays, "off" too, and
 * then none is added that needs it: QEMU refuses those, and libvirt does from 11.9 on. Guest-visible.
 *
 * Left out: hv-reset, which Windows does not use; hv-crash, which takes Windows its dumps; hv-avic, which slows
 * hosts without APIC virtualization; syndbg, for debugging. Vendor ids and removing are rule-hypervisor.c.
 */
#include <string.h>

#include "plan/rules/rule.h"

#define LIBVIRT_10_7 10007000ul
#define LIBVIRT_11_0 11000000ul
#define LIBVIRT_12_0 12000000ul

#define CLOCK "clock/timer[@name='hypervclock']"

typedef enum {
  ANYWHERE,
  STAYS,  /* QEMU restores no such guest without a fixed TSC: for those that cannot be saved or migrated anyway */
  INTEL,  /* a part of Intel's nested virtualization, without which QEMU ends that is asked for it */
  NESTED, /* for Hyper-V inside; on Intel's CPUs by way of evmcs, as libvirt asked of all before 12.0 */
} Where;

typedef struct {
  const char *name;
  const char *inner;     /* a part of that feature; NULL: itself */
  const char *needs[3];  /* features, or "hypervclock", which must be on */
  unsigned long libvirt; /* that knows it */
  Where where;
} Enlightenment;

/* What another needs comes before it, and parts come behind their feature. */
static const Enlightenment enlightenments[] = {
  { .name = "relaxed" },
  { .name = "vapic" },
  { .name = "spinlocks" },
  { .name = "vpindex" },
  { .name = "runtime" },
  { .name = "synic", .needs = { "vpindex" } },
  { .name = "stimer", .needs = { "vpindex", "synic", "hypervclock" } },
  { .name = "stimer", .inner = "direct" },
  { .name = "frequencies" },
  { .name = "reenlightenment", .needs = { "frequencies" }, .where = STAYS },
  { .name = "evmcs", .needs = { "vapic" }, .where = INTEL },
  { .name = "tlbflush", .needs = { "vpindex" } },
  { .name = "tlbflush", .inner = "direct", .needs = { "vapic" }, .libvirt = LIBVIRT_11_0, .where = NESTED },
  { .name = "tlbflush", .inner = "extended", .libvirt = LIBVIRT_11_0 },
  { .name = "ipi", .needs = { "vpindex" } },
  { .name = "emsr_bitmap", .libvirt = LIBVIRT_10_7, .where = NESTED },
  { .name = "xmm_input", .libvirt = LIBVIRT_10_7 },
};

typedef struct {
  VpRuleContext *context;
  const xmlNode *own; /* the user's <hyperv> */
  GPtrArray *added;   /* of const char *: what was not there and is on then */
} Set;

static gboolean
is_on (const Set *set, const char *name)
{
  const xmlNode *own = vp_xml_child (set->own, name);

  return g_ptr_array_find_with_equal_func (set->added, name, g_str_equal, NULL) ||
         (own != NULL && vp_xml_attr_is (own, "state", "on"));
}

static gboolean
has_its_place (const Set *set, Where where)
{
  const VpHost *host = set->context->host;

  switch (where) {
    case STAYS: {
      g_autoptr (GArray) hostdevs = vp_domain_hostdevs (set->context->original);
      return hostdevs->len > 0;
    }
    case INTEL:
      return host->topology->intel && !host->no_nested_vmx;
    case NESTED:
      return is_on (set, "evmcs") || (host->topology->amd && host->libvirt_version >= LIBVIRT_12_0);
    default:
      return TRUE;
  }
}

static gboolean
can_have (const Set *set, const Enlightenment *one)
{
  for (gsize i = 0; i < G_N_ELEMENTS (one->needs) && one->needs[i] != NULL; i++)
    if (!is_on (set, one->needs[i]))
      return FALSE;
  return set->context->host->libvirt_version >= one->libvirt && has_its_place (set, one->where);
}

/* A definition without a clock is somebody's file: libvirt writes one into all that it stores. */
static void
want_clock (Set *set)
{
  const VpDomain *domain = set->context->original;
  const xmlNode *timer = vp_xml_find (domain->doc, CLOCK);

  if (timer == NULL && vp_xml_find (domain->doc, "clock") != NULL)
    vp_rule_want (set->context, &vp_rule_hyperv, VP_GUEST_VISIBLE, g_strdup (CLOCK),
                  vp_xml_new ("timer", "name", "hypervclock", "present", "yes", NULL),
                  "Windows reads this clock without leaving the guest");
  else if (timer == NULL || vp_xml_attr_is (timer, "present", "no"))
    return;
  g_ptr_array_add (set->added, "hypervclock");
}

/* The feature, with all its parts, as it is added to a guest that says nothing of it. */
static xmlNode *
new_feature (const Set *set, gsize which)
{
  const char *name = enlightenments[which].name;
  xmlNode *feature = vp_xml_new (name, "state", "on", NULL);

  /* More than QEMU's guide says: as virt-manager and Windows' guides have it. */
  if (strcmp (name, "spinlocks") == 0)
    xmlNewProp (feature, BAD_CAST "retries", BAD_CAST "8191");
  for (gsize i = which + 1; i < G_N_ELEMENTS (enlightenments) && enlightenments[i].inner != NULL; i++)
    if (can_have (set, &enlightenments[i]))
      xmlAddChild (feature, vp_xml_new (enlightenments[i].inner, "state", "on", NULL));
  return feature;
}

static void
want_part (const Set *set, const Enlightenment *one)
{
  const xmlNode *feature = vp_xml_child (set->own, one->name);

  if (feature == NULL || !is_on (set, one->name) || vp_xml_child (feature, one->inner) != NULL)
    return;
  vp_rule_want (set->context, &vp_rule_hyperv, VP_GUEST_VISIBLE,
                g_strdup_printf ("features/hyperv/%s/%s", one->name, one->inner),
                vp_xml_new (one->inner, "state", "on", NULL), "the full set of Hyper-V features has it");
}

static void
want_feature (Set *set, gsize which)
{
  const char *name = enlightenments[which].name;

  if (vp_xml_child (set->own, name) != NULL)
    return;
  vp_rule_want (set->context, &vp_rule_hyperv, VP_GUEST_VISIBLE, g_strdup_printf ("features/hyperv/%s", name),
                new_feature (set, which), "the full set of Hyper-V features has it");
  g_ptr_array_add (set->added, (gpointer) name);
}

/* An element without any, or one that forbids them all, is a guest without. */
static gboolean
has_some (const xmlNode *hyperv)
{
  const xmlNode *node = vp_xml_first (hyperv);

  while (node != NULL && !vp_xml_attr_is (node, "state", "on"))
    node = vp_xml_next (node);
  return node != NULL;
}

/* Without KVM there are none, and QEMU before 8.1 ends where it is asked for them. */
static gboolean
can_have_any (const VpRuleContext *context, const xmlNode *hyperv)
{
  return vp_settings_choice (context->settings, VP_KEY_HYPERVISOR_HYPERV) == VP_HYPERV_FULL && hyperv != NULL &&
         has_some (hyperv) &&
         (xmlHasProp ((xmlNode *) hyperv, BAD_CAST "mode") == NULL || vp_xml_attr_is (hyperv, "mode", "custom")) &&
         vp_domain_is_x86_kvm (context->original);
}

static gboolean
plan_hyperv (VpRuleContext *context, GError **error)
{
  const xmlNode *hyperv = vp_xml_find (context->original->doc, "features/hyperv");
  g_autoptr (GPtrArray) added = g_ptr_array_new ();
  Set set = { context, hyperv, added };

  (void) error;
  if (!can_have_any (context, hyperv))
    return TRUE;
  want_clock (&set);
  for (gsize i = 0; i < G_N_ELEMENTS (enlightenments); i++) {
    if (!can_have (&set, &enlightenments[i]))
      continue;
    if (enlightenments[i].inner != NULL)
      want_part (&set, &enlightenments[i]);
    else
      want_feature (&set, i);
  }
  return TRUE;
}

#define STATE "(?:/@state=on)?"
#define PLAIN "(?:relaxed|vapic|vpindex|runtime|synic|frequencies|reenlightenment|evmcs|ipi|emsr_bitmap|xmm_input)"

static const VpRulePlace places[] = {
  { .place = "features/hyperv/" PLAIN, VP_GUEST_VISIBLE, NULL, PLAIN STATE },
  { .place = "features/hyperv/spinlocks", VP_GUEST_VISIBLE, NULL, "spinlocks(?:/@state=on|/@retries=8191)?" },
  { .place = "features/hyperv/stimer", VP_GUEST_VISIBLE, NULL, "stimer(?:/@state=on|/direct" STATE ")?" },
  { .place = "features/hyperv/tlbflush",
    VP_GUEST_VISIBLE,
    NULL,
    "tlbflush(?:/@state=on|/(?:direct|extended)" STATE ")?" },
  { .place = "features/hyperv/(?:stimer|tlbflush)/direct", VP_GUEST_VISIBLE, NULL, "direct" STATE },
  { .place = "features/hyperv/tlbflush/extended", VP_GUEST_VISIBLE, NULL, "extended" STATE },
  { .place = "clock/timer\\[@name='hypervclock'\\]",
    VP_GUEST_VISIBLE,
    NULL,
    "timer(?:/@name=hypervclock|/@present=yes)?" },
  { .place = NULL },
};

const VpRule vp_rule_hyperv = { "hyperv", places, plan_hyperv, NULL, NULL };
