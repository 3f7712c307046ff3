/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The witness. libvirt raises no event for `--config` edits and has no
 * compare-and-set for definitions, but it renames NAME.xml.new over NAME.xml for
 * each version. This thread reads every version the moment it appears, so that
 * an edit which a define of ours overwrites is not lost. It never calls libvirt.
 * The functions are for the main thread.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VpVersions VpVersions;

typedef struct {
  guint64 serial; /* counts up over all domains */
  gboolean deleted;
  GBytes *text;   /* the file; NULL: deleted, or written over before it could be read */
} VpVersion;

/* Runs in the default main context. `domain` NULL: events were missed, look at everything. */
typedef void (*VpVersionsFunc) (const char *domain, gpointer data);

/* The folder need not be there yet. NULL: the kernel gives no inotify. */
VpVersions *vp_versions_new (const char *folder, VpVersionsFunc changed, gpointer data, GError **error);
void vp_versions_free (VpVersions *versions); /* `changed` is not called after it */

/* Begins to watch the folder, unless it does already. FALSE: it is not there (yet). */
gboolean vp_versions_ensure (VpVersions *versions, GError **error);

/*
 * Waits until everything that had happened before the call is read, and gives
 * the serial of the last version. A second at most; FALSE: it took longer.
 */
gboolean vp_versions_sync (VpVersions *versions, guint64 *serial);

/* The versions of a domain after that serial, oldest first; of VpVersion, the caller's. */
GPtrArray *vp_versions_list (VpVersions *versions, const char *domain, guint64 after);
/* Versions up to that serial are no longer needed. */
void vp_versions_forget (VpVersions *versions, const char *domain, guint64 up_to);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpVersions, vp_versions_free)

G_END_DECLS
