/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mark that tells the wrapper's interpreter which device drives a display: the
 * hostdev's user alias, which libvirt makes the id of the -device. The vga rule writes it,
 * the interpreter reads it; it is defined here alone. Plain C: the interpreter has no GLib.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* libvirt keeps an alias across define and edit only if it begins so. */
#define VP_X_VGA_MARK_PREFIX "ua-"
#define VP_X_VGA_MARK_SUFFIX "-x-vga"

/* Whether `id` (never NULL) is PREFIX, any stem, SUFFIX. "ua-x-vga" is none: the two would share a character. */
static inline bool
vp_x_vga_mark_is (const char *id)
{
  const size_t prefix_size = sizeof VP_X_VGA_MARK_PREFIX - 1;
  const size_t suffix_size = sizeof VP_X_VGA_MARK_SUFFIX - 1;
  const size_t size = strlen (id);

  return size >= prefix_size + suffix_size && memcmp (id, VP_X_VGA_MARK_PREFIX, prefix_size) == 0 &&
         memcmp (id + size - suffix_size, VP_X_VGA_MARK_SUFFIX, suffix_size) == 0;
}
