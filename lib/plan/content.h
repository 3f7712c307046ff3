/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What may stand in a saved original. An element is told line by line, each from its root on,
 *
 *   vcpupin
 *   vcpupin/@vcpu=0
 *   emulator=/usr/bin/qemu-system-x86_64
 *   {http://libvirt.org/schemas/domain/qemu/1.0}override
 *
 * and each line has to fit the one pattern of its place: names, attributes and texts that no
 * pattern foresees are strangers, and so is everything that is no element, attribute or text.
 */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

G_BEGIN_DECLS

/* A value without paths: no slash, nothing that steers. */
#define VP_CONTENT_WORD "[^/\\x00-\\x1f]{0,256}"
/* CPUs, nodes or a number, as libvirt writes them. */
#define VP_CONTENT_LIST "[0-9,^ -]{0,16384}"

/* The first line that does not fit, freed by the caller; NULL: all do. `pattern` is static. */
char *vp_content_dup_stranger (const xmlNode *element, const char *pattern);

G_END_DECLS
