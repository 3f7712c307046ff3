/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads libvirt's configuration folder as it changes. Does not understand what it reads.
 *
 * libvirt writes NAME.xml.new, syncs it, and renames it over NAME.xml. The new file is opened
 * when it is made: the descriptor stays with that version, however late this thread comes to
 * read it. It comes early: it has a real-time priority where it may, and sleeps nearly always.
 */
#include "daemon/keep/versions.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/xml.h"

#define SYNC_SECONDS 1
#define MAX_VERSIONS 1024 /* of one domain, between two looks of the main thread */

struct VpVersions {
  char *folder;
  VpVersionsFunc changed;
  gpointer data;
  int inotify_fd;
  int wake_fd;
  GThread *thread;
  GAsyncQueue *notices; /* of Notice: for the main thread; one source each */
  GHashTable *made; /* domain -> descriptor of the NAME.xml.new that is being written; the thread's own */

  GMutex mutex; /* guards all below */
  GCond synced;
  int watch_descriptor; /* -1: not watching */
  guint64 serial;
  guint64 sync_asked;
  guint64 sync_done;
  gboolean stopping;
  GHashTable *versions; /* char * -> GPtrArray of VpVersion */
};

static void
version_free (VpVersion *version)
{
  g_clear_pointer (&version->text, g_bytes_unref);
  g_free (version);
}

typedef struct {
  char *domain; /* NULL: any */
} Notice;

static void
notice_free (gpointer data)
{
  Notice *notice = data;

  g_free (notice->domain);
  g_free (notice);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Notice, notice_free)

static gboolean
deliver (gpointer data)
{
  VpVersions *versions = data;
  g_autoptr (Notice) notice = g_async_queue_pop (versions->notices);

  versions->changed (notice->domain, versions->data);
  return G_SOURCE_REMOVE;
}

/* Not g_main_context_invoke: that could run the callback in this thread. */
static void
notify_main (VpVersions *versions, const char *domain)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  Notice *notice = g_new0 (Notice, 1);

  notice->domain = g_strdup (domain);
  g_async_queue_push (versions->notices, notice);
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, deliver, versions, NULL);
  g_source_attach (source, NULL);
}

static GBytes *
read_descriptor (int fd)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint8 chunk[16 * 1024];
  gssize got = 0;

  while ((got = pread (fd, chunk, sizeof chunk, bytes->len)) > 0 && bytes->len <= VP_XML_MAX_BYTES)
    g_byte_array_append (bytes, chunk, (guint) got);
  if (got != 0)
    return NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
}

static int
open_file (const VpVersions *versions, const char *domain, const char *suffix)
{
  g_autofree char *name = g_strconcat (domain, suffix, NULL);
  g_autofree char *path = g_build_filename (versions->folder, name, NULL);
  struct stat info;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

  if (fd < 0 || (fstat (fd, &info) == 0 && S_ISREG (info.st_mode)))
    return fd;
  (void) close (fd);
  return -1;
}

static void
note_made (VpVersions *versions, const char *domain)
{
  int fd = open_file (versions, domain, ".xml.new");

  if (fd >= 0)
    g_hash_table_replace (versions->made, g_strdup (domain), GINT_TO_POINTER (fd));
}

static void
close_made (gpointer fd)
{
  (void) close (GPOINTER_TO_INT (fd));
}

/*
 * The descriptor from the making is this version's if that file is NAME.xml now, or was and is
 * gone. Otherwise this thread was so late that it opened the version after the next.
 */
static gboolean
is_of_this_version (int made, int present)
{
  struct stat a;
  struct stat b;

  if (fstat (made, &a) != 0)
    return FALSE;
  return a.st_nlink == 0 || (present >= 0 && fstat (present, &b) == 0 && a.st_ino == b.st_ino);
}

