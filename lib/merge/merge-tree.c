/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Equality and identity for the merge.
 *
 * Equality is exact and costs one pass: every node is written as a key (its
 * name, namespace, sorted attributes and the numbers of its children), and
 * equal keys get equal numbers. No subtree is compared twice, and no hash is
 * trusted without its key.
 *
 * Identity says which disk is which. The table below holds it for what libvirt
 * repeats; whatever it does not name is the n-th element of its name.
 */
#include "merge/merge-tree.h"

#include <string.h>

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

#define MAX_PATHS 16

/* A path is elements and at most one last @attribute; without one, the whole element counts. */
typedef struct {
  const char *parent; /* NULL: any */
  const char *name;
  const char *paths[MAX_PATHS];
} VpMergeIdentity;

typedef struct {
  const char *element;
  const char *paths[MAX_PATHS];
} VpMergeClaim;

static const VpMergeIdentity identities[] = {
  { "devices", "disk", { "target/@dev" } },
  { "devices", "filesystem", { "target/@dir" } },
  { "devices", "interface", { "mac/@address" } },
  { "devices", "controller", { "@type", "@index" } },
  { "devices",
    "hostdev",
    { "@type", "source/adapter", "source/address", "source/vendor", "source/product", "source/@wwpn", "source/block",
      "source/char", "source/interface" } },
  { "devices", "graphics", { "@type" } },
  { "devices", "audio", { "@id" } },
  { "devices", "input", { "@type", "@bus", "source/@dev" } },
  { "devices", "channel", { "target/@type", "target/@name", "target/@address", "target/@port" } },
  { "devices", "serial", { "target/@port" } },
  { "devices", "parallel", { "target/@port" } },
  { "devices", "console", { "target/@port" } },
  { "devices", "shmem", { "@name" } },
  { "devices", "lease", { "lockspace", "key" } },
  { "devices", "panic", { "@model" } },
  /* A domain has one of these (of video: one that is primary). */
  { "devices", "emulator", { NULL } },
  { "devices", "video", { NULL } },
  { "devices", "memballoon", { NULL } },
  { "devices", "watchdog", { NULL } },
  { "devices", "tpm", { NULL } },
  { "devices", "iommu", { NULL } },
  { "devices", "vsock", { NULL } },
  { "devices", "nvram", { NULL } },
  { "devices", "redirfilter", { NULL } },
  { "cputune", "vcpupin", { "@vcpu" } },
  { "cputune", "iothreadpin", { "@iothread" } },
  { "cputune", "vcpusched", { "@vcpus" } },
  { "cputune", "iothreadsched", { "@iothreads" } },
  { "cputune", "cachetune", { "@vcpus" } },
  { "cputune", "memorytune", { "@vcpus" } },
  { "cachetune", "cache", { "@id", "@level", "@type" } },
  { "cachetune", "monitor", { "@level", "@vcpus" } },
  { "memorytune", "node", { "@id" } },
  { "iothreadids", "iothread", { "@id" } },
  { "vcpus", "vcpu", { "@id" } },
  { "numatune", "memnode", { "@cellid" } },
  { "hugepages", "page", { "@size", "@nodeset" } },
  { "cpu", "feature", { "@name" } },
  { "numa", "cell", { "@id" } },
  { "cell", "cache", { "@level" } },
  { "distances", "sibling", { "@id" } },
  { "interconnects", "latency", { "@initiator", "@target", "@cache", "@type" } },
  { "interconnects", "bandwidth", { "@initiator", "@target", "@cache", "@type" } },
  { "clock", "timer", { "@name" } },
  { "os", "boot", { "@dev" } },
  { "os", "initenv", { "@name" } },
  { "acpi", "table", { "@type" } },
  { "firmware", "feature", { "@name" } },
  { "domain", "sysinfo", { "@type" } },
  { "domain", "seclabel", { "@model" } },
  { "blkiotune", "device", { "path" } },
  { "idmap", "uid", { "@start" } },
  { "idmap", "gid", { "@start" } },
  { "perf", "event", { "@name" } },
  { "keywrap", "cipher", { "@name" } },
  { "filterref", "parameter", { "@name" } },
  { "interface", "ip", { "@address" } },
  { "interface", "route", { "@address", "@prefix" } },
  { "graphics", "listen", { "@type", "@address", "@network" } },
  { "graphics", "channel", { "@name" } },
  { "source", "host", { "@name", "@port" } },
  { NULL, "entry", { "@name" } },
  { "override", "device", { "@alias" } },
  { "frontend", "property", { "@name" } },
};

