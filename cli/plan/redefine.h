/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One definition of libvirt's written anew by a command. libvirt has no
 * compare-and-set, so the definition is read once more just before the define, and
 * if somebody edited it meanwhile, all starts over.
 */
#pragma once

#include "libvirt/libvirt-client.h"

G_BEGIN_DECLS

/* Plans what becomes of a definition, and makes the files that it will name. NULL and an error: nothing is written. */
typedef VpPlan *(*VpRedefineFunc) (const VpDomain *present, gpointer data, GError **error);

/*
 * The plan that holds in the end, the caller's; `changed`: the definition was not like that before. `func` gets
 * `data`, and is called anew for each edit that comes between.
 */
VpPlan *vp_redefine (virConnectPtr connection, virDomainPtr domain, VpRedefineFunc func, gpointer data,
                     gboolean *changed, GError **error);

G_END_DECLS
