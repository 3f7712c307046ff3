/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attribute of the tag, and <vcpu>. */
#include "domain/vcpu-request.h"

#include "base/number.h"

#define ATTRIBUTE "vcpus"

guint
vp_vcpu_request_read (const VpDomain *domain)
{
  const xmlNode *tag = vp_domain_tag (domain);
  g_autofree char *text = tag != NULL ? vp_xml_dup_attr (tag, ATTRIBUTE) : NULL;
  guint64 number = 0;

  return vp_number_parse (text, 10, VP_VCPU_REQUEST_MAX, &number) ? (guint) number : 0;
}

void
vp_vcpu_request_set (VpDomain *domain, guint vcpus)
{
  xmlNode *tag = vp_domain_tag (domain);
  g_autofree char *text = g_strdup_printf ("%u", vcpus);

  if (vcpus == 0)
    xmlUnsetProp (tag, BAD_CAST ATTRIBUTE);
  else
    xmlSetProp (tag, BAD_CAST ATTRIBUTE, BAD_CAST text);
}

void
vp_vcpu_request_carry_out (VpDomain *domain, guint vcpus)
{
  const xmlNode *root = vp_domain_root (domain);
  xmlNode *vcpu = vp_xml_child (root, "vcpu");
  xmlNode *list = vp_xml_child (root, "vcpus");
  g_autofree char *text = g_strdup_printf ("%u", vcpus);

  vp_vcpu_request_set (domain, 0);
  if (vcpu == NULL) {
    vcpu = vp_xml_new ("vcpu", NULL);
    vp_xml_insert ((xmlNode *) root, -1, vcpu);
  }
  xmlNodeSetContent (vcpu, BAD_CAST text);
  xmlUnsetProp (vcpu, BAD_CAST "current");
  if (list != NULL)
    vp_xml_remove (list);
}

guint
vp_vcpu_request_topology (const VpDomain *domain)
{
  static const char *const levels[] = { "sockets", "dies", "clusters", "cores", "threads" };
  const xmlNode *topology = vp_xml_find (domain->doc, "cpu/topology");
  guint64 total = topology != NULL ? 1 : 0;

  for (guint i = 0; i < G_N_ELEMENTS (levels) && total != 0; i++) {
    g_autofree char *text = vp_xml_dup_attr (topology, levels[i]);
    guint64 number = 1;
    if (text != NULL && !vp_number_parse (text, 10, VP_VCPU_REQUEST_MAX, &number))
      return 0;
    total *= number;
  }
  return total <= VP_VCPU_REQUEST_MAX ? (guint) total : 0;
}
