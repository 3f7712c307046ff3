/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads libvirt's configuration folder as it changes. Does not understand what it reads.
 *
 * libvirt writes NAME.xml.new, syncs it, and renames it over NAME.xml. The new file is opened
 * when it is made: the descriptor stays with that version, however late this thread comes to
 * read it. It comes early: it has a real-time priority where it may, and sleeps nearly always.
 */
#include "edits/versions.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "edits/version-file.h"

#define SYNC_SECONDS 1
#define WAIT_MS 100 /* where the kernel does not let it wait */
#define MAX_MADE 64 /* files being written for one domain; libvirt writes one at a time */

/* What this thread knows of one domain's file. */
typedef struct {
  GQueue made;  /* descriptors of each NAME.xml.new that was made and is not renamed yet; -1: it was gone already */
  dev_t device; /* of the file that was read last; `inode` 0: none */
  ino_t inode;
  gsize size;
  guint hash; /* of its text: the number of a file that is gone is given to another */
} File;

struct VpVersions {
  char *folder;
  VpVersionsFunc changed;
  gpointer data;
  VpVersionsSink sink;
  gpointer sink_data;
  int inotify_fd;
  int wake_fd;
  GThread *thread;
  GAsyncQueue *notices; /* of Notice: for the main thread */
  int notice_fd;        /* an eventfd that counts them */
  gint prompt;          /* atomic: it has a real-time priority */
  GHashTable *files;    /* domain -> File; the thread's own */
  guint64 backlog;      /* the last serial at which no event was waiting; the thread's own */
  gsize sync_asked;     /* atomic */

  GMutex mutex; /* guards all below */
  GCond synced;
  int watch_descriptor; /* -1: not watching */
  guint64 serial;
  gsize sync_done;
  gboolean stopping;
  guint64 missed; /* the serial at which events were lost last, or the folder was another one */
  VpVersionTable *table;
};

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
deliver (int fd, GIOCondition condition, gpointer data)
{
  VpVersions *versions = data;
  guint64 notices = 0;

  (void) condition;
  (void) !read (fd, &notices, sizeof notices);
  for (; notices > 0; notices--) {
    g_autoptr (Notice) notice = g_async_queue_pop (versions->notices);
    versions->changed (notice->domain, versions->data);
  }
  return G_SOURCE_CONTINUE;
}

/* By a descriptor: a source of its own would wait for the lock of main's context, which main has for a while. */
static void
notify_main (VpVersions *versions, const char *domain)
{
  const guint64 one = 1;

  if (versions->changed == NULL)
    return;
  Notice *notice = g_new0 (Notice, 1);
  notice->domain = g_strdup (domain);
  g_async_queue_push (versions->notices, notice);
  (void) !write (versions->notice_fd, &one, sizeof one); /* only full after 2^64 notices */
}

static void
file_free (gpointer data)
{
  File *file = data;

  for (int fd = -1; !g_queue_is_empty (&file->made);)
    if ((fd = GPOINTER_TO_INT (g_queue_pop_head (&file->made))) >= 0)
      (void) close (fd);
  g_free (file);
}

static File *
get_file (VpVersions *versions, const char *domain)
{
  File *file = g_hash_table_lookup (versions->files, domain);

  if (file != NULL)
    return file;
  file = g_new0 (File, 1);
  g_queue_init (&file->made);
  g_hash_table_insert (versions->files, g_strdup (domain), file);
  return file;
}

static int
pop_made (File *file, gpointer (*pop) (GQueue *queue))
{
  return g_queue_is_empty (&file->made) ? -1 : GPOINTER_TO_INT (pop (&file->made));
}

static void
note_made (VpVersions *versions, const char *domain)
{
  File *file = get_file (versions, domain);
  int old = file->made.length >= MAX_MADE ? pop_made (file, g_queue_pop_head) : -1;

  if (old >= 0)
    (void) close (old);
  g_queue_push_tail (&file->made,
                     GINT_TO_POINTER (vp_version_file_open_made (versions->folder, domain, file->device, file->inode)));
}

