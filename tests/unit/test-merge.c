/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vp_merge_three_way: a table of edits that met, as they look in libvirt's XML,
 * and properties over a whole document.
 */
#include "test-merge-cases.h"

#include "base/error.h"
#include "base/xml.h"
#include "merge/merge.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>

/* A domain as virt-manager defines it for Windows, in libvirt's own layout. */
static const char domain[] = "<domain type='kvm' " QEMU ">\n"
                             "  <name>win10</name>\n"
                             "  <uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fa0</uuid>\n"
                             "  <title>Windows</title>\n"
                             "  <metadata>\n"
                             "    <libosinfo:libosinfo " OSINFO ">\n"
                             "      <libosinfo:os id='http://microsoft.com/win/10'/>\n"
                             "    </libosinfo:libosinfo>\n"
                             "    <vfio:profile " TAG " name='gaming'/>\n"
                             "  </metadata>\n"
                             "  <memory unit='KiB'>8388608</memory>\n"
                             "  <currentMemory unit='KiB'>8388608</currentMemory>\n"
                             "  <vcpu placement='static'>4</vcpu>\n"
                             "  <iothreads>1</iothreads>\n"
                             "  <os>\n"
                             "    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n"
                             "    <boot dev='hd'/>\n"
                             "  </os>\n"
                             "  <features>\n"
                             "    <acpi/>\n"
                             "    <hyperv mode='custom'>\n"
                             "      <relaxed state='on'/>\n"
                             "      <spinlocks state='on' retries='8191'/>\n"
                             "    </hyperv>\n"
                             "  </features>\n"
                             "  <cpu mode='host-passthrough' check='none' migratable='on'>\n"
                             "    <topology sockets='1' dies='1' cores='2' threads='2'/>\n"
                             "  </cpu>\n"
                             "  <clock offset='localtime'>\n"
                             "    <timer name='rtc' tickpolicy='catchup'/>\n"
                             "    <timer name='hpet' present='no'/>\n"
                             "    <timer name='hypervclock' present='yes'/>\n"
                             "  </clock>\n"
                             "  <on_poweroff>destroy</on_poweroff>\n"
                             "  <on_crash>destroy</on_crash>\n"
                             "  <devices>\n"
                             "    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n"
                             "    <disk type='file' device='disk'>\n"
                             "      <driver name='qemu' type='qcow2'/>\n"
                             "      <source file='/var/lib/libvirt/images/win10.qcow2'/>\n"
                             "      <target dev='vda' bus='virtio'/>\n"
                             "      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/>\n"
                             "    </disk>\n"
                             "    <disk type='file' device='cdrom'>\n"
                             "      <target dev='sda' bus='sata'/>\n"
                             "      <readonly/>\n"
                             "      <address type='drive' controller='0' bus='0' target='0' unit='0'/>\n"
                             "    </disk>\n"
                             "    <controller type='sata' index='0'/>\n"
                             "    <controller type='pci' index='0' model='pcie-root'/>\n"
                             "    <interface type='network'>\n"
                             "      <mac address='52:54:00:6b:3c:58'/>\n"
                             "      <source network='default'/>\n"
                             "      <model type='e1000e'/>\n"
                             "    </interface>\n"
                             "    <input type='mouse' bus='ps2'/>\n"
                             "    <graphics type='spice' autoport='yes'>\n"
                             "      <listen type='address'/>\n"
                             "    </graphics>\n"
                             "    <video>\n"
                             "      <model type='qxl' ram='65536'/>\n"
                             "    </video>\n"
                             "    <hostdev mode='subsystem' type='pci' managed='yes'>\n"
                             "      <source>\n"
                             "        <address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>\n"
                             "      </source>\n"
                             "    </hostdev>\n"
                             "    <hostdev mode='subsystem' type='pci' managed='yes'>\n"
                             "      <source>\n"
                             "        <address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/>\n"
                             "      </source>\n"
                             "    </hostdev>\n"
                             "    <memballoon model='virtio'/>\n"
                             "  </devices>\n"
                             "  <qemu:commandline>\n"
                             "    <qemu:arg value='-name'/>\n"
                             "    <qemu:arg value='guest'/>\n"
                             "    <qemu:arg value='-global'/>\n"
                             "    <qemu:arg value='ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'/>\n"
                             "  </qemu:commandline>\n"
                             "</domain>\n";

