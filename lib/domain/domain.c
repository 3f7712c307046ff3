/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parsing a domain definition and answering questions about it; no host, no profile. */
#include "domain/domain.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/number.h"
#include "base/x-vga-mark.h"

#define MAX_VCPUS 4096u /* QEMU's largest machine has 1024; a bound for hostile numbers */
#define MAX_IOTHREADS 1024u
#define MAX_CHILDREN 16384u /* of one element; what is done for each of them may look at all */
#define MAX_CPU 99999       /* as in lists; a bitmap is as long as its largest number */

/* Metadata is anybody's, and looked through but once. */
static gboolean
has_too_many (const xmlNode *parent)
{
  guint count = 0;

  for (const xmlNode *node = vp_xml_first (parent); node != NULL; node = vp_xml_next (node))
    if (++count > MAX_CHILDREN || (!vp_xml_is (node, "metadata") && has_too_many (node)))
      return TRUE;
  return FALSE;
}

VpDomain *
vp_domain_parse (const char *text, gsize length, const char *what, GError **error)
{
  g_autoptr (xmlDoc) doc = vp_xml_parse (text, length, what, error);

  if (doc == NULL)
    return NULL;
  xmlNode *root = xmlDocGetRootElement (doc);
  if (!vp_xml_is (root, "domain")) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "%s is not a domain: its root element is <%s>, expected <domain>", what,
                 (const char *) root->name);
    return NULL;
  }
  if (has_too_many (root)) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "%s has an element with more than %u children: that is no guest", what,
                 MAX_CHILDREN);
    return NULL;
  }
  VpDomain *domain = g_new0 (VpDomain, 1);
  domain->doc = g_steal_pointer (&doc);
  return domain;
}

VpDomain *
vp_domain_copy (const VpDomain *domain)
{
  VpDomain *copy = g_new0 (VpDomain, 1);

  copy->doc = vp_xml_copy (domain->doc);
  return copy;
}

void
vp_domain_free (VpDomain *domain)
{
  if (domain == NULL)
    return;
  xmlFreeDoc (domain->doc);
  g_free (domain);
}

char *
vp_domain_dup_text (const VpDomain *domain)
{
  return vp_xml_dup_text (domain->doc);
}

gboolean
vp_domain_equal (const VpDomain *a, const VpDomain *b)
{
  return vp_xml_equal (vp_domain_root (a), vp_domain_root (b));
}

const xmlNode *
vp_domain_root (const VpDomain *domain)
{
  return xmlDocGetRootElement (domain->doc);
}

static char *
dup_child_content (const VpDomain *domain, const char *name)
{
  xmlNode *node = vp_xml_child (vp_domain_root (domain), name);
  g_autofree char *text = node != NULL ? vp_xml_dup_content (node) : NULL;

  return text != NULL && text[0] != '\0' ? g_steal_pointer (&text) : NULL;
}

char *
vp_domain_dup_name (const VpDomain *domain)
{
  char *name = dup_child_content (domain, "name");

  return name != NULL ? name : g_strdup ("(no name)");
}

char *
vp_domain_dup_uuid (const VpDomain *domain)
{
  return dup_child_content (domain, "uuid");
}

static xmlNode *
metadata_child (const VpDomain *domain, const char *ns, const char *name)
{
  xmlNode *metadata = vp_xml_child (vp_domain_root (domain), "metadata");

  return metadata != NULL ? vp_xml_child_ns (metadata, ns, name) : NULL;
}

xmlNode *
vp_domain_tag (const VpDomain *domain)
{
  return metadata_child (domain, VP_TAG_NS, "profile");
}

xmlNode *
vp_domain_state (const VpDomain *domain)
{
  return metadata_child (domain, VP_STATE_NS, "state");
}

xmlNode *
vp_domain_ensure_state (VpDomain *domain)
{
  xmlNode *state = vp_domain_state (domain);
  guint made = 0;

  if (state != NULL)
    return state;
  state = xmlNewDocNode (domain->doc, NULL, BAD_CAST "state", NULL);
  xmlSetNs (state, xmlNewNs (state, BAD_CAST VP_STATE_NS, BAD_CAST "state"));
  vp_xml_insert (vp_xml_ensure (domain->doc, "metadata", &made), -1, state);
  return state;
}

char *
vp_domain_dup_tag_rule (const VpDomain *domain)
{
  const xmlNode *tag = vp_domain_tag (domain);

  return tag != NULL ? vp_xml_dup_attr (tag, "rule") : NULL;
}

