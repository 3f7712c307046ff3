/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x-vga: the assigned card becomes the guest's primary VGA, so that SeaBIOS and
 * everything after it draw on the monitor at the card. The device gets an alias
 * that carries a mark, and the emulator becomes the wrapper that adds x-vga=on to
 * marked devices (hooks/emulator-args.c). With method = override libvirt's own
 * <qemu:override> does it, which taints the domain.
 */

#include "base/error.h"
#include "base/x-vga-mark.h"
#include "host/wrapper.h"
#include "plan/rules/rule.h"

#define LIBVIRT_OVERRIDE 8002000ul
#define OVERRIDE_PLACE "*[local-name()='override' and namespace-uri()='" VP_QEMU_NS "']"

static char *
dup_alias (const xmlNode *hostdev)
{
  xmlNode *alias = vp_xml_child (hostdev, "alias");

  return alias != NULL ? vp_xml_dup_attr (alias, "name") : NULL;
}

static gboolean
has_mark (const char *alias)
{
  return alias != NULL && vp_x_vga_mark_is (alias);
}

/* The present document says which one was marked, for a card that is not on this host just now. */
static gboolean
was_marked (const VpRuleContext *context, const VpPciAddress *address)
{
  VpPciAddress marked;

  return vp_domain_find_x_vga (context->present, &marked, NULL) && vp_pci_address_equal (&marked, address);
}

/* The first assigned device of class 0300. `unknown` names one that this host does not have. */
static gboolean
find_card (const VpRuleContext *context, VpHostdev *card, char **unknown)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (context->original);

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_host_find_device (context->host, &hostdev->address);

    if (device != NULL ? device->class_code >> 8 == VP_PCI_CLASS_VGA : was_marked (context, &hostdev->address)) {
      *card = *hostdev;
      return TRUE;
    }
    if (device == NULL && *unknown == NULL)
      *unknown = vp_pci_address_dup_text (&hostdev->address);
  }
  return FALSE;
}

static void
explain_no_card (VpRuleContext *context, const char *unknown)
{
  if (unknown != NULL)
    vp_rule_warn (context,
                  "the assigned device %s is not on this host, so whether it is a VGA card is not known: "
                  "x-vga is left off",
                  unknown);
  else if (vp_settings_choice (context->settings, VP_KEY_VGA_X_VGA) == VP_X_VGA_ON)
    vp_rule_warn (context, "vga.x-vga is on, but no PCI device of class 0300 (VGA) is assigned to the domain: the "
                           "emulator stays as it is");
}

/* The alias that the user gave is the stem, so that he finds his device again. */
static char *
want_mark (VpRuleContext *context, const VpHostdev *card)
{
  g_autofree char *own = dup_alias (card->node);
  /* What libvirt allows in an alias is safe inside a place as well. */
  gboolean is_users = own != NULL && g_regex_match_simple ("^ua-[A-Za-z0-9_.:-]{1,180}\\z", own, 0, 0);
  guint position = 1;

  if (is_users && has_mark (own))
    return g_steal_pointer (&own);
  for (const xmlNode *node = card->node->prev; node != NULL; node = node->prev)
    position += node->type == XML_ELEMENT_NODE && vp_xml_is (node, "hostdev");
  g_autofree char *mark = is_users ? g_strconcat (own, VP_X_VGA_MARK_SUFFIX, NULL)
                                   : g_strdup (VP_X_VGA_MARK_PREFIX "vfio" VP_X_VGA_MARK_SUFFIX);
  VpWant *want =
    vp_rule_want (context, &vp_rule_vga, VP_GUEST_VISIBLE, g_strdup_printf ("devices/hostdev/alias[@name='%s']", mark),
                  vp_xml_new ("alias", "name", mark, NULL), "marks the card for the emulator's command line");
  want->find = g_strdup_printf ("devices/hostdev[%u]/alias", position);
  return g_steal_pointer (&mark);
}

