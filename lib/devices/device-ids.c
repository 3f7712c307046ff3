/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes <state:device>; who refuses what is device-check.c's matter. */
#include "devices/device-ids.h"

#include "base/error.h"
#include "base/number.h"

#define MAX_DEVICES 1024u /* each is held against each of the domain's */

static gboolean
is_device (const xmlNode *node)
{
  return node->ns != NULL && xmlStrEqual (node->ns->href, BAD_CAST VP_STATE_NS) &&
         xmlStrEqual (node->name, BAD_CAST "device");
}

static gboolean
read_id (const xmlNode *node, const char *name, guint16 *id)
{
  g_autofree char *text = vp_xml_dup_attr (node, name);
  guint64 number = 0;

  if (!vp_number_parse (text, 16, G_MAXUINT16, &number))
    return FALSE;
  *id = (guint16) number;
  return TRUE;
}

GArray *
vp_device_ids_read (const VpDomain *domain, GError **error)
{
  g_autoptr (GArray) found = g_array_new (FALSE, TRUE, sizeof (VpDeviceIds));
  const xmlNode *state = vp_domain_state (domain);

  for (const xmlNode *node = state != NULL ? vp_xml_first (state) : NULL; node != NULL; node = vp_xml_next (node)) {
    VpDeviceIds ids = { .vendor = 0 };
    if (!is_device (node))
      continue;
    g_autofree char *address = vp_xml_dup_attr (node, "address");
    if (address == NULL || !vp_pci_address_parse (address, &ids.address) || !read_id (node, "vendor", &ids.vendor) ||
        !read_id (node, "device", &ids.device) || found->len == MAX_DEVICES) {
      g_set_error (
        error, VP_ERROR, VP_ERROR_STATE,
        "the state in the metadata (%s) has a <device> at '%s' that is none, or more than any guest has: address, vendor "
        "and device are needed; remove that <device> with 'virsh edit'",
        VP_STATE_NS, address != NULL ? address : "");
      return NULL;
    }
    g_array_append_val (found, ids);
  }
  return g_steal_pointer (&found);
}

void
vp_device_ids_write (VpDomain *domain, const GArray *ids)
{
  xmlNode *state = ids->len > 0 ? vp_domain_ensure_state (domain) : NULL;

  for (guint i = 0; i < ids->len; i++) {
    const VpDeviceIds *one = &g_array_index (ids, VpDeviceIds, i);
    g_autofree char *address = vp_pci_address_dup_text (&one->address);
    g_autofree char *vendor = g_strdup_printf ("%04x", one->vendor);
    g_autofree char *device = g_strdup_printf ("%04x", one->device);
    xmlNode *node = xmlAddChild (state, xmlNewNode (state->ns, BAD_CAST "device"));
    xmlNewProp (node, BAD_CAST "address", BAD_CAST address);
    xmlNewProp (node, BAD_CAST "vendor", BAD_CAST vendor);
    xmlNewProp (node, BAD_CAST "device", BAD_CAST device);
  }
}

GArray *
vp_device_ids_plan (const GArray *saved, const VpDomain *domain, const VpHost *host)
{
  GArray *planned = g_array_new (FALSE, TRUE, sizeof (VpDeviceIds));
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpPciAddress *address = &g_array_index (hostdevs, VpHostdev, i).address;
    const VpDeviceIds *before = vp_device_ids_find (saved, address);
    const VpPciDevice *device = vp_host_find_device (host, address);
    VpDeviceIds ids = { .address = *address };
    if (planned->len == MAX_DEVICES || vp_device_ids_find (planned, address) != NULL ||
        (before == NULL && device == NULL))
      continue;
    ids.vendor = before != NULL ? before->vendor : device->vendor;
    ids.device = before != NULL ? before->device : device->device;
    g_array_append_val (planned, ids);
  }
  return planned;
}

void
vp_device_ids_forget (VpDomain *domain)
{
  xmlNode *state = vp_domain_state (domain);
  xmlNode *node = state != NULL ? vp_xml_first (state) : NULL;

  while (node != NULL) {
    xmlNode *next = vp_xml_next (node);
    if (is_device (node))
      vp_xml_remove (node);
    node = next;
  }
}

const VpDeviceIds *
vp_device_ids_find (const GArray *ids, const VpPciAddress *address)
{
  for (guint i = 0; i < ids->len; i++) {
    const VpDeviceIds *one = &g_array_index (ids, VpDeviceIds, i);
    if (vp_pci_address_equal (&one->address, address))
      return one;
  }
  return NULL;
}

char *
vp_device_ids_dup_text (const VpDeviceIds *ids)
{
  return g_strdup_printf ("%04x:%04x", ids->vendor, ids->device);
}
