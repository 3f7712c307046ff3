/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading below one directory descriptor; decides nothing. */
#include "base/root-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"

#define MAX_TEXT 4096 /* a sysfs attribute is at most a page */
#define MAX_ENTRIES 65536
#define MAX_TRIES 1000

/*
 * glibc has no wrapper for openat2; Linux has it since 5.6. A rename or a mount anywhere on the
 * machine while it follows a ".." makes it say EAGAIN, which is no answer: it is asked again.
 */
static int
open_beneath (int folder, const char *path, guint64 flags)
{
  struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
  int fd = -1;

  for (guint i = 0; i < MAX_TRIES && (i == 0 || (fd < 0 && errno == EAGAIN)); i++)
    fd = (int) syscall (SYS_openat2, folder, path, &how, sizeof how);
  return fd;
}

/* Without it nothing is found below any root, and what is read from it would be said to be missing. */
static gboolean
check_openat2 (int folder, const char *path, GError **error)
{
  int fd = open_beneath (folder, ".", O_PATH);

  if (fd < 0) {
    g_set_error (
      error, VP_ERROR, VP_ERROR_HOST,
      "cannot look below %s, the system call openat2 failed (%s): it needs Linux 5.6 or newer, and a sandbox "
      "or container that lets it through",
      path, g_strerror (errno));
    return FALSE;
  }
  (void) close (fd);
  return TRUE;
}

