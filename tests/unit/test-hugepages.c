/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which hugepages a definition needs, and which sizes are mounted. */
#include "domain/hugepages.h"
#include "host/page-pools.h"

#include <glib/gstdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "support.h"

#define DEFAULT_KIB 2048
#define BASE_KIB 4

static char *
dup_needs_text (const GArray *needs)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < needs->len; i++) {
    const VpPageNeed *need = &g_array_index (needs, VpPageNeed, i);
    char *nodes = NULL;
    if (need->nodes != NULL)
      (void) hwloc_bitmap_list_asprintf (&nodes, need->nodes);
    g_autofree char *size = vp_hugepages_dup_size (need->page_kib);
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT " of %s%s%s%s", i > 0 ? "; " : "", need->pages, size,
                            nodes != NULL ? " on " : "", nodes != NULL ? nodes : "",
                            nodes != NULL && !need->strict ? " or beside" : "");
    free (nodes);
  }
  return g_strdup (text->str);
}

static GArray *
needs_of (const char *body, GError **error)
{
  g_autofree char *text = g_strdup_printf ("<domain type='kvm'><name>guest</name>%s</domain>", body);
  g_autoptr (VpDomain) domain = test_domain (text);

  return vp_hugepages_needs (domain, DEFAULT_KIB, BASE_KIB, error);
}

