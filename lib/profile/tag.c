/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the tag to settings. The key table gives the clear messages; the RELAX NG
 * schema (data/vfio-profile-tag.rng, compiled in as a resource) has the last word.
 * How far a tag may go, the administrator's limits say.
 */
#include "profile/tag.h"

#include <gio/gio.h>
#include <libxml/relaxng.h>
#include <string.h>

#include "base/error.h"
#include "vp-resources.h"

#define SCHEMA_RESOURCE "/vfio-profile/vfio-profile-tag.rng"
#define WHERE "the <vfio:profile> tag"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlRelaxNGParserCtxt, xmlRelaxNGFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)

/* Compiled once; libxml2 allows validations in several threads with one schema. */
static xmlRelaxNG *
get_schema (void)
{
  static gsize schema = 0;

  if (g_once_init_enter (&schema)) {
    g_autoptr (GBytes) bytes = g_resource_lookup_data (vp_resources_get_resource (), SCHEMA_RESOURCE, 0, NULL);
    g_assert (bytes != NULL); /* part of the program */
    g_autoptr (xmlRelaxNGParserCtxt) parser =
      xmlRelaxNGNewMemParserCtxt (g_bytes_get_data (bytes, NULL), (int) g_bytes_get_size (bytes));
    xmlRelaxNG *parsed = xmlRelaxNGParse (parser);
    g_assert (parsed != NULL);
    g_once_init_leave (&schema, (gsize) parsed);
  }
  return (xmlRelaxNG *) schema;
}

static void
keep_first_message (void *data, VpXmlProblem *problem)
{
  char **message = data;

  if (*message == NULL && problem->message != NULL)
    *message = g_strndup (problem->message, strcspn (problem->message, "\n"));
}

static gboolean
check_schema (const xmlNode *tag, GError **error)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc (BAD_CAST "1.0");
  g_autoptr (xmlRelaxNGValidCtxt) validation = xmlRelaxNGNewValidCtxt (get_schema ());
  g_autofree char *message = NULL;

  xmlDocSetRootElement (doc, xmlDocCopyNode ((xmlNode *) tag, doc, 1));
  xmlRelaxNGSetValidStructuredErrors (validation, keep_first_message, &message);
  if (xmlRelaxNGValidateDoc (validation, doc) == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_TAG, WHERE " does not follow its schema: %s",
               message != NULL ? message : "no reason given");
  return FALSE;
}

/* What the profiles say already is no override. */
static gboolean
check_override (const VpLimits *limits, const VpSettings *settings, VpKey key, const char *value, GError **error)
{
  return vp_key_check (key, value, WHERE, error) &&
         (strcmp (vp_settings_get (settings, key), value) == 0 || vp_limits_check (limits, key, value, WHERE, error));
}

static gboolean
read_overrides (const xmlNode *section, const VpLimits *limits, VpSettings *settings, GError **error)
{
  const char *name = (const char *) section->name;
  VpKey key = VP_N_KEYS;

  if (section->ns == NULL || !xmlStrEqual (section->ns->href, BAD_CAST VP_TAG_NS)) {
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, WHERE ": <%s> is not in the namespace %s", name, VP_TAG_NS);
    return FALSE;
  }
  if (!vp_key_find (name, NULL, WHERE, &key, error))
    return FALSE;
  for (const xmlAttr *attr = section->properties; attr != NULL; attr = attr->next) {
    g_autofree char *value = (char *) xmlNodeListGetString (section->doc, attr->children, 1);
    if (!vp_key_find (name, (const char *) attr->name, WHERE, &key, error) ||
        !check_override (limits, settings, key, value != NULL ? value : "", error))
      return FALSE;
    g_free (settings->values[key]);
    settings->values[key] = g_steal_pointer (&value);
  }
  return TRUE;
}

static gboolean
check_attributes (const xmlNode *tag, GError **error)
{
  static const char *const names[] = { "name", "rule", "vcpus", NULL };

  for (const xmlAttr *attr = tag->properties; attr != NULL; attr = attr->next) {
    if (attr->ns == NULL && g_strv_contains (names, (const char *) attr->name))
      continue;
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, WHERE " has no attribute '%s'; it has: name, rule, vcpus",
                 (const char *) attr->name);
    return FALSE;
  }
  return TRUE;
}

/* libvirt keeps one element of a namespace; a file may hold two, and then nobody knows which is meant. */
static gboolean
check_alone (const xmlNode *tag, GError **error)
{
  for (const xmlNode *next = vp_xml_first (tag->parent); next != NULL; next = vp_xml_next (next)) {
    if (next == tag || next->ns == NULL || !xmlStrEqual (next->ns->href, BAD_CAST VP_TAG_NS))
      continue;
    g_set_error (error, VP_ERROR, VP_ERROR_TAG,
                 "<metadata> has a second element <%s> of the namespace %s: libvirt keeps one; put the names into "
                 "the name attribute of one tag",
                 (const char *) next->name, VP_TAG_NS);
    return FALSE;
  }
  return TRUE;
}

static gboolean
lay_profiles (VpTag *tag, const char *text, const VpProfiles *profiles, GError **error)
{
  g_auto (GStrv) words = g_strsplit_set (text, " \t\r\n", -1);
  g_autoptr (GString) names = g_string_new (NULL);

  for (guint i = 0; words[i] != NULL; i++) {
    if (words[i][0] == '\0')
      continue;
    const VpProfile *profile = vp_profiles_get (profiles, words[i], error);
    if (profile == NULL)
      return FALSE;
    vp_settings_overlay (tag->settings, profile->settings);
    g_string_append_printf (names, "%s%s", names->len > 0 ? " " : "", words[i]);
  }
  if (names->len == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_TAG, WHERE " names no profile: name='%s'", text);
    return FALSE;
  }
  tag->names = g_string_free (g_steal_pointer (&names), FALSE);
  return TRUE;
}

VpTag *
vp_tag_resolve (const xmlNode *node, const VpProfiles *profiles, GError **error)
{
  g_autoptr (VpTag) tag = g_new0 (VpTag, 1);
  g_autofree char *text = vp_xml_dup_attr (node, "name");

  tag->settings = vp_settings_new ();
  if (!check_alone (node, error) || !check_attributes (node, error) ||
      !lay_profiles (tag, text != NULL ? text : "", profiles, error))
    return NULL;
  for (const xmlNode *section = vp_xml_first (node); section != NULL; section = vp_xml_next (section))
    if (!read_overrides (section, vp_profiles_get_limits (profiles), tag->settings, error))
      return NULL;
  if (!check_schema (node, error))
    return NULL;
  return g_steal_pointer (&tag);
}

void
vp_tag_free (VpTag *tag)
{
  if (tag == NULL)
    return;
  g_free (tag->names);
  vp_settings_free (tag->settings);
  g_free (tag);
}