/* An edit of that document: an attribute, a text, a removal, or an element at the end of another. */
typedef struct {
  const char *place;
  const char *attribute; /* "#text", "#remove" and "#append" are what they say */
  const char *value;
  const char *check; /* true where the edit is in, false in the document above */
} Edit;

static const Edit edits[] = {
  { "/domain/title", "#text", "Games", "/domain/title='Games'" },
  { "/domain/memory", "#text", "16777216", "/domain/memory='16777216'" },
  { "/domain/currentMemory", "#text", "4194304", "/domain/currentMemory='4194304'" },
  { "/domain/vcpu", "#text", "8", "/domain/vcpu='8'" },
  { "/domain/vcpu", "current", "2", "/domain/vcpu/@current='2'" },
  { "/domain/iothreads", "#remove", NULL, "not(/domain/iothreads)" },
  { "/domain", "#append", "<cputune><vcpupin vcpu='0' cpuset='2'/></cputune>", "//vcpupin[@cpuset='2']" },
  { "/domain", "#append", "<cputune><shares>2048</shares></cputune>", "//cputune/shares='2048'" },
  { "/domain", "#append", "<memoryBacking><hugepages/></memoryBacking>", "/domain/memoryBacking/hugepages" },
  { "/domain/metadata", "#append", "<x:y xmlns:x='urn:x'>z</x:y>", "//metadata/*[namespace-uri()='urn:x']='z'" },
  { "//*[local-name()='profile']", "name", "vga", "//*[local-name()='profile']/@name='vga'" },
  { "//*[local-name()='os']", "id", "11", "//*[local-name()='os']/@id='11'" },
  { "/domain/os/type", "machine", "pc-q35-8.0", "/domain/os/type/@machine='pc-q35-8.0'" },
  { "/domain/os", "#append", "<boot dev='network'/>", "/domain/os/boot[2]/@dev='network'" },
  { "/domain/os", "#append", "<bootmenu enable='yes'/>", "/domain/os/bootmenu/@enable='yes'" },
  { "//hyperv/relaxed", "#remove", NULL, "not(//relaxed)" },
  { "//spinlocks", "retries", "4096", "//spinlocks/@retries='4096'" },
  { "/domain/features", "#append", "<kvm><hidden state='on'/></kvm>", "//kvm/hidden/@state='on'" },
  { "/domain/cpu", "migratable", "off", "/domain/cpu/@migratable='off'" },
  { "/domain/cpu", "#append", "<feature policy='require' name='topoext'/>", "//feature/@name='topoext'" },
  { "//topology", "cores", "4", "//topology/@cores='4'" },
  { "//timer[@name='hypervclock']", "#remove", NULL, "not(//timer[@name='hypervclock'])" },
  { "//timer[@name='hpet']", "present", "yes", "//timer[@name='hpet']/@present='yes'" },
  { "//emulator", "#text", "/wrapper", "//emulator='/wrapper'" },
  { "//disk[target/@dev='vda']/driver", "cache", "none", "//driver/@cache='none'" },
  { "//disk[target/@dev='vda']/driver", "io", "native", "//driver/@io='native'" },
  { "//disk[target/@dev='vda']", "#append", "<serial>7</serial>", "//disk[target/@dev='vda']/serial='7'" },
  { "//disk[target/@dev='sda']", "#remove", NULL, "not(//disk[target/@dev='sda'])" },
  { "//devices", "#append", "<disk type='file'><target dev='vdb'/></disk>", "//target/@dev='vdb'" },
  { "//devices", "#append", "<disk type='file'><target dev='vdc'/></disk>", "//target/@dev='vdc'" },
  { "//devices", "#append", "<rng model='virtio'/>", "//rng/@model='virtio'" },
  { "//devices", "#append", "<tpm model='tpm-crb'/>", "//tpm" },
  { "//interface/model", "type", "virtio", "//interface/model/@type='virtio'" },
  { "//interface/source", "network", "other", "//interface/source/@network='other'" },
  { "//hostdev[2]", "#remove", NULL, "count(//hostdev)=1" },
  { "//hostdev[1]", "#append", "<alias name='ua-x-vga'/>", "//hostdev/alias/@name='ua-x-vga'" },
  { "//video", "#remove", NULL, "not(//video)" },
  { "//graphics", "passwd", "secret", "//graphics/@passwd='secret'" },
  { "//graphics/listen", "type", "none", "//graphics/listen/@type='none'" },
  { "//memballoon", "model", "none", "//memballoon/@model='none'" },
  { "//*[local-name()='arg'][2]", "value", "win", "//*[local-name()='arg'][2]/@value='win'" },
  { "//*[local-name()='arg'][4]", "value", "off", "//*[local-name()='arg'][last()]/@value='off'" },
};

