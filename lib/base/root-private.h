/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the reading and the writing half of VpRoot share; nobody else includes it. */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

struct VpRoot {
  int fd;
  gboolean sysfs; /* `fd` is a /sys, not a / */
  VpRootShim shim;
};

/* The errno that the shim wants; 0: none. */
int vp_root_ask_shim (const VpRoot *root, const char *what, const char *path);
/* A descriptor; -1 and errno. */
int vp_root_open_below (const VpRoot *root, const char *path, guint64 flags);

G_END_DECLS
