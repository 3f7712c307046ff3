/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests that are no definition: what libvirt keeps of one that was saved, or as it was at a snapshot. */
#pragma once

#include <libvirt/libvirt.h>

#include <glib.h>

G_BEGIN_DECLS

/*
 * Of those whose emulator is a wrapper of ours, which has to be there when they come back. `saves` gets "'DOMAIN'",
 * `snapshots` "'SNAPSHOT' of 'DOMAIN'", both of char *. One that cannot be read is left out: it went meanwhile.
 */
void vp_kept_guests_add (virDomainPtr domain, const char *wrapper_folder, GPtrArray *saves, GPtrArray *snapshots);

G_END_DECLS