static xmlDoc *
parse (const char *text)
{
  xmlDoc *doc = xmlReadMemory (text, (int) strlen (text), "test", NULL, XML_PARSE_NONET);

  g_assert_nonnull (doc);
  return doc;
}

static xmlDoc *
parse_domain (const char *content)
{
  g_autofree char *text = g_strdup_printf ("<domain type='kvm'>%s</domain>", content);

  return parse (text);
}

static char *
dump (xmlDoc *doc)
{
  xmlChar *text = NULL;
  char *copy;

  xmlDocDumpMemory (doc, &text, NULL);
  copy = g_strdup ((const char *) text);
  xmlFree (text);
  return copy;
}

/* The document without layout, the attributes and children in the order that they have. */
static char *
dump_bare (xmlDoc *doc)
{
  g_autofree char *text = dump (doc);
  xmlDoc *bare = xmlReadMemory (text, (int) strlen (text), "test", NULL, XML_PARSE_NOBLANKS);
  char *dumped = dump (bare);

  xmlFreeDoc (bare);
  return dumped;
}

static char *
merge_bare (xmlDoc *base, xmlDoc *ours, xmlDoc *theirs)
{
  g_autoptr (GError) error = NULL;
  xmlDoc *merged = vp_merge_three_way (base, ours, theirs, NULL, &error);
  char *text;

  g_assert_no_error (error);
  g_assert_nonnull (merged);
  text = dump_bare (merged);
  xmlFreeDoc (merged);
  return text;
}

static void
assert_merge (xmlDoc *base, xmlDoc *ours, xmlDoc *theirs, xmlDoc *expected)
{
  g_autofree char *merged = merge_bare (base, ours, theirs);
  g_autofree char *wanted = dump_bare (expected);

  g_assert_cmpstr (merged, ==, wanted);
}

static void
test_case (gconstpointer data)
{
  const Case *one = data;
  xmlDoc *base = parse_domain (one->base);
  xmlDoc *ours = parse_domain (one->ours);
  xmlDoc *theirs = parse_domain (one->theirs);
  xmlDoc *expected = parse_domain (one->expected);
  g_autofree char *before = dump (theirs);
  g_autofree char *after = NULL;

  assert_merge (base, ours, theirs, expected);
  if (one < cases_once || one >= cases_once + G_N_ELEMENTS (cases_once))
    assert_merge (base, ours, expected, expected);
  assert_merge (base, base, ours, ours);
  assert_merge (base, ours, base, ours);
  assert_merge (base, ours, ours, ours);
  assert_merge (base, theirs, theirs, theirs);
  after = dump (theirs);
  g_assert_cmpstr (before, ==, after);

  xmlFreeDoc (base);
  xmlFreeDoc (ours);
  xmlFreeDoc (theirs);
  xmlFreeDoc (expected);
}

