/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's record of a unit and its text: journals that are there are read, and nothing but what is written. */
#include "daemon/hold/isolate-record.h"

#include <string.h>

typedef struct {
  const char *text;
  const char *unit;
  const char *without;
} Known;

/* As journals have them. */
static void
test_keys (void)
{
  static const Known known[] = {
    { "system.slice without 2-3", "system.slice", "2-3" },
    { "init.scope without 0", "init.scope", "0" },
    { "machine-qemu\\x2d1\\x2dmy\\x2dguest.scope without 2-5,8,99999", "machine-qemu\\x2d1\\x2dmy\\x2dguest.scope",
      "2-5,8,99999" },
    { "user@1000.service without 1,3", "user@1000.service", "1,3" },
    { "without without 1", "without", "1" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    g_auto (VpUnitKey) key = { NULL, NULL };
    g_assert_true (vp_unit_key_parse (known[i].text, &key));
    g_assert_cmpstr (key.unit, ==, known[i].unit);
    g_autofree char *without = vp_list_dup (key.without);
    g_assert_cmpstr (without, ==, known[i].without);
    g_autofree char *text = vp_unit_key_dup_text (key.unit, key.without);
    g_assert_cmpstr (text, ==, known[i].text);
  }
}

static void
test_values (void)
{
  static const struct {
    const char *text;
    VpUnitState state;
  } known[] = {
    { "in force", VP_UNIT_IN_FORCE },
    { "all", VP_UNIT_ALL },
    { "0-1,4-7", VP_UNIT_SOME },
    { "5", VP_UNIT_SOME },
  };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    g_auto (VpUnitValue) value = { VP_UNIT_IN_FORCE, NULL };
    g_assert_true (vp_unit_value_parse (known[i].text, &value));
    g_assert_cmpint (value.state, ==, known[i].state);
    g_assert_true ((value.cpus != NULL) == (value.state == VP_UNIT_SOME));
    g_autofree char *text = vp_unit_value_dup_text (&value);
    g_assert_cmpstr (text, ==, known[i].text);
  }
}

static void
test_others (void)
{
  static const char *const keys[] = {
    "",
    "system.slice",
    " without 2-3",
    "system.slice without ",
    "system.slice without",
    "system.slice  without 2",
    "system.slice without  2",
    "system.slice without 2 ",
    "system.slice without 2\n",
    "system.slice without 2-3,^3",
    "system.slice without 3-2",
    "system.slice without 2,3",
    "system.slice without 02",
    "system.slice without -1",
    "system.slice without 2-",
    "system.slice without 100000",
    "system.slice without 0-4294967295",
    "system.slice without all",
    "a b without 2",
    "a/b without 2",
    "a without b without 2",
    "a without 2 without 3",
    "\xc3\xa4 without 2",
    "system.slice\twithout 2",
    "system.slice WITHOUT 2",
  };
  static const char *const values[] = {
    "",
    " ",
    "All",
    "all ",
    "in force\n",
    "in  force",
    "force",
    "2-3,^3",
    "^3",
    "3-2",
    "2,3",
    "1-2,2-3",
    "007",
    "-1",
    "2-",
    "0x3",
    "100000",
    "all,1",
    "99999999999999999999",
  };

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_auto (VpUnitKey) key = { NULL, NULL };
    g_test_message ("%s", keys[i]);
    g_assert_false (vp_unit_key_parse (keys[i], &key));
    g_assert_true (key.unit == NULL && key.without == NULL);
  }
  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    g_auto (VpUnitValue) value = { VP_UNIT_IN_FORCE, NULL };
    g_test_message ("%s", values[i]);
    g_assert_false (vp_unit_value_parse (values[i], &value));
    g_assert_true (value.state == VP_UNIT_IN_FORCE && value.cpus == NULL);
  }
}

/* Any set comes back; a text that was changed at one place is refused, or is the one text of what it says. */
static void
test_random (void)
{
  for (guint round = 0; round < 2000; round++) {
    g_autoptr (VpBitmap) cpus = hwloc_bitmap_alloc ();
    g_auto (VpUnitKey) key = { NULL, NULL };
    g_auto (VpUnitKey) other = { NULL, NULL };

    for (int bits = g_test_rand_int_range (1, 20); bits > 0; bits--)
      hwloc_bitmap_set (cpus, (unsigned) g_test_rand_int_range (0, round % 2 == 0 ? 16 : 1024));
    g_autofree char *text = vp_unit_key_dup_text ("system.slice", cpus);
    g_assert_true (vp_unit_key_parse (text, &key));
    g_assert_true (hwloc_bitmap_isequal (key.without, cpus));
    text[g_test_rand_int_range (0, (gint32) strlen (text))] = (char) g_test_rand_int_range (1, 256);
    if (!vp_unit_key_parse (text, &other))
      continue;
    g_autofree char *again = vp_unit_key_dup_text (other.unit, other.without);
    g_assert_cmpstr (again, ==, text);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/isolate-record/keys", test_keys);
  g_test_add_func ("/isolate-record/values", test_values);
  g_test_add_func ("/isolate-record/others", test_others);
  g_test_add_func ("/isolate-record/random", test_random);
  return g_test_run ();
}
