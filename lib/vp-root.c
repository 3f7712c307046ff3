/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading below one directory descriptor; decides nothing. */
#include "vp-root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vp-error.h"

#define MAX_TEXT 4096 /* a sysfs attribute is at most a page */
#define MAX_ENTRIES 65536

struct VpRoot {
  int fd;
  gboolean sysfs;
};

static VpRoot *
open_root (const char *path, gboolean sysfs, GError **error)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot open the folder %s: %s", path, g_strerror (errno));
    return NULL;
  }
  VpRoot *root = g_new0 (VpRoot, 1);
  root->fd = fd;
  root->sysfs = sysfs;
  return root;
}

VpRoot *
vp_root_open (const char *path, GError **error)
{
  return open_root (path, FALSE, error);
}

VpRoot *
vp_root_open_sysfs (const char *path, GError **error)
{
  return open_root (path, TRUE, error);
}

void
vp_root_free (VpRoot *root)
{
  if (root == NULL)
    return;
  (void) close (root->fd); /* only ever read from */
  g_free (root);
}

/* NULL: a path that this root does not have. */
static const char *
path_below (const VpRoot *root, const char *path)
{
  if (!root->sysfs)
    return path;
  return g_str_has_prefix (path, "sys/") ? path + strlen ("sys/") : NULL;
}

/* glibc has no wrapper for openat2; Linux has it since 5.6. */
static int
open_below (const VpRoot *root, const char *path, guint64 flags)
{
  struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
  const char *below = path_below (root, path);

  if (below == NULL) {
    errno = ENOENT;
    return -1;
  }
  return (int) syscall (SYS_openat2, root->fd, below, &how, sizeof how);
}

char *
vp_root_dup_text (const VpRoot *root, const char *path)
{
  char text[MAX_TEXT + 1];
  gsize length = 0;
  gssize got = 0;
  int fd = open_below (root, path, O_RDONLY | O_NONBLOCK);

  if (fd < 0)
    return NULL;
  do {
    got = read (fd, text + length, MAX_TEXT - length);
    length += got > 0 ? (gsize) got : 0;
  } while ((got > 0 && length < MAX_TEXT) || (got < 0 && errno == EINTR));
  (void) close (fd);
  if (got < 0)
    return NULL;
  text[length] = '\0';
  return g_strstrip (g_strdup (text));
}

gboolean
vp_root_read_number (const VpRoot *root, const char *path, int base, guint64 *number)
{
  g_autofree char *text = vp_root_dup_text (root, path);
  char *end = NULL;

  if (text == NULL || !g_ascii_isxdigit (text[0]))
    return FALSE;
  guint64 value = g_ascii_strtoull (text, &end, base);
  if (*end != '\0')
    return FALSE;
  *number = value;
  return TRUE;
}

char *
vp_root_dup_link_name (const VpRoot *root, const char *path)
{
  char target[MAX_TEXT];
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  int fd = open_below (root, folder, O_PATH | O_DIRECTORY);

  if (fd < 0)
    return NULL;
  gssize length = readlinkat (fd, name, target, sizeof target - 1);
  (void) close (fd);
  if (length <= 0)
    return NULL;
  target[length] = '\0';
  return g_path_get_basename (target);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

GStrv
vp_root_list (const VpRoot *root, const char *path)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  int fd = open_below (root, path, O_RDONLY | O_DIRECTORY);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;

  if (dir == NULL && fd >= 0)
    (void) close (fd);
  for (struct dirent *entry = dir != NULL ? readdir (dir) : NULL; entry != NULL && names->len < MAX_ENTRIES;
       entry = readdir (dir))
    if (entry->d_name[0] != '.')
      g_ptr_array_add (names, g_strdup (entry->d_name));
  if (dir != NULL)
    (void) closedir (dir);
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (GStrv) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}

gboolean
vp_root_is_executable (const VpRoot *root, const char *path)
{
  int fd = open_below (root, path, O_PATH);
  struct stat info;

  if (fd < 0)
    return FALSE;
  gboolean is = fstat (fd, &info) == 0 && S_ISREG (info.st_mode) && (info.st_mode & 0111) != 0;
  (void) close (fd);
  return is;
}
