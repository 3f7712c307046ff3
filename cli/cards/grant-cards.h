/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of `vfio-profile grant`: who gets what, how much memory he may lock, and the
 * files that say so to udev, PAM and systemd.
 */
#pragma once

#include "cli/cards/sequester-cards.h"
#include "devices/grant.h"

G_BEGIN_DECLS

/* libvirt lets a guest with an assigned device lock its memory and this much beside it. */
#define VP_GRANT_BESIDE_KIB (1024u * 1024)

typedef struct {
  guint uid;
  char *name;
  char *home;
} VpGrantUser;

/* --- who and how much: grant-user.c --- */

/* `folder`: "/" for this machine's users by whatever means it has, else those of its etc/passwd. */
gboolean vp_grant_user_find (VpGrantUser *user, const char *folder, const char *name, GError **error);
void vp_grant_user_clear (VpGrantUser *user);
/* KiB of the largest guest that the user has defined; 0: none that can be read. */
guint64 vp_grant_find_largest (const char *folder, const VpGrantUser *user);
/* "8GiB", "8192 MiB" */
gboolean vp_grant_parse_memory (const char *text, guint64 *kib);

/* --- the files: grant-files.c --- */

typedef struct {
  const char *folder;
  const VpRoot *root;
  GPtrArray *grants; /* of VpGrant *: as they are, then as they shall be */
} VpGrantFiles;

gboolean vp_grant_open (VpGrantFiles *files, const VpRoot *root, const char *folder, GError **error);
void vp_grant_close (VpGrantFiles *files);
/* What the user may lock, in KiB; 0: nothing of ours says so. */
guint64 vp_grant_read_limit (const VpGrantFiles *files, guint uid);
/* All files for the grants as they are now; the limit of one user is set. */
gboolean vp_grant_write (const VpGrantFiles *files, const VpGrantUser *user, guint64 limit_kib, GPtrArray *changed,
                         GError **error);
/* Those of a user who has no grant any more; the list goes with the last one. */
gboolean vp_grant_remove (const VpGrantFiles *files, guint uid, GPtrArray *changed, GError **error);

/* --- at once: grant-apply.c --- */

/* udev and systemd read their files anew, and nodes that are there get their owner. This machine's only. */
void vp_grant_apply (const VpGrantFiles *files);
/* A group's node goes back to root where nothing grants it any more. */
void vp_grant_take_back (const VpGrantFiles *files, const GArray *ids);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpGrantUser, vp_grant_user_clear)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpGrantFiles, vp_grant_close)

G_END_DECLS