static const struct {
  const char *name;
  const char *body;
  const char *needs;
} cases[] = {
  { "none", "<memory>4194304</memory>", "" },
  { "default-size", "<memory>4194304</memory><memoryBacking><hugepages/></memoryBacking>", "2048 of 2M" },
  { "1g",
    "<memory unit='GiB'>8</memory><memoryBacking><hugepages><page size='1' unit='G'/></hugepages>"
    "</memoryBacking>",
    "8 of 1G" },
  { "units",
    "<memory unit='GiB'>1</memory><memoryBacking><hugepages><page size='2' unit='M'/></hugepages>"
    "</memoryBacking>",
    "512 of 2M" },
  { "64k",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages><page size='64' unit='KiB'/></hugepages>"
    "</memoryBacking>",
    "1024 of 64K" },
  { "16g",
    "<memory unit='GiB'>32</memory><memoryBacking><hugepages><page size='16' unit='GiB'/></hugepages>"
    "</memoryBacking>",
    "2 of 16G" },
  { "rounded-up",
    "<memory unit='MiB'>1025</memory><memoryBacking><hugepages><page size='1' unit='G'/></hugepages>"
    "</memoryBacking>",
    "2 of 1G" },
  { "ordinary-pages",
    "<memory>4194304</memory><memoryBacking><hugepages><page size='4' unit='KiB'/></hugepages>"
    "</memoryBacking>",
    "" },
  { "nodeset-without-cells",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages><page size='2048' nodeset='0'/>"
    "</hugepages></memoryBacking>",
    "32 of 2M" },
  { "strict",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memory mode='strict' nodeset='1'/></numatune>",
    "32 of 2M on 1" },
  { "strict-is-the-default",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memory nodeset='0-2,^1'/></numatune>",
    "32 of 2M on 0,2" },
  { "preferred",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memory mode='preferred' nodeset='1'/></numatune>",
    "32 of 2M on 1 or beside" },
  { "interleave",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memory mode='interleave' nodeset='0-1'/></numatune>",
    "32 of 2M on 0-1 or beside" },
  { "restrictive",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memory mode='restrictive' nodeset='1'/></numatune>",
    "32 of 2M on 1" },
  { "placement-auto",
    "<memory unit='MiB'>64</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memory mode='strict' placement='auto'/></numatune>",
    "32 of 2M" },
  { "cells",
    "<memory unit='MiB'>96</memory><memoryBacking><hugepages/></memoryBacking>"
    "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' cpus='1' memory='64' unit='MiB'/>"
    "</numa></cpu>",
    "48 of 2M" },
  { "memnodes",
    "<memory unit='MiB'>96</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memory mode='strict' nodeset='0-1'/><memnode cellid='1' mode='strict' nodeset='1'/>"
    "<memnode cellid='0' mode='preferred' nodeset='0'/></numatune>"
    "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/>"
    "<cell id='1' cpus='1' memory='64' unit='MiB'/><cell id='2' cpus='2' memory='2' unit='MiB'/></numa></cpu>",
    "32 of 2M on 1; 1 of 2M on 0-1; 16 of 2M on 0 or beside" },
  { "cells-out-of-order",
    "<memory unit='MiB'>96</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memnode cellid='1' mode='strict' nodeset='5'/></numatune>"
    "<cpu><numa><cell id='1' cpus='0' memory='32' unit='MiB'/>"
    "<cell id='0' cpus='1' memory='64' unit='MiB'/></numa></cpu>",
    "16 of 2M on 5; 32 of 2M" },
  { "size-for-each-cell",
    "<memory unit='GiB'>4</memory><memoryBacking><hugepages>"
    "<page size='1' unit='G' nodeset='0,2'/><page size='2' unit='M'/></hugepages></memoryBacking>"
    "<cpu><numa><cell id='0' cpus='0' memory='1' unit='GiB'/>"
    "<cell id='1' cpus='1' memory='1' unit='GiB'/><cell id='2' cpus='2' memory='2' unit='GiB'/>"
    "</numa></cpu>",
    "512 of 2M; 3 of 1G" },
  { "cell-without-hugepages",
    "<memory unit='GiB'>2</memory><memoryBacking><hugepages>"
    "<page size='1' unit='G' nodeset='1'/></hugepages></memoryBacking>"
    "<cpu><numa><cell id='0' cpus='0' memory='1' unit='GiB'/>"
    "<cell id='1' cpus='1' memory='1' unit='GiB'/></numa></cpu>",
    "1 of 1G" },
  { "same-node-added-up",
    "<memory unit='MiB'>8</memory><memoryBacking><hugepages/></memoryBacking>"
    "<numatune><memnode cellid='0' mode='strict' nodeset='1'/>"
    "<memnode cellid='1' mode='strict' nodeset='1'/></numatune>"
    "<cpu><numa><cell id='0' cpus='0' memory='4' unit='MiB'/>"
    "<cell id='1' cpus='1' memory='4' unit='MiB'/></numa></cpu>",
    "4 of 2M on 1" },
  { "dimm",
    "<maxMemory slots='4' unit='GiB'>8</maxMemory><memory unit='MiB'>96</memory>"
    "<memoryBacking><hugepages/></memoryBacking>"
    "<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>"
    "<devices><memory model='dimm'><target><size unit='MiB'>64</size><node>0</node></target></memory>"
    "</devices>",
    "48 of 2M" },
  { "dimm-of-its-own",
    "<memory unit='GiB'>3</memory>"
    "<cpu><numa><cell id='0' cpus='0' memory='1' unit='GiB'/></numa></cpu><devices><memory model='dimm'><source><pagesize unit='MiB'>1024</pagesize>"
    "<nodemask>1</nodemask></source><target><size unit='GiB'>2</size><node>0</node></target>"
    "</memory></devices>",
    "2 of 1G on 1" },
  { "virtio-mem",
    "<memory unit='GiB'>3</memory><memoryBacking><hugepages/></memoryBacking>"
    "<cpu><numa><cell id='0' cpus='0' memory='2' unit='MiB'/></numa></cpu>"
    "<devices><memory model='virtio-mem'><target><size unit='GiB'>2</size><node>0</node>"
    "<requested unit='MiB'>128</requested></target></memory></devices>",
    "65 of 2M" },
  { "nvdimm-has-a-file",
    "<memory unit='MiB'>2</memory><memoryBacking><hugepages/></memoryBacking>"
    "<devices><memory model='nvdimm'><target><size unit='GiB'>2</size></target></memory>"
    "</devices>",
    "1 of 2M" },
};

static void
test_needs (gconstpointer data)
{
  const char *const *entry = data; /* name, body, needs */
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) needs = needs_of (entry[1], &error);

  g_assert_no_error (error);
  g_autofree char *text = dup_needs_text (needs);
  g_assert_cmpstr (text, ==, entry[2]);
}