void
vp_domain_set_rule_tag (VpDomain *domain, const char *names, const char *rule)
{
  xmlNode *tag = vp_domain_tag (domain);
  guint made = 0;

  for (; names == NULL && tag != NULL; tag = vp_domain_tag (domain)) { /* one who writes XML by hand may have two */
    xmlNode *metadata = tag->parent;
    vp_xml_remove (tag);
    if (metadata->children == NULL && metadata->properties == NULL) /* a comment is somebody's, too */
      vp_xml_remove (metadata);
  }
  if (names == NULL)
    return;
  if (tag == NULL) {
    tag = vp_xml_new ("profile", NULL);
    xmlSetNs (tag, xmlNewNs (tag, BAD_CAST VP_TAG_NS, BAD_CAST "vfio"));
    vp_xml_insert (vp_xml_ensure (domain->doc, "metadata", &made), -1, tag);
  }
  xmlSetProp (tag, BAD_CAST "name", BAD_CAST names); /* the overrides in it are the user's */
  if (rule != NULL)
    xmlSetProp (tag, BAD_CAST "rule", BAD_CAST rule);
  else
    xmlUnsetProp (tag, BAD_CAST "rule");
}

void
vp_domain_set_tag (VpDomain *domain, const char *names)
{
  vp_domain_set_rule_tag (domain, names, NULL);
}

int
vp_domain_run (const VpDomain *live)
{
  g_autofree char *text = vp_xml_dup_attr (vp_domain_root (live), "id");
  guint64 number = 0;

  return vp_number_parse (text, 10, G_MAXINT, &number) ? (int) number : 0;
}

gboolean
vp_domain_was_prepared (const VpDomain *live)
{
  return vp_domain_tag (live) != NULL && vp_domain_state (live) != NULL;
}

guint
vp_domain_vcpus (const VpDomain *domain, GError **error)
{
  g_autofree char *text = dup_child_content (domain, "vcpu");
  guint64 number = 1; /* libvirt's own default */

  if (text != NULL && (!vp_number_parse (text, 10, MAX_VCPUS, &number) || number == 0)) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "<vcpu> is '%s': a number from 1 to %u is needed", text, MAX_VCPUS);
    return 0;
  }
  return (guint) number;
}

/* libvirt goes by <vcpus> where there is one: what it does not name is off, and `current` says nothing. */
static void
read_enabled (const xmlNode *list, guint n, hwloc_bitmap_t online)
{
  for (const xmlNode *node = vp_xml_first (list); node != NULL; node = vp_xml_next (node)) {
    g_autofree char *text = vp_xml_dup_attr (node, "id");
    guint64 id = 0;
    if (vp_xml_is (node, "vcpu") && vp_xml_attr_is (node, "enabled", "yes") && vp_number_parse (text, 10, n - 1, &id))
      hwloc_bitmap_set (online, (unsigned) id);
  }
}

hwloc_bitmap_t
vp_domain_new_online_vcpus (const VpDomain *domain)
{
  guint n = vp_domain_vcpus (domain, NULL);
  const xmlNode *list = vp_xml_child (vp_domain_root (domain), "vcpus");
  g_autofree char *text = vp_xml_dup_place_value (domain->doc, "vcpu/@current");
  guint64 current = n;
  hwloc_bitmap_t online = hwloc_bitmap_alloc ();

  if (n > 0 && list != NULL && vp_xml_first (list) != NULL)
    read_enabled (list, n, online);
  else if (!vp_number_parse (text, 10, n, &current))
    current = n;
  if (n > 0 && hwloc_bitmap_iszero (online))
    hwloc_bitmap_set_range (online, 0, (int) MAX (current, 1) - 1);
  return online;
}

guint
vp_domain_threads (const VpDomain *domain)
{
  xmlNode *topology = vp_xml_find (domain->doc, "cpu/topology");
  g_autofree char *text = topology != NULL ? vp_xml_dup_attr (topology, "threads") : NULL;
  guint64 threads = 1;

  return vp_number_parse (text, 10, MAX_VCPUS, &threads) && threads > 0 ? (guint) threads : 1;
}

static gint
compare_guint (gconstpointer a, gconstpointer b)
{
  guint left = *(const guint *) a;
  guint right = *(const guint *) b;

  return left < right ? -1 : left > right;
}

static gboolean
contains_guint (const GArray *numbers, guint number)
{
  for (guint i = 0; i < numbers->len; i++)
    if (g_array_index (numbers, guint, i) == number)
      return TRUE;
  return FALSE;
}

