/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The wrapper file: which QEMU stands behind an <emulator> of ours.
 *
 *   #!/usr/libexec/vfio-profile-emulator
 *   # Made by vfio-profiled for one QEMU. Do not edit: it is written anew when that QEMU changes.
 *   emulator=/usr/bin/qemu-system-x86_64
 *   identity=DEV:INO:SIZE:MTIME_SEC.NSEC
 *
 * The identity is there for libvirt alone, which caches a binary's capabilities until the
 * file changes: when QEMU is upgraded, the wrapper changes with it. It is not checked here.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#define VP_EMULATOR_FILE_MAX 4096 /* bytes; a longer one is refused */
#define VP_EMULATOR_FILE_KEY "emulator="
#define VP_EMULATOR_FILE_IDENTITY_KEY "identity="

/* The interpreter's own file name, wherever it is installed. */
#define VP_EMULATOR_INTERPRETER "vfio-profile-emulator"

typedef struct {
  char emulator[PATH_MAX]; /* an absolute path */
  char reason[256];        /* after a failure: what is wrong and what was needed, one line */
} VpEmulatorFile;

/*
 * Reads the wrapper at `path` and checks that it is root's or the running user's, that nobody
 * else can write it, and that it does not lead back to a wrapper. False: `reason` says why.
 */
bool vp_emulator_file_read (const char *path, VpEmulatorFile *file);
