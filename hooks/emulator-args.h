/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* x-vga for the marked devices of a QEMU command line. No I/O; everything else stays as it is. */
#pragma once

/*
 * Called with a device of vfio's that has the mark, or may have it, and gets no x-vga: it cannot be read, or has
 * another driver.
 */
typedef void VpEmulatorMissed (const char *device);

/*
 * Returns a NULL-terminated list as long as `arguments` (which is NULL-terminated too). An
 * entry is the caller's own pointer where nothing changes, and a new string where x-vga was
 * set. NULL when memory runs out.
 */
char **vp_emulator_args_rewrite (char *const *arguments, VpEmulatorMissed *missed);

/* Frees what vp_emulator_args_rewrite() made of `arguments`, and nothing of theirs. */
void vp_emulator_args_free (char **rewritten, char *const *arguments);
