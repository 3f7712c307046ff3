/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that say to udev, PAM and systemd who was granted what, and having these heed them. */
#pragma once

#include "cli/base/own-file.h"
#include "cli/cards/grant-user.h"
#include "devices/grant.h"

G_BEGIN_DECLS

typedef struct {
  const char *folder; /* borrowed, as the root is, which is there: "/" */
  const VpRoot *root;
  VpOwnPlace place;  /* both */
  GPtrArray *grants; /* of VpGrant *: as they are, then as they shall be */
} VpGrantFiles;

/* Reads the grants; root and folder are borrowed until it is closed. FALSE: the list is damaged or unreadable. */
gboolean vp_grant_open (VpGrantFiles *files, const VpRoot *root, const char *folder, GError **error);
void vp_grant_close (VpGrantFiles *files);
/* What the user may lock, in KiB; 0: nothing of ours says so. */
guint64 vp_grant_read_limit (const VpGrantFiles *files, guint uid);
/* All files for the grants as they are now; the limit of one user is set. `changed` gets paths, of char *. */
gboolean vp_grant_write (const VpGrantFiles *files, const VpGrantUser *user, guint64 limit_kib, GPtrArray *changed,
                         GError **error);
/* Those of a user who has no grant any more; the list goes with the last one. */
gboolean vp_grant_remove (const VpGrantFiles *files, guint uid, GPtrArray *changed, GError **error);

/* At once, and not from the next boot on, if it is this machine. What fails is a warning: a boot does the same. */
void vp_grant_apply (const VpGrantFiles *files);
/* The nodes of those whose grants (of VpGrant *) are no more go back to root; before the files are applied. */
void vp_grant_take_back (const VpGrantFiles *files, const GPtrArray *taken);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpGrantFiles, vp_grant_close)

G_END_DECLS
