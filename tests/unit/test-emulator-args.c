/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which arguments of a QEMU command line the wrapper's interpreter changes, and into what. */
#include <glib.h>
#include <string.h>

#include "base/x-vga-mark.h"
#include "hooks/emulator-args.h"

#define MARKED "\"driver\":\"vfio-pci\",\"id\":\"ua-a-x-vga\""

static guint n_missed;

static void
count_missed (const char *device)
{
  g_assert_nonnull (device);
  n_missed++;
}

/* What `device` becomes; the pointer must be the same exactly if the text is. */
static char *
rewrite_device (const char *option, const char *device)
{
  char *arguments[] = { (char *) "qemu", (char *) option, (char *) device, NULL };
  char **rewritten = vp_emulator_args_rewrite (arguments, count_missed);
  char *text = g_strdup (rewritten[2]);

  g_assert_true (rewritten[0] == arguments[0] && rewritten[1] == arguments[1] && rewritten[3] == NULL);
  g_assert_cmpint (rewritten[2] == device, ==, g_str_equal (text, device));
  vp_emulator_args_free (rewritten, arguments);
  return text;
}

static void
assert_becomes (const char *device, const char *expected)
{
  g_autofree char *once = rewrite_device ("-device", device);
  g_autofree char *twice = rewrite_device ("-device", once);
  g_autofree char *long_option = rewrite_device ("--device", device);

  g_assert_cmpstr (once, ==, expected);
  g_assert_cmpstr (twice, ==, expected);
  g_assert_cmpstr (long_option, ==, expected);
}

static void
assert_kept (const char *device)
{
  n_missed = 0;
  assert_becomes (device, device);
  g_assert_cmpuint (n_missed, ==, 0);
}

/* It stays, and each of the three times it is said. */
static void
assert_missed (const char *device)
{
  n_missed = 0;
  assert_becomes (device, device);
  g_assert_cmpuint (n_missed, ==, 3);
}

static char **
load_lines (const char *name, const char *suffix)
{
  g_autofree char *file_name = g_strconcat (name, suffix, NULL);
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "data", "emulator-args", file_name, NULL);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_suffix (text, "\n"));
  text[strlen (text) - 1] = '\0';
  return g_strsplit (text, "\n", -1);
}

static void
test_recorded (gconstpointer data)
{
  g_auto (GStrv) arguments = load_lines (data, ".args");
  g_auto (GStrv) expected = load_lines (data, ".expected");
  char **rewritten = vp_emulator_args_rewrite (arguments, count_missed);

  g_assert_cmpuint (g_strv_length (arguments), >, 10);
  g_assert_cmpstrv (rewritten, expected);
  for (guint i = 0; arguments[i] != NULL; i++)
    g_assert_cmpint (rewritten[i] == arguments[i], ==, g_str_equal (arguments[i], expected[i]));
  vp_emulator_args_free (rewritten, arguments);
}

static void
test_mark (void)
{
  g_assert_true (vp_x_vga_mark_is ("ua-vfio-x-vga"));
  g_assert_true (vp_x_vga_mark_is ("ua-x-vga-x-vga"));
  g_assert_true (vp_x_vga_mark_is ("ua--x-vga"));
  g_assert_false (vp_x_vga_mark_is ("ua-x-vga"));
  g_assert_false (vp_x_vga_mark_is (""));
  g_assert_false (vp_x_vga_mark_is ("hostdev0"));
  g_assert_false (vp_x_vga_mark_is ("ua-vfio-x-vga2"));
  g_assert_false (vp_x_vga_mark_is ("xua-vfio-x-vga"));
  g_assert_false (vp_x_vga_mark_is ("UA-vfio-x-vga"));
}

static void
test_json (void)
{
  assert_becomes ("{" MARKED "}", "{" MARKED ",\"x-vga\":true}");
  /* As libvirt 12.2 writes it with iommufd: no host. */
  assert_becomes ("{" MARKED ",\"fd\":\"vfio0\",\"iommufd\":\"iommufd0\"}",
                  "{" MARKED ",\"fd\":\"vfio0\",\"iommufd\":\"iommufd0\",\"x-vga\":true}");
  assert_becomes ("{\"id\":\"ua-a-x-vga\",\"driver\":\"vfio-pci-nohotplug\",\"ramfb\":true}",
                  "{\"id\":\"ua-a-x-vga\",\"driver\":\"vfio-pci-nohotplug\",\"ramfb\":true,\"x-vga\":true}");
  assert_becomes ("{\"x-vga\":false," MARKED "}", "{\"x-vga\":true," MARKED "}");
  assert_becomes ("{\"x-vga\":\"on\"," MARKED "}", "{\"x-vga\":true," MARKED "}");
  assert_becomes ("{" MARKED ",\"x-vga\":null}", "{" MARKED ",\"x-vga\":true}");
  assert_kept ("{" MARKED ",\"x-vga\":true}");
  assert_kept ("{ " MARKED " , \"x-vga\" : true }");
}