/* <iothreads> says how many; <iothreadids> names some of them, the rest are the lowest free numbers from 1. */
GArray *
vp_domain_iothreads (const VpDomain *domain)
{
  GArray *ids = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autofree char *text = dup_child_content (domain, "iothreads");
  xmlNode *list = vp_xml_child (vp_domain_root (domain), "iothreadids");
  guint64 count = 0;

  if (list != NULL) {
    for (xmlNode *node = vp_xml_first (list); node != NULL; node = vp_xml_next (node)) {
      g_autofree char *id = vp_xml_dup_attr (node, "id");
      guint64 number = 0;
      if (vp_xml_is (node, "iothread") && vp_number_parse (id, 10, G_MAXUINT, &number) && ids->len < MAX_IOTHREADS) {
        guint as_id = (guint) number;
        g_array_append_val (ids, as_id);
      }
    }
  }
  if (vp_number_parse (text, 10, MAX_IOTHREADS, &count)) {
    for (guint id = 1; ids->len < count; id++)
      if (!contains_guint (ids, id))
        g_array_append_val (ids, id);
  }
  g_array_sort (ids, compare_guint);
  return ids;
}

/* libvirt's units: KB and MB are powers of ten, K, KiB, M, MiB of two; KiB when none is named. */
static const struct {
  const char *name;
  guint64 bytes;
} memory_units[] = {
  { "b", 1 },
  { "bytes", 1 },
  { "KB", 1000 },
  { "k", 1024 },
  { "KiB", 1024 },
  { "MB", 1000000 },
  { "M", 1024 * 1024 },
  { "MiB", 1024 * 1024 },
  { "GB", 1000000000 },
  { "G", 1024 * 1024 * 1024 },
  { "GiB", 1024 * 1024 * 1024 },
  { "TB", G_GUINT64_CONSTANT (1000000000000) },
  { "T", G_GUINT64_CONSTANT (1099511627776) },
  { "TiB", G_GUINT64_CONSTANT (1099511627776) },
};

gboolean
vp_size_to_kib (const char *text, const char *unit, guint64 *kib)
{
  guint64 factor = unit == NULL ? 1024 : 0;
  guint64 number = 0;
  guint64 bytes = 0;

  for (gsize i = 0; unit != NULL && i < G_N_ELEMENTS (memory_units); i++)
    if (g_ascii_strcasecmp (unit, memory_units[i].name) == 0)
      factor = memory_units[i].bytes;
  if (factor == 0 || !vp_number_parse (text, 10, G_MAXUINT64, &number) ||
      !g_uint64_checked_mul (&bytes, number, factor))
    return FALSE;
  *kib = bytes / 1024 + (bytes % 1024 != 0 ? 1 : 0); /* libvirt rounds up to KiB as well */
  return TRUE;
}

GArray *
vp_domain_cells_kib (const VpDomain *domain, GError **error)
{
  g_autoptr (GArray) cells = g_array_new (FALSE, FALSE, sizeof (guint64));
  xmlNode *numa = vp_xml_find (domain->doc, "cpu/numa");

  for (xmlNode *node = numa != NULL ? vp_xml_first (numa) : NULL; node != NULL; node = vp_xml_next (node)) {
    if (!vp_xml_is (node, "cell"))
      continue;
    g_autofree char *text = vp_xml_dup_attr (node, "memory");
    g_autofree char *unit = vp_xml_dup_attr (node, "unit");
    guint64 kib = 0;
    if (!vp_size_to_kib (text != NULL ? text : "0", unit, &kib)) {
      g_set_error (error, VP_ERROR, VP_ERROR_XML, "guest NUMA cell %u has memory '%s' in unit '%s': not a size",
                   cells->len, text, unit != NULL ? unit : "KiB");
      return NULL;
    }
    g_array_append_val (cells, kib);
  }
  return g_steal_pointer (&cells);
}

guint64
vp_domain_memory_kib (const VpDomain *domain, GError **error)
{
  xmlNode *node = vp_xml_child (vp_domain_root (domain), "memory");
  g_autofree char *text = node != NULL ? vp_xml_dup_content (node) : NULL;
  g_autofree char *unit = node != NULL ? vp_xml_dup_attr (node, "unit") : NULL;
  guint64 kib = 0;

  if (text == NULL || !vp_size_to_kib (text, unit, &kib) || kib == 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_XML, "<memory> is '%s' in unit '%s': a size above 0 is needed",
                 text != NULL ? text : "", unit != NULL ? unit : "KiB");
    return 0;
  }
  return kib;
}

char *
vp_domain_dup_arch (const VpDomain *domain)
{
  xmlNode *type = vp_xml_find (domain->doc, "os/type");

  return type != NULL ? vp_xml_dup_attr (type, "arch") : NULL;
}

