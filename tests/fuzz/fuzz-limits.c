/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as the administrator's file of limits. It is damaged, with a reason that can be
 * shown, and then nothing is wider than what is built in; or it says what a key can mean.
 */
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "profile/tag-limits.h"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static char *folder;
static char *path;

static void
remove_folder (void)
{
  (void) g_unlink (path);
  (void) g_rmdir (folder);
}

static void
make_folder (void)
{
  if (folder != NULL)
    return;
  folder = g_dir_make_tmp ("fuzz-limits-XXXXXX", NULL);
  g_assert_nonnull (folder);
  path = g_build_filename (folder, "vfio-profile.conf", NULL);
  (void) atexit (remove_folder);
}

static gboolean
allows (const VpLimits *limits, VpKey key, const char *value)
{
  g_autoptr (GError) error = NULL;
  gboolean yes = vp_limits_check (limits, key, value, "tag", &error);

  g_assert_true (yes == (error == NULL));
  g_assert_true (yes || (error->domain == VP_ERROR && g_utf8_validate (error->message, -1, NULL)));
  return yes;
}

static const char *const values[] = {
  "",   "0",  "1",   "2",   "8",   "60",       "61",   "3600", "18446744073709551615",
  "no", "on", "yes", "off", "any", "isolated", "keep", "none", "retry"
};

/* What a limit says, and what it lets pass, are the same. */
static void
check_key (const VpLimits *limits, VpKey key)
{
  const char *text = vp_limits_get (limits, key);

  g_assert_true (text != NULL && g_utf8_validate (text, -1, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (values); i++) {
    gboolean allowed = allows (limits, key, values[i]);
    g_assert_true (!allowed || !g_str_equal (text, "none"));
    g_assert_true (allowed || !g_str_equal (text, "any"));
    if (allowed && g_str_has_prefix (text, "at most "))
      g_assert_cmpuint (g_ascii_strtoull (values[i], NULL, 10), <=, g_ascii_strtoull (text + 8, NULL, 10));
    if (allowed && g_str_has_prefix (text, "at least "))
      g_assert_cmpuint (g_ascii_strtoull (values[i], NULL, 10), >=, g_ascii_strtoull (text + 9, NULL, 10));
  }
}

/* Nothing of a damaged file holds. */
static void
check_damaged (const VpLimits *limits)
{
  g_autoptr (VpLimits) built_in = vp_limits_new ();
  const GError *error = vp_limits_get_error (limits);
  VpMemoryKeep keep = vp_limits_get_keep (limits), shipped = vp_limits_get_keep (built_in);

  g_assert_error (error, VP_ERROR, VP_ERROR_PROFILE);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_true (keep.percent == shipped.percent && keep.kib == shipped.kib);
  for (VpKey key = 0; key < VP_N_KEYS; key++)
    g_assert_cmpstr (vp_limits_get (limits, key), ==, vp_limits_get (built_in, key));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  make_folder ();
  g_assert_true (g_file_set_contents_full (path, (const char *) data, (gssize) size, G_FILE_SET_CONTENTS_NONE, 0600,
                                           NULL));
  g_autoptr (VpLimits) limits = vp_limits_load (path);
  g_assert_nonnull (limits);
  VpMemoryKeep keep = vp_limits_get_keep (limits);
  g_assert_true (keep.percent <= 99 && (keep.percent == 0 || keep.kib == 0));
  g_assert_cmpuint (keep.kib, <=, G_GUINT64_CONSTANT (999999) << 20);
  if (vp_limits_get_error (limits) != NULL)
    check_damaged (limits);
  else
    g_assert_cmpstr (vp_limits_get_source (limits), ==, path);
  for (VpKey key = 0; key < VP_N_KEYS; key++)
    check_key (limits, key);
  return 0;
}