/* Devices that have no name of their own (rng, sound, memory, hub …): where they are plugged in. */
static const VpMergeIdentity any_device = { "devices", NULL, { "address" } };

static const VpMergeClaim claims[] = {
  /* Without multifunction, which does not move the device. */
  { "address",
    { "address/@type", "address/@domain", "address/@controller", "address/@bus", "address/@target", "address/@slot",
      "address/@unit", "address/@function", "address/@port", "address/@base", "address/@reg", "address/@iobase",
      "address/@cssid", "address/@ssid", "address/@devno" } },
  { "boot", { "boot/@order" } },
  { "alias", { "alias/@name" } },
};

VpMergeClasses *
vp_merge_classes_new (void)
{
  return g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
}

static guint
classes_number (VpMergeClasses *classes, const GString *key)
{
  GBytes *bytes = g_bytes_new (key->str, key->len);
  guint number = GPOINTER_TO_UINT (g_hash_table_lookup (classes, bytes));

  if (number != 0) {
    g_bytes_unref (bytes);
    return number;
  }
  number = g_hash_table_size (classes) + 1;
  g_hash_table_insert (classes, bytes, GUINT_TO_POINTER (number));
  return number;
}

/* With its NUL, so that keys made of several strings are unambiguous. */
static void
key_add_string (GString *key, const void *string)
{
  if (string != NULL)
    g_string_append (key, string);
  g_string_append_c (key, '\0');
}

static void
key_add_value (GString *key, const xmlAttr *attribute)
{
  for (const xmlNode *part = attribute->children; part != NULL; part = part->next)
    if (part->content != NULL)
      g_string_append (key, (const char *) part->content);
  g_string_append_c (key, '\0');
}

static const void *
ns_href (const xmlNs *ns)
{
  return ns != NULL ? ns->href : NULL;
}

static int
compare_attributes (const void *a, const void *b)
{
  const xmlAttr *one = *(const xmlAttr *const *) a;
  const xmlAttr *two = *(const xmlAttr *const *) b;
  int order = strcmp ((const char *) one->name, (const char *) two->name);

  return order != 0 ? order : g_strcmp0 (ns_href (one->ns), ns_href (two->ns));
}

static void
key_add_attributes (GString *key, const xmlNode *node)
{
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();

  for (xmlAttr *attribute = node->properties; attribute != NULL; attribute = attribute->next)
    g_ptr_array_add (sorted, attribute);
  g_ptr_array_sort (sorted, compare_attributes);
  for (guint i = 0; i < sorted->len; i++) {
    const xmlAttr *attribute = g_ptr_array_index (sorted, i);

    key_add_string (key, attribute->name);
    key_add_string (key, ns_href (attribute->ns));
    key_add_value (key, attribute);
  }
  g_string_append_c (key, '\0');
}

static gboolean
is_text (const xmlNode *node)
{
  return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE;
}

static gboolean
children_have_text (const xmlNode *node)
{
  for (const xmlNode *child = node->children; child != NULL; child = child->next)
    if (is_text (child) && !xmlIsBlankNode (child))
      return TRUE;
  return FALSE;
}

static void
node_clear (VpMergeNode *self)
{
  for (guint i = 0; i < self->n_children; i++)
    node_clear (&self->children[i]);
  g_free (self->children);
}

/* Of <qemu:arg value='…'/> in a command line, with nothing in it; NULL: another node. Borrowed. */
static const char *
get_argument (const VpMergeNode *self)
{
  const xmlNode *node = self->node;
  const xmlAttr *value = node->type == XML_ELEMENT_NODE ? node->properties : NULL;

  if (value == NULL || node->ns == NULL || !g_str_equal (node->name, "arg") || self->n_children > 0 ||
      !xmlStrEqual (node->parent->name, BAD_CAST "commandline") || value->next != NULL ||
      !g_str_equal (value->name, "value") || value->children == NULL)
    return NULL;
  return (const char *) value->children->content;
}

/* "-global", "--global"; not "-" and "-1", which are values. */
static gboolean
is_flag (const char *argument)
{
  return argument[0] == '-' && g_ascii_isalpha (argument[1 + (argument[1] == '-')]);
}

