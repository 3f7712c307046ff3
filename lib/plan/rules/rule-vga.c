/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x-vga: the assigned card becomes the guest's primary VGA, so that SeaBIOS and
 * everything after it draw on the monitor at the card. The device gets an alias
 * that carries a mark, and the emulator becomes the wrapper that adds x-vga=on to
 * marked devices (hooks/emulator-args.c). With method = override libvirt's own
 * <qemu:override> does it, which taints the domain. What the user has in
 * <qemu:override> and <qemu:commandline> for this device or for those whose numbers
 * shift follows the alias; where he gives x-vga himself, nothing is done.
 */

#include <string.h>

#include "base/error.h"
#include "base/x-vga-mark.h"
#include "domain/aliases.h"
#include "host/wrapper.h"
#include "plan/rules/rule.h"

#define LIBVIRT_OVERRIDE 8002000ul
#define OVERRIDE_PLACE "*[local-name()='override' and namespace-uri()='" VP_QEMU_NS "']"
#define DEVICE_PLACE OVERRIDE_PLACE "/*[local-name()='device' and @alias='%s']"
#define FRONTEND_PLACE DEVICE_PLACE "/*[local-name()='frontend']"
#define PROPERTY_PLACE FRONTEND_PLACE "/*[local-name()='property' and @name='x-vga']"

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

/*
 * The first assigned device of class 0300; `unknown` names one that this host does not have. Of a card that is not
 * on this host just now the present document says that it was marked.
 */
static gboolean
find_card (const VpRuleContext *context, VpHostdev *card, char **unknown)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (context->original);
  VpPciAddress marked = { 0 };
  gboolean was_marked = vp_domain_find_x_vga (context->present, &marked, NULL);

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_host_find_device (context->host, &hostdev->address);

    if (device != NULL ? device->class_code >> 8 == VP_PCI_CLASS_VGA
                       : was_marked && vp_pci_address_equal (&marked, &hostdev->address)) {
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

/* Of VpHostdev, by the names that libvirt will give them; the caller's, and the keys are `names`'s. */
static GHashTable *
new_hostdev_table (const GArray *hostdevs, GHashTable *names)
{
  GHashTable *table = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < hostdevs->len; i++) {
    VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    g_hash_table_insert (table, g_hash_table_lookup (names, hostdev->node), hostdev);
  }
  return table;
}

/* The device to which this <qemu:device> gives x-vga; NULL: to none of these. */
static const VpHostdev *
find_by_override (const xmlNode *device, GHashTable *table)
{
  const xmlNode *frontend = vp_xml_child_ns (device, VP_QEMU_NS, "frontend");
  g_autofree char *name = vp_xml_dup_attr (device, "alias");

  for (const xmlNode *node = frontend != NULL ? vp_xml_first (frontend) : NULL; node != NULL; node = vp_xml_next (node))
    if (vp_xml_attr_is (node, "name", "x-vga") && name != NULL)
      return g_hash_table_lookup (table, name);
  return NULL;
}

/* The same of -set device.NAME.x-vga=on and -global vfio-pci.x-vga=on, which is for all: the first. */
static const VpHostdev *
find_by_argument (const xmlNode *arg, GHashTable *table, const GArray *hostdevs)
{
  const xmlNode *set = vp_argument_value (arg, "set");
  const xmlNode *global = set == NULL ? vp_argument_value (arg, "global") : NULL;
  g_autofree char *value = set != NULL || global != NULL ? vp_xml_dup_attr (set != NULL ? set : global, "value") : NULL;

  if (value == NULL)
    return NULL;
  if (global != NULL)
    return g_str_has_prefix (value, "vfio-pci.x-vga=") ? &g_array_index (hostdevs, VpHostdev, 0) : NULL;
  g_auto (GStrv) parts = g_strsplit (value, ".", 3);
  return g_strv_length (parts) == 3 && strcmp (parts[0], "device") == 0 && g_str_has_prefix (parts[2], "x-vga=")
           ? g_hash_table_lookup (table, parts[1])
           : NULL;
}

