/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What SELinux or AppArmor denied lately to our programs or about our files. Reads logs. */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

/*
 * Of char *, the oldest first, a line each. `journal`: this machine's, too. `seen`: there was a log to
 * look into; without root there may be none.
 */
GPtrArray *vp_denials_read (const VpRoot *root, gboolean journal, gboolean *seen);

G_END_DECLS
