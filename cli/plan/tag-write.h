/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain's tag changed, and its definition with it. The tag alone is written, in one step of
 * libvirt's own that overwrites nobody's edit. Then the daemon makes the definition ready, or
 * this does, with all of the daemon's care (edits/), where none runs.
 */
#pragma once

#include "cli/base/source.h"

G_BEGIN_DECLS

/*
 * `before` is the definition as it was read, `tagged` the same with the tag that it shall have, or without one. Waits
 * half a minute at most. FALSE: the tag is as it was, unless somebody else changed it. The input has all loaded.
 */
gboolean vp_tag_write (const VpInput *input, virDomainPtr domain, const VpDomain *before, const VpDomain *tagged,
                       GError **error);

/*
 * Where nothing has to be written: takes up what a command that was killed left of the domain, if there is anything and
 * no daemon that does it. TRUE: nothing is left.
 */
gboolean vp_tag_resume (const VpInput *input, virDomainPtr domain, const VpDomain *tagged, GError **error);

G_END_DECLS
