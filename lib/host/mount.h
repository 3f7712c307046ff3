/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the file system is mounted that a path is on. */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

/* "rw", "noexec", …; NULL: not known. */
GStrv vp_mount_dup_options (const VpRoot *root, const char *path);

G_END_DECLS