/* A definition without <emulator> gets libvirt's default for its architecture. */
static char *
dup_real_emulator (const VpRuleContext *context)
{
  g_autofree char *named = vp_domain_dup_emulator (context->original);
  g_autofree char *arch = vp_domain_dup_arch (context->original);

  if (named != NULL && named[0] == '/') {
    const char *wrapped = vp_host_wrapped_emulator (context->host, named);
    return wrapped != NULL ? g_strdup (wrapped) : g_steal_pointer (&named);
  }
  if (arch == NULL)
    return NULL;
  g_autofree char *name = g_strdup_printf ("/qemu-system-%s", arch);
  if (context->host->emulators[0] == NULL)
    return g_strconcat ("/usr/bin", name, NULL); /* a recorded host, of which nothing is known but that */
  for (guint i = 0; context->host->emulators[i] != NULL; i++)
    if (g_str_has_suffix (context->host->emulators[i], name) ||
        g_str_has_suffix (context->host->emulators[i], "/qemu-kvm"))
      return g_strdup (context->host->emulators[i]);
  return NULL;
}

static gboolean
want_wrapper (VpRuleContext *context, GError **error)
{
  g_autofree char *real = dup_real_emulator (context);

  if (real == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "x-vga needs a wrapper around the emulator, but the domain names no <emulator> and none for its "
                 "architecture was found: add <emulator>/path/of/qemu-system-…</emulator> to <devices>");
    return FALSE;
  }
  g_autofree char *wrapper = vp_wrapper_dup_path (context->host->wrapper_folder, real);
  VpWant *want = vp_rule_want (context, &vp_rule_vga, VP_HOST_ONLY, g_strdup ("devices/emulator"),
                               vp_xml_new ("emulator", NULL), "runs %s and adds x-vga=on to the marked card", real);
  xmlNodeAddContent (want->element, BAD_CAST wrapper);
  context->plan->wrapped = g_steal_pointer (&real);
  return TRUE;
}

static xmlNode *
new_override_device (const char *alias)
{
  xmlNode *device = vp_xml_new ("device", "alias", alias, NULL);
  xmlNs *ns = xmlNewNs (device, BAD_CAST VP_QEMU_NS, BAD_CAST "qemu");
  xmlNode *frontend = xmlNewChild (device, ns, BAD_CAST "frontend", NULL);
  xmlNode *property = xmlNewChild (frontend, ns, BAD_CAST "property", NULL);

  xmlSetNs (device, ns);
  xmlNewProp (property, BAD_CAST "name", BAD_CAST "x-vga");
  xmlNewProp (property, BAD_CAST "type", BAD_CAST "bool");
  xmlNewProp (property, BAD_CAST "value", BAD_CAST "true");
  return device;
}

static gboolean
want_override (VpRuleContext *context, const char *alias, GError **error)
{
  unsigned long version = context->host->libvirt_version;
  const char *reason = "libvirt adds x-vga to the card and marks the running domain as tainted";

  if (version != 0 && version < LIBVIRT_OVERRIDE) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "vga.method is override, which libvirt knows since 8.2.0; this one is %lu.%lu.%lu: use wrapper",
                 version / 1000000, version / 1000 % 1000, version % 1000);
    return FALSE;
  }
  if (vp_xml_find (context->original->doc, OVERRIDE_PLACE) != NULL) {
    vp_rule_want (context, &vp_rule_vga, VP_GUEST_VISIBLE,
                  g_strdup_printf (OVERRIDE_PLACE "/*[local-name()='device' and @alias='%s']", alias),
                  new_override_device (alias), "%s", reason);
    return TRUE;
  }
  xmlNode *override = xmlNewNode (NULL, BAD_CAST "override");
  xmlSetNs (override, xmlNewNs (override, BAD_CAST VP_QEMU_NS, BAD_CAST "qemu"));
  xmlAddChild (override, new_override_device (alias));
  vp_rule_want (context, &vp_rule_vga, VP_GUEST_VISIBLE, g_strdup (OVERRIDE_PLACE), override, "%s", reason);
  return TRUE;
}

