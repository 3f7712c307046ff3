/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An attribute of the state; see write-id.h for what it is good for. */
#include "domain/write-id.h"

#define ATTRIBUTE "write"

void
vp_write_id_set (VpDomain *domain, const char *id)
{
  xmlSetProp (vp_domain_ensure_state (domain), BAD_CAST ATTRIBUTE, BAD_CAST id);
}

char *
vp_write_id_dup (const VpDomain *domain)
{
  const xmlNode *state = vp_domain_state (domain);

  return state != NULL ? vp_xml_dup_attr (state, ATTRIBUTE) : NULL;
}

gboolean
vp_write_id_is_alone (const VpDomain *domain)
{
  const xmlNode *state = vp_domain_state (domain);

  return state != NULL && vp_xml_first (state) == NULL;
}

char *
vp_write_id_new (void)
{
  return g_uuid_string_random ();
}
