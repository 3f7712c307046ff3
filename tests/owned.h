/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a definition no rule may change, for tests that hold two definitions against each other. */
#pragma once

#include <string.h>

#include "domain/aliases.h"
#include "host/wrapper.h"

/* All that a rule may change; what is left of a definition without these must stay as it was. */
static const char *const owned[] = {
  "cputune/vcpupin",
  "cputune/emulatorpin",
  "cputune/iothreadpin",
  "numatune/memory",
  "memoryBacking/hugepages",
  "memoryBacking/allocation",
  "memoryBacking/nosharepages",
  "memoryBacking/source[@type='anonymous']",
  "features/kvm/hidden",
  "features/kvm/hint-dedicated",
  "features/hyperv",
  "clock/timer[@name='hypervclock']",
  "cpu/topology",
  "cpu/feature[@name='topoext']",
  "cpu/cache",
  "devices/hostdev/alias",
  "devices/emulator",
  "metadata/*[namespace-uri()='urn:vfio-profile:state:1']",
  "*[local-name()='override']",
};

/* The same for domains that have no NUMA cells of their own. */
static const char *const owned_cells[] = { "cpu/numa", "numatune/memnode" };

/* The same for domains whose profile trims. */
static const char *const owned_trim[] = {
  "devices/video",
  "devices/graphics",
  "devices/sound",
  "devices/audio",
  "devices/input[@type='tablet']",
  "devices/channel[@type='spicevmc']",
  "devices/channel[@type='spiceport']",
  "devices/channel[@type='qemu-vdagent']",
  "devices/redirdev[@type='spicevmc']",
  "devices/smartcard[@type='spicevmc']",
};

G_GNUC_UNUSED static void
prune_empty (xmlNode *node)
{
  for (xmlNode *child = vp_xml_first (node); child != NULL;) {
    xmlNode *next = vp_xml_next (child);
    prune_empty (child);
    g_autofree char *text = vp_xml_dup_content (child);
    if (vp_xml_first (child) == NULL && child->properties == NULL && text[0] == '\0')
      vp_xml_remove (child);
    child = next;
  }
}

G_GNUC_UNUSED static void
remove_all (VpDomain *domain, const char *place)
{
  for (xmlNode *node = vp_xml_find (domain->doc, place); node != NULL; node = vp_xml_find (domain->doc, place))
    vp_xml_remove (node);
}

/* The names by which devices are named may follow those that a rule changes; all else of such an argument stays. */
G_GNUC_UNUSED static void
mask_names (VpDomain *domain)
{
  for (xmlNode *node = vp_domain_first_of_qemu (domain, "override"); node != NULL; node = vp_xml_next (node))
    if (xmlHasProp (node, BAD_CAST "alias") != NULL)
      xmlSetProp (node, BAD_CAST "alias", BAD_CAST "*");
  for (xmlNode *node = vp_domain_first_of_qemu (domain, "commandline"); node != NULL; node = vp_xml_next (node)) {
    xmlNode *arg = (xmlNode *) vp_argument_value (node, "set");
    g_autofree char *value = arg != NULL ? vp_xml_dup_attr (arg, "value") : NULL;
    const char *dot = value != NULL && g_str_has_prefix (value, "device.") ? strchr (value + 7, '.') : NULL;
    g_autofree char *masked = dot != NULL ? g_strconcat ("device.*", dot, NULL) : NULL;
    if (masked != NULL)
      xmlSetProp (arg, BAD_CAST "value", BAD_CAST masked);
  }
}

