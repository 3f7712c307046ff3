/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The libvirt hook as a function, so that a test can run it with other paths and a shorter
 * deadline. No environment variable changes either.
 */
#pragma once

/* All borrowed. */
typedef struct {
  const char *version;
  const char *system_socket; /* the gate's path for root */
  const char *runtime_dir;   /* the gate of any other user: RUNTIME_DIR/UID/SESSION_SOCKET */
  const char *session_socket;
  unsigned int deadline_seconds; /* for all of it; the gate's WAITs come on top */
} VpHookSettings;

/* With libvirt's arguments, the XML on stdin. Returns the exit status: 0 go on, 1 refused, 2 wrong usage. */
int vp_hook_run (const VpHookSettings *settings, int argc, char *const *argv);