static gboolean
is_x86 (const VpDomain *domain)
{
  g_autofree char *arch = vp_domain_dup_arch (domain);

  return g_strcmp0 (arch, "x86_64") == 0 || g_strcmp0 (arch, "i686") == 0;
}

gboolean
vp_domain_is_x86_kvm (const VpDomain *domain)
{
  return vp_xml_attr_is (vp_domain_root (domain), "type", "kvm") && is_x86 (domain);
}

/* OVMF comes as <os firmware='efi'> or as a pflash loader; whatever else x86 boots with is SeaBIOS. */
gboolean
vp_domain_is_bios (const VpDomain *domain)
{
  xmlNode *os = vp_xml_child (vp_domain_root (domain), "os");
  xmlNode *loader = os != NULL ? vp_xml_child (os, "loader") : NULL;

  if (os == NULL || !is_x86 (domain))
    return FALSE;
  return !vp_xml_attr_is (os, "firmware", "efi") && (loader == NULL || !vp_xml_attr_is (loader, "type", "pflash"));
}

char *
vp_domain_dup_emulator (const VpDomain *domain)
{
  xmlNode *node = vp_xml_find (domain->doc, "devices/emulator");

  return node != NULL ? vp_xml_dup_content (node) : NULL;
}

static gboolean
read_address (const xmlNode *node, VpPciAddress *address)
{
  static const char *const names[] = { "domain", "bus", "slot", "function" };
  static const guint64 most[] = { G_MAXUINT32, 0xff, 0x1f, 7 };
  guint64 values[G_N_ELEMENTS (names)] = { 0 };

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *text = vp_xml_dup_attr (node, names[i]);
    if (text != NULL && !vp_number_parse (text, 0, most[i], &values[i]))
      return FALSE;
  }
  address->domain = (unsigned) values[0];
  address->bus = (unsigned) values[1];
  address->slot = (unsigned) values[2];
  address->function = (unsigned) values[3];
  return TRUE;
}

/* Network cards may be given as interfaces; their address says the same. */
static xmlNode *
find_host_address (const xmlNode *node)
{
  gboolean is_hostdev = vp_xml_is (node, "hostdev") && vp_xml_attr_is (node, "type", "pci");
  gboolean is_interface = vp_xml_is (node, "interface") && vp_xml_attr_is (node, "type", "hostdev");
  xmlNode *source = is_hostdev || is_interface ? vp_xml_child (node, "source") : NULL;
  xmlNode *address = source != NULL ? vp_xml_child (source, "address") : NULL;

  return address != NULL && is_interface && !vp_xml_attr_is (address, "type", "pci") ? NULL : address;
}

GArray *
vp_domain_hostdevs (const VpDomain *domain)
{
  GArray *found = g_array_new (FALSE, TRUE, sizeof (VpHostdev));
  xmlNode *devices = vp_xml_child (vp_domain_root (domain), "devices");

  for (xmlNode *node = devices != NULL ? vp_xml_first (devices) : NULL; node != NULL; node = vp_xml_next (node)) {
    xmlNode *address = find_host_address (node);
    VpHostdev hostdev = { .node = node, .managed = vp_xml_attr_is (node, "managed", "yes") };
    if (address != NULL && read_address (address, &hostdev.address))
      g_array_append_val (found, hostdev);
  }
  return found;
}

gboolean
vp_hostdev_guest_address (const VpHostdev *hostdev, VpPciAddress *address)
{
  const xmlNode *node = vp_xml_child (hostdev->node, "address");

  return node != NULL && vp_xml_attr_is (node, "type", "pci") && read_address (node, address);
}

GArray *
vp_domain_device_addresses (const VpDomain *domain)
{
  GArray *addresses = g_array_new (FALSE, FALSE, sizeof (VpPciAddress));
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);

  for (guint i = 0; i < hostdevs->len; i++)
    g_array_append_val (addresses, g_array_index (hostdevs, VpHostdev, i).address);
  return addresses;
}

gboolean
vp_domain_find_x_vga (const VpDomain *domain, VpPciAddress *address, char **alias)
{
  g_autoptr (GArray) hostdevs = vp_domain_hostdevs (domain);

  for (guint i = 0; i < hostdevs->len; i++) {
    const VpHostdev *hostdev = &g_array_index (hostdevs, VpHostdev, i);
    const xmlNode *node = vp_xml_child (hostdev->node, "alias");
    g_autofree char *name = node != NULL ? vp_xml_dup_attr (node, "name") : NULL;
    if (name == NULL || !vp_x_vga_mark_is (name))
      continue;
    *address = hostdev->address;
    if (alias != NULL)
      *alias = g_steal_pointer (&name);
    return TRUE;
  }
  return FALSE;
}
