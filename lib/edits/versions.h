/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The witness. libvirt raises no event for `--config` edits and has no
 * compare-and-set for definitions, but it renames NAME.xml.new over NAME.xml for
 * each version. This thread reads every version the moment it appears, so that
 * an edit which a define of ours overwrites is not lost. It never calls libvirt.
 * The functions are for the main thread.
 */
#pragma once

#include "edits/version-table.h"

G_BEGIN_DECLS

typedef struct VpVersions VpVersions;

/* Runs in the default main context. `domain` NULL: events were missed, look at everything. */
typedef void (*VpVersionsFunc) (const char *domain, gpointer data);

/*
 * Runs in the thread that watches, before the next event is looked at: it must be quick. Called again for one
 * that turns out to have missed versions before it.
 */
typedef void (*VpVersionsSink) (const char *domain, const VpVersion *version, gpointer data);

/* The folder need not be there yet. Either function may be NULL. NULL: the kernel gives no inotify. */
VpVersions *vp_versions_new (const char *folder, VpVersionsFunc changed, gpointer data, VpVersionsSink sink,
                             gpointer sink_data, GError **error);
void vp_versions_free (VpVersions *versions); /* `changed` is not called after it */

/*
 * Watches the folder that is at the path now, whether it was watched before or another one was. FALSE: it is
 * not there (yet). Versions of the time in which it was not watched count as missed.
 */
gboolean vp_versions_ensure (VpVersions *versions, GError **error);

/*
 * Waits until everything that had happened before the call is read, and gives
 * the serial of the last version. A second at most; FALSE: it took longer.
 */
gboolean vp_versions_sync (VpVersions *versions, guint64 *serial);

/* The versions of a domain after that serial, oldest first; of VpVersion, the caller's. */
GPtrArray *vp_versions_list (VpVersions *versions, const char *domain, guint64 after);
/* Whether events were lost since, or the folder was not watched: then nobody knows which versions there were. */
gboolean vp_versions_missed (VpVersions *versions, guint64 since);
/* Whether that domain was written since, or nobody knows: what was read after that serial may be old. */
gboolean vp_versions_came (VpVersions *versions, const char *domain, guint64 since);
/* The thread reads at a real-time priority, and so in time; not so a user's own daemon, which may not have one. */
gboolean vp_versions_is_prompt (const VpVersions *versions);
/* Versions up to that serial are no longer needed. */
void vp_versions_forget (VpVersions *versions, const char *domain, guint64 up_to);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (VpVersions, vp_versions_free)

G_END_DECLS
