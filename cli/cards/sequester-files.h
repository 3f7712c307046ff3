/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files that say to the boot which cards are sequestered. */
#pragma once

#include "cli/base/own-file.h"
#include "cli/cards/sequester-choose.h"
#include "devices/sequester.h"

G_BEGIN_DECLS

typedef struct {
  const VpRoot *root; /* borrowed */
  VpOwnPlace place;   /* that */
  GArray *ids;        /* of VpDeviceIds: listed now */
  GPtrArray *modules; /* of char *: named to modprobe now */
} VpSequester;

/* Without `read` it can only be removed. `folder` is where the root is. */
gboolean vp_sequester_open (VpSequester *self, const VpRoot *root, const char *folder, gboolean read, GError **error);
void vp_sequester_clear (VpSequester *self);
/* Each file is written at once or not at all; `changed`: paths (of char *) of those that are not as they were. */
gboolean vp_sequester_add (VpSequester *self, const GArray *picks, GPtrArray *changed, GError **error);
/* `addresses`: of VpPciAddress, those that are listed. With the last one the files go. */
gboolean vp_sequester_drop (VpSequester *self, const GArray *addresses, GPtrArray *changed, GError **error);
gboolean vp_sequester_remove (const VpSequester *self, GPtrArray *removed, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VpSequester, vp_sequester_clear)

G_END_DECLS
