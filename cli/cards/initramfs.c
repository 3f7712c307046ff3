/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The programs that make an initramfs. Runs one only when it is told to. */
#include "cli/cards/initramfs.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/base/output.h"
#include "config.h"

/* By program, not by distribution: Debian has dracut as well. */
static const struct {
  const char *program; /* below the root */
  const char *command[5];
} makers[] = {
  { "usr/sbin/update-initramfs", { "update-initramfs", "-u", "-k", "all", NULL } },
  { "usr/bin/dracut", { "dracut", "--force", "--regenerate-all", NULL } },
  { "usr/sbin/dracut", { "dracut", "--force", "--regenerate-all", NULL } },
  { "usr/bin/mkinitcpio", { "mkinitcpio", "-P", NULL } },
};

/* NULL-ended; NULL: none that we know is here. */
static const char *const *
find_command (const VpRoot *root)
{
  for (gsize i = 0; i < G_N_ELEMENTS (makers); i++)
    if (vp_root_is_executable (root, makers[i].program))
      return makers[i].command;
  return NULL;
}

static gboolean
make_anew (const VpRoot *root, GError **error)
{
  const char *const *command = find_command (root);
  g_autofree char *words = command != NULL ? g_strjoinv (" ", (char **) command) : NULL;
  g_autoptr (GError) problem = NULL;
  int status = 0;

  if (command == NULL) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST,
                 "none of update-initramfs, dracut and mkinitcpio is here: make the "
                 "initramfs anew by the means of this distribution");
    return FALSE;
  }
  if (g_spawn_sync (NULL, (char **) command, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL, NULL,
                    NULL, &status, &problem) &&
      g_spawn_check_wait_status (status, &problem))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "the initramfs was not made anew: '%s' failed: %s", words,
               problem->message);
  return FALSE;
}

/* mkinitcpio takes no hook of ours without a line in its settings. */
char *
vp_initramfs_dup_advice (const VpRoot *root)
{
  const char *const *command = find_command (root);
  g_autofree char *words = command != NULL ? g_strjoinv (" ", (char **) command) : NULL;

  if (words == NULL)
    return g_strdup ("make the initramfs anew and boot");
  if (strcmp (command[0], "mkinitcpio") != 0)
    return g_strdup_printf ("run '%s' and boot", words);
  return g_strdup_printf ("add 'vfio_pci' to MODULES and '" VP_SEQUESTER_LIST " " VP_SEQUESTER_PROGRAM "' to FILES in "
                          "/etc/mkinitcpio.conf, run '%s' and boot",
                          words);
}

gboolean
vp_initramfs_is_stale (const VpRoot *root)
{
  static const char *const forms[][2] = { { "boot/initrd.img-", "" }, { "boot/initramfs-", ".img" } };
  g_autofree char *release = vp_root_dup_text (root, "proc/sys/kernel/osrelease");
  struct stat list;

  if (release == NULL || strchr (release, '/') != NULL || !vp_root_stat (root, &VP_SEQUESTER_LIST[1], &list))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (forms); i++) {
    g_autofree char *path = g_strconcat (forms[i][0], release, forms[i][1], NULL);
    struct stat image;
    if (vp_root_stat (root, path, &image))
      return image.st_mtime < list.st_mtime;
  }
  return FALSE;
}

gboolean
vp_initramfs_finish (const VpRoot *root, gboolean make, gboolean changed, GError **error)
{
  if (make) {
    (void) fflush (stdout); /* before the other program's lines */
    if (!make_anew (root, error))
      return FALSE;
    vp_output_line (VP_STYLE_HEAD, "the initramfs is made anew; it holds from the next boot on");
  } else if (changed || vp_initramfs_is_stale (root)) {
    g_autofree char *advice = vp_initramfs_dup_advice (root);
    vp_output_line (VP_STYLE_HEAD, "for it to hold, %s", advice);
  }
  return TRUE;
}