static void
warn_of_emulated_video (VpRuleContext *context)
{
  xmlNode *model = vp_xml_find (context->original->doc, "devices/video/model");

  if (model != NULL && !vp_xml_attr_is (model, "type", "none") &&
      vp_settings_choice (context->settings, VP_KEY_DEVICES_TRIM) == VP_TRIM_NO)
    vp_rule_warn (context, "the domain has an emulated <video> beside the assigned card, so the guest has two VGA "
                           "displays: remove it once the card shows a picture, or set devices.trim to yes");
}

static gboolean
plan_vga (VpRuleContext *context, GError **error)
{
  int asked = vp_settings_choice (context->settings, VP_KEY_VGA_X_VGA);
  g_autofree char *unknown = NULL;
  VpHostdev card = { 0 };

  if (asked == VP_X_VGA_OFF)
    return TRUE;
  if (!vp_domain_is_bios (context->original)) {
    if (asked == VP_X_VGA_ON)
      vp_rule_warn (context, "vga.x-vga is on, but it serves BIOS guests only, and this one has other firmware: the "
                             "emulator stays as it is");
    return TRUE;
  }
  if (!find_card (context, &card, &unknown)) {
    explain_no_card (context, unknown);
    return TRUE;
  }
  g_autofree char *mark = want_mark (context, &card);
  warn_of_emulated_video (context);
  if (vp_settings_choice (context->settings, VP_KEY_VGA_METHOD) == VP_METHOD_OVERRIDE)
    return want_override (context, mark, error);
  return want_wrapper (context, error);
}

/*
 * A name of a wrapper belongs to one emulator, so who gives back what the named wrapper runs gives the guest no
 * other program than the definition names already.
 */
static const char *
find_emulator_problem (const VpSlot *slot)
{
  if (slot->set == NULL || !vp_xml_is (slot->set, "emulator"))
    return NULL;
  g_autofree char *wrapper = vp_xml_dup_content (slot->set);
  g_autofree char *real = slot->was != NULL ? vp_xml_dup_content (slot->was) : NULL;
  if (real != NULL ? vp_wrapper_is_of (wrapper, real) : vp_wrapper_has_name (wrapper))
    return NULL;
  return "the emulator is not the one that the wrapper runs";
}

#define EMULATOR "emulator(?:=/[^\\x00-\\x1f]{1,4096})?"
#define OVERRIDE_PATTERN "\\*\\[local-name\\(\\)='override' and namespace-uri\\(\\)='" VP_QEMU_NS "'\\]"
#define OVERRIDE_DEVICE                                                                                                \
  "\\{" VP_QEMU_NS "\\}device(?:/@xmlns=" VP_QEMU_NS "|/@alias=ua-[A-Za-z0-9_.:-]{1,200}|/\\{" VP_QEMU_NS              \
  "\\}frontend(?:/\\{" VP_QEMU_NS "\\}property(?:/@name=x-vga|/@type=bool|/@value=true)?)?)?"

static const VpRulePlace places[] = {
  { .place = "devices/hostdev/alias\\[@name='ua-[A-Za-z0-9_.:-]{1,200}'\\]",
    VP_GUEST_VISIBLE,
    "alias(?:/@name=[A-Za-z0-9_.:-]{1,200})?",
    "alias(?:/@name=ua-[A-Za-z0-9_.:-]{0,200}-x-vga)?",
    .is_renamed = TRUE },
  { .place = "devices/emulator", VP_HOST_ONLY, EMULATOR, EMULATOR },
  { .place = OVERRIDE_PATTERN,
    VP_GUEST_VISIBLE,
    NULL,
    "\\{" VP_QEMU_NS "\\}override(?:/@xmlns=" VP_QEMU_NS "|/" OVERRIDE_DEVICE ")?" },
  { .place = OVERRIDE_PATTERN "/\\*\\[local-name\\(\\)='device' and @alias='ua-[A-Za-z0-9_.:-]{1,200}'\\]",
    VP_GUEST_VISIBLE,
    NULL,
    OVERRIDE_DEVICE },
  { .place = NULL },
};

const VpRule vp_rule_vga = { "vga", places, plan_vga, NULL, find_emulator_problem };
