/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GFileMonitor for files, a netlink socket for the kernel's uevents. Reads nothing itself. */
#include "daemon/keep/host-watch.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETTLE_MS 500
#define KERNEL_GROUP 1 /* the kernel's own uevents; udev's are group 2 */

struct VpHostWatch {
  VpHostWatchFunc changed;
  gpointer data;
  GHashTable *monitors; /* path -> GFileMonitor */
  int uevents;          /* -1: the kernel gives none here (a container) */
  guint uevents_source;
  guint timer;
};

static gboolean
on_settled (gpointer data)
{
  VpHostWatch *watch = data;

  watch->timer = 0;
  watch->changed (watch->data);
  return G_SOURCE_REMOVE;
}

void
vp_host_watch_note (VpHostWatch *watch)
{
  if (watch->timer == 0)
    watch->timer = g_timeout_add (SETTLE_MS, on_settled, watch);
}

/* "online@/devices/system/cpu/cpu3": only CPUs, nodes and PCI devices matter. */
static gboolean
matters (const char *text)
{
  return strstr (text, "@/devices/system/cpu/") != NULL || strstr (text, "@/devices/system/node/") != NULL ||
         (strstr (text, "@/devices/pci") != NULL &&
          (g_str_has_prefix (text, "add@") || g_str_has_prefix (text, "remove@") || g_str_has_prefix (text, "bind@") ||
           g_str_has_prefix (text, "unbind@")));
}

/* ENOBUFS, once: more came than the socket holds, and what is lost may have mattered. */
static gboolean
on_uevent (int fd, GIOCondition condition, gpointer data)
{
  char text[4096];
  gssize got = 0;
  int number = 0;

  (void) condition;
  do {
    got = recv (fd, text, sizeof text - 1, MSG_DONTWAIT);
    number = got < 0 ? errno : 0;
    text[MAX (got, 0)] = '\0';
    if (number == ENOBUFS || matters (text))
      vp_host_watch_note (data);
  } while (got > 0 || number == ENOBUFS || number == EINTR);
  return G_SOURCE_CONTINUE;
}

static int
open_uevents (void)
{
  struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

  if (fd < 0)
    return -1;
  if (bind (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;
  (void) close (fd);
  return -1;
}

static void
on_file (GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event, gpointer data)
{
  (void) monitor, (void) file, (void) other, (void) event;
  vp_host_watch_note (data);
}

static void
add_monitor (VpHostWatch *watch, const char *path, gboolean is_folder)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GError) error = NULL;

  if (g_hash_table_contains (watch->monitors, path))
    return;
  GFileMonitor *monitor = is_folder ? g_file_monitor_directory (file, G_FILE_MONITOR_WATCH_MOVES, NULL, &error)
                                    : g_file_monitor_file (file, G_FILE_MONITOR_NONE, NULL, &error);
  if (monitor == NULL) {
    g_warning ("cannot watch %s: %s; after a change there, reload this service", path, error->message);
    return;
  }
  g_signal_connect (monitor, "changed", G_CALLBACK (on_file), watch);
  g_hash_table_insert (watch->monitors, g_strdup (path), monitor);
}

VpHostWatch *
vp_host_watch_new (VpHostWatchFunc changed, gpointer data)
{
  VpHostWatch *watch = g_new0 (VpHostWatch, 1);

  watch->changed = changed;
  watch->data = data;
  watch->monitors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  watch->uevents = open_uevents ();
  if (watch->uevents >= 0)
    watch->uevents_source = g_unix_fd_add (watch->uevents, G_IO_IN, on_uevent, watch);
  return watch;
}

void
vp_host_watch_add_folders (VpHostWatch *watch, const char *const *folders)
{
  for (guint i = 0; folders[i] != NULL; i++)
    add_monitor (watch, folders[i], TRUE);
}

void
vp_host_watch_add_file (VpHostWatch *watch, const char *path)
{
  add_monitor (watch, path, FALSE);
}

void
vp_host_watch_free (VpHostWatch *watch)
{
  if (watch == NULL)
    return;
  if (watch->timer != 0)
    g_source_remove (watch->timer);
  if (watch->uevents_source != 0)
    g_source_remove (watch->uevents_source);
  if (watch->uevents >= 0)
    (void) close (watch->uevents);
  g_hash_table_unref (watch->monitors);
  g_free (watch);
}
