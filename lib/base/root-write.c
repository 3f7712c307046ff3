/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing below one directory descriptor: attributes of the kernel's in one call,
 * files of our own so that a crash leaves the old text or the new one. Every
 * change goes past the shim. Decides nothing.
 */
#include "base/root-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

void
vp_root_set_shim (VpRoot *root, const VpRootShim *shim)
{
  root->shim = *shim;
}

static void
step (const VpRoot *root, const char *what, const char *path)
{
  if (root->shim.step != NULL)
    root->shim.step (what, path, root->shim.data);
}

/* One write: sysfs takes a value in one call or not at all. */
static int
write_attribute (const VpRoot *root, const char *path, const char *text)
{
  int fd = vp_root_open_below (root, path, O_WRONLY | O_NONBLOCK);
  gssize length = (gssize) strlen (text);
  gssize written = -1;
  int number = 0;

  if (fd < 0)
    return errno;
  do
    written = write (fd, text, (gsize) length);
  while (written < 0 && errno == EINTR);
  if (written != length)
    number = written < 0 ? errno : EIO;
  if (close (fd) != 0 && number == 0)
    number = errno;
  return number;
}

gboolean
vp_root_write_text (const VpRoot *root, const char *path, const char *text, int *number, GError **error)
{
  step (root, "before write", path);
  int problem =
    root->shim.write != NULL ? root->shim.write (path, text, root->shim.data) : write_attribute (root, path, text);
  step (root, "after write", path);
  if (number != NULL)
    *number = problem;
  if (problem == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot write '%s' to /%s: %s", text, path, g_strerror (problem));
  return FALSE;
}

static gboolean
fail (GError **error, const char *what, const char *path, int number)
{
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot %s %s: %s", what, path, g_strerror (number));
  return FALSE;
}

static gboolean
check_own (int fd, const char *path, gsize most, GError **error)
{
  struct stat info;

  if (fstat (fd, &info) != 0)
    return fail (error, "look at", path, errno);
  if (S_ISREG (info.st_mode) && info.st_uid == geteuid () && (info.st_mode & 022) == 0 &&
      (guint64) info.st_size <= most)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO,
               "%s has type and mode %o, owner %u and %" G_GINT64_FORMAT " bytes: a file of user %u that nobody else "
               "writes, of at most %" G_GSIZE_FORMAT " bytes, is needed",
               path, (unsigned) info.st_mode, (unsigned) info.st_uid, (gint64) info.st_size, (unsigned) geteuid (),
               most);
  return FALSE;
}

char *
vp_root_load_own (const VpRoot *root, const char *path, gsize most, GError **error)
{
  int fd = vp_root_open_below (root, path, O_PATH | O_NOFOLLOW);
  gsize length = 0;

  if (fd < 0) {
    int number = errno;
    g_set_error (error, VP_ERROR, number == ENOENT ? VP_ERROR_IO : VP_ERROR_HOST, "cannot open %s: %s", path,
                 g_strerror (number));
    return NULL;
  }
  gboolean is_own = check_own (fd, path, most, error);
  (void) close (fd);
  if (!is_own)
    return NULL;
  g_autofree char *text = NULL;
  if (!vp_root_read_bytes (root, path, most, &text, &length, error))
    return NULL;
  if (text != NULL && strlen (text) == length)
    return g_steal_pointer (&text);
  g_set_error (error, VP_ERROR, VP_ERROR_IO, text == NULL ? "%s is gone" : "%s is no text", path);
  return NULL;
}

/* The folder that `path` is in, open for fsync; -1 and errno. */
static int
open_parent (const VpRoot *root, const char *path, char **name)
{
  g_autofree char *folder = g_path_get_dirname (path);

  *name = g_path_get_basename (path);
  return vp_root_open_below (root, folder, O_RDONLY | O_DIRECTORY);
}

static int
write_whole (int fd, const char *text, gboolean sync)
{
  gsize left = strlen (text);

  while (left > 0) {
    gssize written = write (fd, text, left);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return errno;
    text += written;
    left -= (gsize) written;
  }
  return sync && fsync (fd) != 0 ? errno : 0;
}