static xmlNode *
find (xmlDoc *doc, const char *place)
{
  xmlXPathContext *context = xmlXPathNewContext (doc);
  xmlXPathObject *found = xmlXPathEval ((const xmlChar *) place, context);
  xmlNode *node;

  g_assert_nonnull (found);
  g_assert_false (xmlXPathNodeSetIsEmpty (found->nodesetval));
  node = found->nodesetval->nodeTab[0];
  xmlXPathFreeObject (found);
  xmlXPathFreeContext (context);
  return node;
}

static double
evaluate (xmlDoc *doc, const char *expression)
{
  g_autofree char *number = g_strdup_printf ("number(%s)", expression);
  xmlXPathContext *context = xmlXPathNewContext (doc);
  xmlXPathObject *found = xmlXPathEval ((const xmlChar *) number, context);
  double value;

  g_assert_nonnull (found);
  value = found->floatval;
  xmlXPathFreeObject (found);
  xmlXPathFreeContext (context);
  return value;
}

static gboolean
edit_is_in (xmlDoc *doc, const Edit *edit)
{
  g_autofree char *expression = g_strdup_printf ("boolean(%s)", edit->check);

  return evaluate (doc, expression) > 0;
}

static void
append_text (xmlNode *parent, const char *text)
{
  xmlDoc *doc = parse (text);
  xmlNode *node = xmlDocCopyNode (xmlDocGetRootElement (doc), parent->doc, 1);

  xmlAddChild (parent, node);
  xmlFreeDoc (doc);
}

static void
apply_edit (xmlDoc *doc, const Edit *edit)
{
  xmlNode *node = find (doc, edit->place);

  if (g_str_equal (edit->attribute, "#text")) {
    xmlNodeSetContent (node, (const xmlChar *) edit->value);
  } else if (g_str_equal (edit->attribute, "#append")) {
    append_text (node, edit->value);
  } else if (g_str_equal (edit->attribute, "#remove")) {
    xmlUnlinkNode (node);
    xmlFreeNode (node);
  } else {
    xmlSetProp (node, (const xmlChar *) edit->attribute, (const xmlChar *) edit->value);
  }
}

/* Each edit goes to one side or to none: all are in the result, and no other change is. */
static void
check_random_edits (GRand *random)
{
  enum { NOBODY, OURS, THEIRS } whose[G_N_ELEMENTS (edits)];
  xmlDoc *base = parse (domain);
  xmlDoc *sides[] = { NULL, xmlCopyDoc (base, 1), xmlCopyDoc (base, 1) };
  xmlDoc *merged, *unchanged;
  gboolean cputune[] = { FALSE, FALSE, FALSE };
  double expected = evaluate (base, "count(//*)");

  for (gsize i = 0; i < G_N_ELEMENTS (edits); i++) {
    const Edit *edit = &edits[i];
    double before;

    whose[i] = g_rand_int_range (random, NOBODY, THEIRS + 1);
    if (whose[i] == NOBODY)
      continue;
    before = evaluate (sides[whose[i]], "count(//*)");
    apply_edit (sides[whose[i]], edit);
    expected += evaluate (sides[whose[i]], "count(//*)") - before;
    if (edit->value && g_str_has_prefix (edit->value, "<cputune>"))
      cputune[whose[i]] = TRUE;
  }
  /* One <cputune> of each side become one; two of the same side stay two. */
  if (cputune[OURS] && cputune[THEIRS])
    expected--;
  merged = vp_merge_three_way (base, sides[OURS], sides[THEIRS], NULL, NULL);
  g_assert_nonnull (merged);
  for (gsize i = 0; i < G_N_ELEMENTS (edits); i++)
    if (edit_is_in (merged, &edits[i]) != (whose[i] != NOBODY)) {
      g_autofree char *text = dump (merged);

      g_error ("edit %s of %s (side %d) is%s in:\n%s", edits[i].attribute, edits[i].place, (int) whose[i],
               whose[i] == NOBODY ? "" : " not", text);
    }
  g_assert_cmpfloat (evaluate (merged, "count(//*)"), ==, expected);

  unchanged = parse (domain);
  assert_merge (base, base, base, unchanged);
  xmlFreeDoc (unchanged);
  xmlFreeDoc (merged);
  xmlFreeDoc (sides[OURS]);
  xmlFreeDoc (sides[THEIRS]);
  xmlFreeDoc (base);
}

