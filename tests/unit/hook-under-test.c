/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The libvirt hook with paths below the working directory and a short deadline, for
 * test-hook.py. Everything but these settings is the hook that is installed.
 */
#include "hooks/hook.h"

int
main (int argc, char **argv)
{
  static const VpHookSettings settings = {
    .version = "under-test",
    .system_socket = "system.sock",
    .runtime_dir = "user",
    .session_socket = "gate.sock",
    .deadline_seconds = 2,
  };

  return vp_hook_run (&settings, argc, argv);
}