static VpRoot *
open_root (const char *path, gboolean sysfs, GError **error)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot open the folder %s: %s", path, g_strerror (errno));
    return NULL;
  }
  if (!check_openat2 (fd, path, error)) {
    (void) close (fd);
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
  (void) close (root->fd); /* a folder's: nothing was written to it */
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

int
vp_root_ask_shim (const VpRoot *root, const char *what, const char *path)
{
  return root->shim.fault != NULL ? root->shim.fault (what, path, root->shim.data) : 0;
}

int
vp_root_open_below (const VpRoot *root, const char *path, guint64 flags)
{
  const char *below = path_below (root, path);
  int number = below != NULL ? vp_root_ask_shim (root, "open", path) : ENOENT;

  if (number != 0) {
    errno = number;
    return -1;
  }
  return open_beneath (root->fd, below, flags);
}

/* 0, or why not. */
static int
read_bytes (const VpRoot *root, const char *path, gsize most, char **bytes, gsize *length)
{
  int fd = vp_root_open_below (root, path, O_RDONLY | O_NONBLOCK);
  gsize room = MIN (most, MAX_TEXT);
  gssize got = 0;

  if (fd < 0)
    return errno;
  g_autofree char *read_so_far = g_malloc (room + 1);
  *length = 0;
  do {
    if (*length == room) {
      room = MIN (most, room * 2);
      read_so_far = g_realloc (read_so_far, room + 1);
    }
    got = read (fd, read_so_far + *length, room - *length);
    *length += got > 0 ? (gsize) got : 0;
  } while ((got > 0 && *length < most) || (got < 0 && errno == EINTR));
  int number = got < 0 ? errno : 0;
  (void) close (fd);
  if (number != 0)
    return number;
  read_so_far[*length] = '\0';
  *bytes = g_steal_pointer (&read_so_far);
  return 0;
}

char *
vp_root_dup_bytes (const VpRoot *root, const char *path, gsize most, gsize *length)
{
  char *bytes = NULL;

  return read_bytes (root, path, most, &bytes, length) == 0 ? bytes : NULL;
}

char *
vp_root_dup_text (const VpRoot *root, const char *path)
{
  gsize length = 0;
  char *text = vp_root_dup_bytes (root, path, MAX_TEXT, &length);

  return text != NULL ? g_strstrip (text) : NULL;
}

/* ENXIO and ENODEV: the file is still open or found, the device behind it is not there any more. */
static gboolean
is_gone (int number)
{
  return number == ENOENT || number == ENODEV || number == ENXIO;
}

gboolean
vp_root_read_bytes (const VpRoot *root, const char *path, gsize most, char **bytes, gsize *length, GError **error)
{
  *bytes = NULL;
  int number = read_bytes (root, path, most, bytes, length);
  if (number == 0 || is_gone (number))
    return TRUE;
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read /%s: %s", path, g_strerror (number));
  return FALSE;
}

gboolean
vp_root_read_text (const VpRoot *root, const char *path, char **text, GError **error)
{
  gsize length = 0;
  gboolean known = vp_root_read_bytes (root, path, MAX_TEXT, text, &length, error);

  if (*text != NULL)
    g_strstrip (*text);
  return known;
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

static char *
dup_link_at (int folder, const char *name)
{
  char target[MAX_TEXT];
  gssize length = readlinkat (folder, name, target, sizeof target - 1);

  return length > 0 ? g_strndup (target, (gsize) length) : NULL;
}

char *
vp_root_dup_link_name (const VpRoot *root, const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  int fd = vp_root_open_below (root, folder, O_PATH | O_DIRECTORY);

  if (fd < 0)
    return NULL;
  g_autofree char *target = dup_link_at (fd, name);
  (void) close (fd);
  return target != NULL ? g_path_get_basename (target) : NULL;
}

/* Only /proc's own links are followed, which lead to what is open; and only to /dev: a dead file server would block. */
static gboolean
stat_open_node (int folder, const char *name, const char *target, struct stat *node)
{
  struct statfs system;

  return g_str_has_prefix (target, "/dev/") && fstatfs (folder, &system) == 0 && system.f_type == PROC_SUPER_MAGIC &&
         fstatat (folder, name, node, AT_NO_AUTOMOUNT) == 0;
}

void
vp_root_each_link (const VpRoot *root, const char *path, VpRootLinkFunc func, gpointer data)
{
  int fd = vp_root_open_below (root, path, O_RDONLY | O_DIRECTORY);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  guint seen = 0;

  if (dir == NULL && fd >= 0)
    (void) close (fd);
  for (struct dirent *entry = dir != NULL ? readdir (dir) : NULL; entry != NULL && seen < MAX_ENTRIES;
       entry = readdir (dir), seen++) {
    g_autofree char *target = dup_link_at (fd, entry->d_name);
    struct stat node;
    if (target == NULL)
      continue;
    gboolean is_open = stat_open_node (fd, entry->d_name, target, &node);
    if (!func (entry->d_name, target, is_open ? &node : NULL, data))
      break;
  }
  if (dir != NULL)
    (void) closedir (dir);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* 0, or why not; what was read until then is in `names`. */
static int
read_names (const VpRoot *root, const char *path, GPtrArray *names)
{
  int fd = vp_root_open_below (root, path, O_RDONLY | O_DIRECTORY);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  int number = errno;

  if (dir == NULL && fd >= 0)
    (void) close (fd);
  if (dir == NULL)
    return number;
  errno = 0;
  for (struct dirent *entry = readdir (dir); entry != NULL && names->len < MAX_ENTRIES; entry = readdir (dir)) {
    if (entry->d_name[0] != '.')
      g_ptr_array_add (names, g_strdup (entry->d_name));
    errno = 0;
  }
  number = errno;
  (void) closedir (dir);
  return number;
}

static GStrv
end_names (GPtrArray *names)
{
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (GStrv) g_ptr_array_steal (names, NULL);
}

GStrv
vp_root_list (const VpRoot *root, const char *path)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  (void) read_names (root, path, names);
  return end_names (names);
}

GStrv
vp_root_read_folder (const VpRoot *root, const char *path, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int number = read_names (root, path, names);

  if (number == 0 || is_gone (number))
    return end_names (names);
  g_set_error (error, VP_ERROR, VP_ERROR_HOST, "cannot read the folder /%s: %s", path, g_strerror (number));
  return NULL;
}

gboolean
vp_root_stat (const VpRoot *root, const char *path, struct stat *info)
{
  int fd = vp_root_open_below (root, path, O_PATH);

  if (fd < 0)
    return FALSE;
  gboolean is = fstat (fd, info) == 0;
  (void) close (fd);
  return is;
}

gboolean
vp_root_is_executable (const VpRoot *root, const char *path)
{
  struct stat info;

  return vp_root_stat (root, path, &info) && S_ISREG (info.st_mode) && (info.st_mode & 0111) != 0;
}
