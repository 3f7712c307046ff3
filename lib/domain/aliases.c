/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names as libvirt gives them, and a rename of all at once: hostdev1 may become hostdev0 as that becomes another. */
#include "domain/aliases.h"

#include <string.h>

#include "base/pattern.h"

#define SET_DEVICE "device."

/* Returns what stands for the name that is given, NULL: it stays. */
typedef const char *(*Rename) (const char *name, gconstpointer data);

static void
add_names (GHashTable *names, const VpDomain *domain, const char *element, const char *type, guint *number)
{
  xmlNode *devices = vp_xml_child (vp_domain_root (domain), "devices");

  for (xmlNode *node = devices != NULL ? vp_xml_first (devices) : NULL; node != NULL; node = vp_xml_next (node)) {
    if (!vp_xml_is (node, element) || (type != NULL && !vp_xml_attr_is (node, "type", type)))
      continue;
    const xmlNode *alias = vp_xml_child (node, "alias");
    g_autofree char *own = alias != NULL ? vp_xml_dup_attr (alias, "name") : NULL;
    gboolean kept = own != NULL && vp_pattern_fits ("ua-[A-Za-z0-9_-]+", own);
    g_hash_table_insert (names, node, kept ? g_steal_pointer (&own) : g_strdup_printf ("hostdev%u", (*number)++));
  }
}

GHashTable *
vp_aliases_new (const VpDomain *domain)
{
  GHashTable *names = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  guint number = 0;

  add_names (names, domain, "interface", "hostdev", &number);
  add_names (names, domain, "hostdev", NULL, &number);
  return names;
}

xmlNode *
vp_domain_first_of_qemu (const VpDomain *domain, const char *part)
{
  const xmlNode *parent = vp_xml_child_ns (vp_domain_root (domain), VP_QEMU_NS, part);

  return parent != NULL ? vp_xml_first (parent) : NULL;
}

/* The environment stands among the arguments. */
static gboolean
is_argument (const xmlNode *node)
{
  return xmlStrEqual (node->name, BAD_CAST "arg");
}

const xmlNode *
vp_argument_value (const xmlNode *arg, const char *option)
{
  g_autofree char *name = is_argument (arg) ? vp_xml_dup_attr (arg, "value") : NULL;
  const xmlNode *next = vp_xml_next (arg);

  if (name == NULL || strcmp (name + strspn (name, "-"), option) != 0)
    return NULL;
  while (next != NULL && !is_argument (next))
    next = vp_xml_next (next);
  g_autofree char *value = next != NULL ? vp_xml_dup_attr (next, "value") : NULL;
  return name[0] == '-' && value != NULL && value[0] != '-' ? next : NULL;
}

static gboolean
rename_override (xmlNode *device, Rename rename, gconstpointer data)
{
  g_autofree char *name = vp_xml_dup_attr (device, "alias");
  const char *now = name != NULL ? rename (name, data) : NULL;

  if (now != NULL)
    xmlSetProp (device, BAD_CAST "alias", BAD_CAST now);
  return name != NULL;
}

static gboolean
rename_argument (xmlNode *arg, Rename rename, gconstpointer data)
{
  xmlNode *node = (xmlNode *) vp_argument_value (arg, "set");
  g_autofree char *value = node != NULL ? vp_xml_dup_attr (node, "value") : NULL;
  const char *dot =
    value != NULL && g_str_has_prefix (value, SET_DEVICE) ? strchr (value + strlen (SET_DEVICE), '.') : NULL;

  if (dot == NULL)
    return FALSE;
  const char *start = value + strlen (SET_DEVICE);
  g_autofree char *name = g_strndup (start, (gsize) (dot - start));
  const char *now = rename (name, data);
  g_autofree char *all = now != NULL ? g_strconcat (SET_DEVICE, now, dot, NULL) : NULL;
  if (all != NULL)
    xmlSetProp (node, BAD_CAST "value", BAD_CAST all);
  return TRUE;
}

/* TRUE: there is something that names a device. */
static gboolean
rename_all (const VpDomain *domain, Rename rename, gconstpointer data)
{
  gboolean any = FALSE;

  for (xmlNode *node = vp_domain_first_of_qemu (domain, "override"); node != NULL; node = vp_xml_next (node))
    any |= rename_override (node, rename, data);
  for (xmlNode *node = vp_domain_first_of_qemu (domain, "commandline"); node != NULL; node = vp_xml_next (node))
    any |= rename_argument (node, rename, data);
  return any;
}

static const char *
find_now (const char *name, gconstpointer data)
{
  return g_hash_table_lookup ((GHashTable *) data, name);
}

void
vp_aliases_follow (const GHashTable *before, VpDomain *domain)
{
  g_autoptr (GHashTable) now = vp_aliases_new (domain);
  g_autoptr (GHashTable) moved = g_hash_table_new (g_str_hash, g_str_equal);
  GHashTableIter all;
  gpointer node = NULL;
  gpointer name = NULL;

  g_hash_table_iter_init (&all, (GHashTable *) before);
  while (g_hash_table_iter_next (&all, &node, &name)) {
    const char *other = g_hash_table_lookup (now, node);
    if (other != NULL && strcmp (other, name) != 0)
      g_hash_table_insert (moved, name, (gpointer) other);
  }
  rename_all (domain, find_now, moved);
}

static const char *
keep (const char *name, gconstpointer data)
{
  (void) name, (void) data;
  return NULL;
}

gboolean
vp_aliases_are_named (const VpDomain *domain)
{
  return rename_all (domain, keep, NULL);
}
