/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of some programs run, and since when. */
#pragma once

#include "base/root.h"

G_BEGIN_DECLS

typedef struct {
  int pid;
  char *name;
  guint64 started; /* seconds since the epoch; 0: not known */
} VpProcess;

/*
 * Of VpProcess: those of that user that have one of these names (NULL-ended, as in /proc/PID/comm) and are not a
 * container's. The caller's, with what is in it; empty where /proc cannot be read.
 */
GArray *vp_processes_read (const VpRoot *root, const char *const *names, guint64 uid);
/* When the kernel booted, in seconds since the epoch; 0: not known. */
guint64 vp_process_boot_time (const VpRoot *root);
/* The first of that name, borrowed from the array; NULL: it does not run. */
const VpProcess *vp_processes_find (const GArray *processes, const char *name);

G_END_DECLS
