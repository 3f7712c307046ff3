/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a QEMU command line, one argument a line. The list keeps its length, only
 * the values of -device change, those that change get x-vga, and a second time changes
 * nothing.
 */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "hooks/emulator-args.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
check_argument (char *const *before, char *const *after, guint i)
{
  if (after[i] == before[i])
    return;
  g_assert_true (i > 0 && (g_str_equal (before[i - 1], "-device") || g_str_equal (before[i - 1], "--device")));
  g_assert_cmpstr (after[i], !=, before[i]);
  g_assert_nonnull (strstr (after[i], "x-vga"));
}

/* Only what has the mark is missed. */
static void
check_missed (const char *device)
{
  g_assert_nonnull (strstr (device, "x-vga"));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_auto (GStrv) arguments = g_strsplit (text, "\n", 1000);
  char **once = vp_emulator_args_rewrite (arguments, check_missed);
  g_assert_nonnull (once);
  char **twice = vp_emulator_args_rewrite (once, check_missed);
  g_assert_nonnull (twice);

  g_assert_cmpuint (g_strv_length (once), ==, g_strv_length (arguments));
  for (guint i = 0; arguments[i] != NULL; i++) {
    check_argument (arguments, once, i);
    g_assert_cmpstr (twice[i], ==, once[i]);
  }
  vp_emulator_args_free (twice, once);
  vp_emulator_args_free (once, arguments);
  return 0;
}