static void
test_errors (void)
{
  static const char *const bodies[] = {
    "<memory>x</memory><memoryBacking><hugepages/></memoryBacking>",
    "<memory>2048</memory><memoryBacking><hugepages><page size='2' unit='parsec'/></hugepages></memoryBacking>",
    "<memory>2048</memory><memoryBacking><hugepages><page unit='KiB'/></hugepages></memoryBacking>",
    "<memory>2048</memory><memoryBacking><hugepages/></memoryBacking><numatune><memory nodeset='one'/></numatune>",
    "<memory>2048</memory><devices><memory model='dimm'><source><pagesize>2048</pagesize><nodemask>a</nodemask>"
    "</source><target><size>2048</size></target></memory></devices>",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (bodies); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GArray) needs = needs_of (bodies[i], &error);
    g_assert_error (error, VP_ERROR, VP_ERROR_XML);
    g_assert_null (needs);
  }
}

static void
test_need_mount (void)
{
  g_autoptr (VpDomain) plain = test_domain ("<domain><memoryBacking><hugepages/></memoryBacking></domain>");
  g_autoptr (VpDomain) memfd = test_domain ("<domain><memoryBacking><hugepages/><source type='memfd'/>"
                                            "</memoryBacking></domain>");

  g_assert_true (vp_hugepages_need_mount (plain));
  g_assert_false (vp_hugepages_need_mount (memfd));
}

static void
write_file (const char *folder, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *parent = g_path_get_dirname (path);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (parent, 0755), ==, 0);
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
check_mount (const VpRoot *root, guint64 page_kib, const char *wanted, gboolean wanted_known)
{
  gboolean known = FALSE;
  g_autofree char *mount = vp_hugepages_dup_mount (root, page_kib, &known);

  g_assert_cmpstr (mount, ==, wanted);
  g_assert_cmpint (known, ==, wanted_known);
}

/* Lines as Linux 6.1 has them. The 1G mount is behind 40 KiB of others. */
static void
test_mounted (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("vp-mounts-XXXXXX", &error);
  g_autoptr (VpRoot) root = vp_root_open (folder, &error);
  g_autoptr (GString) mounts = g_string_new ("22 1 0:20 / / rw - ext4 /dev/sda1 rw\n"
                                             "31 24 0:29 / /dev/hugepages rw,relatime shared:13 - hugetlbfs hugetlbfs "
                                             "rw\n");

  g_assert_no_error (error);
  for (guint i = 0; i < 1000; i++)
    g_string_append_printf (mounts, "%u 22 0:40 / /mnt/%u rw - tmpfs pagesize=64K rw\n", 100 + i, i);
  write_file (folder, "proc/meminfo", "MemTotal:       24105 kB\nHugepagesize:       2048 kB\n");
  write_file (folder, "proc/self/mountinfo", mounts->str);
  g_assert_cmpuint (vp_hugepages_default_kib (root), ==, 2048);
  check_mount (root, 2048, "/dev/hugepages", FALSE);
  write_file (folder, "dev/hugepages/libvirt/qemu/guest", "");
  check_mount (root, 2048, "/dev/hugepages", TRUE);
  check_mount (root, 1048576, NULL, FALSE);
  check_mount (root, 64, NULL, FALSE);
  g_string_append (mounts, "9 22 0:50 / /dev/huge\\0401G rw - hugetlbfs hugetlbfs rw,pagesize=1024M\n");
  write_file (folder, "proc/self/mountinfo", mounts->str);
  check_mount (root, 1048576, "/dev/huge 1G", FALSE);

  static const char *const made[] = { "dev/hugepages/libvirt/qemu/guest",
                                      "dev/hugepages/libvirt/qemu",
                                      "dev/hugepages/libvirt",
                                      "dev/hugepages",
                                      "dev",
                                      "proc/self/mountinfo",
                                      "proc/self",
                                      "proc/meminfo",
                                      "proc",
                                      "." };
  for (gsize i = 0; i < G_N_ELEMENTS (made); i++) {
    g_autofree char *path = i + 1 < G_N_ELEMENTS (made) ? g_build_filename (folder, made[i], NULL) : g_strdup (folder);
    g_assert_cmpint (g_remove (path), ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strconcat ("/hugepages/needs/", cases[i].name, NULL);
    g_test_add_data_func (path, &cases[i], test_needs);
  }
  g_test_add_func ("/hugepages/errors", test_errors);
  g_test_add_func ("/hugepages/need-mount", test_need_mount);
  g_test_add_func ("/hugepages/mounted", test_mounted);
  return g_test_run ();
}