/* A flag takes one value at most, and what looks like a flag is none. */
static gboolean
is_value_of (const VpMergeNode *flag, const VpMergeNode *value)
{
  const char *before = flag->last == flag->node ? get_argument (flag) : NULL;
  const char *argument = before != NULL && is_flag (before) ? get_argument (value) : NULL;

  return argument != NULL && !is_flag (argument);
}

/* Behind the others, or as the value of the last. */
static void
add_child (GArray *children, VpMergeNode *loaded, VpMergeClasses *classes)
{
  VpMergeNode *before = children->len > 0 ? &g_array_index (children, VpMergeNode, children->len - 1) : NULL;
  g_autoptr (GString) key = g_string_new ("+");

  if (before == NULL || !is_value_of (before, loaded)) {
    g_array_append_val (children, *loaded);
    return;
  }
  g_string_append_len (key, (const char *) &before->value, sizeof before->value);
  g_string_append_len (key, (const char *) &loaded->value, sizeof loaded->value);
  before->last = loaded->node;
  before->value = classes_number (classes, key);
  node_clear (loaded);
}

static void
node_load (VpMergeNode *self, const xmlNode *node, VpMergeClasses *classes)
{
  g_autoptr (GArray) children = NULL;
  g_autoptr (GString) key = g_string_new (NULL);

  self->node = node;
  self->last = node;
  g_string_append_c (key, is_text (node) ? XML_TEXT_NODE : (char) node->type);
  key_add_string (key, is_text (node) ? NULL : node->name);
  if (node->type != XML_ELEMENT_NODE) {
    key_add_string (key, node->content);
    self->value = classes_number (classes, key);
    return;
  }

  key_add_string (key, ns_href (node->ns));
  key_add_attributes (key, node);
  self->has_text = children_have_text (node);
  children = g_array_new (FALSE, TRUE, sizeof (VpMergeNode));
  for (const xmlNode *child = node->children; child != NULL; child = child->next) {
    VpMergeNode loaded = { 0 };

    if (is_text (child) && !self->has_text)
      continue;
    node_load (&loaded, child, classes);
    add_child (children, &loaded, classes);
  }
  for (guint i = 0; i < children->len; i++) {
    guint value = g_array_index (children, VpMergeNode, i).value;

    g_string_append_len (key, (const char *) &value, sizeof value);
  }
  self->value = classes_number (classes, key);
  self->n_children = children->len;
  self->children = (VpMergeNode *) (void *) g_array_free (g_steal_pointer (&children), FALSE);
}

VpMergeNode *
vp_merge_tree_new (const xmlNode *root, VpMergeClasses *classes)
{
  VpMergeNode *self = g_new0 (VpMergeNode, 1);

  node_load (self, root, classes);
  return self;
}

void
vp_merge_tree_free (VpMergeNode *root)
{
  if (root == NULL)
    return;
  node_clear (root);
  g_free (root);
}

static gboolean
has_name (const VpMergeNode *self, const char *name)
{
  return self->node->type == XML_ELEMENT_NODE && g_str_equal (self->node->name, name);
}

gboolean
vp_merge_node_is (const VpMergeNode *self, const char *name)
{
  return has_name (self, name) && self->node->ns == NULL;
}

gboolean
vp_merge_node_same_name (const VpMergeNode *a, const VpMergeNode *b)
{
  if (a->node->type != b->node->type || !xmlStrEqual (a->node->name, b->node->name))
    return FALSE;
  return a->node->type != XML_ELEMENT_NODE || xmlStrEqual (ns_href (a->node->ns), ns_href (b->node->ns));
}

gboolean
vp_merge_node_is_foreign (const VpMergeNode *self)
{
  const char *href = ns_href (self->node->ns);

  return href != NULL && !g_str_equal (href, QEMU_NAMESPACE);
}

gboolean
vp_merge_node_is_ordered (const VpMergeNode *self)
{
  if (self->node->ns == NULL)
    return FALSE;
  return vp_merge_node_is_foreign (self) ||
         !(has_name (self, "override") || has_name (self, "device") || has_name (self, "frontend"));
}

static const VpMergeIdentity *
find_identity (const VpMergeNode *child, const VpMergeNode *parent)
{
  for (gsize i = 0; i < G_N_ELEMENTS (identities); i++)
    if (has_name (child, identities[i].name) &&
        (identities[i].parent == NULL || has_name (parent, identities[i].parent)))
      return &identities[i];
  return vp_merge_node_is (parent, "devices") ? &any_device : NULL;
}

