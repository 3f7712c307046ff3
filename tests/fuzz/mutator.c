/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes definitions as trees, so that the targets spend their time behind the parser:
 * elements come, go, move and are doubled; attributes, values, namespaces, tags and forged
 * originals come from tables. The same seed makes the same change. libFuzzer calls it; so does
 * run-seeds.c, a few times for each seed.
 *
 * With VP_FUZZ_PARTS documents in an input they are separated by lines of %%, and what is one
 * document becomes as many versions of it.
 */
#include <stdint.h>
#include <string.h>

#include "../forged.h"
#include "base/xml.h"
#include "schema-words.h"

#define MOST_CHANGES 6
#define MOST_DEPTH 64 /* of what is made; the parser's own bound is none of ours */
#define SEPARATOR "\n%%\n"

size_t LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed);
/* libFuzzer's own, of bytes; not there in the ordinary tests. */
size_t LLVMFuzzerMutate (uint8_t *data, size_t size, size_t max_size) __attribute__ ((weak));

typedef struct {
  xmlDoc *doc;
  GRand *rand;
  GPtrArray *elements; /* of the document as it was before this change */
} Mutation;

/* What libvirt has in a place; a parent that is NULL is any. */
static const struct {
  const char *parent;
  const char *xml;
} pieces[] = {
  { "domain", "<vcpu placement='static' current='2'>4</vcpu>" },
  { "domain", "<vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/><vcpu id='1' enabled='no'/></vcpus>" },
  { "domain", "<iothreads>2</iothreads>" },
  { "domain", "<iothreadids><iothread id='2'/><iothread id='5' thread_pool_max='4'/></iothreadids>" },
  { "domain", "<memory unit='GiB'>4</memory>" },
  { "domain", "<maxMemory slots='4' unit='GiB'>16</maxMemory>" },
  { "domain", "<cputune><vcpupin vcpu='0' cpuset='1'/><emulatorpin cpuset='0'/></cputune>" },
  { "cputune", "<vcpupin vcpu='1' cpuset='0-3,^2'/>" },
  { "cputune", "<iothreadpin iothread='1' cpuset='0'/>" },
  { "cputune", "<cachetune vcpus='0-1'><cache id='0' level='3' type='both' size='3' unit='MiB'/></cachetune>" },
  { "domain", "<numatune><memory mode='strict' nodeset='0'/></numatune>" },
  { "numatune", "<memnode cellid='0' mode='strict' nodeset='1'/>" },
  { "domain", "<memoryBacking><hugepages><page size='2048' unit='KiB' nodeset='0'/></hugepages></memoryBacking>" },
  { "memoryBacking", "<source type='memfd'/>" },
  { "memoryBacking", "<access mode='shared'/>" },
  { "domain", "<features><acpi/><kvm><hidden state='on'/></kvm></features>" },
  { "features", "<hyperv mode='custom'><relaxed state='on'/><vendor_id state='on' value='x'/></hyperv>" },
  { "domain", "<cpu mode='host-passthrough'><topology sockets='1' dies='1' cores='2' threads='2'/></cpu>" },
  { "cpu", "<numa><cell id='0' cpus='0-1' memory='2' unit='GiB'/><cell id='1' cpus='2-3' memory='2'/></numa>" },
  { "cpu", "<feature policy='require' name='topoext'/>" },
  { "cpu", "<cache mode='passthrough'/>" },
  { "domain", "<clock offset='utc'><timer name='hypervclock' present='yes'/></clock>" },
  { "clock", "<timer name='hypervclock' present='no'/>" },
  { "domain", "<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>" },
  { "domain", "<devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>" },
  { "devices", "<disk type='file'><driver name='qemu' iothread='1'/><target dev='vdb' bus='virtio'/></disk>" },
  { "devices", "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='a'/></interface>" },
  { "devices", "<controller type='pci' index='8' model='pcie-root-port'/>" },
  { "devices", "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0' "
               "function='0'/></source><alias name='ua-a'/></hostdev>" },
  { "devices", "<hostdev mode='subsystem' type='mdev'><source><address uuid='a'/></source></hostdev>" },
  { "devices",
    "<video><model type='qxl'><acceleration accel3d='yes' rendernode='/dev/dri/renderD128'/></model></video>" },
  { "devices", "<graphics type='spice' autoport='yes'><listen type='address'/><image compression='off'/></graphics>" },
  { "devices", "<graphics type='vnc' port='-1' passwd='x'/>" },
  { "devices", "<sound model='ich9'><audio id='1'/></sound>" },
  { "devices", "<audio id='1' type='spice'/>" },
  { "devices", "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>" },
  { "devices", "<redirdev bus='usb' type='spicevmc'/>" },
  { "devices", "<smartcard mode='passthrough' type='spicevmc'/>" },
  { "devices", "<input type='tablet' bus='usb'/>" },
  { "devices", "<shmem name='looking-glass'><model type='ivshmem-plain'/><size unit='M'>32</size></shmem>" },
  { "devices", "<memory model='dimm'><target><size unit='GiB'>1</size><node>0</node></target></memory>" },
  { NULL, "<address type='pci' domain='0x0000' bus='0x00' slot='0x07' function='0x0' multifunction='on'/>" },
  { NULL, "<alias name='ua-a-x-vga'/>" },
  { NULL, "<boot order='1'/>" },
  { "domain", "<metadata/>" },
  { "metadata", "<v:profile xmlns:v='urn:vfio-profile:1' name='gaming'><v:cpu pin='exact' cache='on'/></v:profile>" },
  { "metadata", "<v:profile xmlns:v='urn:vfio-profile:1' name='vga'><v:vga method='override'/></v:profile>" },
  { "metadata", "<v:profile xmlns:v='urn:vfio-profile:1' name='pinned'><v:devices trim='yes'/>"
                "<v:memory page-size='1G' nosharepages='yes'/><v:cpu numa='expose' topology='match'/></v:profile>" },
  { "metadata", "<v:profile xmlns:v='urn:vfio-profile:1' name='pinned' rule='hashtag'/>" },
  { "metadata", "<s:state xmlns:s='urn:vfio-profile:state:1' write='11111111-2222-4333-8444-555555555555'/>" },
  { "metadata", "<o:libosinfo xmlns:o='http://libosinfo.org/xmlns/libvirt/domain/1.0'><o:os id='a'/></o:libosinfo>" },
  { "domain", "<title>games #vfio:gaming</title>" },
  { "domain", "<q:commandline " FORGED_QEMU "><q:arg value='-global'/><q:arg value='a=1'/></q:commandline>" },
  { "commandline", "<q:arg " FORGED_QEMU " value='-set'/>" },
  { "commandline", "<q:arg " FORGED_QEMU " value='device.ua-a.x-vga=on'/>" },
  { "domain", "<q:override " FORGED_QEMU "><q:device alias='ua-a'><q:frontend><q:property name='x-vga' type='bool' "
              "value='true'/></q:frontend></q:device></q:override>" },
};