/* It could not be written, and is given up. */
static void
note_unmade (VpVersions *versions, const char *domain)
{
  int fd = pop_made (get_file (versions, domain), g_queue_pop_tail);

  if (fd >= 0)
    (void) close (fd);
}

typedef enum { READ_NEW, READ_AGAIN, READ_AFTER_MISS } Reading;

/* AGAIN: the event before showed the same file, so the one of that event was missed. AFTER_MISS: only its number is. */
static Reading
compare_file (File *file, const struct stat *info, GBytes *text)
{
  gboolean is_same_number = file->inode != 0 && info->st_ino == file->inode && info->st_dev == file->device;
  gsize size = text != NULL ? g_bytes_get_size (text) : 0;
  guint hash = text != NULL ? g_bytes_hash (text) : 0;
  gboolean is_same_text = size == file->size && hash == file->hash;

  file->inode = info->st_ino;
  file->device = info->st_dev;
  file->size = size;
  file->hash = hash;
  if (!is_same_number)
    return READ_NEW;
  return is_same_text ? READ_AGAIN : READ_AFTER_MISS;
}

/* NULL: it is gone, or not to be read. */
static GBytes *
read_version (VpVersions *versions, const char *domain, Reading *reading)
{
  File *file = get_file (versions, domain);
  int made = pop_made (file, g_queue_pop_head);
  int present = vp_version_file_open (versions->folder, domain);
  int fd = vp_version_file_is_of_event (made, present) ? made : present;
  GBytes *text = NULL;
  struct stat info;

  *reading = READ_NEW;
  if (fd >= 0 && fstat (fd, &info) == 0) {
    text = vp_version_file_read (fd);
    *reading = compare_file (file, &info, text);
  }
  if (made >= 0)
    (void) close (made);
  if (present >= 0)
    (void) close (present);
  return text;
}

/* From here on main can have it; whoever saves versions has it before the next event is looked at. */
static void
give_to_sink (const VpVersions *versions, const char *domain, const VpVersion *version)
{
  if (versions->sink != NULL)
    versions->sink (domain, version, versions->sink_data);
}

/* A copy of what is the table's then; the caller's. */
static VpVersion *
add_version (VpVersions *versions, const char *domain, VpVersion *version)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  version->serial = ++versions->serial;
  VpVersion *copy = vp_version_copy (version);
  vp_version_table_add (versions->table, domain, version);
  return copy;
}

static void
keep_version (VpVersions *versions, const char *domain, gboolean deleted, GBytes *text)
{
  VpVersion *version = g_new0 (VpVersion, 1);
  g_autoptr (VpVersion) copy = NULL;

  version->deleted = deleted;
  version->text = text;
  copy = add_version (versions, domain, version);
  give_to_sink (versions, domain, copy);
}

static VpVersion *
mark_missed (VpVersions *versions, const char *domain)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  return vp_version_table_mark_missed (versions->table, domain, versions->backlog);
}

/*
 * One version was missed, and it is not known which: this thread was late. None that was read when no event
 * was waiting is concerned, so it came before the first that was read since.
 */
static void
note_missed (VpVersions *versions, const char *domain)
{
  g_autoptr (VpVersion) marked = mark_missed (versions, domain);

  if (marked != NULL)
    give_to_sink (versions, domain, marked);
}

static void
note_all_missed (VpVersions *versions)
{
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);
    versions->missed = ++versions->serial;
  }
  notify_main (versions, NULL);
}

static void
note_changed (VpVersions *versions, const char *domain)
{
  Reading reading = READ_NEW;
  g_autoptr (GBytes) text = read_version (versions, domain, &reading);

  if (reading != READ_AGAIN)
    keep_version (versions, domain, FALSE, g_steal_pointer (&text));
  if (reading != READ_NEW)
    note_missed (versions, domain);
}