static void
test_random_edits (void)
{
  GRand *random = g_rand_new_with_seed (20150729);
  xmlDoc *base = parse (domain);

  for (gsize i = 0; i < G_N_ELEMENTS (edits); i++)
    g_assert_false (edit_is_in (base, &edits[i]));
  xmlFreeDoc (base);
  for (int round = 0; round < 500; round++)
    check_random_edits (random);
  g_rand_free (random);
}

static void
test_layout (void)
{
  xmlDoc *base = parse (domain);
  xmlDoc *ours = parse (domain);
  xmlDoc *theirs = parse (domain);
  xmlDoc *merged;
  g_autofree char *text = NULL;
  g_autofree char *untouched = dump (base);

  merged = vp_merge_three_way (base, ours, theirs, NULL, NULL);
  text = dump (merged);
  g_assert_cmpstr (text, ==, untouched);
  g_clear_pointer (&text, g_free);
  xmlFreeDoc (merged);

  xmlNodeSetContent (find (ours, "//memory"), (const xmlChar *) "1");
  xmlSetProp (find (ours, "//listen"), (const xmlChar *) "type", (const xmlChar *) "none");
  xmlSetProp (find (theirs, "//memballoon"), (const xmlChar *) "model", (const xmlChar *) "none");
  merged = vp_merge_three_way (base, ours, theirs, NULL, NULL);
  text = dump (merged);
  xmlNodeSetContent (find (base, "//memory"), (const xmlChar *) "1");
  xmlSetProp (find (base, "//listen"), (const xmlChar *) "type", (const xmlChar *) "none");
  xmlSetProp (find (base, "//memballoon"), (const xmlChar *) "model", (const xmlChar *) "none");
  g_free (untouched);
  untouched = dump (base);
  g_assert_cmpstr (text, ==, untouched);

  xmlFreeDoc (merged);
  xmlFreeDoc (base);
  xmlFreeDoc (ours);
  xmlFreeDoc (theirs);
}

/* libvirt's configuration files begin with a warning in a comment. */
static void
test_comments (void)
{
  xmlDoc *base = parse (WARNING "<domain><a><!-- one --><b/></a></domain>");
  xmlDoc *ours = parse ("<domain><a><!-- one --><b/><!-- two --></a></domain>");
  xmlDoc *theirs = parse (WARNING "<domain><a><!-- one --><b c='d'/></a></domain><!-- end -->");
  xmlDoc *expected = parse (WARNING "<domain><a><!-- one --><b c='d'/><!-- two --></a></domain><!-- end -->");

  assert_merge (base, ours, theirs, expected);
  xmlFreeDoc (base);
  xmlFreeDoc (ours);
  xmlFreeDoc (theirs);
  xmlFreeDoc (expected);
}

static void
assert_refused (xmlDoc *base, xmlDoc *ours, xmlDoc *theirs, const char *said)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (vp_merge_three_way (base, ours, theirs, NULL, &error));
  g_assert_error (error, VP_ERROR, VP_ERROR_XML);
  g_assert_nonnull (strstr (error->message, said));
}

static void
test_other_documents (void)
{
  xmlDoc *one = parse ("<domain/>");
  xmlDoc *network = parse ("<network/>");
  xmlDoc *empty = xmlNewDoc ((const xmlChar *) "1.0");

  assert_refused (one, one, network, "<network>");
  assert_refused (one, network, one, "<network>");
  assert_refused (empty, one, one, "no root");
  assert_refused (one, one, empty, "no root");
  xmlFreeDoc (one);
  xmlFreeDoc (network);
  xmlFreeDoc (empty);
}

#define CARD(managed)                                                                                                  \
  "<hostdev mode='subsystem' type='pci' managed='" managed "'><source><address bus='1'/></source></hostdev>"
