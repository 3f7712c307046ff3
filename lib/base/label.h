/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SELinux labels of what we generate. A new file inherits its folder's type, so
 * this is the second line only: it verifies, and repairs what somebody copied,
 * moved or made before the module was loaded. Does nothing where SELinux is off,
 * or where the policy knows nothing of our folders.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A file or folder of ours below the state or run folder; another is left alone. It says
 * in the log what it changed, and what to do where it may not: a wrong label is no reason
 * to stop here, for the policy may be permissive.
 */
void vp_label_ensure (const char *path);

/*
 * The label to set: the current one with the wanted one's type, as restorecon does. NULL: it is
 * right already, or `unknown`, the label that such a path has without our module, is wanted too. The caller's.
 */
char *vp_label_dup_mended (const char *current, const char *wanted, const char *unknown);

/*
 * Of any file: "etc_t, not vfioprofile_hook_exec_t"; NULL: its type is what the policy says, or nothing comes of a
 * wrong one, as SELinux is off or permissive. The caller's.
 */
char *vp_label_dup_difference (const char *path);

G_END_DECLS