static void
note_deleted (VpVersions *versions, const char *domain)
{
  g_hash_table_remove (versions->files, domain);
  keep_version (versions, domain, TRUE, NULL);
}

/* NULL: that is no such file's name. */
static char *
dup_domain (const char *file_name, const char *suffix)
{
  return g_str_has_suffix (file_name, suffix) ? g_strndup (file_name, strlen (file_name) - strlen (suffix)) : NULL;
}

/* FALSE: it is watched no more. */
static gboolean
drop_descriptor (VpVersions *versions, int descriptor)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);
  gboolean is_present = descriptor == versions->watch_descriptor;

  if (is_present)
    versions->watch_descriptor = -1;
  return is_present;
}

/* The folder is not at its path any more: nothing that is written there is seen until it is watched anew. */
static void
note_moved (VpVersions *versions, int descriptor)
{
  gboolean is_present = drop_descriptor (versions, descriptor);

  (void) inotify_rm_watch (versions->inotify_fd, descriptor);
  if (is_present)
    note_all_missed (versions);
}

static void
handle_file (VpVersions *versions, guint32 mask, const char *name)
{
  g_autofree char *made = dup_domain (name, ".xml.new");
  g_autofree char *domain = dup_domain (name, ".xml");

  if (made != NULL && (mask & IN_CREATE) != 0)
    note_made (versions, made);
  else if (made != NULL && (mask & IN_DELETE) != 0)
    note_unmade (versions, made);
  if (domain == NULL || (mask & IN_CREATE) != 0)
    return;
  if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0)
    note_deleted (versions, domain);
  else
    note_changed (versions, domain);
  notify_main (versions, domain);
}

static void
handle_event (VpVersions *versions, const struct inotify_event *event)
{
  if ((event->mask & IN_Q_OVERFLOW) != 0)
    note_all_missed (versions);
  else if ((event->mask & (IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0)
    note_moved (versions, event->wd);
  else if (event->len > 0 && (event->mask & IN_ISDIR) == 0)
    handle_file (versions, event->mask, event->name);
}

/* No event waits any more. */
static void
note_read (VpVersions *versions)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  versions->backlog = versions->serial;
}

static void
read_events (VpVersions *versions)
{
  char buffer[64 * 1024] __attribute__ ((aligned (__alignof__(struct inotify_event))));
  gssize got = 0;

  while ((got = read (versions->inotify_fd, buffer, sizeof buffer)) > 0) {
    for (gssize at = 0; at < got;) {
      const struct inotify_event *event = (const struct inotify_event *) (void *) (buffer + at);
      handle_event (versions, event);
      at += (gssize) (sizeof *event + event->len);
    }
  }
  note_read (versions);
}

/* FALSE: it is time to end. */
static gboolean
answer_sync (VpVersions *versions, gsize asked)
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

  g_atomic_int_set (&versions->prompt, pthread_setschedparam (pthread_self (), SCHED_RR, &priority) == 0);
  while (going) {
    guint64 wakes = 0;
    /* Whatever the kernel is short of (memory, descriptors): without this thread nothing would be prepared again. */
    if (poll (fds, G_N_ELEMENTS (fds), -1) < 0 && errno != EINTR)
      g_usleep (WAIT_MS * 1000);
    /* In this order no request is missed: one that comes after the note wakes us once more. */
    (void) !read (versions->wake_fd, &wakes, sizeof wakes);
    gsize asked = (gsize) g_atomic_pointer_get (&versions->sync_asked);
    read_events (versions);
    going = answer_sync (versions, asked);
  }
  return NULL;
}