#define SCSI(model) "<controller type='scsi' index='0' model='" model "'/>"
#define CONFLICT_MAC "52:54:00:00:00:01"

/* What is told of edits that cannot both stand: "K element", K a kind. */
static const struct {
  const char *base;
  const char *ours;
  const char *theirs;
  const char *told;
} conflicts[] = {
  { "<devices/>", "<devices>" DISK ("vdb", "/b", "") "</devices>", "<devices>" DISK ("vdb", "/c", "") "</devices>",
    "item disk" },
  { "<devices/>", "<devices>" DISK ("vdb", "/b", "") "</devices>", "<devices>" DISK ("vdb", "/b", "") "</devices>",
    "" },
  { "<devices/>", "<devices>" NIC (CONFLICT_MAC, "") "</devices>",
    "<devices>" NIC (CONFLICT_MAC, "<link state='up'/>") "</devices>", "item interface" },
  { "<devices/>", "<devices>" SCSI ("virtio-scsi") "</devices>", "<devices>" SCSI ("lsilogic") "</devices>",
    "item controller" },
  { "<devices/>", "<devices>" CARD ("yes") "</devices>", "<devices>" CARD ("no") "</devices>", "item hostdev" },
  { "<devices/>", "<devices>" RNG ("0x07") "</devices>", "<devices>" NIC (CONFLICT_MAC, PCI ("0x07")) "</devices>",
    "claim rng" },
  { "<devices/>", "<devices>" DISK ("vda", "/a", "<alias name='ua-a'/><boot order='1'/>") "</devices>",
    "<devices>" DISK ("vdb", "/a", "<alias name='ua-a'/><boot order='1'/>") "</devices>", "claim disk, claim disk" },
  { "<devices>" DISK ("vda", "/a", "") "</devices>", "<devices/>", "<devices>" DISK ("vda", "/b", "") "</devices>",
    "removal disk" },
  { "<devices>" DISK ("vda", "/a", "") "</devices>", "<devices>" DISK ("vda", "/b", "") "</devices>", "<devices/>",
    "removal disk" },
  { "<devices>" DISK ("vda", "/a", "") "</devices>", "<devices>" DISK ("vda", "/b", "") "</devices>",
    "<devices>" DISK ("vda", "/c", "") "</devices>", "item disk" },
  { "<memory>1</memory>", "<memory>2</memory>", "<memory>3</memory>", "value memory" },
  { "<memory>1</memory>", "<memory>2</memory>", "<memory>2</memory><title>a</title>", "" },
  { "<vcpu current='1'>4</vcpu>", "<vcpu>4</vcpu>", "<vcpu current='2'>4</vcpu>", "value vcpu" },
  { "<vcpu current='1'>4</vcpu>", "<vcpu>4</vcpu>", "<vcpu current='1' placement='auto'>4</vcpu>", "" },
  { ARGS (ARG ("-a") ARG ("1")), ARGS (ARG ("-b") ARG ("2")), ARGS (ARG ("-a") ARG ("9")), "item arg" },
  { ARGS (ARG ("-a") ARG ("1") ARG ("-z")), ARGS (ARG ("-b") ARG ("2") ARG ("-c")), ARGS (ARG ("-d") ARG ("9")),
    "item arg, item arg" },
  { ARGS (ARG ("-a")), ARGS (ARG ("-a") ARG ("-b")), ARGS (ARG ("-a") ARG ("-c")), "" },
  { ARGS (GLOBAL ("A") GLOBAL ("B")), ARGS (GLOBAL ("A")), ARGS (GLOBAL ("B")), "" },
  { "<metadata/>", "<metadata><a:x xmlns:a='urn:x'/></metadata>", "<metadata><a:x xmlns:a='urn:x' b='1'/></metadata>",
    "item x" },
};