static GBytes *
read_version (VpVersions *versions, const char *domain)
{
  gpointer value = NULL;
  gboolean has_made = g_hash_table_lookup_extended (versions->made, domain, NULL, &value);
  int present = open_file (versions, domain, ".xml");
  GBytes *text = NULL;

  if (has_made && is_of_this_version (GPOINTER_TO_INT (value), present)) {
    text = read_descriptor (GPOINTER_TO_INT (value));
    g_hash_table_remove (versions->made, domain);
  } else if (present >= 0) {
    text = read_descriptor (present);
  }
  if (present >= 0)
    (void) close (present);
  return text;
}

static void
keep_version (VpVersions *versions, const char *domain, gboolean deleted, GBytes *text)
{
  VpVersion *version = g_new0 (VpVersion, 1);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  version->deleted = deleted;
  version->text = text;
  version->serial = ++versions->serial;
  GPtrArray *list = g_hash_table_lookup (versions->versions, domain);
  if (list == NULL) {
    list = g_ptr_array_new_with_free_func ((GDestroyNotify) version_free);
    g_hash_table_insert (versions->versions, g_strdup (domain), list);
  }
  if (list->len >= MAX_VERSIONS)
    g_ptr_array_remove_index (list, 0);
  g_ptr_array_add (list, version);
}

/* NULL: that is no such file's name. */
static char *
dup_domain (const char *file_name, const char *suffix)
{
  return g_str_has_suffix (file_name, suffix) ? g_strndup (file_name, strlen (file_name) - strlen (suffix)) : NULL;
}

/* The folder went; the next connection looks for it again. */
static void
forget_folder (VpVersions *versions)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  versions->watch_descriptor = -1;
}

static void
handle_event (VpVersions *versions, const struct inotify_event *event)
{
  if ((event->mask & IN_Q_OVERFLOW) != 0) {
    notify_main (versions, NULL);
    return;
  }
  if ((event->mask & IN_IGNORED) != 0) {
    forget_folder (versions);
    return;
  }
  if (event->len == 0 || (event->mask & IN_ISDIR) != 0)
    return;
  if ((event->mask & IN_CREATE) != 0) {
    g_autofree char *made = dup_domain (event->name, ".xml.new");
    if (made != NULL)
      note_made (versions, made);
    return;
  }
  g_autofree char *domain = dup_domain (event->name, ".xml");
  if (domain == NULL)
    return;
  gboolean deleted = (event->mask & (IN_DELETE | IN_MOVED_FROM)) != 0;
  keep_version (versions, domain, deleted, deleted ? NULL : read_version (versions, domain));
  notify_main (versions, domain);
}

static void
read_events (VpVersions *versions)
{
  char buffer[64 * 1024] __attribute__ ((aligned (__alignof__ (struct inotify_event))));
  gssize got = 0;

  while ((got = read (versions->inotify_fd, buffer, sizeof buffer)) > 0) {
    for (gssize at = 0; at < got;) {
      const struct inotify_event *event = (const struct inotify_event *) (void *) (buffer + at);
      handle_event (versions, event);
      at += (gssize) (sizeof *event + event->len);
    }
  }
}

static guint64
get_asked (VpVersions *versions)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  return versions->sync_asked;
}

/* FALSE: it is time to end. */
static gboolean
answer_sync (VpVersions *versions, guint64 asked)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  versions->sync_done = asked;
  g_cond_broadcast (&versions->synced);
  return !versions->stopping;
}

static gpointer
watch_thread (gpointer data)
{
  VpVersions *versions = data;
  struct pollfd fds[] = { { versions->inotify_fd, POLLIN, 0 }, { versions->wake_fd, POLLIN, 0 } };
  struct sched_param priority = { .sched_priority = 1 };
  gboolean going = TRUE;

  (void) pthread_setschedparam (pthread_self (), SCHED_RR, &priority); /* a user's own daemon may not */
  while (going) {
    guint64 wakes = 0;
    if (poll (fds, G_N_ELEMENTS (fds), -1) < 0 && errno != EINTR)
      return NULL;
    /* In this order no request is missed: one that comes after the note wakes us once more. */
    (void) !read (versions->wake_fd, &wakes, sizeof wakes);
    guint64 asked = get_asked (versions);
    read_events (versions);
    going = answer_sync (versions, asked);
  }
  return NULL;
}