/* The element with which the user himself gives an assigned device x-vga, and which device; NULL: he does not. */
static const char *
find_own_x_vga (const VpDomain *domain, VpPciAddress *address)
{
  g_autoptr (GHashTable) names = vp_aliases_new (domain);
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);
  g_autoptr (GHashTable) table = new_hostdev_table (hostdevs, names);
  const VpHostdev *found = NULL;

  if (hostdevs->len == 0)
    return NULL;
  for (const xmlNode *node = vp_domain_first_of_qemu (domain, "override"); node != NULL && found == NULL;
       node = vp_xml_next (node))
    found = find_by_override (node, table);
  gboolean overrides = found != NULL;
  for (const xmlNode *node = vp_domain_first_of_qemu (domain, "commandline"); node != NULL && found == NULL;
       node = vp_xml_next (node))
    found = find_by_argument (node, table, hostdevs);
  if (found != NULL)
    *address = found->address;
  return found == NULL ? NULL : overrides ? "<qemu:override>" : "<qemu:commandline>";
}

/* QEMU's "pc" of all versions; libvirt takes it where none is named. */
static gboolean
is_i440fx (const VpDomain *domain)
{
  const xmlNode *type = vp_xml_find (domain->doc, "os/type");
  g_autofree char *machine = type != NULL ? vp_xml_dup_attr (type, "machine") : NULL;

  return machine == NULL || strcmp (machine, "pc") == 0 ||
         (g_str_has_prefix (machine, "pc-") && !g_str_has_prefix (machine, "pc-q35")) ||
         g_str_has_prefix (machine, "rhel6");
}

/* An Intel card at 00:02.0 of an i440fx guest: QEMU's legacy mode, which gives it VGA of itself (docs/igd-assign.txt). */
static gboolean
is_legacy_igd (const VpRuleContext *context, const VpHostdev *card)
{
  const VpPciDevice *device = vp_host_find_device (context->host, &card->address);
  VpPciAddress address = { 0 };

  return device != NULL && device->vendor == VP_PCI_VENDOR_INTEL && is_i440fx (context->original) &&
         vp_hostdev_guest_address (card, &address) && address.domain == 0 && address.bus == 0 && address.slot == 2 &&
         address.function == 0;
}

