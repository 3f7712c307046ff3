/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user who gets a card, and what his guests need. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint uid;
  char *name;
  char *home;
} VpGrantUser;

/* `folder`: "/" for this machine's users by whatever means it has, else those of its etc/passwd. */
gboolean vp_grant_user_find (VpGrantUser *user, const char *folder, const char *name, GError **error);
void vp_grant_user_clear (VpGrantUser *user);
/* KiB of the largest guest that the user has defined; 0: none that can be read. */
guint64 vp_grant_find_largest (const char *folder, const VpGrantUser *user);
/* "8GiB", "8192 MiB" */
gboolean vp_grant_parse_memory (const char *text, guint64 *kib);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpGrantUser, vp_grant_user_clear)

G_END_DECLS
