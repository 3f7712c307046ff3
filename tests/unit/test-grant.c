/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose an IOMMU group is, on the machine of 2015, and what a line of the list may be. */
#include <glib.h>

#include "base/error.h"
#include "devices/grant.h"

#define CARD "1000 alice 0000:01:00.0 10de:1381\n"
#define AUDIO "1000 alice 0000:01:00.1 10de:0fbc sequestered\n"
#define GROUP 1 /* the card, its audio, and the root port above them */

static gboolean
find_owner (const char *text, int group, guint *uid)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "sysfs", "howto-2015", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (VpRoot) root = vp_root_open_sysfs (path, &error);

  g_assert_no_error (error);
  g_autoptr (GArray) devices = vp_pci_read_devices (root);
  g_autoptr (GPtrArray) grants = vp_grants_parse (text, &error);
  g_assert_no_error (error);
  return vp_grants_find_owner (grants, devices, group, uid);
}

static void
test_owner (void)
{
  guint uid = 0;

  g_assert_true (find_owner (CARD AUDIO, GROUP, &uid));
  g_assert_cmpuint (uid, ==, 1000);
}

static void
test_nobody (void)
{
  guint uid = 0;

  g_assert_false (find_owner ("", GROUP, &uid));
  g_assert_false (find_owner (CARD, GROUP, &uid));
  g_assert_false (find_owner (CARD "1001 bob 0000:01:00.1 10de:0fbc\n", GROUP, &uid));
  g_assert_false (find_owner (CARD "1000 alice 0000:01:00.1 10de:9999\n", GROUP, &uid));
  g_assert_false (find_owner (CARD AUDIO, 12, &uid));
  /* Bridges alone, and no group at all. */
  g_assert_false (find_owner (CARD AUDIO, 9, &uid));
  g_assert_false (find_owner (CARD AUDIO, 77, &uid));
}

static void
test_board (void)
{
  guint uid = 0;

  /* The ISA bridge in it is no bridge to other devices, so it has to be granted, and nobody can have it. */
  g_assert_false (find_owner ("1000 alice 0000:00:1f.2 8086:1e02\n1000 alice 0000:00:1f.3 8086:1e22\n", 11, &uid));
}

/* Many boards have a host bridge beside a slot, in the card's group: without a driver it is in nobody's way. */
static void
test_host_bridge (void)
{
  g_autoptr (GArray) devices = vp_pci_devices_new ();
  g_autoptr (GPtrArray) grants = vp_grants_parse (CARD, NULL);
  VpPciDevice all[] = {
    { .address = { 0, 1, 0, 0 }, .class_code = 0x030000, .vendor = 0x10de, .device = 0x1381, .iommu_group = GROUP },
    { .address = { 0, 0, 1, 0 }, .class_code = 0x060000, .iommu_group = GROUP }
  };
  guint uid = 0;

  g_array_append_vals (devices, all, G_N_ELEMENTS (all));
  g_assert_true (vp_grants_find_owner (grants, devices, GROUP, &uid));
  g_assert_cmpuint (uid, ==, 1000);
  g_array_index (devices, VpPciDevice, 1).driver = g_strdup ("vfio-pci");
  g_assert_false (vp_grants_find_owner (grants, devices, GROUP, &uid));
}

static void
test_round_trip (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) grants = vp_grants_parse ("# a comment\n\n" CARD AUDIO, &error);

  g_assert_no_error (error);
  g_autofree char *text = vp_grants_dup_text (grants);
  g_assert_cmpstr (text, ==, VP_GRANT_MARK CARD AUDIO);
  const VpGrant *audio = grants->pdata[1];
  g_assert_cmpstr (audio->user, ==, "alice");
  g_assert_true (audio->sequestered);
  g_assert_true (vp_grants_find (grants, &audio->ids.address) == audio);
}

static void
test_wrong_lines (void)
{
  static const char *const lines[] = {
    "0 root 0000:01:00.0 10de:1381",
    "-1 x 0000:01:00.0 10de:1381",
    "1000 0000:01:00.0 10de:1381",
    "1000 alice 0000:01:00.0",
    "1000 alice 01:00.0 10de:1381",
    "1000 alice 0000:01:00.0 10de:1381 more",
    "1000 alice 0000:01:00.0 10de:138",
    "4294967296 alice 0000:01:00.0 10de:1381",
    CARD CARD,
    "\xff",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) grants = vp_grants_parse (lines[i], &error);
    g_assert_null (grants);
    g_assert_error (error, VP_ERROR, VP_ERROR_IO);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/grant/owner", test_owner);
  g_test_add_func ("/grant/nobody", test_nobody);
  g_test_add_func ("/grant/board", test_board);
  g_test_add_func ("/grant/host-bridge", test_host_bridge);
  g_test_add_func ("/grant/round-trip", test_round_trip);
  g_test_add_func ("/grant/wrong-lines", test_wrong_lines);
  return g_test_run ();
}