/* The alias that the user gave is the stem, so that he finds his device again. */
static char *
want_mark (VpRuleContext *context, const VpHostdev *card)
{
  g_autofree char *own = dup_alias (card->node);
  /* What libvirt keeps as an alias is safe inside a place as well. */
  gboolean is_users = own != NULL && g_regex_match_simple ("^ua-[A-Za-z0-9_-]{1,180}\\z", own, 0, 0);
  gboolean follows = vp_aliases_are_named (context->original);
  guint position = 1;

  if (is_users && has_mark (own))
    return g_steal_pointer (&own);
  for (const xmlNode *node = card->node->prev; node != NULL; node = node->prev)
    position += node->type == XML_ELEMENT_NODE && vp_xml_is (node, "hostdev");
  g_autofree char *mark = is_users ? g_strconcat (own, VP_X_VGA_MARK_SUFFIX, NULL)
                                   : g_strdup (VP_X_VGA_MARK_PREFIX "vfio" VP_X_VGA_MARK_SUFFIX);
  VpWant *want =
    vp_rule_want (context, &vp_rule_vga, VP_GUEST_VISIBLE, g_strdup_printf ("devices/hostdev/alias[@name='%s']", mark),
                  vp_xml_new ("alias", "name", mark, NULL), "marks the card for the emulator's command line%s",
                  follows ? "; what names it or those behind it there follows" : "");
  want->follows = follows;
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
new_of_qemu (const char *name)
{
  xmlNode *node = xmlNewNode (NULL, BAD_CAST name);

  xmlSetNs (node, xmlNewNs (node, BAD_CAST VP_QEMU_NS, BAD_CAST "qemu"));
  return node;
}

static xmlNode *
new_property (void)
{
  xmlNode *property = new_of_qemu ("property");

  xmlNewProp (property, BAD_CAST "name", BAD_CAST "x-vga");
  xmlNewProp (property, BAD_CAST "type", BAD_CAST "bool");
  xmlNewProp (property, BAD_CAST "value", BAD_CAST "true");
  return property;
}

static xmlNode *
new_above (const char *name, xmlNode *child)
{
  xmlNode *node = new_of_qemu (name);

  xmlAddChild (node, child);
  return node;
}

static xmlNode *
new_override_device (const char *alias)
{
  xmlNode *device = new_above ("device", new_above ("frontend", new_property ()));

  xmlNewProp (device, BAD_CAST "alias", BAD_CAST alias);
  return device;
}

/* The user's override of the card, by the name that it has before it gets ours; borrowed. NULL: there is none. */
static xmlNode *
find_override (const VpRuleContext *context, const VpHostdev *card)
{
  g_autoptr (GHashTable) names = vp_aliases_new (context->original);
  xmlNode *node = vp_domain_first_of_qemu (context->original, "override");

  while (node != NULL && !vp_xml_attr_is (node, "alias", g_hash_table_lookup (names, card->node)))
    node = vp_xml_next (node);
  return node;
}

static void
want_override_part (VpRuleContext *context, char *place, xmlNode *element)
{
  vp_rule_want (context, &vp_rule_vga, VP_GUEST_VISIBLE, place, element,
                "libvirt adds x-vga to the card and marks the running domain as tainted");
}

static gboolean
want_override (VpRuleContext *context, const VpHostdev *card, const char *alias, GError **error)
{
  unsigned long version = context->host->libvirt_version;
  const xmlNode *own = find_override (context, card);

  if (version != 0 && version < LIBVIRT_OVERRIDE) {
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "vga.method is override, which libvirt knows since 8.2.0; this one is %lu.%lu.%lu: use wrapper",
                 version / 1000000, version / 1000 % 1000, version % 1000);
    return FALSE;
  }
  if (own != NULL && vp_xml_child_ns (own, VP_QEMU_NS, "frontend") != NULL)
    want_override_part (context, g_strdup_printf (PROPERTY_PLACE, alias), new_property ());
  else if (own != NULL)
    want_override_part (context, g_strdup_printf (FRONTEND_PLACE, alias), new_above ("frontend", new_property ()));
  else if (vp_xml_find (context->original->doc, OVERRIDE_PLACE) != NULL)
    want_override_part (context, g_strdup_printf (DEVICE_PLACE, alias), new_override_device (alias));
  else
    want_override_part (context, g_strdup (OVERRIDE_PLACE), new_above ("override", new_override_device (alias)));
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

/* FALSE: there is nothing to do, and a person who should know why is told. */
static gboolean
is_needed (VpRuleContext *context, VpHostdev *card)
{
  gboolean asked = vp_settings_choice (context->settings, VP_KEY_VGA_X_VGA) == VP_X_VGA_ON;
  g_autofree char *unknown = NULL;
  VpPciAddress address = { 0 };

  if (!vp_domain_is_bios (context->original)) {
    if (asked)
      vp_rule_warn (context, "vga.x-vga is on, but it serves BIOS guests only, and this one has other firmware: the "
                             "emulator stays as it is");
    return FALSE;
  }
  const char *own = find_own_x_vga (context->original, &address);
  if (own != NULL) {
    g_autofree char *text = vp_pci_address_dup_text (&address);
    if (!context->host_only) /* or it is what was put there, which stays as it is */
      vp_rule_warn (context,
                    "the domain itself gives the assigned device %s x-vga, in %s: that stays, and nothing is added; "
                    "take it out there to have this profile do it",
                    text, own);
    return FALSE;
  }
  if (!find_card (context, card, &unknown)) {
    explain_no_card (context, unknown);
    return FALSE;
  }
  if (!is_legacy_igd (context, card))
    return TRUE;
  if (asked)
    vp_rule_warn (context, "vga.x-vga is on, but QEMU itself makes an Intel card at 00:02.0 the primary VGA of an "
                           "i440fx guest: the emulator stays as it is");
  return FALSE;
}

/* What Linux reads of that card's ROM is the copy that the firmware left in memory, and has written to. */
static void
warn_of_boot_display (VpRuleContext *context)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (context->original);

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const VpPciDevice *device = vp_host_find_device (context->host, &hostdev->address);
    const xmlNode *rom = vp_xml_child (hostdev->node, "rom");
    g_autofree char *file = rom != NULL ? vp_xml_dup_attr (rom, "file") : NULL;
    if (device == NULL || !device->boot_vga || !vp_pci_is_display (device) ||
        (rom != NULL && (file != NULL || vp_xml_attr_is (rom, "enabled", "no"))))
      continue;
    g_autofree char *address = vp_pci_address_dup_text (&hostdev->address);
    vp_rule_warn (context,
                  "%s is the display that the host started on, and the ROM that can be read of such a card is a copy "
                  "that the firmware changed: the guest's screen may stay dark; give its <hostdev> a <rom file='…'/> "
                  "with the maker's file, or with a copy that was made while another card was the display",
                  address);
  }
}