VpVersions *
vp_versions_new (const char *folder, VpVersionsFunc changed, gpointer data, VpVersionsSink sink, gpointer sink_data,
                 GError **error)
{
  VpVersions *versions = g_new0 (VpVersions, 1);

  versions->folder = g_strdup (folder);
  versions->changed = changed;
  versions->data = data;
  versions->sink = sink;
  versions->sink_data = sink_data;
  versions->watch_descriptor = -1;
  g_mutex_init (&versions->mutex);
  g_cond_init (&versions->synced);
  versions->table = vp_version_table_new ();
  versions->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, file_free);
  versions->notices = g_async_queue_new_full (notice_free);
  versions->inotify_fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  versions->wake_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  versions->notice_fd = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (versions->inotify_fd < 0 || versions->wake_fd < 0 || versions->notice_fd < 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot watch %s: %s", folder, g_strerror (errno));
    vp_versions_free (versions);
    return NULL;
  }
  if (changed != NULL)
    (void) g_unix_fd_add (versions->notice_fd, G_IO_IN, deliver, versions);
  versions->thread = g_thread_new ("versions", watch_thread, versions);
  return versions;
}

/*
 * Never with the mutex: the thread runs at once where it has a real-time priority, and would wait for whoever woke it,
 * who has none and may get no CPU for a while. Versions come and go meanwhile.
 */
static void
wake (VpVersions *versions)
{
  guint64 one = 1;

  (void) !write (versions->wake_fd, &one, sizeof one); /* can only fail by being full, and then it is awake */
}

static void
stop (VpVersions *versions)
{
  {
    g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);
    versions->stopping = TRUE;
  }
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
  (void) g_source_remove_by_user_data (versions);
  if (versions->notice_fd >= 0)
    (void) close (versions->notice_fd);
  g_async_queue_unref (versions->notices);
  vp_version_table_free (versions->table);
  g_hash_table_unref (versions->files);
  g_mutex_clear (&versions->mutex);
  g_cond_clear (&versions->synced);
  g_free (versions->folder);
  g_free (versions);
}

gboolean
vp_versions_ensure (VpVersions *versions, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);
  int old = versions->watch_descriptor;
  int new = inotify_add_watch (versions->inotify_fd, versions->folder,
                               IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF |
                                 IN_ONLYDIR);
  int problem = errno;

  versions->watch_descriptor = new;
  if (new == old &&new >= 0)
    return TRUE;
  versions->missed = ++versions->serial;
  if (old >= 0)
    (void) inotify_rm_watch (versions->inotify_fd, old);
  if (new < 0)
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot watch libvirt's folder %s: %s", versions->folder,
                 g_strerror (problem));
  return new >= 0;
}

gboolean
vp_versions_sync (VpVersions *versions, guint64 *serial)
{
  gint64 deadline = g_get_monotonic_time () + SYNC_SECONDS * G_TIME_SPAN_SECOND;
  gboolean in_time = TRUE;
  gsize asked = (gsize) g_atomic_pointer_add (&versions->sync_asked, 1) + 1;

  wake (versions);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);
  while (versions->sync_done < asked && in_time)
    in_time = g_cond_wait_until (&versions->synced, &versions->mutex, deadline);
  *serial = versions->serial;
  return versions->sync_done >= asked;
}

GPtrArray *
vp_versions_list (VpVersions *versions, const char *domain, guint64 after)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  return vp_version_table_list (versions->table, domain, after);
}

gboolean
vp_versions_missed (VpVersions *versions, guint64 since)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  return versions->missed > since || versions->watch_descriptor < 0;
}

gboolean
vp_versions_came (VpVersions *versions, const char *domain, guint64 since)
{
  g_autoptr (GPtrArray) list = vp_versions_list (versions, domain, since);

  return list->len > 0 || vp_versions_missed (versions, since);
}

gboolean
vp_versions_is_prompt (const VpVersions *versions)
{
  return g_atomic_int_get (&versions->prompt) != 0;
}

void
vp_versions_forget (VpVersions *versions, const char *domain, guint64 up_to)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&versions->mutex);

  vp_version_table_forget (versions->table, domain, up_to);
}