static const char *const namespaces[] = { "http://libvirt.org/schemas/domain/qemu/1.0", "urn:vfio-profile:1",
                                          "urn:vfio-profile:state:1", "urn:x" };

static guint
pick (Mutation *self, gsize n)
{
  return (guint) g_rand_int_range (self->rand, 0, (gint32) n);
}

/* One of the words that are separated by blanks. The caller's. */
static char *
dup_word (Mutation *self, const char *words)
{
  const char *from = words + pick (self, strlen (words));

  while (from > words && from[-1] != ' ')
    from--;
  if (*from == ' ')
    from++;
  return g_strndup (from, strcspn (from, " "));
}

static void
list_elements (GPtrArray *elements, xmlNode *element, guint depth)
{
  g_ptr_array_add (elements, element);
  for (xmlNode *child = vp_xml_first (element); child != NULL && depth < MOST_DEPTH; child = vp_xml_next (child))
    list_elements (elements, child, depth + 1);
}

static xmlNode *
pick_element (Mutation *self)
{
  return self->elements->pdata[pick (self, self->elements->len)];
}

/* NULL: there is the root alone. */
static xmlNode *
pick_child (Mutation *self)
{
  return self->elements->len > 1 ? self->elements->pdata[1 + pick (self, self->elements->len - 1)] : NULL;
}

/* Mostly one of that name, where there is any. */
static xmlNode *
pick_parent (Mutation *self, const char *name)
{
  guint from = pick (self, self->elements->len);

  for (guint i = 0; name != NULL && i < self->elements->len && pick (self, 64) > 0; i++) {
    xmlNode *element = self->elements->pdata[(from + i) % self->elements->len];
    if (g_str_equal (element->name, name))
      return element;
  }
  return pick_element (self);
}