static void
test_json_values_survive (void)
{
  const char *values = ",\"rombar\":0,\"romfile\":\"/a b/\\\"q\\\",\\\\,x-vga=off\",\"bootindex\":-1,"
                       "\"big\":18446744073709551615,\"none\":null,\"list\":[1,{\"a\":[]}],\"name\":\"é\"";
  g_autofree char *device = g_strconcat ("{" MARKED, values, "}", NULL);
  g_autofree char *expected = g_strconcat ("{" MARKED, values, ",\"x-vga\":true}", NULL);

  assert_becomes (device, expected);
}

static void
test_json_kept (void)
{
  static const char *const devices[] = {
    "{\"driver\":\"vfio-pci\",\"id\":\"hostdev0\"}",
    "{\"driver\":\"vfio-pci\"}",
    "{\"id\":\"ua-a-x-vga\"}",
    "{\"driver\":\"VFIO-PCI\",\"id\":\"ua-a-x-vga\"}",
    "{\"driver\":\"ivshmem-plain\",\"id\":\"ua-shm-x-vga\"}",
    "{\"driver\":\"vfio-pci\",\"id\":{\"id\":\"ua-a-x-vga\"}}",
    "{\"driver\":\"vfio-pci\",\"id\":\"ua-a-x-vga\\u0000-x-vga\"}",
    "{\"driver\":\"virtio-net-pci\",\"id\":\"net0\",\"inner\":{" MARKED "}}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (devices); i++)
    assert_kept (devices[i]);
}

/* QEMU gets them as they are, and somebody may look in vain for his picture. */
static void
test_json_missed (void)
{
  static const char *const devices[] = {
    "{\"driver\":\"vfio-ap\",\"id\":\"ua-a-x-vga\"}",
    "{\"driver\":[\"vfio-pci\"],\"id\":\"ua-a-x-vga\"}",
    "{\"driver\":\"vfio-pci\\u0000\",\"id\":\"ua-a-x-vga\"}",
    "{" MARKED,
    "{" MARKED "}}",
    "{" MARKED "}x",
    "{" MARKED "} {" MARKED "}",
    "{" MARKED ",,}",
    "{" MARKED ",\"a\":\"\\ud800\"",
  };

  for (guint i = 0; i < G_N_ELEMENTS (devices); i++)
    assert_missed (devices[i]);
  assert_kept ("{");
  assert_kept ("{}");
  assert_kept ("[{" MARKED "}]"); /* the comma form, and no driver of ours */
}

/* json-c refuses some of these, depending on its version and its mode; QEMU shall judge, and gets its own text. */
static void
test_json_text_stays (void)
{
  static const char *const insides[] = {
    ",\"romfile\":\"/home/j\xc3\xb6rg/vbios.rom\"",
    ",\"romfile\":\"/home/j\xf6rg/vbios.rom\"",
    ",\"romfile\":\"/\xf0\x9f\x8e\xae/\xc2\x80\"",
    ",\"a\" : 1.50e+3 , \"b\":99999999999999999999",
    ",\"a\":\"\\u00f6\\/\"",
    ",\"a\":'b'",
    ",\"id\":\"ua-b-x-vga\"",
    ",",
  };

  for (guint i = 0; i < G_N_ELEMENTS (insides); i++) {
    g_autofree char *device = g_strconcat ("{" MARKED, insides[i], "}", NULL);
    g_autofree char *expected = g_strconcat ("{" MARKED, insides[i], ",\"x-vga\":true}", NULL);
    g_autofree char *got = rewrite_device ("-device", device);
    g_assert_cmpstr (got, ==, expected);
  }
}

static void
test_json_deep (void)
{
  for (guint depth = 1; depth <= 4096; depth *= 8) {
    g_autofree char *open = g_strnfill (depth, '[');
    g_autofree char *close = g_strnfill (depth, ']');
    g_autofree char *device = g_strconcat ("{" MARKED ",\"a\":", open, close, "}", NULL);
    g_autofree char *set = g_strconcat ("{" MARKED ",\"a\":", open, close, ",\"x-vga\":true}", NULL);

    if (depth < 16)
      assert_becomes (device, set);
    else
      assert_missed (device);
  }
}

static void
test_huge (void)
{
  g_autofree char *fill = g_strnfill (100 * 1024, ',');
  g_autofree char *json = g_strconcat ("{" MARKED ",\"a\":\"", fill, "\"}", NULL);
  g_autofree char *json_set = g_strconcat ("{" MARKED ",\"a\":\"", fill, "\",\"x-vga\":true}", NULL);
  g_autofree char *comma = g_strconcat ("vfio-pci,id=ua-a-x-vga,a=", fill, NULL);
  g_autofree char *comma_set = g_strconcat (comma, ",x-vga=on", NULL);
  g_autofree char *too_long = g_strconcat ("{" MARKED ",\"a\":\"", fill, fill, "\"}", NULL);
  GString *flags = g_string_new ("vfio-pci,id=ua-a-x-vga");
  GString *flags_set = g_string_new (flags->str);

  for (guint i = 0; i < 10000; i++) {
    g_string_append (flags, ",x-vga=");
    g_string_append (flags_set, ",x-vga=on");
  }
  assert_becomes (json, json_set);
  assert_becomes (comma, comma_set);
  assert_becomes (flags->str, flags_set->str);
  assert_missed (too_long);
  g_string_free (flags, TRUE);
  g_string_free (flags_set, TRUE);
}

/* QEMU itself refuses such JSON; json-c keeps the last. */
static void
test_json_duplicates (void)
{
  assert_becomes ("{" MARKED ",\"x-vga\":false,\"x-vga\":false}", "{" MARKED ",\"x-vga\":true}");
  assert_kept ("{" MARKED ",\"id\":\"hostdev0\"}");
  assert_becomes ("{\"driver\":\"vfio-pci\",\"id\":\"hostdev0\",\"id\":\"ua-a-x-vga\"}",
                  "{\"driver\":\"vfio-pci\",\"id\":\"hostdev0\",\"id\":\"ua-a-x-vga\",\"x-vga\":true}");
}

static void
test_comma (void)
{
  assert_becomes ("vfio-pci,id=ua-a-x-vga", "vfio-pci,id=ua-a-x-vga,x-vga=on");
  assert_becomes ("id=ua-a-x-vga,driver=vfio-pci", "id=ua-a-x-vga,driver=vfio-pci,x-vga=on");
  assert_becomes ("driver=vfio-pci-nohotplug,id=ua-a-x-vga,ramfb=on",
                  "driver=vfio-pci-nohotplug,id=ua-a-x-vga,ramfb=on,x-vga=on");
  assert_becomes ("vfio-pci,x-vga=off,id=ua-a-x-vga", "vfio-pci,x-vga=on,id=ua-a-x-vga");
  assert_becomes ("vfio-pci,x-vga=,id=ua-a-x-vga,x-vga=", "vfio-pci,x-vga=on,id=ua-a-x-vga,x-vga=on");
  /* A flag without value is on; as x-vga=on it would make an escape of the commas behind it. */
  assert_kept ("vfio-pci,x-vga,id=ua-a-x-vga");
  assert_kept ("vfio-pci,id=ua-a-x-vga,x-vga,,=");
  assert_becomes ("vfio-pci,x-vga=o,,ff,id=ua-a-x-vga", "vfio-pci,x-vga=on,id=ua-a-x-vga");
  assert_becomes ("vfio-pci,id=ua-a-x-vga,nox-vga", "vfio-pci,id=ua-a-x-vga,nox-vga,x-vga=on");
  assert_becomes ("vfio-pci,x-vga-x=on,id=ua-a-x-vga", "vfio-pci,x-vga-x=on,id=ua-a-x-vga,x-vga=on");
  assert_kept ("vfio-pci,id=ua-a-x-vga,x-vga=on");
}

static void
test_comma_escapes (void)
{
  assert_becomes ("vfio-pci,id=ua-,,a-x-vga", "vfio-pci,id=ua-,,a-x-vga,x-vga=on");
  assert_becomes ("vfio-pci,romfile=a,,x-vga=off,id=ua-a-x-vga",
                  "vfio-pci,romfile=a,,x-vga=off,id=ua-a-x-vga,x-vga=on");
  assert_becomes ("vfio-pci,romfile=a,,,id=ua-a-x-vga", "vfio-pci,romfile=a,,,id=ua-a-x-vga,x-vga=on");
  /* The mark stands in another value. */
  assert_kept ("vfio-pci,romfile=a,,id=ua-a-x-vga");
  assert_kept ("vfio-pci,,id=ua-a-x-vga");
  /* The id is "ua-a-x-vga,": libvirt makes none such. */
  assert_kept ("vfio-pci,id=ua-a-x-vga,,");
  /* A comma at the end must not become half an escape. */
  assert_becomes ("vfio-pci,id=ua-a-x-vga,", "vfio-pci,id=ua-a-x-vga,x-vga=on");
  assert_becomes ("vfio-pci,id=ua-a-x-vga,a=,,", "vfio-pci,id=ua-a-x-vga,a=,,,x-vga=on");
  assert_becomes ("vfio-pci,id=ua-a-x-vga,a=,,,", "vfio-pci,id=ua-a-x-vga,a=,,,x-vga=on");
}

static void
test_comma_kept (void)
{
  static const char *const devices[] = {
    "",
    ",",
    "=",
    "vfio-pci",
    "vfio-pci,",
    "vfio-pci,id",
    "vfio-pci,id=",
    "vfio-pci,id=hostdev0",
    "vfio-pci,host=0000:01:00.0,id=hostdev0",
    "vfio-pci,id=x,id=ua-a-x-vga",
    "virtio-net-pci,id=ua-a-x-vga",
    "id=ua-a-x-vga",
    "vfio-pci,name=vfio-pci,xid=ua-a-x-vga",
    "help",
    "vfio-pci,help",
  };

  for (guint i = 0; i < G_N_ELEMENTS (devices); i++)
    assert_kept (devices[i]);
}

static void
test_comma_missed (void)
{
  static const char *const devices[] = {
    "vfio-pc,id=ua-a-x-vga",
    "vfio-pci-x,id=ua-a-x-vga",
    "virtio-net-pci,name=vfio-pci,id=ua-a-x-vga",
    "vfio-pci,id=ua-a-x-vga,driver=e1000",
    " vfio-pci,id=ua-a-x-vga",
  };

  for (guint i = 0; i < G_N_ELEMENTS (devices); i++)
    assert_missed (devices[i]);
}

static void
assert_list (const char *const *arguments, const char *const *expected)
{
  char **rewritten = vp_emulator_args_rewrite ((char **) arguments, count_missed);

  g_assert_cmpstrv (rewritten, expected);
  vp_emulator_args_free (rewritten, (char **) arguments);
}

#define LIST(...) ((const char *const[]){ "qemu", __VA_ARGS__, NULL })
#define CARD "vfio-pci,id=ua-a-x-vga"

static void
test_positions (void)
{
  const char *const nothing[] = { NULL };

  assert_list (nothing, nothing);
  assert_list (LIST ("-device"), LIST ("-device"));
  assert_list (LIST ("-device", "-device"), LIST ("-device", "-device"));
  /* Only the value of -device, wherever else the text stands. */
  assert_list (LIST (CARD), LIST (CARD));
  assert_list (LIST ("-name", CARD, "-netdev", CARD), LIST ("-name", CARD, "-netdev", CARD));
  assert_list (LIST ("-devices", CARD, "---device", CARD, "device", CARD, "-device=" CARD),
               LIST ("-devices", CARD, "---device", CARD, "device", CARD, "-device=" CARD));
  assert_list (LIST ("-device", CARD, CARD), LIST ("-device", CARD ",x-vga=on", CARD));
  /* A kernel's command line that is "-device", with an option behind it. */
  assert_list (LIST ("-append", "-device", "-device", CARD), LIST ("-append", "-device", "-device", CARD ",x-vga=on"));
  assert_list (LIST ("-append", "-device", "-name", CARD), LIST ("-append", "-device", "-name", CARD));
}

int
main (int argc, char **argv)
{
  static const char *const recorded[] = {
    "libvirt-9.0-json",
    "libvirt-9.0-two-cards",
    "libvirt-9.0-probe",
    "libvirt-6.0-comma",
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (recorded); i++) {
    g_autofree char *path = g_strconcat ("/emulator-args/recorded/", recorded[i], NULL);
    g_test_add_data_func (path, recorded[i], test_recorded);
  }
  g_test_add_func ("/emulator-args/mark", test_mark);
  g_test_add_func ("/emulator-args/json", test_json);
  g_test_add_func ("/emulator-args/json/values-survive", test_json_values_survive);
  g_test_add_func ("/emulator-args/json/kept", test_json_kept);
  g_test_add_func ("/emulator-args/json/missed", test_json_missed);
  g_test_add_func ("/emulator-args/json/text-stays", test_json_text_stays);
  g_test_add_func ("/emulator-args/json/deep", test_json_deep);
  g_test_add_func ("/emulator-args/json/duplicates", test_json_duplicates);
  g_test_add_func ("/emulator-args/huge", test_huge);
  g_test_add_func ("/emulator-args/comma", test_comma);
  g_test_add_func ("/emulator-args/comma/escapes", test_comma_escapes);
  g_test_add_func ("/emulator-args/comma/kept", test_comma_kept);
  g_test_add_func ("/emulator-args/comma/missed", test_comma_missed);
  g_test_add_func ("/emulator-args/positions", test_positions);
  return g_test_run ();
}