static gboolean
key_add_attribute (GString *key, const VpMergeNode *self, const char *name)
{
  for (const xmlAttr *attribute = self->node->properties; attribute != NULL; attribute = attribute->next)
    if (g_str_equal (attribute->name, name)) {
      key_add_value (key, attribute);
      return TRUE;
    }
  return FALSE;
}

static gboolean
path_step_is (const VpMergeNode *child, const char *step, gsize length)
{
  const char *name = (const char *) child->node->name;

  return child->node->type == XML_ELEMENT_NODE && strncmp (name, step, length) == 0 && name[length] == '\0';
}

/* Adds what is at the path, or nothing; says whether something was there. */
static gboolean
key_add_path (GString *key, const VpMergeNode *self, const char *path)
{
  gsize length = strcspn (path, "/");

  if (path[0] == '@')
    return key_add_attribute (key, self, path + 1);
  for (guint i = 0; i < self->n_children; i++) {
    const VpMergeNode *child = &self->children[i];

    if (!path_step_is (child, path, length))
      continue;
    if (path[length] == '/')
      return key_add_path (key, child, path + length + 1);
    g_string_append_printf (key, "%u", child->value);
    return TRUE;
  }
  return FALSE;
}

static gboolean
key_add_paths (GString *key, const VpMergeNode *self, const char *const paths[MAX_PATHS])
{
  gboolean any = FALSE;

  for (guint i = 0; i < MAX_PATHS && paths[i] != NULL; i++) {
    any |= key_add_path (key, self, paths[i]);
    g_string_append_c (key, '\0');
  }
  return any;
}

guint
vp_merge_node_identity (const VpMergeNode *child, const VpMergeNode *parent, VpMergeClasses *classes, gboolean *strong)
{
  g_autoptr (GString) key = g_string_new ("=");
  const VpMergeIdentity *identity;

  *strong = TRUE;
  if (child->node->type != XML_ELEMENT_NODE)
    return child->value;
  /* libvirt keeps one element of each namespace in <metadata>. */
  if (vp_merge_node_is (parent, "metadata") && child->node->ns != NULL) {
    key_add_string (key, "metadata");
    key_add_string (key, child->node->ns->href);
    return classes_number (classes, key);
  }
  key_add_string (key, child->node->name);
  key_add_string (key, ns_href (child->node->ns));
  if (vp_merge_node_is_foreign (parent)) {
    *strong = FALSE;
    return classes_number (classes, key);
  }
  identity = find_identity (child, parent);
  if (identity != NULL && identity->paths[0] != NULL)
    *strong = key_add_paths (key, child, identity->paths) && identity != &any_device;
  return classes_number (classes, key);
}

static guint
source_value (const VpMergeNode *device)
{
  for (guint i = 0; i < device->n_children; i++)
    if (vp_merge_node_is (&device->children[i], "source"))
      return device->children[i].value;
  return 0;
}

static gboolean
takes_media (const VpMergeNode *device)
{
  g_autoptr (GString) kind = g_string_new (NULL);

  return key_add_attribute (kind, device, "device") &&
         (g_str_equal (kind->str, "cdrom") || g_str_equal (kind->str, "floppy"));
}

gboolean
vp_merge_node_is_another (const VpMergeNode *before, const VpMergeNode *after)
{
  return (vp_merge_node_is (after, "disk") || vp_merge_node_is (after, "filesystem")) && !takes_media (after) &&
         source_value (before) != source_value (after);
}

static gboolean
is_drive_address (const VpMergeNode *self)
{
  g_autoptr (GString) type = g_string_new (NULL);

  return key_add_attribute (type, self, "type") && g_str_equal (type->str, "drive");
}

guint
vp_merge_device_n_claims (void)
{
  return G_N_ELEMENTS (claims);
}

guint
vp_merge_device_claim (const VpMergeNode *device, guint claim, VpMergeClasses *classes, const char **element)
{
  g_autoptr (GString) key = g_string_new ("!");

  *element = claims[claim].element;
  for (guint i = 0; i < device->n_children; i++)
    if (vp_merge_node_is (&device->children[i], *element)) {
      key_add_string (key, *element);
      key_add_paths (key, device, claims[claim].paths);
      /* SATA, SCSI and IDE have a drive 0 each. */
      if (is_drive_address (&device->children[i]))
        key_add_path (key, device, "target/@bus");
      return classes_number (classes, key);
    }
  return 0;
}
