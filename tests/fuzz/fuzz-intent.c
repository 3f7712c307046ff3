/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a domain's intent and, after lines of %%, the files beside it: a name, a line
 * break, the text. A damaged intent is set aside; of another the versions are those that are its
 * own, in their order, and what was lost is found and put together. It can be noted again.
 */
#include <glib/gstdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edits/intents.h"

#define MOST_FILES 16
#define FOLDER_OF_A "d-a"

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static char *folder;
static VpIntents *intents;

static char *
dup_path (const char *name)
{
  return g_build_filename (folder, FOLDER_OF_A, name, NULL);
}

static void
remove_files (void)
{
  g_autofree char *path = dup_path (NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir)) {
    g_autofree char *file = dup_path (name);
    g_assert_cmpint (g_unlink (file), ==, 0);
  }
}

static void
remove_folder (void)
{
  g_autofree char *inner = dup_path (NULL);

  remove_files ();
  vp_intents_free (intents);
  (void) g_rmdir (inner);
  (void) g_rmdir (folder);
}

static void
make_folder (void)
{
  if (folder != NULL)
    return;
  folder = g_dir_make_tmp ("fuzz-intent-XXXXXX", NULL);
  g_assert_nonnull (folder);
  intents = vp_intents_new (folder, NULL);
  g_autofree char *inner = dup_path (NULL);
  g_assert_true (intents != NULL && g_mkdir (inner, 0700) == 0);
  (void) atexit (remove_folder);
}

static void
write_file (const char *name, const char *text)
{
  g_autofree char *path = dup_path (name);

  if (name[0] != '\0' && strlen (name) < 200 && strchr (name, '/') == NULL && !g_str_equal (name, ".") &&
      !g_str_equal (name, ".."))
    g_assert_true (g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void
write_files (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_auto (GStrv) parts = g_strsplit (text, "\n%%\n", MOST_FILES);

  remove_files ();
  for (guint i = 1; parts[0] != NULL && parts[i] != NULL; i++) {
    char *end = strchr (parts[i], '\n');
    if (end != NULL)
      *end = '\0';
    write_file (parts[i], end != NULL ? end + 1 : "");
  }
  write_file ("intent", parts[0] != NULL ? parts[0] : "");
}

static void
check_versions (const GPtrArray *versions)
{
  for (guint i = 0; i < versions->len; i++) {
    const VpVersion *version = versions->pdata[i];
    g_assert_true (i == 0 || version->serial > ((const VpVersion *) versions->pdata[i - 1])->serial);
  }
}

/* What was overwritten, if anything, is a document that holds it. */
static void
check_lost (const VpWrite *write, const GPtrArray *versions)
{
  g_autoptr (VpLost) lost = vp_lost_find (write, versions);
  g_auto (VpOverruled) overruled = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true ((lost->kind == VP_LOST_EDIT) == (lost->last != NULL));
  if (lost->kind != VP_LOST_EDIT)
    return;
  g_autoptr (VpDomain) sum = vp_lost_sum (lost, write, write->written, &overruled, &error);
  g_assert_true ((sum != NULL) == (error == NULL));
  g_assert_true (overruled.words == NULL || (sum != NULL && g_utf8_validate (overruled.words, -1, NULL)));
  g_assert_true (overruled.loser == NULL || overruled.words != NULL);
}

static void
check_again (const VpWrite *write, const GPtrArray *versions)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (vp_intents_open (intents, "a", write, versions, &error));
  g_assert_no_error (error);
  g_autoptr (VpIntent) again = vp_intents_load (intents, "a", &error);
  g_assert_no_error (error);
  g_assert_true (vp_domain_equal (again->base, write->base) && vp_domain_equal (again->written, write->written));
  g_assert_true ((again->carry != NULL) == (write->carry != NULL));
  g_autoptr (GPtrArray) read = vp_intents_load_versions (intents, "a", again, &error);
  g_assert_cmpuint (read->len, ==, versions->len);
  check_versions (read);
  vp_intents_close (intents, "a");
  g_assert_false (vp_intents_has (intents, "a"));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;

  make_folder ();
  write_files (data, size);
  g_autoptr (VpIntent) intent = vp_intents_load (intents, "a", &error);
  if (intent == NULL) {
    g_assert_true (error != NULL && g_utf8_validate (error->message, -1, NULL));
    g_assert_false (vp_intents_has (intents, "a"));
    return 0;
  }
  g_assert_no_error (error);
  const VpWrite write = { intent->base, intent->carry, intent->written };
  g_autoptr (GPtrArray) versions = vp_intents_load_versions (intents, "a", intent, &error);
  check_versions (versions);
  check_lost (&write, versions);
  check_again (&write, versions);
  return 0;
}