static void
add_parsed (Mutation *self, xmlNode *parent, const char *xml)
{
  g_autoptr (xmlDoc) doc = vp_xml_parse (xml, strlen (xml), "a piece", NULL);
  xmlNode *copy = doc != NULL ? xmlDocCopyNode (xmlDocGetRootElement (doc), self->doc, 1) : NULL;
  xmlNode *before = vp_xml_first (parent);

  g_assert_nonnull (copy);
  for (guint i = pick (self, 8); before != NULL && i > 0; i--)
    before = vp_xml_next (before);
  if (before != NULL)
    xmlAddPrevSibling (before, copy);
  else
    xmlAddChild (parent, copy);
}

static void
insert_piece (Mutation *self)
{
  guint which = pick (self, G_N_ELEMENTS (pieces));

  add_parsed (self, pick_parent (self, pieces[which].parent), pieces[which].xml);
}

static void
insert_word (Mutation *self)
{
  g_autofree char *name = dup_word (self, word_elements);
  g_autofree char *value = dup_word (self, word_values);

  xmlNewTextChild (pick_element (self), NULL, BAD_CAST name, pick (self, 2) > 0 ? BAD_CAST value : NULL);
}

/* Into the state that is there, or with one of its own. */
static void
insert_slot (Mutation *self)
{
  g_autofree char *slot = forged_dup_slot (self->rand, pick (self, G_N_ELEMENTS (forged_honest)));
  g_autofree char *state = g_strdup_printf ("<s:state xmlns:s='urn:vfio-profile:state:1'>%s</s:state>", slot);
  xmlNode *parent = pick_parent (self, "state");

  if (!g_str_equal (parent->name, "state")) {
    add_parsed (self, pick_parent (self, "metadata"), state);
    return;
  }
  g_autoptr (xmlDoc) doc = vp_xml_parse (state, strlen (state), "a slot", NULL);
  g_assert_nonnull (doc);
  xmlAddChild (parent, xmlDocCopyNode (vp_xml_first (xmlDocGetRootElement (doc)), self->doc, 1));
}

static void
remove_element (Mutation *self)
{
  xmlNode *element = pick_child (self);

  if (element != NULL)
    vp_xml_remove (element);
}

static void
double_element (Mutation *self)
{
  xmlNode *element = pick_child (self);

  if (element != NULL)
    xmlAddNextSibling (element, xmlDocCopyNode (element, self->doc, 1));
}

/* Not into itself. */
static void
move_element (Mutation *self)
{
  xmlNode *element = pick_child (self);
  xmlNode *to = pick (self, 2) > 0 && element != NULL ? element->parent : pick_element (self);

  for (const xmlNode *above = to; element != NULL && above != NULL; above = above->parent)
    if (above == element)
      return;
  if (element == NULL)
    return;
  xmlUnlinkNode (element);
  if (to->children != NULL && pick (self, 2) > 0)
    xmlAddPrevSibling (to->children, element);
  else
    xmlAddChild (to, element);
  xmlReconciliateNs (self->doc, element);
}

static void
rename_element (Mutation *self)
{
  xmlNode *element = pick_child (self);
  g_autofree char *name = dup_word (self, word_elements);

  if (element != NULL)
    xmlNodeSetName (element, BAD_CAST name);
}

static void
set_namespace (Mutation *self)
{
  xmlNode *element = pick_child (self);
  guint which = pick (self, G_N_ELEMENTS (namespaces) + 1);

  if (element == NULL)
    return;
  if (which == G_N_ELEMENTS (namespaces)) {
    xmlSetNs (element, NULL);
    return;
  }
  xmlNs *ns = xmlSearchNsByHref (self->doc, element, BAD_CAST namespaces[which]);
  xmlSetNs (element, ns != NULL ? ns : xmlNewNs (element, BAD_CAST namespaces[which], BAD_CAST "n"));
}

static void
set_attribute (Mutation *self)
{
  xmlNode *element = pick_element (self);
  g_autofree char *name = dup_word (self, word_attributes);
  g_autofree char *value = dup_word (self, word_values);
  const xmlAttr *there = element->properties;

  for (guint i = pick (self, 4); there != NULL && i > 0; i--)
    there = there->next;
  xmlSetProp (element, there != NULL && pick (self, 4) > 0 ? there->name : BAD_CAST name, BAD_CAST value);
}