/* Freed by the caller; the same for definitions that differ in owned places only. */
G_GNUC_UNUSED static char *
dup_unowned (const VpDomain *domain, gboolean own_cells, gboolean trims)
{
  g_autoptr (VpDomain) copy = vp_domain_copy (domain);

  mask_names (copy);
  for (guint i = 0; i < G_N_ELEMENTS (owned); i++)
    remove_all (copy, owned[i]);
  for (guint i = 0; !own_cells && i < G_N_ELEMENTS (owned_cells); i++)
    remove_all (copy, owned_cells[i]);
  for (guint i = 0; trims && i < G_N_ELEMENTS (owned_trim); i++)
    remove_all (copy, owned_trim[i]);
  xmlNode *vcpu = vp_xml_find (copy->doc, "vcpu");
  if (vcpu != NULL)
    xmlUnsetProp (vcpu, BAD_CAST "placement");
  prune_empty (xmlDocGetRootElement (copy->doc));
  return vp_xml_dup_unordered (vp_domain_root (copy));
}

/* Of char *: each owned element but the emulator, in a text that has slashes in values alone. */
G_GNUC_UNUSED static GPtrArray *
list_owned (const VpDomain *domain)
{
  static const char *const places[] = {
    "cputune/vcpupin | cputune/emulatorpin | cputune/iothreadpin | numatune/memory | numatune/memnode | cpu/numa",
    "memoryBacking/hugepages | memoryBacking/allocation | memoryBacking/nosharepages | memoryBacking/source",
    "features/kvm/* | features/hyperv | features/hyperv/* | clock/timer | cpu/topology | cpu/feature | cpu/cache",
    "devices/hostdev/alias | *[local-name()='override'] | *[local-name()='commandline']",
    "devices/video | devices/graphics | devices/sound | devices/audio | devices/input | devices/channel",
    "devices/redirdev | devices/smartcard",
  };
  GPtrArray *texts = g_ptr_array_new_with_free_func (g_free);

  for (gsize i = 0; i < G_N_ELEMENTS (places); i++) {
    g_autoptr (VpDomain) copy = vp_domain_copy (domain);
    g_auto (GStrv) each = g_strsplit (places[i], " | ", -1);
    for (guint j = 0; each[j] != NULL; j++) {
      for (xmlNode *node = vp_xml_find (copy->doc, each[j]); node != NULL; node = vp_xml_find (copy->doc, each[j])) {
        g_ptr_array_add (texts, vp_xml_dup_unordered (node));
        vp_xml_remove (node);
      }
    }
  }
  return texts;
}

G_GNUC_UNUSED static gboolean
is_harmless (const char *text)
{
  const char *node = strstr (text, "rendernode=\"/dev/dri/");
  const char *slash = strchr (text, '/');

  if (strstr (text, "{u") != NULL || strstr (text, "{h") != NULL)
    return FALSE; /* another namespace than none */
  return slash == NULL || (node != NULL && slash == node + strlen ("rendernode=\""));
}

/* Nothing but owned places differs, and what is new there names no path; the emulator is the one that ran. */
G_GNUC_UNUSED static gboolean
is_harmless_undo (const VpDomain *before, const VpDomain *after)
{
  g_autoptr (VpDomain) left = vp_domain_copy (before);
  g_autoptr (VpDomain) right = vp_domain_copy (after);

  mask_names (left);
  mask_names (right);
  while (vp_domain_tag (left) != NULL)
    vp_xml_remove (vp_domain_tag (left));
  while (vp_domain_tag (right) != NULL)
    vp_xml_remove (vp_domain_tag (right));
  g_autofree char *unowned_left = dup_unowned (left, FALSE, TRUE);
  g_autofree char *unowned_right = dup_unowned (right, FALSE, TRUE);
  g_autoptr (GPtrArray) old = list_owned (left);
  g_autoptr (GPtrArray) new = list_owned (right);
  gboolean harmless = strcmp (unowned_left, unowned_right) == 0;
  for (guint i = 0; i < new->len; i++)
    harmless = harmless && (is_harmless (new->pdata[i]) ||
                            g_ptr_array_find_with_equal_func (old, new->pdata[i], g_str_equal, NULL));
  g_autofree char *named = vp_domain_dup_emulator (left);
  g_autofree char *given = vp_domain_dup_emulator (right);
  return harmless &&
         (given == NULL || g_strcmp0 (named, given) == 0 || (named != NULL && vp_wrapper_is_of (named, given)));
}
