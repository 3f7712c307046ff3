/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names of assigned devices, which QEMU has as their ids, and what names them elsewhere in a
 * definition: <qemu:device alias='…'> in <qemu:override>, and "-set", "device.ALIAS.…" in
 * <qemu:commandline>. libvirt keeps a name that begins with "ua-". To all other devices it gives
 * hostdev0, hostdev1, … as it starts the domain, those of <interface type='hostdev'> first: where
 * one gets a name of its own, those behind it count one less (libvirt 9.0, qemu_alias.c).
 */
#pragma once

#include "domain/domain.h"

G_BEGIN_DECLS

/* Of char *, by the device's const xmlNode *, which is borrowed; the caller's. */
GHashTable *vp_aliases_new (const VpDomain *domain);
/* `before`: of the same tree; what named a device by its name then names it by the one that it has now. */
void vp_aliases_follow (const GHashTable *before, VpDomain *domain);
/* Whether anything in the definition names a device in one of these ways, there or not. */
gboolean vp_aliases_are_named (const VpDomain *domain);

/*
 * The <qemu:arg> behind `arg`, where that is this option of QEMU's, with one dash or two; borrowed. NULL: it is
 * another, or no value is behind it.
 */
const xmlNode *vp_argument_value (const xmlNode *arg, const char *option);
/* The first child of <qemu:commandline> or <qemu:override>, `part`; borrowed. NULL: there is none. */
xmlNode *vp_domain_first_of_qemu (const VpDomain *domain, const char *part);

G_END_DECLS