static void
remove_attribute (Mutation *self)
{
  xmlNode *element = pick_element (self);

  for (xmlAttr *attribute = element->properties; attribute != NULL; attribute = attribute->next)
    if (attribute->next == NULL || pick (self, 3) == 0) {
      xmlRemoveProp (attribute);
      return;
    }
}

static void
set_text (Mutation *self)
{
  xmlNode *element = pick_child (self);
  g_autofree char *value = dup_word (self, word_values);

  if (element == NULL)
    return;
  if (vp_xml_first (element) != NULL && pick (self, 8) > 0)
    return;
  xmlNodeSetContent (element, BAD_CAST value);
}

static void
insert_odd (Mutation *self)
{
  xmlNode *element = pick_element (self);
  guint which = pick (self, 3);

  if (which == 0)
    xmlAddChild (element, xmlNewDocComment (self->doc, BAD_CAST " a comment "));
  else if (which == 1)
    xmlAddChild (element, xmlNewCDataBlock (self->doc, BAD_CAST "<x>", 3));
  else
    xmlAddChild (element, xmlNewDocText (self->doc, BAD_CAST "\n  "));
}

/* The more often here, the more often done. */
static void (*const changes[]) (Mutation *self) = {
  insert_piece,   insert_piece,   insert_piece,     insert_slot,    insert_slot,   insert_word,   remove_element,
  remove_element, double_element, move_element,     rename_element, set_namespace, set_attribute, set_attribute,
  set_attribute,  set_attribute,  remove_attribute, set_text,       insert_odd,
};

/* The document changed; as it was, if it cannot be parsed. */
static char *
dup_changed (const char *text, GRand *rand)
{
  static const char least[] = "<domain type='kvm'><name>a</name><metadata/><memory>4194304</memory><vcpu>2</vcpu>"
                              "<os><type arch='x86_64'>hvm</type></os><devices/></domain>";
  xmlDoc *doc = vp_xml_parse (text, strlen (text), "input", NULL);
  g_autoptr (xmlDoc) owned = doc != NULL ? doc : vp_xml_parse (least, strlen (least), "the least", NULL);
  Mutation self = { .doc = owned, .rand = rand };

  for (int n = g_rand_int_range (rand, 1, MOST_CHANGES + 1); n > 0; n--) {
    self.elements = g_ptr_array_new ();
    list_elements (self.elements, xmlDocGetRootElement (owned), 0);
    changes[pick (&self, G_N_ELEMENTS (changes))](&self);
    g_ptr_array_unref (self.elements);
  }
  return vp_xml_dup_text (owned);
}

static void
replace_part (char **part, char *with)
{
  g_free (*part);
  *part = with;
}

/* `parts` has room for VP_FUZZ_PARTS and the NULL. */
static void
change_parts (char **parts, GRand *rand)
{
  if (g_strv_length (parts) < VP_FUZZ_PARTS)
    for (guint i = 1; i < VP_FUZZ_PARTS; i++)
      replace_part (&parts[i], g_strdup (parts[0]));
  for (guint i = 0; i < VP_FUZZ_PARTS; i++)
    if (VP_FUZZ_PARTS == 1 || g_rand_int_range (rand, 0, i == 0 ? 6 : 2) == 0)
      replace_part (&parts[i], dup_changed (parts[i], rand));
  if (VP_FUZZ_PARTS > 1 && g_rand_int_range (rand, 0, 16) == 0)
    replace_part (&parts[0], g_strdup (parts[VP_FUZZ_PARTS - 1]));
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_auto (GStrv) split = NULL;
  char **parts;

  if (LLVMFuzzerMutate != NULL && g_rand_int_range (rand, 0, 32) == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  split = g_strsplit (text, SEPARATOR, VP_FUZZ_PARTS);
  parts = g_new0 (char *, VP_FUZZ_PARTS + 1);
  for (guint i = 0; i < VP_FUZZ_PARTS; i++)
    parts[i] = g_strdup (i < g_strv_length (split) ? split[i] : (i == 0 ? "" : NULL));
  change_parts (parts, rand);
  g_autofree char *changed = g_strjoinv (SEPARATOR, parts);
  g_strfreev (parts);
  size_t length = strlen (changed);
  if (length > max_size)
    return size; /* as it was */
  memcpy (data, changed, length);
  return length;
}