static void
test_conflicts (void)
{
  static const char *const kinds[] = { "item", "value", "claim", "removal" };

  for (gsize i = 0; i < G_N_ELEMENTS (conflicts); i++) {
    g_autoptr (GArray) told = g_array_new (FALSE, FALSE, sizeof (VpMergeConflict));
    g_autoptr (GString) words = g_string_new (NULL);
    g_autoptr (xmlDoc) base = parse_domain (conflicts[i].base);
    g_autoptr (xmlDoc) ours = parse_domain (conflicts[i].ours);
    g_autoptr (xmlDoc) theirs = parse_domain (conflicts[i].theirs);
    g_autoptr (xmlDoc) merged = vp_merge_three_way (base, ours, theirs, told, NULL);
    g_assert_nonnull (merged);
    for (guint k = 0; k < told->len; k++) {
      const VpMergeConflict *conflict = &g_array_index (told, VpMergeConflict, k);
      g_string_append_printf (words, "%s%s %s", k > 0 ? ", " : "", kinds[conflict->kind],
                              (const char *) conflict->node->name);
    }
    g_assert_cmpstr (words->str, ==, conflicts[i].told);
  }
}

/* A large domain: n disks, and as many arguments that all differ between the sides here and there. */
static xmlDoc *
large_domain (int n, int changed, const char *value)
{
  g_autoptr (GString) text = g_string_new ("<domain " QEMU "><devices>");
  xmlDoc *doc;

  for (int i = 0; i < n; i++)
    g_string_append_printf (text,
                            "<disk type='file'><source file='%s/%d'/><target dev='vd%d'/><address type='pci' "
                            "bus='%d'/></disk>",
                            i % 7 == changed ? value : "", i, i, i);
  g_string_append (text, "</devices><qemu:commandline>");
  for (int i = 0; i < n; i++)
    g_string_append_printf (text, "<qemu:arg value='-device'/><qemu:arg value='%s%d'/>", i % 7 == changed ? value : "",
                            i);
  g_string_append (text, "</qemu:commandline></domain>");
  doc = parse (text->str);
  return doc;
}

static void
test_large (void)
{
  const int n = 10000;
  xmlDoc *base = large_domain (n, -1, "");
  xmlDoc *ours = large_domain (n, 1, "ours");
  xmlDoc *theirs = large_domain (n, 4, "theirs");
  xmlDoc *merged;
  double seconds;

  g_test_timer_start ();
  merged = vp_merge_three_way (base, ours, theirs, NULL, NULL);
  seconds = g_test_timer_elapsed ();
  g_test_message ("%d devices and %d arguments: %.3f s", n, 2 * n, seconds);
  g_assert_cmpfloat (evaluate (merged, "count(//disk)"), ==, n);
  g_assert_cmpfloat (evaluate (merged, "count(//source[starts-with(@file, 'ours')])"), ==, (n + 5) / 7);
  g_assert_cmpfloat (evaluate (merged, "count(//source[starts-with(@file, 'theirs')])"), ==, (n + 2) / 7);
  g_assert_cmpfloat (evaluate (merged, "count(//*[local-name()='arg'])"), ==, 2 * n);
  g_assert_cmpfloat (evaluate (merged, "count(//*[starts-with(@value, 'ours')])"), ==, (n + 5) / 7);
  g_assert_cmpfloat (evaluate (merged, "count(//*[starts-with(@value, 'theirs')])"), ==, (n + 2) / 7);
  xmlFreeDoc (merged);
  xmlFreeDoc (base);
  xmlFreeDoc (ours);
  xmlFreeDoc (theirs);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/merge/case/%s", cases[i].name);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  for (gsize i = 0; i < G_N_ELEMENTS (cases_once); i++) {
    g_autofree char *path = g_strdup_printf ("/merge/case/%s", cases_once[i].name);

    g_test_add_data_func (path, &cases_once[i], test_case);
  }
  g_test_add_func ("/merge/random-edits", test_random_edits);
  g_test_add_func ("/merge/layout", test_layout);
  g_test_add_func ("/merge/comments", test_comments);
  g_test_add_func ("/merge/other-documents", test_other_documents);
  g_test_add_func ("/merge/conflicts", test_conflicts);
  g_test_add_func ("/merge/large", test_large);
  return g_test_run ();
}
