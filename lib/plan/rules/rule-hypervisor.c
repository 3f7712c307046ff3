/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest is told about its hypervisor: KVM's signature, the Hyper-V
 * enlightenments, their clock. NVIDIA's driver before 465 refused to start where
 * it saw any of them (Code 43); later ones and AMD's mind less. Guest-visible.
 */

#include <string.h>

#include "plan/rules/rule.h"

#define LIBVIRT_HOST_MODEL_OWN 12001000ul /* from here on mode='host-model' keeps features of one's own */

/* 1: a GPU of these vendors is assigned, 0: none is, -1: a device is not on this host, so nobody knows */
static int
has_hiding_gpu (const VpRuleContext *context)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (context->original);
  int answer = 0;

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpPciDevice *device = vp_host_find_device (context->host, &g_array_index (hostdevs, VpHostdev, i).address);
    if (device == NULL)
      answer = -1;
    else if (vp_pci_is_display (device) &&
             (device->vendor == VP_PCI_VENDOR_NVIDIA || device->vendor == VP_PCI_VENDOR_AMD))
      return 1;
  }
  return answer;
}

/* Whether the guest does not see KVM, then. */
static gboolean
want_hidden (VpRuleContext *context)
{
  const xmlNode *own = vp_xml_find (context->original->doc, "features/kvm/hidden");
  gboolean hidden = own != NULL && vp_xml_attr_is (own, "state", "on");
  int asked = vp_settings_choice (context->settings, VP_KEY_HYPERVISOR_KVM_HIDDEN);
  int gpu = asked == VP_HIDDEN_AUTO ? has_hiding_gpu (context) : 1;

  if (asked == VP_HIDDEN_KEEP || gpu == 0)
    return hidden;
  if (gpu < 0) {
    xmlNode *present = vp_xml_find (context->present->doc, "features/kvm/hidden");
    if (present == NULL || !vp_xml_attr_is (present, "state", "on")) {
      vp_rule_warn (context, "an assigned device is not on this host, so whether it is a GPU that wants KVM hidden is "
                             "not known: KVM stays visible; set hypervisor.kvm-hidden to on to hide it");
      return hidden;
    }
  }
  vp_rule_want (context, &vp_rule_hypervisor, VP_GUEST_VISIBLE, g_strdup ("features/kvm/hidden"),
                vp_xml_new ("hidden", "state", "on", NULL), "GPU drivers look for KVM's signature in CPUID");
  return TRUE;
}

/* libvirt refuses the hint with any other CPU, and QEMU's guide where vCPUs may be preempted. */
static void
want_hint (VpRuleContext *context)
{
  const VpPlacement *placement = context->plan->placement;
  const xmlNode *cpu = vp_xml_find (context->original->doc, "cpu");

  if (vp_settings_choice (context->settings, VP_KEY_HYPERVISOR_HINT_DEDICATED) != VP_HINT_AUTO || placement == NULL ||
      placement->level > VP_LEVEL_WHOLE_CORES || !vp_domain_is_x86_kvm (context->original) || cpu == NULL ||
      !vp_xml_attr_is (cpu, "mode", "host-passthrough") ||
      vp_xml_find (context->original->doc, "features/kvm/hint-dedicated") != NULL)
    return;
  vp_rule_want (context, &vp_rule_hypervisor, VP_GUEST_VISIBLE, g_strdup ("features/kvm/hint-dedicated"),
                vp_xml_new ("hint-dedicated", "state", "on", NULL), "all vCPUs have cores of their own");
}

static void
want_no_hyperv (VpRuleContext *context)
{
  if (vp_xml_find (context->original->doc, "features/hyperv") != NULL)
    vp_rule_want (context, &vp_rule_hypervisor, VP_GUEST_VISIBLE, g_strdup ("features/hyperv"), NULL,
                  "NVIDIA's driver before 465 refuses a guest with Hyper-V features");
  if (vp_xml_find (context->original->doc, "clock/timer[@name='hypervclock']") != NULL)
    vp_rule_want (context, &vp_rule_hypervisor, VP_GUEST_VISIBLE, g_strdup ("clock/timer[@name='hypervclock']"), NULL,
                  "the Hyper-V clock goes with the Hyper-V features");
}