static int
store_temporary (const VpRoot *root, int parent, const char *path, const char *name, const char *text, mode_t mode,
                 gboolean sync)
{
  int fd = openat (parent, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

  if (fd < 0)
    return errno;
  int number = fchmod (fd, mode) == 0 ? write_whole (fd, text, sync) : errno;
  if (number == 0)
    number = vp_root_ask_shim (root, "store", path);
  if (close (fd) != 0 && number == 0)
    number = errno;
  return number;
}

static gboolean
store (const VpRoot *root, const char *path, const char *text, mode_t mode, gboolean sync, GError **error)
{
  g_autofree char *name = NULL;
  int parent = open_parent (root, path, &name);
  g_autofree char *temporary = g_strconcat (name, VP_ROOT_TEMPORARY, NULL);

  if (parent < 0)
    return fail (error, "write", path, errno);
  step (root, "before store", path);
  int number = store_temporary (root, parent, path, temporary, text, mode, sync);
  step (root, "before rename", path);
  if (number == 0)
    number = vp_root_ask_shim (root, "rename", path);
  if (number == 0 && renameat (parent, temporary, parent, name) != 0)
    number = errno;
  step (root, "after rename", path);
  if (number == 0 && sync && fsync (parent) != 0)
    number = errno;
  if (number != 0)
    (void) unlinkat (parent, temporary, 0); /* what stays is removed at the next load */
  (void) close (parent);
  step (root, "after store", path);
  return number == 0 || fail (error, "write", path, number);
}

gboolean
vp_root_store (const VpRoot *root, const char *path, const char *text, GError **error)
{
  return store (root, path, text, 0600, TRUE, error);
}

gboolean
vp_root_store_unsynced (const VpRoot *root, const char *path, const char *text, GError **error)
{
  return store (root, path, text, 0600, FALSE, error);
}

gboolean
vp_root_store_public (const VpRoot *root, const char *path, const char *text, GError **error)
{
  return store (root, path, text, 0644, TRUE, error);
}

static gboolean
remove_file (const VpRoot *root, const char *path, gboolean sync, GError **error)
{
  g_autofree char *name = NULL;
  int parent = open_parent (root, path, &name);

  if (parent < 0)
    return fail (error, "remove", path, errno);
  step (root, "before remove", path);
  int number = vp_root_ask_shim (root, "remove", path);
  if (number == 0 && unlinkat (parent, name, 0) != 0 && errno != ENOENT)
    number = errno;
  step (root, "after remove", path);
  if (number == 0 && sync && fsync (parent) != 0)
    number = errno;
  (void) close (parent);
  return number == 0 || fail (error, "remove", path, number);
}

gboolean
vp_root_remove (const VpRoot *root, const char *path, GError **error)
{
  return remove_file (root, path, TRUE, error);
}

gboolean
vp_root_remove_unsynced (const VpRoot *root, const char *path, GError **error)
{
  return remove_file (root, path, FALSE, error);
}

gboolean
vp_root_rename (const VpRoot *root, const char *path, const char *name, GError **error)
{
  g_autofree char *old = NULL;
  int parent = open_parent (root, path, &old);

  if (parent < 0)
    return fail (error, "rename", path, errno);
  step (root, "before rename", path);
  int number = vp_root_ask_shim (root, "rename", path);
  if (number == 0 && (renameat2 (parent, old, parent, name, RENAME_NOREPLACE) != 0 || fsync (parent) != 0))
    number = errno;
  step (root, "after rename", path);
  (void) close (parent);
  return number == 0 || fail (error, "rename", path, number);
}

static gboolean
has_folder (const VpRoot *root, const char *path)
{
  int fd = vp_root_open_below (root, path, O_PATH | O_DIRECTORY);

  if (fd >= 0)
    (void) close (fd);
  return fd >= 0;
}

gboolean
vp_root_make_public_folders (const VpRoot *root, const char *path, GError **error)
{
  g_autofree char *above = g_path_get_dirname (path);
  g_autofree char *name = NULL;

  if (has_folder (root, path))
    return TRUE;
  if (strcmp (above, path) != 0 && !vp_root_make_public_folders (root, above, error))
    return FALSE;
  int parent = open_parent (root, path, &name);
  int number = parent >= 0 && (mkdirat (parent, name, 0755) == 0 || errno == EEXIST) ? 0 : errno;
  if (parent >= 0)
    (void) close (parent);
  return number == 0 || fail (error, "make the folder", path, number);
}

void
vp_root_remove_folder (const VpRoot *root, const char *path)
{
  g_autofree char *name = NULL;
  int parent = open_parent (root, path, &name);

  if (parent < 0)
    return;
  (void) unlinkat (parent, name, AT_REMOVEDIR);
  (void) close (parent);
}

gboolean
vp_root_make_folder (const VpRoot *root, const char *path, GError **error)
{
  g_autofree char *name = NULL;
  int parent = open_parent (root, path, &name);
  struct stat info;

  if (parent < 0)
    return fail (error, "make the folder", path, errno);
  int number = vp_root_ask_shim (root, "mkdir", path);
  if (number == 0 && mkdirat (parent, name, 0700) == 0)
    number = fsync (parent) != 0 ? errno : 0;
  else if (number == 0 && errno != EEXIST)
    number = errno;
  if (number == 0 && fstatat (parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
    number = errno;
  (void) close (parent);
  if (number != 0)
    return fail (error, "make the folder", path, number);
  if (S_ISDIR (info.st_mode) && info.st_uid == geteuid () && (info.st_mode & 022) == 0)
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_IO, "%s is not a folder of user %u that nobody else writes to: remove it",
               path, (unsigned) geteuid ());
  return FALSE;
}

/* Not synced: what is still there after a crash is removed again. */
gboolean
vp_root_clear_folder (const VpRoot *root, const char *path, GError **error)
{
  g_auto (GStrv) names = vp_root_list (root, path);
  g_autofree char *name = NULL;
  int folder = vp_root_open_below (root, path, O_RDONLY | O_DIRECTORY);
  int parent = open_parent (root, path, &name);
  int number = parent < 0 || (folder < 0 && errno != ENOENT) ? errno : 0;

  step (root, "before remove", path);
  for (guint i = 0; number == 0 && folder >= 0 && names[i] != NULL; i++)
    if (unlinkat (folder, names[i], 0) != 0 && errno != ENOENT)
      number = errno;
  if (number == 0 && folder >= 0 && unlinkat (parent, name, AT_REMOVEDIR) != 0)
    number = errno;
  step (root, "after remove", path);
  if (folder >= 0)
    (void) close (folder);
  if (parent >= 0)
    (void) close (parent);
  return number == 0 || fail (error, "remove", path, number);
}
