/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes overrides into the tag's element; what else stands in it stays. */
#include "cli/plan/tag-edit.h"

#include <string.h>

#define WHERE "--option"

static void
clear_override (gpointer data)
{
  g_free (((VpOverride *) data)->value);
}

static gboolean
parse_override (const char *text, VpOverride *override, GError **error)
{
  const char *equals = strchr (text, '=');
  const char *dot = equals != NULL ? memchr (text, '.', (gsize) (equals - text)) : NULL;

  if (dot == NULL) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                 WHERE " takes section.key=value, such as cpu.reserve-cores=2, not '%s'", text);
    return FALSE;
  }
  g_autofree char *section = g_strndup (text, (gsize) (dot - text));
  g_autofree char *name = g_strndup (dot + 1, (gsize) (equals - dot - 1));
  if (!vp_key_find (section, name, WHERE, &override->key, error) ||
      (equals[1] != '\0' && !vp_key_check (override->key, equals + 1, WHERE, error)))
    return FALSE;
  override->value = g_strdup (equals + 1);
  return TRUE;
}

GArray *
vp_overrides_parse (const char *const *texts, GError **error)
{
  g_autoptr (GArray) overrides = g_array_new (FALSE, TRUE, sizeof (VpOverride));

  g_array_set_clear_func (overrides, clear_override);
  for (guint i = 0; texts != NULL && texts[i] != NULL; i++) {
    g_autoptr (GError) problem = NULL;
    VpOverride override = { 0 };
    if (!parse_override (texts[i], &override, &problem)) {
      /* What the library calls an error of the tag is one of the command line here. */
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s", problem->message);
      return NULL;
    }
    g_array_append_val (overrides, override);
  }
  return g_steal_pointer (&overrides);
}

static void
take_out (xmlNode *section, const char *name)
{
  if (section == NULL)
    return;
  xmlUnsetProp (section, BAD_CAST name);
  if (section->properties == NULL && vp_xml_first (section) == NULL)
    vp_xml_remove (section);
}

void
vp_overrides_apply (const GArray *overrides, VpDomain *domain)
{
  xmlNode *tag = vp_domain_tag (domain);

  for (guint i = 0; i < overrides->len; i++) {
    const VpOverride *override = &g_array_index (overrides, VpOverride, i);
    const VpKeyInfo *info = vp_key_info (override->key);
    xmlNode *section = vp_xml_child_ns (tag, VP_TAG_NS, info->section);
    if (override->value[0] == '\0') {
      take_out (section, info->name);
      continue;
    }
    if (section == NULL) {
      section = vp_xml_new (info->section, NULL);
      vp_xml_insert (tag, -1, section);
      xmlSetNs (section, tag->ns);
    }
    xmlSetProp (section, BAD_CAST info->name, BAD_CAST override->value);
  }
}
