/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user, and what his guests need. Runs as root: a user's files are looked at with care. */
#include "cli/cards/grant-user.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "domain/domain.h"

#define MAX_DEFINITION (4 * 1024 * 1024)
#define MAX_DEFINITIONS 4096

void
vp_grant_user_clear (VpGrantUser *user)
{
  g_clear_pointer (&user->name, g_free);
  g_clear_pointer (&user->home, g_free);
}

static gboolean
take (VpGrantUser *user, const struct passwd *entry)
{
  user->uid = entry->pw_uid;
  user->name = g_strdup (entry->pw_name);
  user->home = g_strdup (entry->pw_dir);
  return TRUE;
}

static gboolean
find_in_file (VpGrantUser *user, const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, "etc/passwd", NULL);
  FILE *file = fopen (path, "re");
  gboolean found = FALSE;

  for (struct passwd *entry = file != NULL ? fgetpwent (file) : NULL; entry != NULL && !found; entry = fgetpwent (file))
    if (strcmp (entry->pw_name, name) == 0)
      found = take (user, entry);
  if (file != NULL)
    (void) fclose (file); /* only read */
  return found;
}

/* The name stands in our list, between spaces. */
static gboolean
check (const VpGrantUser *user, GError **error)
{
  if (user->uid == 0)
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT,
                 "'%s' is root, who has every card already: it is for ordinary users "
                 "and their qemu:///session",
                 user->name);
  else if (strpbrk (user->name, " \t\n\\\"'#") != NULL)
    g_set_error (error, VP_ERROR, VP_ERROR_UNFIT, "the user name '%s' has signs that other programs' files cannot hold",
                 user->name);
  else
    return TRUE;
  return FALSE;
}

gboolean
vp_grant_user_find (VpGrantUser *user, const char *folder, const char *name, GError **error)
{
  gboolean found = FALSE;

  if (strcmp (folder, "/") == 0) {
    const struct passwd *entry = getpwnam (name);
    found = entry != NULL && take (user, entry);
  } else {
    found = find_in_file (user, folder, name);
  }
  if (found)
    return check (user, error);
  g_set_error (error, VP_ERROR, VP_ERROR_UNFIT, "there is no user '%s'", name);
  return FALSE;
}

/* Only a plain file of the user's own: a link may lead anywhere, and a pipe would block. */
static char *
load (int folder, const char *name, guint uid)
{
  int fd = openat (folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat info;
  g_autofree char *text = NULL;

  if (fd < 0)
    return NULL;
  if (fstat (fd, &info) == 0 && S_ISREG (info.st_mode) && info.st_uid == uid && info.st_size <= MAX_DEFINITION) {
    text = g_malloc0 ((gsize) info.st_size + 1);
    if (read (fd, text, (gsize) info.st_size) != info.st_size)
      g_clear_pointer (&text, g_free);
  }
  (void) close (fd); /* only read */
  return g_steal_pointer (&text);
}

static guint64
read_memory (const char *text)
{
  g_autoptr (VpDomain) domain = vp_domain_parse (text, strlen (text), "a definition of the user's", NULL);

  return domain != NULL ? vp_domain_memory_kib (domain, NULL) : 0;
}

guint64
vp_grant_find_largest (const char *folder, const VpGrantUser *user)
{
  g_autofree char *path = g_build_filename (folder, user->home, ".config/libvirt/qemu", NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  int fd = dir != NULL ? open (path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  guint64 largest = 0;

  for (guint i = 0; fd >= 0 && i < MAX_DEFINITIONS; i++) {
    const char *name = g_dir_read_name (dir);
    if (name == NULL)
      break;
    g_autofree char *text = g_str_has_suffix (name, ".xml") ? load (fd, name, user->uid) : NULL;
    if (text != NULL)
      largest = MAX (largest, read_memory (text));
  }
  if (fd >= 0)
    (void) close (fd);
  return largest;
}

gboolean
vp_grant_parse_memory (const char *text, guint64 *kib)
{
  g_autoptr (GRegex) form = g_regex_new ("^([0-9]{1,12}) ?([KMGT]i?B)$", G_REGEX_RAW, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;

  if (!g_regex_match (form, text, 0, &match))
    return FALSE;
  g_autofree char *number = g_match_info_fetch (match, 1);
  g_autofree char *unit = g_match_info_fetch (match, 2);
  return vp_size_to_kib (number, unit, kib) && *kib > 0;
}