static gboolean
plan_vga (VpRuleContext *context, GError **error)
{
  VpHostdev card = { 0 };

  warn_of_boot_display (context);
  if (vp_settings_choice (context->settings, VP_KEY_VGA_X_VGA) == VP_X_VGA_OFF || !is_needed (context, &card))
    return TRUE;
  g_autofree char *mark = want_mark (context, &card);
  warn_of_emulated_video (context);
  if (vp_settings_choice (context->settings, VP_KEY_VGA_METHOD) == VP_METHOD_OVERRIDE)
    return want_override (context, &card, mark, error);
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
#define OF_QEMU(name) "\\{" VP_QEMU_NS "\\}" name "(?:/@xmlns=" VP_QEMU_NS
#define PROPERTY OF_QEMU ("property") "|/@name=x-vga|/@type=bool|/@value=true)?"
#define FRONTEND OF_QEMU ("frontend") "|/" PROPERTY ")?"
#define OVERRIDE_DEVICE OF_QEMU ("device") "|/@alias=ua-[A-Za-z0-9_.:-]{1,200}|/" FRONTEND ")?"
#define DEVICE_PATTERN OVERRIDE_PATTERN "/\\*\\[local-name\\(\\)='device' and @alias='ua-[A-Za-z0-9_.:-]{1,200}'\\]"
#define FRONTEND_PATTERN DEVICE_PATTERN "/\\*\\[local-name\\(\\)='frontend'\\]"

static const VpRulePlace places[] = {
  { .place = "devices/hostdev/alias\\[@name='ua-[A-Za-z0-9_.:-]{1,200}'\\]",
    VP_GUEST_VISIBLE,
    "alias(?:/@name=[A-Za-z0-9_.:-]{1,200})?",
    "alias(?:/@name=ua-[A-Za-z0-9_.:-]{0,200}-x-vga)?",
    .is_renamed = TRUE },
  { .place = "devices/emulator", VP_HOST_ONLY, EMULATOR, EMULATOR },
  { .place = OVERRIDE_PATTERN, VP_GUEST_VISIBLE, NULL, OF_QEMU ("override") "|/" OVERRIDE_DEVICE ")?" },
  { .place = DEVICE_PATTERN, VP_GUEST_VISIBLE, NULL, OVERRIDE_DEVICE },
  { .place = FRONTEND_PATTERN, VP_GUEST_VISIBLE, NULL, FRONTEND },
  { .place = FRONTEND_PATTERN "/\\*\\[local-name\\(\\)='property' and @name='x-vga'\\]",
    VP_GUEST_VISIBLE,
    NULL,
    PROPERTY },
  { .place = NULL },
};

const VpRule vp_rule_vga = { "vga", places, plan_vga, NULL, find_emulator_problem };
