/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock, and what it stands for; a command's looks at a domain. */
#include "edits/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/label.h"
#include "edits/prepare.h"

#define LOCK_USEC (20 * 1000)
#define QUIET_USEC (100 * 1000) /* without an edit, before anything is written where the watch may be late */
#define DEADLINE_SECONDS 30

static gboolean
make_folder (const char *path, mode_t mode, GError **error)
{
  struct stat info;

  if (g_mkdir_with_parents (path, 0755) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot make the folder %s: %s", path, g_strerror (errno));
    return FALSE;
  }
  if (lstat (path, &info) != 0 || !S_ISDIR (info.st_mode) || info.st_uid != geteuid ()) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "%s is not a folder of user %u: remove it or change its owner", path,
                 (unsigned) geteuid ());
    return FALSE;
  }
  if ((info.st_mode & 07777) != mode && chmod (path, mode) != 0) {
    g_set_error (error, VP_ERROR, VP_ERROR_IO, "cannot set the mode of %s: %s", path, g_strerror (errno));
    return FALSE;
  }
  vp_label_ensure (path);
  return TRUE;
}

/* The kernel drops the lock when the process ends, however it ends. */
static int
lock_folder (const char *folder, guint patience_ms, GError **error)
{
  gint64 end = g_get_monotonic_time () + patience_ms * G_TIME_SPAN_MILLISECOND;
  g_autofree char *path = g_build_filename (folder, "lock", NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

  while (fd >= 0) {
    if (flock (fd, LOCK_EX | LOCK_NB) == 0)
      return fd;
    if (errno != EWOULDBLOCK || g_get_monotonic_time () >= end)
      break;
    g_usleep (LOCK_USEC);
  }
  gboolean busy = errno == EWOULDBLOCK;
  g_set_error (error, VP_ERROR, busy ? VP_ERROR_BUSY : VP_ERROR_IO, "cannot lock %s: %s", path,
               busy ? "another vfio-profiled runs, or a command that writes definitions" : g_strerror (errno));
  if (fd >= 0)
    (void) close (fd);
  return -1;
}

static void
on_version (const char *domain, const VpVersion *version, gpointer data)
{
  vp_intents_note_version (data, domain, version);
}

VpWriter *
vp_writer_new (gboolean session, guint patience_ms, VpVersionsFunc changed, gpointer data, GError **error)
{
  g_autofree char *run_folder = vp_libvirt_dup_run_folder (session);
  g_autofree char *wrapper_folder = vp_libvirt_dup_wrapper_folder (session);
  g_autofree char *state_folder = g_path_get_dirname (wrapper_folder);
  g_autofree char *intents_folder = g_build_filename (state_folder, "intents", NULL);
  g_autofree char *config_folder = vp_libvirt_dup_config_folder (session);
  g_autoptr (VpWriter) writer = g_new0 (VpWriter, 1);

  writer->lock_fd = -1;
  if (!make_folder (run_folder, 0700, error) || !make_folder (wrapper_folder, 0755, error))
    return NULL;
  writer->lock_fd = lock_folder (run_folder, patience_ms, error);
  writer->intents = writer->lock_fd >= 0 ? vp_intents_new (intents_folder, error) : NULL;
  if (writer->intents == NULL)
    return NULL;
  writer->versions = vp_versions_new (config_folder, changed, data, on_version, writer->intents, error);
  return writer->versions != NULL ? g_steal_pointer (&writer) : NULL;
}

void
vp_writer_free (VpWriter *writer)
{
  if (writer == NULL)
    return;
  vp_versions_free (writer->versions);
  vp_intents_free (writer->intents);
  if (writer->lock_fd >= 0)
    (void) close (writer->lock_fd);
  g_free (writer);
}

/* Where the watch may come late, no define is made amid edits. */
static void
wait_quiet (VpVersions *versions, gint64 end)
{
  guint64 before = 0;
  guint64 after = 0;

  (void) vp_versions_sync (versions, &after);
  while (before != after && !vp_versions_is_prompt (versions) && g_get_monotonic_time () < end) {
    before = after;
    g_usleep (QUIET_USEC);
    (void) vp_versions_sync (versions, &after);
  }
}

static gboolean
prepare_once (const VpPrepareContext *context, const char *name, GError **error)
{
  VpPrepareOutcome outcome = VP_PREPARE_GONE;
  VpWritten written = { 0 };
  gboolean done = vp_prepare_domain (context, name, &written, &outcome, error);

  vp_written_clear (&written);
  if (done && outcome == VP_PREPARE_GONE)
    g_set_error (error, VP_ERROR, VP_ERROR_LIBVIRT, "somebody undefined it at the same moment");
  return done && outcome != VP_PREPARE_GONE;
}

gboolean
vp_writer_prepare (const VpWriter *writer, VpPrepareContext *context, const char *name, GError **error)
{
  gint64 end = g_get_monotonic_time () + DEADLINE_SECONDS * G_TIME_SPAN_SECOND;

  context->versions = writer->versions;
  context->intents = writer->intents;
  if (!vp_versions_ensure (writer->versions, error))
    return FALSE;
  for (;;) {
    GError *problem = NULL;
    wait_quiet (writer->versions, end);
    if (prepare_once (context, name, &problem))
      return TRUE;
    if (!g_error_matches (problem, VP_ERROR, VP_ERROR_BUSY) || g_get_monotonic_time () >= end) {
      g_propagate_error (error, problem);
      return FALSE;
    }
    g_error_free (problem);
    g_usleep (QUIET_USEC);
  }
}
