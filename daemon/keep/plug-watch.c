/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A GFileMonitor on the folder. Reads no file: what a guest has is libvirt's to say. */
#include "daemon/keep/plug-watch.h"

#include <gio/gio.h>

struct VpPlugWatch {
  void (*changed) (const char *domain, gpointer data);
  gpointer data;
  GFileMonitor *monitor; /* NULL: it cannot be watched */
};

/* libvirt writes NAME.xml.new and renames it. */
static void
on_file (GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event, gpointer data)
{
  const VpPlugWatch *watch = data;
  g_autofree char *name = g_file_get_basename (event == G_FILE_MONITOR_EVENT_RENAMED ? other : file);

  (void) monitor;
  if (event == G_FILE_MONITOR_EVENT_DELETED || event == G_FILE_MONITOR_EVENT_MOVED_OUT ||
      !g_str_has_suffix (name, ".xml"))
    return;
  name[strlen (name) - strlen (".xml")] = '\0';
  watch->changed (name, watch->data);
}

VpPlugWatch *
vp_plug_watch_new (const char *folder, void (*changed) (const char *domain, gpointer data), gpointer data)
{
  VpPlugWatch *watch = g_new0 (VpPlugWatch, 1);
  g_autoptr (GFile) file = g_file_new_for_path (folder);
  g_autoptr (GError) error = NULL;

  watch->changed = changed;
  watch->data = data;
  watch->monitor = g_file_monitor_directory (file, G_FILE_MONITOR_WATCH_MOVES, NULL, &error);
  if (watch->monitor == NULL)
    g_warning ("cannot watch %s: %s; vCPUs that are plugged are noticed late", folder, error->message);
  else
    g_signal_connect (watch->monitor, "changed", G_CALLBACK (on_file), watch);
  return watch;
}

void
vp_plug_watch_free (VpPlugWatch *watch)
{
  if (watch == NULL)
    return;
  g_clear_object (&watch->monitor);
  g_free (watch);
}