VpVersions *
vp_versions_new (const char *folder, VpVersionsFunc changed, gpointer data, GError **error)
{
  VpVersions *versions = g_new0 (VpVersions, 1);

  versions->folder = g_strdup (folder);
  versions->changed = changed;
  versions->data = data;
  versions->watch_descriptor = -1;
  g_mutex_init (&versions->mutex);
  g_cond_init (&versions->synced);
  versions->versions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  versions->made = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, close_made);
  versions->notices = g_async_queue_new_full (notice_free);
  versions->inotify_fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  versions->wake_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (versions->inotify_fd < 0 || versions->wake_fd < 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot watch %s: %s", folder, g_strerror (errno));
    vp_versions_free (versions);
    return NULL;
  }
  versions->thread = g_thread_new ("versions", watch_thread, versions);
  return versions;
}

static void
wake (VpVersions *versions)
{
  guint64 one = 1;

  (void) !write (versions->wake_fd, &one, sizeof one); /* can only fail by being full, and then it is awake */
}

static void
stop (VpVersions *versions)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  versions->stopping = TRUE;
  wake (versions);
}

void
vp_versions_free (VpVersions *versions)
{
  if (versions == NULL)
    return;
  if (versions->thread != NULL) {
    stop (versions);
    g_thread_join (versions->thread);
  }
  if (versions->inotify_fd >= 0)
    (void) close (versions->inotify_fd);
  if (versions->wake_fd >= 0)
    (void) close (versions->wake_fd);
  while (g_source_remove_by_user_data (versions))
    ;
  g_async_queue_unref (versions->notices);
  g_hash_table_unref (versions->versions);
  g_hash_table_unref (versions->made);
  g_mutex_clear (&versions->mutex);
  g_cond_clear (&versions->synced);
  g_free (versions->folder);
  g_free (versions);
}

gboolean
vp_versions_ensure (VpVersions *versions, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  if (versions->watch_descriptor < 0)
    versions->watch_descriptor = inotify_add_watch (versions->inotify_fd, versions->folder,
                                                    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR);
  if (versions->watch_descriptor < 0)
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot watch libvirt's folder %s: %s", versions->folder,
                 g_strerror (errno));
  return versions->watch_descriptor >= 0;
}

gboolean
vp_versions_sync (VpVersions *versions, guint64 *serial)
{
  gint64 deadline = g_get_monotonic_time () + SYNC_SECONDS * G_TIME_SPAN_SECOND;
  gboolean in_time = TRUE;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  guint64 asked = ++versions->sync_asked;
  wake (versions);
  while (versions->sync_done < asked && in_time)
    in_time = g_cond_wait_until (&versions->synced, &versions->mutex, deadline);
  *serial = versions->serial;
  return versions->sync_done >= asked;
}

GPtrArray *
vp_versions_list (VpVersions *versions, const char *domain, guint64 after)
{
  GPtrArray *found = g_ptr_array_new_with_free_func ((GDestroyNotify) version_free);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  const GPtrArray *list = g_hash_table_lookup (versions->versions, domain);
  for (guint i = 0; list != NULL && i < list->len; i++) {
    const VpVersion *version = list->pdata[i];
    if (version->serial <= after)
      continue;
    VpVersion *copy = g_new0 (VpVersion, 1);
    copy->serial = version->serial;
    copy->deleted = version->deleted;
    copy->text = version->text != NULL ? g_bytes_ref (version->text) : NULL;
    g_ptr_array_add (found, copy);
  }
  return found;
}

void
vp_versions_forget (VpVersions *versions, const char *domain, guint64 up_to)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);
  GPtrArray *list = g_hash_table_lookup (versions->versions, domain);
  guint old = 0;

  while (list != NULL && old < list->len && ((const VpVersion *) list->pdata[old])->serial <= up_to)
    old++;
  if (list != NULL && old == list->len)
    g_hash_table_remove (versions->versions, domain);
  else if (old > 0)
    g_ptr_array_remove_range (list, 0, old);
}