gboolean
vp_rule_hypervisor_takes_own (const VpRuleContext *context, const xmlNode *hyperv)
{
  if (vp_xml_attr_is (hyperv, "mode", "host-model"))
    return context->host->libvirt_version >= LIBVIRT_HOST_MODEL_OWN;
  return !vp_xml_attr_is (hyperv, "mode", "passthrough");
}

static void
want_vendor_id (VpRuleContext *context)
{
  xmlNode *hyperv = vp_xml_find (context->original->doc, "features/hyperv");
  xmlNode *own = hyperv != NULL ? vp_xml_child (hyperv, "vendor_id") : NULL;

  if (hyperv == NULL || (own != NULL && vp_xml_attr_is (own, "state", "on")))
    return; /* nothing to spoof, or the user does it himself */
  if (!vp_rule_hypervisor_takes_own (context, hyperv)) {
    g_autofree char *mode = vp_xml_dup_attr (hyperv, "mode");
    vp_rule_warn (context, "features/hyperv has mode='%s', which takes no vendor_id%s: it is not spoofed", mode,
                  strcmp (mode, "host-model") == 0 ? " before libvirt 12.1" : "");
    return;
  }
  vp_rule_want (context, &vp_rule_hypervisor, VP_GUEST_VISIBLE, g_strdup ("features/hyperv/vendor_id"),
                vp_xml_new ("vendor_id", "state", "on", "value",
                            vp_settings_get (context->settings, VP_KEY_HYPERVISOR_VENDOR_ID), NULL),
                "GPU drivers look for Hyper-V's own vendor id; the features that make Windows fast stay");
}

static gboolean
plan_hypervisor (VpRuleContext *context, GError **error)
{
  int hyperv = vp_settings_choice (context->settings, VP_KEY_HYPERVISOR_HYPERV);

  (void) error;
  if (!want_hidden (context))
    want_hint (context);
  if (hyperv == VP_HYPERV_REMOVE)
    want_no_hyperv (context);
  else if (hyperv == VP_HYPERV_SPOOF || hyperv == VP_HYPERV_FULL)
    want_vendor_id (context);
  return TRUE;
}

#define VALUE "[^\\x00-\\x1f]{0,64}" /* a vendor id may hold anything */
#define HIDDEN "hidden(?:/@state=(?:on|off))?"
#define VENDOR_ID "vendor_id(?:/@state=(?:on|off)|/@value=" VALUE ")?"

static const VpRulePlace places[] = {
  { .place = "features/kvm/hidden", VP_GUEST_VISIBLE, HIDDEN, HIDDEN },
  { .place = "features/kvm/hint-dedicated", VP_GUEST_VISIBLE, NULL, "hint-dedicated(?:/@state=on)?" },
  { .place = "features/hyperv",
    VP_GUEST_VISIBLE,
    "hyperv(?:/@mode=[a-z-]{1,20}|(?:/[a-z_]{1,40}){1,3}(?:/@[a-z_]{1,40}=" VALUE ")?)?",
    NULL },
  { .place = "features/hyperv/vendor_id", VP_GUEST_VISIBLE, VENDOR_ID, VENDOR_ID },
  { .place = "clock/timer\\[@name='hypervclock'\\]",
    VP_GUEST_VISIBLE,
    "timer(?:/@[a-z]{1,20}=" VP_CONTENT_WORD "|/catchup(?:/@[a-z]{1,20}=[0-9]{1,20})?)?",
    NULL },
  { .place = NULL },
};

const VpRule vp_rule_hypervisor = { "hypervisor", places, plan_hypervisor, NULL, NULL };
